"""`logrouter sink`: one process of a sink, and a test of its target."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from logrouter.commands.exit_codes import EXIT_FAILED, EXIT_FENCED, EXIT_USAGE
from logrouter.commands.help_text import Command
from logrouter.commands.options import complete_sink, config_options, names_in, overridden, settings_of
from logrouter.commands.reload_signal import ReloadSignal
from logrouter.commands.stop_signal import StopSignal
from logrouter.commands.terminal import fail

if TYPE_CHECKING:
    from logrouter.config import Settings


@click.command("sink", cls=Command)
@click.argument("name", shell_complete=complete_sink)
@config_options
@click.option("--instance", envvar="LOGROUTER_INSTANCE", help="Stable name of this process. Default: the host name.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Port of /metrics, /livez and /readyz; 0: any.")
def sink_command(
    name: str, config_file: Path | None, bootstrap: str | None, instance: str | None, metrics_port: int | None
) -> None:
    """Run one process of the sink NAME: events of its topics go to its target.

    Start as many as you like, each with its own --instance; they share the partitions. An edited topics.yaml comes into
    force by itself, and at once by SIGHUP; a wrong one changes nothing.

    **Examples**

        logrouter sink search
        logrouter sink search --instance search-1 --metrics-port 9102
    """
    hangup = ReloadSignal()  # before anything that takes time: without a handler SIGHUP ends the process
    from logrouter import config
    from logrouter.deliver import process
    from logrouter.status_port import app
    from logrouter.telemetry.log import Log, log

    stop = StopSignal()
    settings = settings_of(config_file, bootstrap, instance, sinks=(name,))
    if name not in settings.sinks:
        known = ", ".join(names_in("sinks", config_file)) or "none"
        fail(f"{settings.file} has no sink {name!r}; it has: {known}", EXIT_USAGE)
    host_name = socket.gethostname()
    lane = process.make_lane(settings, name, host_name, stopping=stop)
    metrics = settings.sinks[name].options.metrics
    port = metrics.port if metrics_port is None else metrics_port

    def parse(data: bytes) -> Settings:
        path = Path(settings.file)
        new = config.parse(data, os.environ, name=str(path), folder=path.parent, sinks=(name,))
        return overridden(new, bootstrap, instance)

    reloader = process.make_reloader(lane, settings, name, host_name, parse=parse)
    hangup.serve_with(reloader.request_reload)
    code = EXIT_FAILED
    try:
        app.serve(lane, metrics.host, port, reloader, name="sink")
        reloader.start()
        lane.run()
        code = 0
    except process.ClientError as exc:
        log(Log.LANE_FAILED, lane="sink", error=str(exc))
        code = EXIT_USAGE
    except (app.PortTakenError, OSError) as exc:
        # Unlike a wrong setting, this may heal: a supervisor should try again.
        log(Log.LANE_FAILED, lane="sink", error=str(exc))
    except process.FatalError as exc:
        log(Log.FENCED if exc.fenced else Log.LANE_FAILED, lane="sink", error=str(exc))
        if isinstance(exc, process.StuckError):
            os._exit(EXIT_FENCED)  # an ordinary exit would wait for the thread that never comes back
        code = EXIT_FENCED if exc.fenced else EXIT_FAILED
    except Exception as exc:  # noqa: BLE001 - a bug of ours: said once, with its traceback
        log(Log.LANE_FAILED, lane="sink", error=repr(exc), exc_info=exc)
    raise SystemExit(code)
