"""docs/canonical-event.md is true: its fields are those of the schemas, its formats fill what the corpus shows."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

from logrouter.core.formats import FORMATS
from logrouter.core.outcomes import OUTCOMES
from logrouter.model import Reason

from .test_corpus import folder_of

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "canonical-event.md").read_text(encoding="utf-8")
CORPUS = ROOT / "tests" / "corpus"
ROW = re.compile(r"^\| `([^`]+)` \|(.*)$", re.MULTILINE)

ALWAYS = {"$schema", "meta.stream", "meta.dt", "meta.id"}
"""What a line may hold as well, and an event gets in any case."""
GROUPS = (
    ("envoy", "traefik", "kong", "istio", "envoy_text", "kv", "nginx", "apache", "haproxy", "builds", "json"),
    ("aws_json", "aws_xml", "aws_clf", "aws_csv", "aws_pairs"),
    ("wso2_access", "wso2_apim_metrics", "wso2_api_log", "wso2_correlation", "wso2_http"),
    ("mediawiki",),
)
"""The formats of each table of the page. `auto` fills what the format fills that has read the line."""


def section(title: str) -> str:
    """What stands below a heading of the second level."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def properties(schema: dict, above: str = "") -> dict[str, str]:
    """Every property of a schema at any depth, with its type."""
    found = {}
    for name, member in schema.get("properties", {}).items():
        found[above + name] = member.get("type", "string")
        found |= properties(member, f"{above}{name}.")
    return found


def leaves(event: dict, above: str = "") -> set[str]:
    """The fields that an event has; of headers only that there are some."""
    found = set()
    for name, value in event.items():
        deeper = isinstance(value, dict) and name != "request_headers"
        found |= leaves(value, f"{above}{name}.") if deeper else {above + name}
    return found - ALWAYS


@cache
def filled(name: str) -> dict[str, str]:
    """What a format fills in the cases of its corpus: `yes`, or `opt` if only in cases with options."""
    found: dict[str, str] = {}
    for file in sorted((CORPUS / folder_of(name)).glob("*.json")):
        mark = "opt" if file.with_suffix(".settings").exists() else "yes"
        for field in leaves(json.loads(file.read_text()).get("event", {})):
            found[field] = "yes" if "yes" in (mark, found.get(field)) else "opt"
    return found


def table(formats: tuple[str, ...], order: list[str]) -> str:
    """The table of the page for some formats."""
    rows = [f"| field | {' | '.join(f'`{name}`' for name in formats)} |", "|---" * (len(formats) + 1) + "|"]
    for field in order:
        marks = [filled(name).get(field, "") for name in formats]
        rows += [f"| `{field}` | {' | '.join(marks)} |"] if any(marks) else []
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("title", "schema"),
    [("Fields of an event", "api_request/1.1.0"), ("Fields of a dead letter", "dead_letter/1.0.0")],
)
def test_every_field_of_the_schema_is_described_with_its_type(title, schema):
    """The page has all fields of the schema, in its order, and no others."""
    declared = properties(json.loads((ROOT / f"logrouter/schemas/{schema}.json").read_text()))

    assert [(field, rest.split("|")[0].split(",")[0].strip()) for field, rest in ROW.findall(section(title))] == list(
        declared.items()
    )


@pytest.mark.parametrize("formats", GROUPS, ids=lambda formats: formats[0])
def test_formats_fill_what_the_page_says(formats):
    """The page says of each field which formats fill it, as their cases in the corpus show."""
    wanted = table(formats, [field for field, _ in ROW.findall(section("Fields of an event"))])

    if wanted not in PAGE:
        pytest.fail(f"the corpus shows this table, which docs/canonical-event.md lacks:\n{wanted}", pytrace=False)


def test_formats_find_users_where_the_page_says():
    """Each format that knows a user is in the table of users, with the names that its fields have."""
    rows = re.findall(r"^\| (`[a-z0-9_`, ]+`) \| (.*?) \|", section("Users").split("\n\n")[1], re.MULTILINE)
    told = {name: text for names, text in rows for name in re.findall(r"[a-z0-9_]+", names)}

    assert told.keys() - {"json"} == {name for name, each in FORMATS.items() if each.users}
    assert [
        name for name, each in FORMATS.items() if name != "wso2_http" for user in each.users if user not in told[name]
    ] == []


def test_every_format_is_in_a_table():
    """A new format says which fields it fills."""
    assert {name for group in GROUPS for name in group} | {"auto"} == set(FORMATS)


def test_every_outcome_and_reason_is_explained():
    """The words that metrics, dead letters and tables use are those of the page."""
    assert [name for name, _ in ROW.findall(section("Outcomes"))] == list(OUTCOMES)
    assert {name for name, _ in ROW.findall(section("Reasons"))} == set(Reason)


def test_every_flag_is_explained():
    """Every flag of the public surface can be looked up."""
    public = (ROOT / "tests" / "surface" / "lists" / "names.txt").read_text(encoding="utf-8")
    explained = {name for name, _ in ROW.findall(section("Flags"))}

    assert explained == {"format_<name>", *re.findall(r"^flag (\S+)$", public, re.MULTILINE)}
