"""The `tests:` of topics.yaml: a line, and what must become of it."""

from __future__ import annotations

from typing import Any

from logrouter.config.yaml.kinds import AnyValue, Choice, ListOf, MappingOf, Section, Text, options
from logrouter.config.yaml.kinds import option as opt

_OUTCOME = Choice(("accepted", "held", "ignored", "rejected"))


@options
class ExpectOptions:
    """What a test expects; what is not given is not compared."""

    outcome: str = opt(
        _OUTCOME, "How the record ends; of several outcomes the one of *route*, else the first.", default=""
    )
    route: str = opt(
        Text(called="a route's name, or `_unmatched`", may_be_empty=True), "Which route had it.", default=""
    )
    stage: str = opt(Choice(("decode", "parse", "enrich", "validate", "pair")), "Where it was rejected.", default="")
    reason: str = opt(Text(called="a reason", may_be_empty=True), "Why it was ignored or rejected.", default="")
    event: Any = opt(AnyValue("any part of the event"), "A part of the event.", default=None)
    outcomes: tuple[str, ...] = opt(
        ListOf(_OUTCOME, min_items=1, max_items=100),
        "How each line of a record that packs several ends, in order; with `routing: all-matches` for each route.",
        default=(),
    )
    events: tuple[Any, ...] | None = opt(
        ListOf(AnyValue("any part of an event"), max_items=100),
        "A part of every event that the record gives, in order; `[]` if it gives none.",
        default=None,
    )


@options
class CaseOptions:
    """A line and what must become of it: `logrouter test` runs these."""

    line: str = opt(Text(called="a line as it is in the topic", max_length=200_000), "The record's value.")
    source: str = opt(
        Text(called="a source's name", may_be_empty=True), "Its source; empty means the first one.", default=""
    )
    headers: dict[str, str] | None = opt(
        MappingOf(Text(called="text"), key=Text(called="a header's name", max_length=249)),
        "Headers of the record.",
        default=None,
    )
    after: tuple[str, ...] = opt(
        ListOf(Text(called="a line as it is in the topic", max_length=200_000), max_items=10),
        "Lines of the source that were read before. With `pair` one of them may be the other line of the request.",
        default=(),
    )
    expect: ExpectOptions = opt(Section(ExpectOptions), "What is expected.")
