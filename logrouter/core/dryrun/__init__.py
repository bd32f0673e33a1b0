"""What would become of a record, without publishing anything: for `explain`, `plan` and `logrouter test`."""
