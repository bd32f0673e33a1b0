"""What is fuzzed: every envelope, format and sink of the tables, so that a new one is included by itself.

A target is a function of bytes that fails if what it calls raises, or gives something that the next stage can't take.
Its seeds are the cases of the golden corpus.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

from fuzz.redaction import check_bytes, check_wrapped
from fuzz.sinks import sink_targets
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.formats import FORMATS
from logrouter.core.formats.format import ErrorRule, FormatSettings, FormatSettingsError, KeyRule
from logrouter.core.text.timestamps import epoch_ms
from logrouter.model import Envelope, Ignored, Parsed, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logrouter.model import Parser

CORPUS = Path(__file__).parent.parent / "tests" / "corpus"
MAX_LINE = 64 * 1024
GROWTH = 16
"""An event may be this many times as long as its line: names are longer than what they stand for."""

EVENT = frozenset(
    orjson.loads((CORPUS.parents[1] / "logrouter/schemas/api_request/1.1.0.json").read_bytes())["properties"]
)
ABSENT = (None, "", "-")


class Target(NamedTuple):
    """One thing to fuzz. *run* raises where something is wrong; *seeds* are inputs to begin with."""

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]


def targets() -> dict[str, Target]:
    """Every target by its name.

    `envelope:<name>`, `format:<name>`, `pattern:<name>` where one is taken, `redact:…`, `sink-…`.
    """
    made = [envelope_target(name) for name in ENVELOPES]
    made += [format_target(name) for name in FORMATS]
    made += [pattern_target(name) for name, each in FORMATS.items() if "pattern" in each.takes]
    made += [
        Target("redact:wrapped", check_wrapped, lambda: (bytes([number] * 24) for number in range(24))),
        Target("redact:bytes", check_bytes, lambda: (record for name in ENVELOPES for record in records(name))),
    ]
    made += [
        Target(name, partial(run, kind), partial(seeds, kind)) for name, (run, seeds, kind) in sink_targets().items()
    ]
    return {target.name: target for target in made}


def envelope_target(name: str) -> Target:
    """Decoding one record."""
    decode = ENVELOPES[name].decode

    def run(data: bytes) -> None:
        found = decode(data)
        lines = found if isinstance(found, tuple) else (found,)
        for line in lines:
            check_line(line)

    return Target(f"envelope:{name}", run, lambda: records(name))


def format_target(name: str) -> Target:
    """Parsing one line, as text and as the object that it is; with the settings of every case of the corpus."""
    parsers = [FORMATS[name].compile(settings) for settings in settings_of(name)]
    signature = FORMATS[name].signature

    def run(data: bytes) -> None:
        for envelope in envelopes_of(data):
            for number, parse in enumerate(parsers):
                found = parse(envelope())
                check_parsed(found, len(data))
                if number == 0 and signature is not None and isinstance(found, Parsed) and not signature(envelope()):
                    raise AssertionError("the signature misses a line that the parser reads")

    return Target(f"format:{name}", run, lambda: lines_of(name))


def pattern_target(name: str) -> Target:
    """Compiling a pattern and reading a line by it: what stands before the first zero byte, and what behind."""

    def run(data: bytes) -> None:
        pattern, _, line = data.decode("utf-8", "replace").partition("\0")
        try:
            parse: Parser = FORMATS[name].compile(FormatSettings(pattern=pattern[:400]))
        except FormatSettingsError:
            return
        check_parsed(parse(Envelope("plain", line)), len(line) + 8)

    def seeds() -> Iterator[bytes]:
        for file in sorted((CORPUS / name).glob("*.settings")):
            pattern = orjson.loads(file.read_bytes())["pattern"]
            yield pattern.encode() + b"\0" + file.with_suffix(".in").read_bytes()

    return Target(f"pattern:{name}", run, seeds)


def check_line(line: object) -> None:
    """What an envelope may give."""
    if not isinstance(line, Envelope | Ignored | Rejected):
        raise TypeError(f"{type(line).__name__} is nothing that an envelope may give")
    if isinstance(line, Envelope):
        line.text.encode()


def check_parsed(found: object, length: int) -> None:
    """What a format may give for a line of *length* bytes."""
    if not isinstance(found, Parsed):
        if not isinstance(found, Ignored | Rejected):
            raise TypeError(f"{type(found).__name__} is nothing that a format may give")
        return
    written = orjson.dumps(found.event)
    if len(written) > GROWTH * length + 4096:
        raise AssertionError(f"an event of {len(written)} bytes out of {length}")
    if not found.event.keys() <= EVENT:
        raise AssertionError(f"no fields of an event: {sorted(found.event.keys() - EVENT)}")
    for path, value in leaves(found.event, ""):
        if value in ABSENT:
            raise AssertionError(f"{path} is {value!r}, which means absent")
    if found.time is not None:
        epoch_ms(found.time)


def leaves(part: dict, above: str) -> Iterator[tuple[str, object]]:
    """Every value at any depth, with its path."""
    for name, value in part.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}/{name}")
        else:
            yield f"{above}/{name}", value


def envelopes_of(data: bytes) -> Iterator[Callable[[], Envelope]]:
    """How a transport may hand a line on; each call makes a new one, as parsers may take it apart."""
    text = data.decode("utf-8", "replace").rstrip("\r\n")
    yield lambda: Envelope("plain", text)
    if text[:1] == "{":
        try:
            document = orjson.loads(text)
        except ValueError:
            return
        if isinstance(document, dict):
            yield lambda: merged(orjson.loads(text))


def merged(document: dict) -> Envelope:
    """A line that the transport has taken apart."""
    return Envelope("cee", "", document, fields=document)


def settings_of(name: str) -> Iterator[FormatSettings]:
    """The settings that the format is used with in the corpus, the default first."""
    if not FORMATS[name].needs:
        yield FormatSettings()
    for file in sorted((CORPUS / folder_of(name)).glob("*.settings")):
        yield read_settings(orjson.loads(file.read_bytes()))


def read_settings(given: dict) -> FormatSettings:
    """The settings that stand beside a case of the corpus."""
    lists = ("columns", "formats", "log_groups", "required")
    known = {key: tuple(value) for key, value in given.items() if key in lists}
    known |= {key: rules_of(value) for key, value in given.items() if key in ("fields", "extras")}
    aliases = {field: tuple(names) for field, names in given.get("aliases", {}).items()}
    errors = {code: ErrorRule(*rule) for code, rule in given.get("errors", {}).items()}
    return FormatSettings(pattern=given.get("pattern", ""), aliases=aliases, errors=errors, **known)


def rules_of(given: dict[str, dict]) -> dict[str, KeyRule]:
    """Where values stand in a JSON line, by the name of a field."""
    return {name: KeyRule(**{**rule, "keys": tuple(rule["keys"])}) for name, rule in given.items()}


def folder_of(name: str) -> str:
    """The folder of a format's cases, which is not that of an envelope with the same name."""
    return f"{name}_format" if name in ENVELOPES else name


def records(name: str) -> Iterator[bytes]:
    """The records in one folder of the corpus."""
    for file in sorted((CORPUS / name).glob("*.in")):
        yield file.read_bytes()[:MAX_LINE]


def lines_of(name: str) -> Iterator[bytes]:
    """The lines of a format's corpus, out of whatever envelope they are in."""
    for record in records(folder_of(name)):
        yield record
        for envelope in ENVELOPES.values():
            found = envelope.decode(record)
            if isinstance(found, Envelope) and found.text.encode() != record:
                yield found.text.encode()
            if isinstance(found, Envelope) and found.document is not None:
                yield orjson.dumps(found.document)
