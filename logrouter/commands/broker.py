"""`logrouter broker`: the embedded Apache Kafka, for development."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from logrouter.commands.exit_codes import EXIT_FAILED
from logrouter.commands.help_text import Command
from logrouter.commands.terminal import fail


@click.command("broker", cls=Command)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9092, show_default=True, help="Port to listen on; 0: any."
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Keep the data here. Default: temporary."
)
def broker_command(port: int, data_dir: Path | None) -> None:
    """Run the embedded Apache Kafka alone: one node, for development. Ctrl-C stops it.

    **Example**

        logrouter broker --port 9092 --data-dir .data/kafka

    **Exit codes**: 0 stopped as asked; 1 it could not be started; 2 wrong usage.
    """
    from logrouter.devkafka import broker

    try:
        broker.serve(port, data_dir)
    except broker.DevKafkaError as exc:
        fail(str(exc), EXIT_FAILED)
