"""How the end of a lane's process becomes a log line and an exit code, for every command that runs a lane."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from logrouter.commands.exit_codes import EXIT_FAILED, EXIT_FENCED, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Callable


def run_to_end(name: str, work: Callable[[], None]) -> NoReturn:
    """Do the *work* of the lane of this *name*, then end the process: with 0, or with a line that says why not."""
    from logrouter.kafka.errors import ClientError, FatalError, StuckError
    from logrouter.status_port.app import PortTakenError
    from logrouter.telemetry.log import Log, log

    code = EXIT_FAILED
    try:
        work()
        code = 0
    except ClientError as exc:
        log(Log.LANE_FAILED, lane=name, error=str(exc))
        code = EXIT_USAGE
    except (PortTakenError, OSError) as exc:
        # Unlike a wrong setting, this may heal: a supervisor should try again.
        log(Log.LANE_FAILED, lane=name, error=str(exc))
    except FatalError as exc:
        log(Log.FENCED if exc.fenced else Log.LANE_FAILED, lane=name, error=str(exc))
        if isinstance(exc, StuckError):
            os._exit(EXIT_FENCED)  # an ordinary exit would close its client, and wait for it
        code = EXIT_FENCED if exc.fenced else EXIT_FAILED
    except Exception as exc:  # noqa: BLE001 - a bug of ours: said once, with its traceback
        log(Log.LANE_FAILED, lane=name, error=repr(exc), exc_info=exc)
    raise SystemExit(code)
