"""What `logrouter plan` says of sinks: which ones another file adds, takes away or changes, and what that asks for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from logrouter.commands.exit_codes import EXIT_USAGE
from logrouter.commands.options import overridden
from logrouter.commands.terminal import fail

if TYPE_CHECKING:
    from pathlib import Path

    from logrouter.config import Settings
    from logrouter.config.compile.sinks import ConfiguredSink
    from logrouter.config.options.sinks import SinkOptions

_SECTION = "sinks"
_NAMING_FILES = frozenset({"tls", "aws"})
_FILES = ("ca", "certificate", "key", "credentials_file")


class PlannedFile(NamedTuple):
    """The settings of a file, and why its sinks are not among them; "" if they are."""

    settings: Settings
    unread: str = ""


def read_file(path: Path | None, bootstrap: str | None) -> PlannedFile:
    """A file with its sinks, or without if these can't be read: whoever plans may lack what they refer to.

    Any other mistake ends the command with 2.
    """
    from logrouter import config

    try:
        return PlannedFile(overridden(config.load(path, os.environ), bootstrap))
    except config.ConfigError as error:
        mistakes = [problem for problem in error.problems if problem.path.partition(".")[0] != _SECTION]
        if mistakes or not error.problems:
            fail(str(error), EXIT_USAGE)
        first = str(error.problems[0])
    try:
        settings = config.load(path, os.environ, sinks=())
    except config.ConfigError as error:
        fail(str(error), EXIT_USAGE)
    return PlannedFile(overridden(settings, bootstrap), f"{settings.file}:{first}")


def compare_sinks(old: PlannedFile, new: PlannedFile) -> dict[str, Any]:
    """Plain data: `unread` says why sinks are not compared, `changes` has an entry for each that differs."""
    from logrouter.deliver.fixed_options import restart_needed

    unread = new.unread or old.unread
    if unread:
        return {"unread": unread, "changes": []}
    before, after = old.settings.sinks, new.settings.sinks
    changes: list[dict[str, Any]] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            changes.append({"sink": name, "change": "new" if name in after else "gone", "options": [], "restart": []})
            continue
        options = _changed(before[name], after[name])
        restart = restart_needed(old.settings, new.settings, name)
        if options or restart:
            changes.append({"sink": name, "change": "changed", "options": options, "restart": restart})
    return {"unread": "", "changes": changes}


def _changed(old: ConfiguredSink, new: ConfiguredSink) -> list[str]:
    """The options that differ, by key."""
    from logrouter.config.yaml.kinds import declared_options

    if type(old.options) is not type(new.options):
        return ["type"]
    found = [
        option.key
        for attribute, option in declared_options(type(new.options))
        if getattr(old.options, attribute) != getattr(new.options, attribute)
    ]
    # What files hold counts as well: those of options that are the same, else it has been said.
    same = old.digest == new.digest or not _NAMING_FILES.isdisjoint(found)
    return found if same else [*found, *(key for key in sorted(_NAMING_FILES) if _names_file(new.options, key))]


def _names_file(options: SinkOptions, key: str) -> bool:
    section = getattr(options, key, None)
    return any(getattr(section, name, "") for name in _FILES)


def describe_change(change: dict[str, Any]) -> str:
    """One line for people: what changes, and what has to be done for that."""
    name = change["sink"]
    if change["change"] == "new":
        return f"sink {name}: new, start its processes (logrouter sink {name}; logrouter run does so by itself)"
    if change["change"] == "gone":
        return f"sink {name}: gone, stop its processes: they refuse the file (logrouter run stops them by itself)"
    what = f"sink {name}: changed ({', '.join(change['options']) or 'what its processes share'})"
    if change["restart"]:
        return f"{what}, restart its processes for {', '.join(change['restart'])}"
    return f"{what}, comes into force by itself"
