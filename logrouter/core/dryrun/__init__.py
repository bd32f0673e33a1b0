"""What would happen to a record, without publishing anything: for `explain`, `plan` and `logrouter test`."""
