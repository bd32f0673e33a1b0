"""Where a route's events go: fixed topics, or topics by fields of the event, all of them known when the file is loaded.

to: requests.{api}
topics: {api: [core, search], otherwise: requests.other}     # requests.core, requests.search, requests.other
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.yaml.kinds import TOPIC
from logrouter.config.yaml.names import FIELD
from logrouter.config.yaml.problems import join_path, list_names
from logrouter.core.transform import path_of, value_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logrouter.config.options.route import RouteOptions
    from logrouter.config.yaml.problems import Problems

OTHERWISE: Final = "otherwise"
MAX_TOPICS: Final = 1000

_PLACEHOLDER = re.compile(rf"\{{({FIELD})\}}")


@dataclass(frozen=True, slots=True)
class Destinations:
    """All *topics* that a route may write, in order. *choose* returns those of an event; None means all of them."""

    topics: tuple[str, ...]
    choose: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None


def resolve_destinations(options: RouteOptions, path: str, problems: Problems) -> Destinations:
    """The destinations by `to` and `topics`; without topics if these are wrong, which is noted."""
    values = {name: listed_values for name, listed_values in (options.topics or {}).items() if name != OTHERWISE}
    otherwise = (options.topics or {}).get(OTHERWISE, ())
    wanted = {name for template in options.to for name in _PLACEHOLDER.findall(template)}
    if wanted and not options.topics:
        example = ", ".join(f"{name}: [...]" for name in sorted(wanted))
        needs = " and ".join(f"{{{name}}}" for name in sorted(wanted))
        verb = "needs its" if len(wanted) == 1 else "need their"
        problems.add(join_path(path, "to"), f"{needs} {verb} values: `topics: {{{example}, otherwise: ...}}`")
        return Destinations(())
    for name in sorted(values.keys() - wanted):
        problems.add(join_path(join_path(path, "topics"), name), f"is of no use: `to` holds no {{{name}}}", at_key=True)
    for name in sorted(wanted - values.keys()):
        problems.add(join_path(path, "to"), f"{{{name}}} needs a list of its values: `topics: {{{name}: [...]}}`")
    if len(otherwise) > 1 or (wanted and not otherwise):
        problems.add(join_path(path, "topics"), "needs one topic `otherwise`, for values not listed")
    elif otherwise and not wanted:
        problems.add(
            join_path(join_path(path, "topics"), OTHERWISE), "is of no use: `to` holds no field in braces", at_key=True
        )
    if not wanted:
        return Destinations(options.to)
    if wanted - values.keys() or len(otherwise) != 1:
        return Destinations(())
    return _templates(options.to, values, otherwise[0], join_path(path, "to"), problems)


def _templates(
    templates: Sequence[str], values: Mapping[str, Sequence[str]], otherwise: str, path: str, problems: Problems
) -> Destinations:
    made = []
    for template in templates:
        names = tuple(dict.fromkeys(_PLACEHOLDER.findall(template)))
        if prod(len(values[name]) for name in names) > MAX_TOPICS:
            problems.add(path, f"{template} stands for more than {MAX_TOPICS} topics")
            return Destinations(())
        topics = {
            chosen: _filled(template, dict(zip(names, chosen, strict=True))) for chosen in _choices(names, values)
        }
        made.append((tuple(path_of(name) for name in names), topics))
    every = tuple(dict.fromkeys([*(topic for _, topics in made for topic in topics.values()), otherwise]))
    wrong = [topic for topic in every if not re.fullmatch(TOPIC.pattern, topic)]
    if wrong:
        problems.add(path, f"stands for names that no topic can have: {list_names(name[:60] for name in wrong[:3])}")
    return Destinations(every, _chooser(made, otherwise))


def _choices(names: Sequence[str], values: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    return list(product(*(values[name] for name in names)))


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def _chooser(
    made: Sequence[tuple[Sequence[tuple[str, ...]], Mapping[tuple[str, ...], str]]], otherwise: str
) -> Callable[[Mapping[str, Any]], tuple[str, ...]]:
    def choose(event: Mapping[str, Any]) -> tuple[str, ...]:
        found = [topics.get(tuple(str(value_at(event, path)) for path in paths), otherwise) for paths, topics in made]
        return (found[0],) if len(found) == 1 else tuple(dict.fromkeys(found))

    return choose
