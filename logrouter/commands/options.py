"""Options that most commands share, and the settings they lead to."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from logrouter.commands.exit_codes import EXIT_USAGE
from logrouter.commands.terminal import fail

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from logrouter.config import Settings


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config` and `--bootstrap`, which arrive as *config_file* and *bootstrap*."""
    for option in (
        click.option(
            "--bootstrap", metavar="HOST:PORT", envvar="LOGROUTER_BOOTSTRAP", help="Kafka brokers, over the file's."
        ),
        click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="LOGROUTER_CONFIG",
            help="The topics.yaml to use. Default: ./topics.yaml, else the one that ships with logrouter.",
        ),
    ):
        command = option(command)
    return command


def names_in(section: str, path: Path | None) -> list[str]:
    """Keys of a section of the file, which needs not be right: whoever types has not the secrets that it refers to."""
    from logrouter.config import settings
    from logrouter.config.yaml import document
    from logrouter.config.yaml.problems import ConfigError

    try:
        found = document.read(settings.read_config(path or settings.default_path())).value
    except (ConfigError, document.DocumentError):
        return []
    names = found.get(section) if isinstance(found, dict) else None
    return [str(name) for name in names] if isinstance(names, dict) else []


def complete_source(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of sources that begin with *incomplete*, for the shell; none if the file can't be read."""
    return _names_of("sources", context, incomplete)


def complete_sink(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """As `complete_source`, of sinks; as the first word also `test`, and nothing behind a name."""
    words = context.params.get("words") or ()
    if words not in ((), ("test",)):
        return []
    return [
        *_names_of("sinks", context, incomplete),
        *(["test"] if not words and "test".startswith(incomplete) else []),
    ]


def _names_of(section: str, context: click.Context, incomplete: str) -> list[str]:
    return [name for name in names_in(section, context.params.get("config_file")) if name.startswith(incomplete)]


def settings_of(
    path: Path | None, bootstrap: str | None, instance: str | None = None, *, sinks: Collection[str] | None = None
) -> Settings:
    """Settings of the file at *path*, overridden as by `overridden`. If the file is wrong: print why, and exit with 2.

    Without *path* the file is ./topics.yaml if there is one, else the one that ships. *sinks* are as in
    `config.settings.load`.
    """
    from logrouter import config

    try:
        settings = config.load(path, os.environ, sinks=sinks)
    except config.ConfigError as exc:
        fail(str(exc), EXIT_USAGE)
    return overridden(settings, bootstrap, instance)


def overridden(settings: Settings, bootstrap: str | None, instance: str | None = None) -> Settings:
    """*settings* with the brokers and the instance that were given on the command line, if they were."""
    if bootstrap:
        settings = replace(settings, kafka={**settings.kafka, "bootstrap.servers": bootstrap})
    if instance:
        settings = replace(settings, route_lane=replace(settings.route_lane, instance=instance))
    return settings
