"""Boards that come with logrouter: whole, and about fields that documents have."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from logrouter.sinks.opensearch.documents import FIELDS_OF, DocumentForm
from logrouter.sinks.opensearch.fields import Kind
from tests.dashboards.search_bodies import search_body
from tests.dashboards.write import files, path_of

FORMS = pytest.mark.parametrize("form", DocumentForm)


def objects_of(form: DocumentForm) -> list[dict[str, Any]]:
    """The objects in the file that users import."""
    return [json.loads(line) for line in path_of(form).read_text("utf-8").splitlines()]


def fields_in(value: Any) -> set[str]:
    """The fields that a search asks for."""
    if isinstance(value, list):
        return {field for each in value for field in fields_in(each)}
    if not isinstance(value, dict):
        return set()
    found = {field for each in value.values() for field in fields_in(each)}
    if "query_string" in value:
        found |= set(re.findall(r"([\w.@]+):", value["query_string"]["query"]))
    if isinstance(value.get("field"), str):
        found.add(value["field"])
    if isinstance(value.get("sort"), list):
        found |= {field for each in value["sort"] for field in each}
    return found


def test_files_hold_what_the_program_would_write():
    """`make docs` writes them: the boards, and the templates for who puts them there by hand."""
    for path, text in files():
        assert path.read_text("utf-8") == text, path.name


@FORMS
def test_objects_name_only_objects_of_their_file(form: DocumentForm):
    """So that one import is enough."""
    objects = objects_of(form)
    there = {(each["type"], each["id"]) for each in objects}

    assert len(there) == len(objects) == 12
    for each in objects:
        for reference in each["references"]:
            assert (reference["type"], reference["id"]) in there
        names = re.findall(r'"(?:indexRefName|panelRefName)": "([^"]+)"', json.dumps(each).replace("\\", ""))
        assert sorted(names) == sorted(reference["name"] for reference in each["references"])


@FORMS
def test_boards_are_about_fields_of_the_documents(form: DocumentForm):
    """Of kinds that can be counted by, or of which percentiles can be told."""
    kinds = {field.target: field.kind for field in FIELDS_OF[form]}
    for each in objects_of(form):
        if each["type"] not in {"search", "visualization"}:
            continue
        asked = fields_in(search_body(each)) | set(each["attributes"].get("columns", ()))
        assert asked <= set(kinds), each["id"]
        for agg in json.loads(each["attributes"].get("visState", '{"aggs": []}'))["aggs"]:
            if agg["type"] in {"terms", "percentiles", "sum"}:
                wanted = {Kind.KEYWORD} if agg["type"] == "terms" else {Kind.LONG, Kind.DOUBLE}
                assert kinds[agg["params"]["field"]] in wanted


def test_the_query_for_server_errors_is_the_one_that_firehose_users_know():
    """A status is a keyword, so that a wildcard finds it."""
    [search] = [each for each in objects_of(DocumentForm.FIREHOSE) if each["id"] == "logrouter-firehose-server-errors"]

    assert search_body(search)["query"]["query_string"]["query"] == "message.status:50*"
