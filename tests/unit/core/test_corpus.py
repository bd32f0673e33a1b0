"""The golden corpus: what each recorded line is read as.

A case is `tests/corpus/<envelope or format>/<case>.in`, the bytes of one record, and `<case>.json`, what is expected.
After a deliberate change, `LOGROUTER_WRITE_CORPUS=1 pytest tests/unit/core/test_corpus.py` writes the expectations
anew; the difference is what is reviewed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import orjson
import pytest

from logrouter.core.enrich import compile_client_id, compile_client_ip
from logrouter.core.envelopes import ENVELOPES, FIELD_NAMES, lookup
from logrouter.core.formats import FORMATS
from logrouter.model import Envelope, Ignored, Parsed, Rejected

CORPUS = Path(__file__).parents[2] / "corpus"
ENVELOPE_OF = {"envoy": "rsyslog"}
WRITE = bool(os.environ.get("LOGROUTER_WRITE_CORPUS"))

client_id = compile_client_id(["client_id", "x-wmf-user-id"])
client_ip = compile_client_ip(2)


def cases(kind: str) -> list[str]:
    """The names of the cases of one kind."""
    return sorted(path.stem for path in (CORPUS / kind).glob("*.in"))


def envelope_as_json(result: Envelope | Rejected) -> dict:
    """What a reviewer wants to see of an envelope."""
    if isinstance(result, Rejected):
        return {"rejected": [result.stage, result.reason]}
    names = {name: lookup(result, name) for name in sorted(FIELD_NAMES - {"text", "shape"})}
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
    identity = {"client_id": client_id(result), "second_address_from_the_right": chain and client_ip(chain)}
    return {"event": result.event, "time": result.time, "flags": list(result.flags), **identity}


def check(expected_file: Path, actual: dict) -> None:
    """Compare as JSON, or write the expectation."""
    got = orjson.loads(orjson.dumps(actual))
    if WRITE:
        expected_file.write_text(json.dumps(got, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    assert got == orjson.loads(expected_file.read_bytes())


@pytest.mark.parametrize("case", cases("rsyslog"))
def test_an_rsyslog_record_is_read_as_recorded(case):
    """Every envelope shape and trap gives the expected envelope or rejection."""
    record = (CORPUS / "rsyslog" / f"{case}.in").read_bytes()
    check(CORPUS / "rsyslog" / f"{case}.json", envelope_as_json(ENVELOPES["rsyslog"](record)))


@pytest.mark.parametrize(("kind", "case"), [(kind, case) for kind in sorted(ENVELOPE_OF) for case in cases(kind)])
def test_a_line_in_its_envelope_is_parsed_as_recorded(kind, case):
    """Every generation and trap of a format gives the expected event, or the expected reason for none."""
    envelope = ENVELOPES[ENVELOPE_OF[kind]]((CORPUS / kind / f"{case}.in").read_bytes())
    assert isinstance(envelope, Envelope)
    check(CORPUS / kind / f"{case}.json", parsed_as_json(FORMATS[kind](envelope)))
