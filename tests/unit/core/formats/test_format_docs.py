"""The examples in docs/formats are true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
from ruamel.yaml import YAML

from logrouter.config.compile.formats import build_parser
from logrouter.config.options.formats import FormatOptions
from logrouter.config.yaml.kinds import Section
from logrouter.config.yaml.problems import Problems
from logrouter.core.envelopes import ENVELOPES
from logrouter.core.envelopes.fields import FIELD_NAMES, read_field
from logrouter.core.formats import FORMATS, parser

from .test_corpus import envelope_type_of, folder_of

if TYPE_CHECKING:
    from logrouter.model import Parser

DOCS = Path(__file__).parents[4] / "docs" / "formats"


def examples(name: str) -> tuple[bytes, dict]:
    """The record and what it becomes: the first two blocks of a page; the first may be of any language."""
    blocks = re.findall(r"```\w+\n(.*?)\n```", (DOCS / f"{name}.md").read_text(), re.DOTALL)
    return blocks[0].encode(), orjson.loads(blocks[1])


def parser_of_page(name: str) -> Parser:
    """The parser of a format; of one that needs options, with those in the page's third block."""
    if not FORMATS[name].needs:
        return parser(name)
    blocks = re.findall(r"```yaml\n(.*?)\n```", (DOCS / f"{folder_of(name)}.md").read_text(), re.DOTALL)
    problems = Problems()
    given = YAML(typ="safe").load(blocks[0])["format"]
    options = Section(FormatOptions, shorthand="name").read(given, "format", problems)
    parse = build_parser(options, "format", problems)
    assert problems.errors == []
    assert parse is not None
    return parse


@pytest.mark.parametrize("name", sorted(ENVELOPES))
def test_an_envelope_s_example_is_read_as_its_page_says(name):
    """Shape, text, time and every field that has a value."""
    record, expected = examples(name)
    envelope = ENVELOPES[name].decode(record)
    names = {field: read_field(envelope, field) for field in FIELD_NAMES - {"text", "shape"}}
    assert {
        "shape": envelope.shape,
        "text": envelope.text,
        "time": envelope.time,
        "merged": envelope.document is not None,
        "flags": list(envelope.flags),
        "names": {field: value for field, value in names.items() if value is not None},
    } == expected


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_format_s_example_is_read_as_its_page_says(name):
    """The event before it is enriched."""
    record, expected = examples(folder_of(name))
    envelope = envelope_type_of(name).decode(record)
    assert parser_of_page(name)(envelope).event == expected
