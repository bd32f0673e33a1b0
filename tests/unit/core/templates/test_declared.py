"""Templates that are declared: the most concrete one of a path, whatever the order in which they are written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.templates import declared
from logrouter.core.templates.declared import DeclaredTemplates, TemplateError, compile_declared

SHOP = (
    *("/", "/items", "/items/{id}", "/items/mine", "/items/{id}/parts/{part}", "/items/mine/parts"),
    *("/{kind}/{id}/parts/first", "/items/{id}.json", "/items/v{major}.{minor}", "/files/**", "/files/{name}/meta"),
)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("/items", "/items"),
        ("/items/", "/items"),
        ("/items/17", "/items/{id}"),
        ("/items/mine", "/items/mine"),
        ("/items/mine/parts", "/items/mine/parts"),
        ("/items/mine/parts/7", "/items/{id}/parts/{part}"),
        ("/items/17/parts/first", "/items/{id}/parts/{part}"),
        ("/users/17/parts/first", "/{kind}/{id}/parts/first"),
        ("/items/17.json", "/items/{id}.json"),
        ("/items/.json", "/items/{id}"),
        ("/items/v1.2", "/items/v{major}.{minor}"),
        ("/items/v1.", "/items/{id}"),
        ("/items/v1.2.json", "/items/{id}.json"),
        ("/files/a", "/files/**"),
        ("/files/a/meta", "/files/{name}/meta"),
        ("/files/a/meta/b", "/files/**"),
        ("/files" + "/a" * 500, "/files/**"),
        ("/files", None),
        ("/items/17/parts", None),
        ("/items//parts/7", None),
        ("/Items/17", None),
        ("items", None),
        ("", None),
        ("*", None),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_most_concrete_template_of_a_path_is_found(path, template, backwards):
    """From left to right: written out, so in part, a variable, all below; in whatever order they are declared."""
    templates = DeclaredTemplates(reversed(SHOP) if backwards else SHOP)

    assert templates.find(path) == template


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("items", "does not begin with /"),
        ("/" + "x" * 256, "has 257 characters, at most 256 are allowed"),
        ("/a" * 33, "has 33 segments, at most 32 are allowed"),
        ("/items/*", "has a * that is not the last segment **: a variable is a name in braces, like {id}"),
        ("/**/items", "has a * that is not the last segment **: a variable is a name in braces, like {id}"),
        ("/items/{id", "has a brace without its other: a variable is a name in braces, like {id}"),
        ("/items/{}", "has a brace without its other: a variable is a name in braces, like {id}"),
        ("/items/{a{b}}", "has a brace without its other: a variable is a name in braces, like {id}"),
        ("/a?b={c}", "has a character that no path has: a blank, ?, # or one that can't be printed"),
        ("/a\n", "has a character that no path has: a blank, ?, # or one that can't be printed"),
    ],
)
def test_what_is_no_template_is_told(text, why):
    """One sentence for each way to get it wrong."""
    with pytest.raises(TemplateError) as caught:
        DeclaredTemplates([text])

    assert str(caught.value) == why


def test_the_first_of_two_with_one_shape_stays():
    """Names of variables make no difference; what is the same word for word is no contradiction."""
    templates = DeclaredTemplates(["/items/{id}", "/items/{name}", "/items/{id}", "/items/{id}/"])

    assert templates.find("/items/7") == "/items/{id}"
    assert templates.repeated == ["/items/{name}", "/items/{id}/"]


def fits(template: str, path: str) -> bool:
    """Whether a path is one of a template, by a regular expression."""
    whole = "".join(
        "[^/]+" if part.startswith("{") else "/.+" if part == "/**" else re.escape(part)
        for part in re.findall(r"\{[^}]*\}|/\*\*|[^{/]+|/", template)
    )
    return re.fullmatch(whole, path) is not None


SEGMENT = st.sampled_from(["a", "b", "{x}", "{x}.a", "b{x}", "a{x}b{y}"])
TEMPLATE = st.builds(
    lambda segments, end: "".join(f"/{segment}" for segment in segments) + end,
    st.lists(SEGMENT, min_size=1, max_size=4),
    st.sampled_from(["", "", "/**"]),
)
PATH = st.lists(st.text("ab.", min_size=1, max_size=4), min_size=1, max_size=6).map(lambda parts: "/" + "/".join(parts))


@given(templates=st.lists(TEMPLATE, max_size=12), path=PATH)
def test_a_template_is_found_if_and_only_if_one_fits(templates, path):
    """Compared with each of them by a regular expression, one after the other."""
    found = DeclaredTemplates(templates).find(path)
    fitting = [template for template in templates if fits(template, path)]

    assert (found in fitting) if fitting else (found is None)


def test_variables_called_value_have_another_name():
    """Under `{value}`, which is what learned places are called, answers gather paths: `/config/all` would be lost."""
    templates = DeclaredTemplates(["/config/{value}", "/config/{value}.{ext}", "/config/all", "/config/{value}"])

    assert [templates.find(path) for path in ("/config/x", "/config/x.y", "/config/all")] == [
        *("/config/{value_}", "/config/{value_}.{ext}", "/config/all"),
    ]
    assert templates.repeated == []


@given(paths=st.lists(st.one_of(st.text(), st.text("/{}*.a"), PATH), max_size=30))
def test_any_path_has_one_answer(paths):
    """Nothing raises, and what is remembered is what was found."""
    templates = DeclaredTemplates(SHOP)
    enrich = compile_declared({}, templates)
    events = [{"http": {"path": path}} for path in (*paths, *paths)]
    for event in events:
        enrich(event)

    assert [event.get("path_template") for event in events] == [templates.find(path) for path in (*paths, *paths)]


def test_many_paths_make_the_memory_start_over(monkeypatch):
    """The answers stay right: hostile paths only cost that they are looked for."""
    monkeypatch.setattr(declared, "MAX_REMEMBERED", 3)
    searched = []
    monkeypatch.setattr(
        DeclaredTemplates,
        "find",
        lambda _self, path: searched.append(path) or ("/items/{id}" if "items" in path else None),
    )
    enrich = compile_declared({"shop": DeclaredTemplates([])}, None)
    asked = [f"/{word}/{number}" for number in range(4) for word in ("items", "items", "x", "x")]
    events = [{"api": "shop", "http": {"path": path}} for path in (*asked, asked[0], "/items/" + "9" * 300)]
    for event in events:
        enrich(event)

    assert [event.get("path_template") for event in events] == [
        "/items/{id}" if "items" in event["http"]["path"] else None for event in events
    ]
    assert len(searched) == 8 + 2


@pytest.mark.parametrize(
    ("event", "template"),
    [
        ({"api": "shop", "http": {"path": "/items/7"}}, "/items/{item}"),
        ({"api": "other", "http": {"path": "/items/7"}}, "/items/{id}"),
        ({"api": "shop", "http": {"path": "/users/7"}}, "/users/{id}"),
        ({"http": {"path": "/users/7"}}, "/users/{id}"),
        ({"api": ["shop"], "http": {"path": "/users/7"}}, "/users/{id}"),
        ({"api": "shop", "http": {"path": "/x"}}, None),
        ({"api": "shop", "http": {"path": 7}}, None),
        ({"api": "shop", "http": "/items/7"}, None),
        ({}, None),
    ],
)
def test_an_event_gets_the_template_of_its_api_and_else_that_of_all(event, template):
    """What is declared for an API goes before what is declared for all; without one there is no field."""
    enrich = compile_declared(
        {"shop": DeclaredTemplates(["/items/{item}"])}, DeclaredTemplates(["/items/{id}", "/users/{id}"])
    )
    enrich(event)

    assert event.get("path_template") == template
