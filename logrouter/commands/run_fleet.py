"""Which processes a topics.yaml asks for where `logrouter run` runs, with their command lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from logrouter.deliver.fixed_options import fixed_options
from logrouter.process.child import WantedChild

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from logrouter.config import Settings

_LAST_PORT: Final = 65_535


class _NamedKind(NamedTuple):
    """Processes that a section of topics.yaml asks for: one for each name in it, as `logrouter COMMAND NAME`.

    *ports* are those of the file for metrics, by name, 0 for any. *fixed* is what the process of a name reads of the
    file only when it starts, by path.
    """

    section: str
    command: str
    ports: Callable[[Settings], Mapping[str, int]]
    fixed: Callable[[Settings, str], Mapping[str, object]]


def _sink_ports(settings: Settings) -> dict[str, int]:
    return {name: sink.options.metrics.port for name, sink in settings.sinks.items()}


_KINDS: Final = (_NamedKind("sinks", "sink", _sink_ports, fixed_options),)


class _Port(NamedTuple):
    """A port as it stands in the file, and the one that a process was given for it; 0 for any."""

    configured: int
    given: int


class RunFleet:
    """The processes of `logrouter run`, for one version of topics.yaml after the other.

    *program* is the command line of each up to its command, *given* are options for all, and *tables* those of the
    tables worker. *instance* begins the name of each route process, of which there are *routes*, and is the name of all
    others.
    """

    def __init__(
        self, program: Sequence[str], given: Sequence[str], *, instance: str, routes: int, tables: Sequence[str]
    ) -> None:
        self._program, self._given, self._tables = program, given, tables
        self._instance, self._routes = instance, routes
        self._ports: dict[tuple[str, str], _Port] = {}
        self._held: dict[tuple[str, str], frozenset[int]] = {}
        """All ports that each was given: until it is restarted it has a former one, and nobody tells us of that."""

    def wanted(self, settings: Settings) -> list[WantedChild]:
        """The processes for *settings*, the next version after those of the call before."""
        port = settings.route_lane.metrics.port
        ports = [port + n if port else 0 for n in range(self._routes)]
        self._ports = self._give_ports(settings, {*ports, settings.tables_lane.http.port})
        return [
            *(
                WantedChild(f"route-{n}", self._command("route", f"{self._instance}-{n}", ports[n]))
                for n in range(self._routes)
            ),
            WantedChild("tables", [*self._program, "tables", *self._given, *self._tables], reloads=False),
            *(
                WantedChild(
                    f"{kind.command}-{name}",
                    self._command(kind.command, self._instance, self._ports[kind.command, name].given, name),
                    vital=False,
                    section=f"{kind.section}.{name}",
                    fixed=kind.fixed(settings, name),
                )
                for kind in _KINDS
                for name in kind.ports(settings)
            ),
        ]

    def _command(self, command: str, instance: str, port: int, *names: str) -> list[str]:
        own = ["--instance", instance, "--metrics-port", str(port)]
        return [*self._program, command, *names, *self._given, *own]

    def _give_ports(self, settings: Settings, lanes: Iterable[int]) -> dict[tuple[str, str], _Port]:
        """A port for each process with a name: its own of the file, or the next one that no other here has.

        Who was given one for the same keeps it, as it may be running; *lanes* are the ports of both lanes.
        """
        wanted = dict(_configured_ports(settings))
        held = {key: ports for key, ports in self._held.items() if key in wanted}
        found = {}
        for key, configured in wanted.items():
            former = self._ports.get(key)
            if former is not None and former.configured == configured:
                found[key] = former
                continue
            taken = {*lanes}.union(*(ports for other, ports in held.items() if other != key))
            given = configured
            while given and given in taken:
                given = given + 1 if given < _LAST_PORT else 0
            held[key] = held.get(key, frozenset()) | {given}
            found[key] = _Port(configured, given)
        self._held = held
        return found


def _configured_ports(settings: Settings) -> Iterator[tuple[tuple[str, str], int]]:
    """Command and name of each process with a name, and its port of the file."""
    for kind in _KINDS:
        for name, port in kind.ports(settings).items():
            yield (kind.command, name), port
