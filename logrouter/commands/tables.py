"""`logrouter tables`: one worker of the tables lane."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from logrouter.commands.exit_codes import EXIT_USAGE
from logrouter.commands.help_text import Command
from logrouter.commands.options import config_options, settings_of
from logrouter.commands.stop_signal import ignore_reload
from logrouter.commands.terminal import fail


@click.command("tables", cls=Command)
@config_options
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where tables are kept on disk.")
@click.option("--host", help="Address to listen on for the table view.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the table view.")
@click.option("--advertise", metavar="URL", help="URL under which the other workers reach this one.")
@click.option("--instance", envvar="LOGROUTER_INSTANCE", help="Stable name of this worker. Default: the host name.")
def tables_command(
    config_file: Path | None,
    bootstrap: str | None,
    data_dir: Path | None,
    host: str | None,
    port: int | None,
    advertise: str | None,
    instance: str | None,
) -> None:
    """Run one tables worker: partial sums in, per-client tables out, and the table view over HTTP.

    SIGHUP does nothing: files of tokens, keys and certificates are followed by themselves, the rest needs a restart.

    **Examples**

        logrouter tables --data-dir /var/lib/logrouter
        logrouter tables --port 6067 --data-dir .data/tables-1      # a second one on the same machine
        curl 'localhost:6066/v1/clients?window=24h'

    **Exit codes**: 0 stopped as asked; 1 failed; 2 wrong usage or configuration; 75 fenced, to be started again.
    """
    ignore_reload()  # first of all: loading the rest takes a second
    from logrouter.tables import worker
    from logrouter.tables.settings import SettingsError, from_settings

    settings = settings_of(config_file, bootstrap, sinks=())
    try:
        chosen = from_settings(
            settings, data_dir=data_dir, host=host, port=port, advertise=advertise, instance=instance
        )
    except SettingsError as exc:
        fail(str(exc), EXIT_USAGE)
    raise SystemExit(worker.run(chosen))
