"""Lookup files and address databases: what is read, and every fault of a file with its line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from logrouter import config
from logrouter.config.compile import lookups
from logrouter.config.compile.databases import load_agents, load_geoip
from logrouter.config.compile.inputs import Inputs
from logrouter.config.compile.lookups import load_lookups
from logrouter.config.options.file import GeoIpOptions, LookupFileOptions
from logrouter.config.yaml.problems import Problems

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {"c1": {"name": "Reader", "tier": "free"}, "c2": {"name": "Büro, Nord"}}


def loaded(folder: Path, name: str, content: bytes | str) -> tuple[Any, list[str]]:
    """The rows of a file, and what is wrong with it."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    problems = Problems()
    options = LookupFileOptions(file=name, key="id", fields=("name", "tier"))
    rows = load_lookups({"l": options}, Inputs(folder), problems)["l"]
    assert all(problem.path == "lookups.l.file" for problem in problems.errors)
    return rows, [problem.message for problem in problems.errors]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.csv", 'id,name,tier\nc1,Reader,free\nc2,"Büro, Nord",\n'),
        ("f.CSV", '\ufefftier,other,id,name\r\nfree,x,c1,Reader\r\n\r\n-,y,c2,"Büro, Nord"'),
        ("f.json", '{"c1": {"name": "Reader", "tier": "free"}, "c2": {"name": "Büro, Nord", "tier": null, "x": 1}}'),
        ("f.json", '[{"id": "c1", "name": "Reader", "tier": "free"},\n {"id": "c2", "name": "Büro, Nord"}] '),
    ],
)
def test_the_same_rows_come_from_every_kind_of_file(tmp_path, name, content):
    """CSV and JSON, lists and objects, with and without what is absent."""
    assert loaded(tmp_path, name, content) == (GOOD, [])


@pytest.mark.parametrize(("name", "content"), [("f.csv", "id,name,tier\n"), ("f.json", "[]"), ("f.json", " {} ")])
def test_file_without_rows_is_no_fault(tmp_path, name, content):
    """Nothing to look up is a state that a file may be in."""
    assert loaded(tmp_path, name, content) == ({}, [])


LONG = "x" * 1025


@pytest.mark.parametrize(
    ("name", "content", "faults"),
    [
        ("f.csv", "", ["f.csv:1: has no column 'id'"]),
        ("f.csv", "id,naem,tier\n", ["f.csv:1: has no column 'name' (did you mean \"naem\"?)"]),
        ("f.csv", "id,name,tier,name\n", ["f.csv:1: names a column twice, the second time as its column 4"]),
        (
            "f.csv",
            f"id,name,tier\nc1,a,b\nc1,a,b\n,a,b\nc2,a\nc3,{LONG},b\n",
            [
                "f.csv:3: has the key of line 2",
                "f.csv:4: lacks a key: id must be text, not empty",
                "f.csv:5: has 2 cells, the header has 3",
                "f.csv:6: name has 1025 characters, at most 1024 are allowed",
            ],
        ),
        ("f.csv", 'id,name,tier\nc1,"a"b,c\n', ["f.csv:2: is not CSV: ',' expected after '\"'"]),
        ("f.csv", b"id,name,tier\nc1,\xff,c\n", ["f.csv:2: is not UTF-8"]),
        ("f.csv", "id,name,tier\n" + "\n" * 30 + "c,x\n" * 22, ["f.csv has 2 more faults"]),
        ("f.json", "", ["f.json:1: is not JSON: an object or a list is expected"]),
        ("f.json", "\n7", ["f.json:2: is not JSON: an object or a list is expected"]),
        ("f.json", '[{"id": "c1"}\n {', ["f.json:2: is not JSON: ] is expected"]),
        ("f.json", '[{"id": "c1"},\n]', ["f.json:2: is not JSON: Expecting value"]),
        ("f.json", '{"c1": {}\n} x', ["f.json:2: is not JSON: nothing more is expected"]),
        ("f.json", '{"c1" {}}', ["f.json:1: is not JSON: : is expected"]),
        ("f.json", "{1: {}}", ["f.json:1: lacks a key: id must be text, not a number"]),
        ("f.json", '{"c1": {},\n "c1": {}}', ["f.json:2: has the key of line 1"]),
        ("f.json", '{"c1": {},\n "c2": {"name": "a", "name": "b"}}', ["f.json:2: holds a name twice"]),
        ("f.json", '{"c1": {},\n "c2": {"name": NaN}}', ["f.json:2: holds NaN, which is no JSON"]),
        (
            "f.json",
            '[{"id": 7},\n "c1",\n {"id": "c2", "tier": 3},\n {"id": "c3", "name": ["a"]}]',
            [
                "f.json:1: lacks a key: id must be text, not a number",
                "f.json:2: must be an object, not text",
                "f.json:3: tier must be text, not a number",
                "f.json:4: name must be text, not a list",
            ],
        ),
        ("f.json", "[" * 100_000, ["f.json:1: is nested too deep"]),
    ],
)
def test_faults_come_with_their_lines(tmp_path, name, content, faults):
    """Every fault that can be found at once is, up to a bound; a file with any is not used."""
    rows, found = loaded(tmp_path, name, content)

    assert (rows, found[-len(faults) :]) == (None, faults)
    assert len(found) <= lookups.MAX_FAULTS + 1


def test_file_is_bounded(tmp_path, monkeypatch):
    """A file with too many rows or bytes is refused, and so is one that is not there or of another kind."""
    monkeypatch.setattr(lookups, "MAX_ROWS", 1)
    assert loaded(tmp_path, "f.csv", "id,name,tier\na,,\nb,,\n")[1] == [
        "f.csv:3: is beyond the 1 rows that are allowed"
    ]
    monkeypatch.setattr(lookups, "MAX_BYTES", 5)
    assert loaded(tmp_path, "f.csv", "id,name,tier\n")[1] == ["f.csv is larger than 5 bytes"]
    problems = Problems()
    load_lookups({"l": LookupFileOptions(file="no.csv", key="id", fields=("a",))}, Inputs(tmp_path), problems)
    assert [problem.message for problem in problems.errors] == ["there is no file no.csv"]


@given(st.binary(max_size=60), st.sampled_from(["csv", "json"]))
def test_no_bytes_make_reading_raise(tmp_path_factory, content, kind):
    """Whatever a file holds, it is rows or a list of faults."""
    rows, found = loaded(
        tmp_path_factory.mktemp("l"), f"f.{kind}", b"id,name,tier\n" + content if kind == "csv" else content
    )

    assert (rows is None) == bool(found)


FILE = """
version: 1
lookups: {clients: {file: clients.csv, key: client_id, fields: [name]}}
sources: {s: {topics: t, envelope: rsyslog}}
routes: [{name: r, from: s, format: envoy, to: x, enrich: {lookup: clients}}]
"""


def test_generation_follows_the_lookup_file(tmp_path):
    """Another row is another generation, and the file is one of those to watch."""
    (tmp_path / "clients.csv").write_text("client_id,name\nc1,a\n")
    first = config.parse(FILE.encode(), {}, folder=tmp_path)
    (tmp_path / "clients.csv").write_text("client_id,name\nc1,b\n")
    second = config.parse(FILE.encode(), {}, folder=tmp_path)

    assert first.generation != second.generation
    assert tmp_path / "clients.csv" in first.inputs


def test_message_of_a_lookup_file_stands_at_its_place(tmp_path):
    """The fault has the line of the file, and the problem the line of topics.yaml."""
    (tmp_path / "clients.csv").write_text("client_id,name\nc1,a\nc1,b\n")
    with pytest.raises(config.ConfigError) as failed:
        config.parse(FILE.encode(), {}, folder=tmp_path)

    says = "3:27: lookups.clients.file: clients.csv:3: has the key of line 2"
    assert [str(problem) for problem in failed.value.problems] == [says]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("clients.csv", "clients.txt"), "lookups.clients.file: must be a .csv or .json file, not 'clients.txt'"),
        (("[name]", "[]"), "lookups.clients.fields: has 0 entries, 1 to 32 are allowed"),
        (("[name]", "[Name]"), "lookups.clients.fields[0]: must be a name (small letters, digits, _), not 'Name'"),
        (("key: client_id, ", ""), "lookups.clients: lacks `key`, which is required"),
        (("clients.csv", "../../gone.csv"), "lookups.clients.file: there is no file ../../gone.csv"),
    ],
)
def test_message_of_the_section(tmp_path, change, message):
    """What is wrong with the declaration itself."""
    (tmp_path / "clients.csv").write_text("client_id,name\n")
    with pytest.raises(config.ConfigError) as failed:
        config.parse(FILE.replace(*change).encode(), {}, folder=tmp_path)

    assert [f"{problem.path}: {problem.message}" for problem in failed.value.problems] == [message]


def database(file: Path, networks: dict[str, dict[str, Any]], version: int = 6) -> None:
    """A small address database."""
    writer = MMDBWriter(ip_version=version, ipv4_compatible=version == 6, int_type="uint32")
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(file))


def test_country_and_network_come_from_several_databases(tmp_path):
    """Each file tells what it knows; where none does there is nothing, and never a place on the map."""
    country = {"country": {"iso_code": "DE", "names": {"en": "Germany"}}, "location": {"latitude": 52.5}}
    database(tmp_path / "country.mmdb", {"198.51.100.0/24": country, "2001:db8::/32": country})
    database(tmp_path / "asn.mmdb", {"198.51.0.0/16": {"autonomous_system_number": 64500}}, version=4)
    problems = Problems()
    find = load_geoip(GeoIpOptions(files=("country.mmdb", "asn.mmdb")), Inputs(tmp_path), problems)

    assert problems.errors == []
    assert find is not None
    asked = ("198.51.100.7", "198.51.1.1", "2001:db8::1", "203.0.113.1")
    assert list(map(find, asked)) == [("DE", 64500), (None, 64500), ("DE", None), (None, None)]


@pytest.mark.parametrize(
    "record",
    [
        {"country": "DE"},
        {"country": {"iso_code": "de"}},
        {"country": {"iso_code": 7}},
        {"autonomous_system_number": "1"},
    ],
)
def test_records_of_another_shape_tell_nothing(tmp_path, record):
    """A database that holds something else adds nothing to an event."""
    database(tmp_path / "x.mmdb", {"198.51.100.0/24": record})
    find = load_geoip(GeoIpOptions(files=("x.mmdb",)), Inputs(tmp_path), Problems())

    assert find is not None
    assert find("198.51.100.7") == (None, None)


def test_route_with_geoip_names_the_country_of_the_whole_address(tmp_path):
    """The country is looked up before the address is truncated."""
    database(tmp_path / "c.mmdb", {"198.51.100.7/32": {"country": {"iso_code": "DE"}}})
    text = (
        "version: 1\ngeoip: c.mmdb\nsources: {s: {topics: t, envelope: rsyslog}}\n"
        "routes: [{name: r, from: s, format: envoy, to: x, enrich: {geoip: true}}]\n"
        'tests:\n  - line: \'{"msg":"{\\"http\\":{\\"method\\":\\"GET\\",\\"status_code\\":200,'
        '\\"client_ip\\":\\"198.51.100.7\\"}}"}\'\n'
        "    expect: {event: {geo: {country: DE}, http: {client_ip: 198.51.100.0}}}\n"
    )
    from logrouter.config.cases import run

    assert [result.differences for result in run(config.parse(text.encode(), {}, folder=tmp_path))] == [()]


def test_messages_of_address_databases(tmp_path, monkeypatch):
    """A file that is not there or is none, and a package that is not installed."""
    (tmp_path / "bad.mmdb").write_bytes(b"x" * 100)
    problems = Problems()
    load_geoip(GeoIpOptions(files=("no.mmdb", "bad.mmdb")), Inputs(tmp_path), problems)
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    load_geoip(GeoIpOptions(files=("no.mmdb",)), Inputs(tmp_path), problems)
    found = [f"{problem.path}: {problem.message}" for problem in problems.errors]

    assert found[0] == "geoip.files[0]: there is no file no.mmdb"
    assert found[1].startswith("geoip.files[1]: bad.mmdb is not an MMDB file: ")
    assert found[2] == "geoip: needs the package maxminddb: run pip install '.[geoip]' in a checkout of logrouter"


def test_agents_have_families_and_hostile_ones_cost_little(monkeypatch):
    """Known agents are named; a package that is not installed is a problem of the route."""
    problems = Problems()
    family_of = load_agents("p", problems)
    assert family_of is not None
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    assert [family_of(firefox), family_of("curl/8.5.0"), family_of("x" * 400), family_of("")] == [
        "Firefox",
        "curl",
        None,
        None,
    ]
    monkeypatch.setattr("logrouter.config.compile.databases._agents", _not_installed)
    load_agents("p", problems)
    assert [str(p) for p in problems.errors] == [
        "p: needs the package ua-parser: run pip install '.[useragent]' in a checkout of logrouter"
    ]


def _not_installed() -> Any:
    raise ImportError


def test_all_files_together_are_bounded(tmp_path, monkeypatch):
    """Many names may lead to one large file, and each has rows of its own."""
    monkeypatch.setattr(lookups, "MAX_BYTES_OF_ALL", 40)
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).write_text("id,name\nc1,one\n")
    problems = Problems()

    found = load_lookups(
        {name: LookupFileOptions(file=f"{name}.csv", key="id", fields=("name",)) for name in "abc"},
        Inputs(tmp_path),
        problems,
    )

    assert [rows is not None for rows in found.values()] == [True, True, False]
    assert [problem.message for problem in problems.errors] == [
        "c.csv is larger than 10 bytes, which is left of the bytes for all"
    ]
