"""Declared path templates: from topics.yaml and OpenAPI files into events, and every way to get them wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter import config
from logrouter.config.compile import openapi_files, path_templates
from logrouter.config.compile.inputs import Inputs
from logrouter.config.compile.openapi_files import OpenApiError, OpenApiFiles
from logrouter.config.settings import examine
from logrouter.config.yaml.problems import ConfigError
from logrouter.core.dryrun.explain import explain_record
from logrouter.model import RawRecord

if TYPE_CHECKING:
    from pathlib import Path

FILE = """
version: 1
sources: {s: {topics: t, envelope: plain}}
routes:
  - {name: r, from: s, format: nginx, to: x, enrich: {api: {from: [], paths: [{glob: "/{api}/**"}]}, %s}}
"""


def settings(templates: str, folder: Path | None = None, **more: str) -> config.Settings:
    """A topics.yaml with one route, whose APIs are the first segments of paths."""
    text = FILE % f"templates: {templates}"
    for key, value in more.items():
        text = text.replace("to: x,", f"to: x, {key}: {value},")
    return config.parse(text.encode(), {}, folder=folder) if folder else config.parse(text.encode(), {})


def explained(made: config.Settings, path: str) -> dict[str, Any]:
    """What `logrouter explain` says of a request for the path."""
    line = f'192.0.2.7 - ann [01/May/2026:10:00:00 +0000] "GET {path} HTTP/1.1" 200 5 "-" "x"'
    record = RawRecord("t", 0, 7, 1_777_629_600_000, line.encode())
    return explain_record(made.table, record, now_ms=1_777_629_600_000, event_id=lambda *_: "i").as_dict()


def template_of(made: config.Settings, path: str) -> str | None:
    """The template in the event of a request for the path."""
    (event,) = explained(made, path)["events"]
    found: str | None = event.get("path_template")
    return found


def problems_of(templates: str, folder: Path | None = None, **more: str) -> list[str]:
    """What is wrong with the option."""
    with pytest.raises(ConfigError) as caught:
        settings(templates, folder, **more)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def test_templates_of_the_file_itself():
    """For all APIs or for some; those of the request's own go first."""
    made = settings(
        '["/shop/{id}", {paths: ["/items/{item}", /items/mine], base_path: /shop/v1, api: shop},'
        ' {paths: ["/{api}/v1/items/{id}"], api: [news, files]}]'
    )

    assert {path: template_of(made, path) for path in ("/shop/7?a=b", "/shop/v1/items/7", "/shop/v1/items/mine/")} == {
        "/shop/7?a=b": "/shop/{id}",
        "/shop/v1/items/7": "/shop/v1/items/{item}",
        "/shop/v1/items/mine/": "/shop/v1/items/mine",
    }
    assert template_of(made, "/news/v1/items/7") == "/{api}/v1/items/{id}"
    assert template_of(made, "/other/v1/items/7") is None


def test_explain_shows_the_template_and_what_tables_count():
    """Where none is declared, the table counts by the form of segments, and the event has no field."""
    made = settings('["/shop/{name}"]')
    declared, other = explained(made, "/shop/ann"), explained(made, "/shop/ann/orders/7")

    added = [step["now"] for step in declared["steps"] if step["says"] == "adds /path_template"]
    assert added == [{"/path_template": "/shop/{name}"}]
    for each, url in ((declared, "/shop/{name}"), (other, "/shop/ann/orders/{id}")):
        (counted,) = (step for step in each["steps"] if step["stage"] == "tables")
        assert counted["says"] == f"clients row -, apis row shop, its URL as {url}"
        assert [cell["url"] for cell in counted["cells"]] == [url, url]


OPENAPI_3 = {
    "openapi": "3.1.0",
    "servers": [
        {"url": "https://api.example.org/shop/v1/"},
        {"url": "/shop/{v}", "variables": {"v": {"default": "v2"}}},
    ],
    "paths": {
        "/items/{id}": {"get": {"responses": {"200": {"$ref": "elsewhere.yaml#/x"}}}},
        "/items/mine": {"$ref": "./mine.yaml"},
        "/files/{name}": {"servers": [{"url": "//cdn.example.org/shop/files?x"}]},
        "x-note": {"a": 1},
    },
}
SWAGGER_2 = """
swagger: "2.0"
basePath: /shop/v1
paths:
  /items/{id}: &item
    get: {responses: {200: {description: it}}}
  /items/mine: *item
"""


@pytest.mark.parametrize(
    ("name", "content", "options", "found"),
    [
        ("a.json", OPENAPI_3, "", ["/shop/v1/items/{id}", "/shop/v2/items/mine", None, "/shop/files/files/{name}"]),
        ("a.yaml", SWAGGER_2, "", ["/shop/v1/items/{id}", None, None, None]),
        ("a.YML", SWAGGER_2, ", base_path: /shop/v2", [None, "/shop/v2/items/mine", None, None]),
        ("a.json", OPENAPI_3, ", base_path: /shop", [None, None, "/shop/items/{id}", "/shop/files/{name}"]),
        ("a.json", OPENAPI_3, ", api: news", [None, None, None, None]),
        (
            *("a.json", {"openapi": "3.0.0", "paths": {"/shop/items/{i}": {}}}, ', paths: ["/shop/items/{id}"]'),
            [None, None, "/shop/items/{id}", None],
        ),
    ],
)
def test_templates_of_an_openapi_file(tmp_path, name, content, options, found):
    """Its paths behind those of its servers, or behind the given one; what topics.yaml says goes first."""
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else orjson.dumps(content))
    made = settings(f"{{openapi: {name}{options}}}", tmp_path)
    paths = ("/shop/v1/items/7", "/shop/v2/items/mine", "/shop/items/7", "/shop/files/files/a")
    if "base_path: /shop}" in f"{options}}}":
        paths = (*paths[:3], "/shop/files/a")

    assert [template_of(made, path) for path in paths] == found


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://api.example.org/v1/", "/v1"),
        ("https://api.example.org", ""),
        ("https://{host}:{port}/a/{b}", "/a/{b}"),
        ("{server}/v1", "/srv/v1"),
        ("//api.example.org/v1?x#y", "/v1"),
        ("/v1/", "/v1"),
        ("./v1", "/v1"),
        ("../v1", "/v1"),
        ("v1", "/v1"),
        (".", ""),
        ("/", ""),
        ("", ""),
        (7, ""),
    ],
)
def test_what_a_server_puts_before_paths(tmp_path, url, base):
    """The path of its address, with defaults in place of variables where there are some."""
    server = {"url": url, "variables": {"server": {"default": "http://h/srv"}, "b": {"default": 7}}}
    (tmp_path / "a.json").write_bytes(orjson.dumps({"openapi": "3.0.0", "servers": [server], "paths": {"/x": {}}}))

    assert OpenApiFiles(Inputs(tmp_path)).paths_of("a.json")[0].base_paths == (base,)


STAR = "has a * that is not the last segment **: a variable is a name in braces, like {id}"
AT = "routes[0].enrich.templates"


@pytest.mark.parametrize(
    ("templates", "problem"),
    [
        ("[{}]", f"{AT}[0]: needs `paths` or `openapi`"),
        ("[{api: shop}]", f"{AT}[0]: needs `paths` or `openapi`"),
        (
            '[/a, "/items/{id"]',
            f"{AT}[1].paths[0]: /items/{{id has a brace without its other: a variable is a name in braces, like {{id}}",
        ),
        (
            "{paths: [/a, /items/*], base_path: /shop}",
            f"{AT}[0].paths[1]: /shop/items/* {STAR}",
        ),
        ("items", f"{AT}: must be a path that begins with /, not 'items'"),
        ("{openapi: a.txt}", f"{AT}.openapi: must be a .json, .yaml or .yml file, not 'a.txt'"),
        ("{openapi: no.json}", f"{AT}[0].openapi: no.json does not exist"),
        ("{openapi: empty.json}", f"{AT}[0].openapi: empty.json is not JSON at line 1, column 1"),
        ("{openapi: list.json}", "is no OpenAPI file: it has neither `openapi` nor `swagger` at its top"),
        ("{openapi: hooks.json}", f"{AT}[0].openapi: hooks.json has no `paths`"),
        ("{openapi: none.json}", f"{AT}[0].openapi: none.json has no path that is a template"),
        ("{openapi: many.json}", f"{AT}[0].openapi: many.json has 10001 paths, at most 10000 are read"),
        ("{openapi: bad.yaml}", f"{AT}[0].openapi: bad.yaml can't be read: 2:3: a: the key occurs twice"),
        ("{openapi: latin.yaml}", f"{AT}[0].openapi: latin.yaml can't be read: 2:1: the file is not UTF-8"),
        ("{openapi: latin.json}", f"{AT}[0].openapi: latin.json is not UTF-8"),
        ("{openapi: folder.json}", f"{AT}[0].openapi: folder.json is not a regular file: name a file that holds data"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, templates, problem):
    """What, where, and what to do; never a traceback."""
    many = {f"/{number}": {} for number in range(10_001)}
    files: dict[str, Any] = {"list": [], "hooks": {"openapi": "3.1.0", "webhooks": {}}}
    files |= {"none": {"openapi": "3.0.0", "paths": {"/*": {}}}, "many": {"openapi": "3.0.0", "paths": many}}
    for name, value in files.items():
        (tmp_path / f"{name}.json").write_bytes(orjson.dumps(value))
    (tmp_path / "empty.json").write_bytes(b"")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "bad.yaml").write_bytes(b"{a: 1,\n  a: 2}")
    (tmp_path / "latin.yaml").write_bytes(b"openapi: 3.0.0\n\xff")
    (tmp_path / "latin.json").write_bytes(b'{"openapi":"3.0.0","paths":{"/\xe4":{}}}')

    (found,) = problems_of(templates, tmp_path)
    assert found.endswith(problem)


def test_an_older_schema_has_no_such_field():
    """The route says so when it is read, and not by losing the field."""
    assert problems_of("/a", schema="api_request/1.0.0") == [
        f"{AT}: the schema allows no field path_template: api_request/1.1.0 and later ones do"
    ]


def test_too_many_templates_of_a_route(tmp_path, monkeypatch):
    """Those of files count as often as they stand for another path."""
    monkeypatch.setattr(path_templates, "MAX_TEMPLATES", 5)
    (tmp_path / "a.json").write_bytes(orjson.dumps(OPENAPI_3))

    assert problems_of("[/a, {openapi: a.json}]", tmp_path) == [
        f"{AT}: has 6 templates with those of its files, at most 5 are allowed"
    ]


def test_defaults_of_variables_multiply_nothing(tmp_path):
    """A file of 8 MiB stays one: an address is as long as one without variables may be."""
    server = {"url": "{a}" * 600, "variables": {"a": {"default": "/x" * 100}}}
    (tmp_path / "a.json").write_bytes(orjson.dumps({"openapi": "3.0.0", "servers": [server], "paths": {"/x": {}}}))

    (described,) = OpenApiFiles(Inputs(tmp_path)).paths_of("a.json")
    assert [len(base) for base in described.base_paths] == [2000]


def test_names_of_apis_multiply_nothing(monkeypatch):
    """APIs that have the same templates share them; one with others counts for itself."""
    monkeypatch.setattr(path_templates, "MAX_TEMPLATES", 5)
    names = ", ".join(f"api{number}" for number in range(100))
    assert template_of(settings(f'{{paths: [/a, "/api7/{{b}}", /c], api: [{names}]}}'), "/api7/x") == "/api7/{b}"

    assert problems_of(f"[{{paths: [/a, /b, /c], api: [{names}]}}, {{paths: [/d], api: api7}}]") == [
        f"{AT}: has 7 templates with those of its files, at most 5 are allowed"
    ]


@pytest.mark.parametrize(("ending", "bound"), [("json", "MAX_JSON_OF_ALL"), ("yaml", "MAX_YAML_OF_ALL")])
def test_all_files_together_are_bounded(tmp_path, monkeypatch, ending, bound):
    """However many routes name however many; one that is named again is not read again."""
    content = orjson.dumps({"openapi": "3.0.0", "paths": {"/a": {}}})
    for name in ("a", "b"):
        (tmp_path / f"{name}.{ending}").write_bytes(content)
    monkeypatch.setattr(openapi_files, bound, len(content) + 5)

    assert problems_of(
        f"[{{openapi: a.{ending}}}, {{openapi: a.{ending}, api: x}}, {{openapi: b.{ending}}}]", tmp_path
    ) == [f"{AT}[2].openapi: b.{ending} is larger than 5 bytes, which is left of the bytes for all OpenAPI files"]


def test_warnings_name_what_is_left_out(tmp_path):
    """Paths of a file that are no templates, and templates that say the same."""
    (tmp_path / "a.json").write_bytes(orjson.dumps({"openapi": "3.0.0", "paths": {"/*": {}, "/a": {}}}))
    text = FILE % 'templates: [{paths: ["/a/{b}", "/a/{c}"], openapi: a.json}]'
    warnings = examine(text.encode(), {}, folder=tmp_path).problems.warnings

    assert [f"{each.path}: {each.message}" for each in warnings if each.path.startswith(AT)] == [
        f"{AT}[0].paths: /a/{{c}} has the shape of one before it, which is taken instead",
        f"{AT}[0].openapi: a.json: 1 of its 2 paths are left out, the first: /* {STAR}",
    ]


def test_a_changed_file_is_another_generation(tmp_path):
    """So that a running lane takes it; it is read once, however many routes name it."""
    file = tmp_path / "a.json"
    file.write_bytes(orjson.dumps(OPENAPI_3))
    first = settings("{openapi: a.json}", tmp_path)
    file.write_bytes(orjson.dumps(OPENAPI_3 | {"servers": []}))
    second = settings("{openapi: a.json}", tmp_path)

    assert first.table.generation != second.table.generation
    assert file in second.inputs


@given(content=st.binary(max_size=200), is_json=st.booleans())
def test_any_bytes_are_paths_or_one_problem(tmp_path_factory, content, is_json):
    """Whatever stands in the file."""
    folder = tmp_path_factory.getbasetemp()
    name = "any.json" if is_json else "any.yaml"
    (folder / name).write_bytes(content)
    files, answers = OpenApiFiles(Inputs(folder)), []
    for _ in range(2):
        try:
            answers.append(files.paths_of(name))
        except OpenApiError as error:
            answers.append(str(error))

    assert answers[0] == answers[1]
    assert answers[0] == () or "\n" not in answers[0]


ANYTHING = st.recursive(
    st.none() | st.integers(0, 9) | st.text(max_size=5) | st.sampled_from(["/{a}", "https://{a}/{b}", "//", "{a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["url", "variables", "default", "a", "/x", "servers"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(servers=ANYTHING, item=ANYTHING, base=ANYTHING)
def test_any_description_has_paths_that_begin_with_a_slash(tmp_path_factory, servers, item, base):
    """Whatever its servers are, a path stands behind nothing or behind a path, and the numbers are bounded."""
    folder = tmp_path_factory.getbasetemp()
    value = {"openapi": "3.0.0", "servers": servers, "basePath": base, "paths": {"/y": item}}
    (folder / "some.json").write_bytes(orjson.dumps(value))
    (found,) = OpenApiFiles(Inputs(folder)).paths_of("some.json")

    assert found.path == "/y"
    assert 1 <= len(found.base_paths) <= openapi_files.MAX_SERVERS
    assert all(not each or (each.startswith("/") and not each.endswith("/")) for each in found.base_paths)
