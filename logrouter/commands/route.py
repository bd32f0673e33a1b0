"""`logrouter route`: one process of the route lane."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from logrouter.commands.help_text import Command
from logrouter.commands.lane_end import run_to_end
from logrouter.commands.options import config_options, overridden, settings_of
from logrouter.commands.reload_signal import ReloadSignal
from logrouter.commands.stop_signal import StopSignal

if TYPE_CHECKING:
    from logrouter.config import Settings


@click.command("route", cls=Command)
@config_options
@click.option("--instance", envvar="LOGROUTER_INSTANCE", help="Stable name of this process. Default: the host name.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Port of /metrics, /livez and /readyz; 0: any.")
def route_command(
    config_file: Path | None, bootstrap: str | None, instance: str | None, metrics_port: int | None
) -> None:
    """Run one route process: mixed topics in; events, dead letters and partial sums out.

    Start as many as you have cores, each with its own --instance; they share the partitions. An edited topics.yaml
    comes into force by itself, and at once by SIGHUP; a wrong one changes nothing.

    **Examples**

        logrouter route --instance route-0
        LOGROUTER_INSTANCE=$HOSTNAME logrouter route --config /etc/logrouter/topics.yaml
    """
    hangup = ReloadSignal()  # before anything that takes time: without a handler SIGHUP ends the process
    from logrouter import config
    from logrouter.route import process
    from logrouter.status_port import app

    stop = StopSignal()
    settings = settings_of(config_file, bootstrap, instance, sinks=())
    host_name = socket.gethostname()
    lane = process.make_lane(settings, default_instance=host_name, stopping=stop)
    port = settings.route_lane.metrics.port if metrics_port is None else metrics_port

    def parse(data: bytes) -> Settings:
        path = Path(settings.file)
        new = config.parse(data, os.environ, name=str(path), folder=path.parent, sinks=())
        return overridden(new, bootstrap, instance)

    reloader = process.make_reloader(lane, settings, default_instance=host_name, parse=parse)
    hangup.serve_with(reloader.request_reload)

    def work() -> None:
        app.serve(lane, settings.route_lane.metrics.host, port, reloader, name="route")
        reloader.start()
        lane.run()

    run_to_end("route", work)
