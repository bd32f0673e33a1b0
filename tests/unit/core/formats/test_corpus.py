"""The golden corpus: what each recorded line is read as.

A case is `tests/corpus/<envelope or format>/<case>.in`, the bytes of one record, and `<case>.json`, what is expected.
Formats are read in the envelope that a file `envelope` beside the cases names, else `plain`; `<case>.settings` holds
settings of a format as JSON. A record that packs several lines is a list. A format that is called like an envelope has
its cases, and its page, under its name with `_format` behind it.
After a deliberate change, `LOGROUTER_WRITE_CORPUS=1 pytest tests/unit/core/formats/test_corpus.py` writes the
expectations anew; the difference is what is reviewed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import orjson
import pytest

from logrouter.core.enrich import compile_client_id, compile_client_ip
from logrouter.core.envelopes import ENVELOPES, EnvelopeType
from logrouter.core.envelopes.fields import FIELD_NAMES, read_field
from logrouter.core.formats import FORMATS, parser
from logrouter.core.formats.format import ErrorRule, FormatSettings, KeyRule
from logrouter.model import Decoded, Envelope, Ignored, Parsed, Rejected

CORPUS = Path(__file__).parents[3] / "corpus"
WRITE = bool(os.environ.get("LOGROUTER_WRITE_CORPUS"))

client_id = compile_client_id(["client_id", "x-wmf-user-id"], typed_from=["client_id", "x-wmf-user-id"])
consumer = compile_client_id(["oauth:consumer_key", "oauth:client_id", "oauth:aud"])
client_ip = compile_client_ip(2)


def cases(folder: str) -> list[str]:
    """The names of the cases in one folder."""
    return sorted(path.stem for path in (CORPUS / folder).glob("*.in"))


def folder_of(kind: str) -> str:
    """The name of a format's folder and page."""
    return f"{kind}_format" if kind in ENVELOPES else kind


def format_cases() -> list[tuple[str, str]]:
    """Every format with every case of its own."""
    return [(kind, case) for kind in sorted(FORMATS) for case in cases(folder_of(kind))]


def envelope_type_of(kind: str) -> EnvelopeType:
    """The envelope that the lines of a format are in, on its page as well."""
    named = CORPUS / folder_of(kind) / "envelope"
    return ENVELOPES[named.read_text().strip() if named.exists() else "plain"]


def line_of(kind: str, case: str) -> Envelope:
    """The line of one case of a format, as fresh as a record would give it."""
    found = envelope_type_of(kind).decode((CORPUS / folder_of(kind) / f"{case}.in").read_bytes())
    assert isinstance(found, Envelope)
    return found


def envelope_as_json(result: Decoded) -> dict | list:
    """What a reviewer wants to see of an envelope."""
    if isinstance(result, tuple) and not isinstance(result, Ignored | Rejected):
        return [envelope_as_json(each) for each in result]
    if isinstance(result, Ignored):
        return {"ignored": result.reason}
    if isinstance(result, Rejected):
        return {"rejected": [result.stage, result.reason]}
    names = {name: read_field(result, name) for name in sorted(FIELD_NAMES - {"text", "shape"})}
    return {
        "shape": result.shape,
        "text": result.text,
        "merged": result.document is not None,
        "time": result.time,
        "flags": list(result.flags),
        "names": {name: value for name, value in names.items() if value is not None},
    }


def parsed_as_json(result: Parsed | Ignored | Rejected) -> dict:
    """What a reviewer wants to see of a parsed line."""
    if isinstance(result, Rejected):
        return {"rejected": [result.stage, result.reason, result.pointer]}
    if isinstance(result, Ignored):
        return {"ignored": result.reason}
    chain = result.event.get("http", {}).get("client_ip")
    address = client_ip(chain) if isinstance(chain, str) else None
    identity = {"client_id": client_id(result), "second_address_from_the_right": address}
    who = consumer(result)
    known = {
        "consumer": who and who[0],
        "outcome": result.outcome,
        "half": result.pair_key and list(result.pair_key),
        "format": result.format,
    }
    return {
        "event": result.event,
        "time": result.time,
        "flags": list(result.flags),
        **identity,
        **{name: value for name, value in known.items() if value is not None},
    }


def settings_of(file: Path) -> FormatSettings:
    """The settings beside a case, if there are any."""
    if not file.exists():
        return FormatSettings()
    given = orjson.loads(file.read_bytes())
    return FormatSettings(
        pattern=given.get("pattern", ""),
        aliases={name: tuple(names) for name, names in given.get("aliases", {}).items()},
        columns=tuple(given.get("columns", ())),
        errors={code: ErrorRule(*rule) for code, rule in given.get("errors", {}).items()},
        formats=tuple(given.get("formats", ())),
        log_groups=tuple(given.get("log_groups", ())),
        fields=rules_of(given.get("fields", {})),
        extras=rules_of(given.get("extras", {})),
        required=tuple(given.get("required", ())),
        backend_query=given.get("backend_query", ""),
    )


def rules_of(given: dict[str, dict]) -> dict[str, KeyRule]:
    """Where values stand, by the name of a field: an object with the members of a `KeyRule`."""
    return {name: KeyRule(**{**rule, "keys": tuple(rule["keys"])}) for name, rule in given.items()}


def settings_of_case(kind: str, case: str) -> FormatSettings:
    """The settings of one case of a format."""
    return settings_of(CORPUS / folder_of(kind) / f"{case}.settings")


def check(expected_file: Path, actual: dict | list) -> None:
    """Compare as JSON, or write the expectation."""
    got = orjson.loads(orjson.dumps(actual))
    if WRITE:
        expected_file.write_text(json.dumps(got, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    assert got == orjson.loads(expected_file.read_bytes())


@pytest.mark.parametrize(("kind", "case"), [(kind, case) for kind in sorted(ENVELOPES) for case in cases(kind)])
def test_a_record_is_taken_out_of_its_envelope_as_recorded(kind, case):
    """Every envelope shape and trap gives the expected lines or rejection."""
    record = (CORPUS / kind / f"{case}.in").read_bytes()
    check(CORPUS / kind / f"{case}.json", envelope_as_json(ENVELOPES[kind].decode(record)))


@pytest.mark.parametrize(("kind", "case"), format_cases())
def test_a_line_in_its_envelope_is_parsed_as_recorded(kind, case):
    """Every generation and trap of a format gives the expected event, or the expected reason for none."""
    parse = parser(kind, settings_of_case(kind, case))
    check(CORPUS / folder_of(kind) / f"{case}.json", parsed_as_json(parse(line_of(kind, case))))


def test_every_format_and_envelope_has_a_corpus():
    """A new one comes with its cases."""
    assert [kind for kind in (*ENVELOPES, *map(folder_of, FORMATS)) if not cases(kind)] == []
