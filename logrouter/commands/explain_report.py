"""What `logrouter explain` shows of a record, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from logrouter.commands.terminal import console, harmless, print_json
from logrouter.printable import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from logrouter.core.dryrun.explain import Explanation

_MARKS: Final = {True: ("yes", "green"), False: ("no", "red"), None: ("-", "dim")}
_COLOURS: Final = {"accepted": "bold green", "held": "bold cyan", "ignored": "bold yellow", "rejected": "bold red"}
_SAID: Final = frozenset(
    {
        "stage",
        "passed",
        "says",
        "line",
        "route",
        "topic",
        "partition",
        "offset",
        "bytes",
        "tokens",
        "shape",
        "client_id",
    }
    | {"api", "client_ip", "weight", "not_tried", "topics", "key", "id", "pointer", "message", "schema", "source"}
)
"""Details that a step's line has said already."""


def show(explanations: Iterable[Explanation], *, as_json: bool) -> None:
    """Print each explanation as soon as it is made: as one line of JSON, or as steps with what they saw below."""
    out = console()
    for number, explanation in enumerate(explanations):
        found = explanation.as_dict()
        if as_json:
            print_json(found)
        else:
            if number:
                out.print()
            _print(out, found)


def _print(out: Console, found: dict[str, Any]) -> None:
    """One record for people: a line per step, what it saw below, and the events at the end."""
    line = None
    for step in found["steps"]:
        if step.get("line") != line:
            line = step.get("line")
            out.print(Text(f"line {line + 1}" if line is not None else "record", "bold underline"), soft_wrap=True)
        mark, style = _MARKS[step["passed"]]
        shown = Text(f"{step['stage']:<10}", "bold") + Text(f"{mark:<4}", style) + Text(harmless(step["says"]))
        out.print(shown, soft_wrap=True)
        for name, value in step.items():
            for text in _below(name, value):
                out.print(Text(f"{'':<14}{text}", "dim"), soft_wrap=True)
    for event in found["events"]:
        for text in json_text(event, indent=True).split("\n"):
            out.print(Text(f"{'':<14}{text}", "cyan"), soft_wrap=True)
    verdict = " ".join(filter(None, (found["outcome"], "by", found["route"])))
    why = ": ".join(filter(None, (found["stage"], found["reason"], found.get("pointer"))))
    if len(found["outcomes"]) > 1:
        ends = Counter(outcome["outcome"] for outcome in found["outcomes"])
        why = "; ".join(filter(None, (why, "in all " + ", ".join(f"{count} {end}" for end, count in ends.items()))))
    out.print(Text(verdict, _COLOURS[found["outcome"]]) + Text(harmless(f" ({why})") if why else ""), soft_wrap=True)


def _below(name: str, value: Any) -> Iterator[str]:
    """The lines below a step's own for one of its details."""
    if name in _SAID or value in (None, "", [], {}):
        return
    if name == "why":
        yield from map(harmless, value)
    elif isinstance(value, list) and isinstance(value[0], dict):
        yield from (harmless(f"{name}: " + ", ".join(f"{k} {v}" for k, v in item.items())) for item in value)
    elif isinstance(value, dict | list):
        yield harmless(f"{name}: {json_text(value)}")
    else:
        yield harmless(f"{name}: {value}")
