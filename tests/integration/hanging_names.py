"""A command for which the address of a name that ends in `.hangs.invalid` is asked for without end.

Run like `logrouter`; it writes the file that HANGS_AT names when that is so.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

from logrouter.cli import main

_resolve = socket.getaddrinfo


def resolve(host: Any, *rest: Any, **options: Any) -> Any:
    """As before, or never, as where no name server answers: the system gives up after half a minute or more."""
    if str(host).endswith(".hangs.invalid"):
        Path(os.environ["HANGS_AT"]).write_text("asked")
        time.sleep(3600)
    return _resolve(host, *rest, **options)


socket.getaddrinfo = resolve

if __name__ == "__main__":
    main()
