"""The section `drains`: checks that concern more than one option, and its options as the program uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logrouter.config.compile.masks import build_mask
from logrouter.config.compile.sink_guard import read_networks
from logrouter.config.yaml.kinds import usable
from logrouter.config.yaml.problems import Problems, did_you_mean, list_names
from logrouter.core.drains.lines import LinePolicy
from logrouter.core.formats.families.app_space import AppSpace
from logrouter.core.redact import ip_policy
from logrouter.core.redact.disclosure import Disclosure
from logrouter.core.routing import KAFKA_INTERNAL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from logrouter.config.options.drains import (
        DrainRedactionOptions,
        DrainsOptions,
        DrainTopicsOptions,
    )
    from logrouter.config.options.file import FileOptions
    from logrouter.core.routing import RouteTable
    from logrouter.sinks.address_ranges import Network

_STRICTNESS: Final = {"keep": 0, "truncate": 1, "hash": 2}


@dataclass(frozen=True, slots=True)
class ConfiguredDrains:
    """The section `drains` of a file.

    *events* are the topics of clean events that are read, and *networks* those that are allowed besides public ones.
    *policy* says what is shown of lines.
    """

    options: DrainsOptions
    events: tuple[str, ...]
    networks: tuple[Network, ...]
    policy: LinePolicy


def claim_topics(topics: DrainTopicsOptions, own: dict[str, str], problems: Problems) -> None:
    """Add the topics of drains to *own*, the options that name topics of ours; note each that is there already."""
    if not usable(topics):
        return
    for name in ("registrations", "retry", "status"):
        topic = getattr(topics, name)
        path = f"drains.topics.{name}"
        if topic in own:
            problems.add(path, f"{topic} is {own[topic]} as well")
        elif KAFKA_INTERNAL.fullmatch(topic):
            problems.add(path, 'topics that begin with "_" are Kafka\'s own')
        own.setdefault(topic, path)


def build_drains(
    file: FileOptions, table: RouteTable, sink_groups: Collection[str], problems: Problems
) -> ConfiguredDrains | None:
    """The section ready for use, None if there is none or it is wrong; problems are noted.

    *sink_groups* are the consumer groups of sinks.
    """
    options = file.drains
    if options is None or not usable(options):
        return None
    # A source or a route with a mistake may be the one that is meant.
    whole = not any(not each.path.startswith(("drains", "sinks")) for each in problems.errors)
    if whole:
        _check_sources(options, [source.name for source in table.sources], problems)
    events = _event_topics(options, table.event_topics() if whole else None, problems)
    _check_group(options, file, sink_groups, problems)
    waiting = options.waiting
    if waiting.max_total_bytes < waiting.max_bytes:
        problems.add("drains.waiting.max_total_bytes", "is less than max_bytes, which one drain may take")
    if whole and not options.sources and not events:
        problems.add("drains", "reads nothing: name sources (`from`) or topics of events (`events`)")
    networks = tuple(read_networks(options.guard.networks, "drains.guard.networks", problems))
    disclosure = _disclosure(options.redaction, file, problems)
    raw_for = frozenset(AppSpace(*each.split("/")) for each in options.redaction.raw_for)
    return ConfiguredDrains(options, events, networks, LinePolicy(disclosure, raw_for, options.app_domains))


def _check_sources(options: DrainsOptions, known: Collection[str], problems: Problems) -> None:
    for index, name in enumerate(options.sources):
        if name not in known:
            hint = did_you_mean(name, known)
            problems.add(
                _item("from", index, problems), f"there is no source {name!r}{hint}; there are {list_names(known)}"
            )


def _event_topics(options: DrainsOptions, written: Collection[str] | None, problems: Problems) -> tuple[str, ...]:
    """The topics of events that are read; *written* are those that routes write to, None if nobody knows."""
    if options.events is None:
        return tuple(written or ())
    for index, topic in enumerate(options.events):
        if written is not None and topic not in written:
            hint = did_you_mean(topic, written)
            problems.add(_item("events", index, problems), f"no route writes to {topic}{hint}")
    return options.events


def _item(key: str, index: int, problems: Problems) -> str:
    """The path of an entry of a list, or of the one value that stands for it."""
    path = f"drains.{key}[{index}]"
    return path if path in problems.values else f"drains.{key}"


def _check_group(options: DrainsOptions, file: FileOptions, sink_groups: Collection[str], problems: Problems) -> None:
    taken = dict.fromkeys(sink_groups, "a sink")
    for name in ("route_lane", "tables_lane"):
        lane = getattr(file, name)
        if usable(lane):
            taken[lane.group] = name
    if options.group in taken:
        problems.add(
            "drains.group",
            f"{options.group} is the group of {taken[options.group]} as well: each would get half of the records",
        )


def _disclosure(options: DrainRedactionOptions, file: FileOptions, problems: Problems) -> Disclosure:
    address: Callable[[str], str] | None = None
    key = file.privacy.hash_key if usable(file.privacy) else None
    if options.addresses == "hash" and key is None:
        if usable(file.privacy):
            problems.add("drains.redaction.addresses", "`hash` needs `privacy.hash_key`")
        address = ip_policy("truncate")
    elif options.addresses != "keep":
        address = ip_policy(options.addresses, key.reveal().encode() if key is not None else None)
    # What is wrong with the patterns has been noted where routes use them.
    mask = build_mask(file.redact, Problems())
    return Disclosure(options.queries == "keep", address, _STRICTNESS[options.addresses], own=mask)
