"""Names that an operator may write: event fields and templates of topic names."""

from __future__ import annotations

from typing import Final

from logrouter.config.yaml.kinds import Text

FIELD: Final = r"[A-Za-z_$][A-Za-z0-9_$-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*"
"""A field of an event, by the names that lead to it."""


TEMPLATE: Final = Text(
    rf"(?:[A-Za-z0-9._-]|\{{{FIELD}\}}){{1,249}}",
    "a topic name (letters, digits, . _ -), or one with fields of the event in braces",
    249,
)


GROUP: Final = Text(r"[A-Za-z0-9._-]{1,200}", "a group name (letters, digits, . _ -)", 200)
"""A consumer group."""
