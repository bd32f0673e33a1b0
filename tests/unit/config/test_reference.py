"""The reference page and the JSON Schema say what the program does, because they come from the same declarations."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from logrouter.config.options.file import FileOptions
from logrouter.config.reference import json_schema, page
from logrouter.config.yaml.document import read
from logrouter.config.yaml.kinds import INVALID, ListOf, MappingOf, OptionKind, Section, declared_options
from logrouter.config.yaml.one_of import OneOf
from logrouter.config.yaml.problems import Problems

ROOT = Path(__file__).parents[3]


def sections(kind: OptionKind) -> list[type]:
    """Every options class that a kind leads to."""
    match kind:
        case Section():
            return [kind.of, *(below for _, option in declared_options(kind.of) for below in sections(option.kind))]
        case ListOf() | MappingOf():
            return sections(kind.of)
        case OneOf():
            return [below for of in kind.of.values() for below in sections(Section(of))]
    return []


EVERY = [*dict.fromkeys(sections(Section(FileOptions)))]


def test_reference_page_is_up_to_date() -> None:
    """`python -m logrouter.config.reference > docs/topics-yaml.md` has been run after the last change."""
    assert (ROOT / "docs" / "topics-yaml.md").read_text() == page()


def test_json_schema_is_one_and_takes_the_default_file() -> None:
    """Editors that check topics.yaml by the schema find nothing wrong with the shipped one."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(read((ROOT / "topics.yaml").read_bytes()).value))

    assert errors == []


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"extra": 1}, {"sources": {}}, {"routes": []}, {"route_lane": {"metrics": {"port": 99999}}}],
)
def test_json_schema_refuses_what_loading_refuses(change: dict[str, Any]) -> None:
    """The schema is as strict as a schema can be."""
    value = read((ROOT / "topics.yaml").read_bytes()).value | change

    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(value)


@pytest.mark.parametrize("section", EVERY, ids=lambda section: section.__name__)
def test_every_field_is_a_declared_option_with_words(section: type) -> None:
    """No option escapes the reference page, and each is explained in sentences."""
    options = declared_options(section)

    assert is_dataclass(section)
    assert [name for name, _ in options] == [field.name for field in fields(section)]
    assert [option.key for _, option in options if not (option.doc.endswith(".") and option.kind.describe())] == []


@pytest.mark.parametrize("section", EVERY, ids=lambda section: section.__name__)
def test_defaults_satisfy_their_own_constraints(section: type) -> None:
    """What an option is by default could also be written in the file."""
    plain = [option for _, option in declared_options(section) if isinstance(option.default, str | int | float)]
    problems = Problems()
    read_back = [option.kind.read(option.default, option.key, problems) for option in plain if option.default != ""]

    assert INVALID not in read_back
    assert read_back == [option.default for option in plain if option.default != ""]
