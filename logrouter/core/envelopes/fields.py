"""Fields of an envelope by canonical name, whatever the shape of the transport that delivered it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.core.text.json_numbers import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.model import Envelope

    Getter = Callable[[Envelope], str | None]

FIELD_PREFIXES: Final = ("label.", "field.", "header.")
"""`label.<name>` is a Kubernetes label, `field.<name>` any other key of the envelope, flat or nested by dots, and
`header.<name>` a header of the Kafka record."""

SYSLOG_HEADER: Final = "syslog.header"
"""The key under which the envelope of a line keeps the header of syslog that stood before it, as it was."""


_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "severity": ("rsyslog.severity", "rsyslog_severity", "severity", "log.syslog.severity.name", "log.level"),
    "facility": ("rsyslog.facility", "rsyslog_facility", "facility", "log.syslog.facility.name"),
    "namespace": ("kubernetes.namespace_name", "kubernetes.namespace", "orchestrator.namespace"),
    "pod": ("kubernetes.pod_name", "kubernetes.pod.name"),
    "container": ("kubernetes.container_name", "kubernetes.container.name", "container.name"),
    "app": ("kubernetes.labels.app",),
    "release": ("kubernetes.labels.release",),
    "stream": ("stream",),
    "filename": ("metadata.filename", "log.file.path", "filename"),
    "log_group": ("logGroup",),
    "log_stream": ("logStream",),
    "account": ("owner",),
}


# The container runtime's file names say what the API server would not: <pod>_<namespace>_<container>-<id>.log
_IN_FILE_NAME: Final = {"pod": 0, "namespace": 1, "container": 2}


_LOWER: Final = frozenset({"severity", "facility"})


FIELD_NAMES: Final = frozenset(_KEYS) | {"process_type", "program", "host", "shape", "text"}
"""Every name that `getter` knows, besides those with a prefix from `FIELD_PREFIXES`."""


def getter(name: str) -> Getter:
    """How to read the field *name* from any envelope: a string, or None if it is missing, null, "" or "-".

    Raises ValueError if there is no such field; what it returns never raises.
    """
    match name:
        case "program":
            return _program
        case "host":
            return _host
        case "shape":
            return _shape
        case "text":
            return _text
        case "app":
            return _app
        case "process_type":
            return _process_type
    if name in _KEYS:
        return _keys_getter(name)
    prefix, _, rest = name.partition(".")
    if rest and prefix == "label":
        return _first_of(f"kubernetes.labels.{rest}", f"kubernetes.labels.{rest.replace('.', '_')}")
    if rest and prefix == "field":
        return _first_of(rest)
    if rest and prefix == "header":
        return _header_getter(rest)
    known = ", ".join(sorted(FIELD_NAMES))
    raise ValueError(f"no field {name!r}; there are {known}, label.<name>, field.<name> and header.<name>")


def read_field(envelope: Envelope, name: str) -> str | None:
    """The value of one field of an envelope, as `getter` reads it."""
    return getter(name)(envelope)


def _program(envelope: Envelope) -> str | None:
    return _present(envelope.program)


def _host(envelope: Envelope) -> str | None:
    return _present(envelope.host)


def _shape(envelope: Envelope) -> str | None:
    return envelope.shape


def _text(envelope: Envelope) -> str | None:
    return envelope.text or None


def _app(envelope: Envelope) -> str | None:
    """The label, else the container's name: platforms call the containers of an app `<app>--<process type>`."""
    app = _label_app(envelope)
    return app if app is not None else (_container(envelope) or "").partition("--")[0] or None


def _process_type(envelope: Envelope) -> str | None:
    return (_container(envelope) or "").partition("--")[2] or None


def _header_getter(name: str) -> Getter:
    """The last header of that name, as Kafka itself resolves repetitions, read as UTF-8."""

    def get(envelope: Envelope) -> str | None:
        for key, value in reversed(envelope.headers):
            if key == name:
                return _present(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)
        return None

    return get


def _keys_getter(name: str) -> Getter:
    first = _first_of(*_KEYS[name])
    if name in _LOWER:
        return lambda envelope: value.lower() if (value := first(envelope)) is not None else None
    if name in _IN_FILE_NAME:
        file_name, index = _first_of(*_KEYS["filename"]), _IN_FILE_NAME[name]
        return lambda envelope: first(envelope) or _part_of(file_name(envelope), index)
    return first


def _part_of(file_name: str | None, index: int) -> str | None:
    parts = (file_name or "").rpartition("/")[2].removesuffix(".log").split("_")
    if len(parts) != 3:
        return None
    return (parts[index].rpartition("-")[0] if index == 2 else parts[index]) or None


def _first_of(*names: str) -> Getter:
    """The first of the names that is there, each as one flat key or as a path of nested ones."""
    flat = tuple((name, _nestings(name)) for name in names)

    def get(envelope: Envelope) -> str | None:
        fields = envelope.fields
        for name, nestings in flat:
            value = _present(fields.get(name))
            if value is not None:
                return value
            for head, tail in nestings:
                part = fields.get(head)
                if type(part) is dict:
                    value = _within(part, tail)
                    if value is not None:
                        return value
        return None

    return get


def _nestings(name: str) -> tuple[tuple[str, str], ...]:
    """Every split of a dotted name in a key and the rest of it."""
    return tuple((name[:index], name[index + 1 :]) for index, char in enumerate(name) if char == ".")


def _within(part: dict[str, Any], name: str) -> str | None:
    value = _present(part.get(name))
    if value is not None:
        return value
    head, dot, tail = name.partition(".")
    below = part.get(head)
    return _within(below, tail) if dot and type(below) is dict else None


def _present(value: Any) -> str | None:
    if type(value) is str:
        return value if value and value != "-" else None
    if type(value) is int:
        return str(value)
    if type(value) is float and (number := whole(value)) is not None:  # a transport that knows no other numbers
        return str(number)
    return None


_label_app = _first_of(*_KEYS["app"])


_container = _keys_getter("container")
