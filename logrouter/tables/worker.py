"""Runs one tables worker in this process."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from logrouter.process.daemon_threads import DaemonThreadLoop
from logrouter.tables.app import create_app, tune_gc
from logrouter.tables.log_throttle import quiet_libraries
from logrouter.tables.mismatch import EXIT_USAGE, MismatchError
from logrouter.tables.settings import SettingsError, TablesSettings
from logrouter.telemetry.log import Log, log

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXIT_USAGE", "SettingsError", "TablesSettings", "run"]

EXIT_FAILED: Final = 1


def run(settings: TablesSettings) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code: 0 stopped, 1 failed, 2 refused (`MismatchError`).

    After 1 or 2 the last line logged is a `lane_failed` that says why.
    If the lease is lost this does not return: the process ends at once with 75 (`lease.exit_fenced`).
    """
    # Until Faust's own handler is there, and while tables are opened, a stop is simply the end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    tune_gc()
    quiet_libraries()
    loop = DaemonThreadLoop()
    asyncio.set_event_loop(loop)
    try:
        with _hold_data_dir(settings):
            app = create_app(settings)  # which takes the port
            log(Log.LANE_STARTED, lane="tables", group=settings.group)
            code = _run_app(app, loop)
    except OSError as exc:
        # A port or a folder in use may be free the next time: a supervisor should try again.
        log(Log.LANE_FAILED, lane="tables", error=str(exc))
        return EXIT_FAILED
    if code == 0:
        log(Log.LANE_STOPPED, lane="tables", code=code)
    return code


def _run_app(app: Any, loop: asyncio.AbstractEventLoop) -> int:
    worker = app.Worker(loop=loop, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.spinner = None
    try:
        worker.execute_from_commandline()
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else EXIT_FAILED
    except Exception as exc:  # noqa: BLE001 - the end of the process
        app.note_failure(exc)
        code = EXIT_FAILED
    if app.failure is not None:
        return EXIT_USAGE if isinstance(app.failure, MismatchError) else EXIT_FAILED
    if code:
        log(Log.LANE_FAILED, lane="tables", error=f"Faust ended it with {code}")
    return code


@contextmanager
def _hold_data_dir(settings: TablesSettings) -> Iterator[None]:
    """Lock the data directory; `OSError` if another worker has it, whose databases this one would wait for."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        file = (settings.data_dir / "lock").open("w")
    except OSError as exc:
        msg = f"cannot make or write the data directory {settings.data_dir}: {exc.strerror}"
        raise OSError(msg) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            msg = f"{settings.data_dir} is in use by another tables worker"
            raise OSError(msg) from None
        yield
