"""``python -m logrouter`` is the `logrouter` command."""

from logrouter.cli import main

main()
