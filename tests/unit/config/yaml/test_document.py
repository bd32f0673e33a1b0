"""Strict YAML 1.2: what is read, what is refused, and where it is said to be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.config.yaml.document import MAX_BYTES, Document, DocumentError, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("'true'", "true"),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("[1, 'a', ~]", [1, "a", None]),
        ("{a: &x {b: 1}, c: *x}", {"a": {"b": 1}, "c": {"b": 1}}),
        ("1: x", {"1": "x"}),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("NO", "NO"),
        ("Off", "Off"),
        ("y", "y"),
        ("0b11", "0b11"),
        ("0777", 777),
        ("+12", 12),
        ("1e999", float("inf")),
        ("12e", "12e"),
        ("Null", None),
        ("nULL", "nULL"),
        ("99999999999999999999", 1e20),
        ("{NO: 1, no: 2}", {"NO": 1, "no": 2}),
        ("---\na: 1\n...\n", {"a": 1}),
        ("\ufeffa: 1", {"a": 1}),
        ('"\\U0001F600"', "\U0001f600"),
    ],
)
def test_read_resolves_scalars_by_the_core_schema(text: str, value: Any) -> None:
    """A plain scalar is what YAML 1.2 says it is, and never what YAML 1.1 said."""
    assert read(text.encode()).value == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1\nb: 2\na: 3", "3:1: a: the key occurs twice"),
        (b"x: {a: 1, a: 2}", "1:11: x.a: the key occurs twice"),
        (b"a: !!python/object:os.system x", "1:4: tags are not allowed"),
        (b"a: !secret x", "1:4: tags are not allowed"),
        (b"a: !!int 3", "1:4: tags are not allowed"),
        (b"a: !!str 3", "1:4: tags are not allowed"),
        (b"a: ! 3", "1:4: tags are not allowed"),
        (b"a: !!map {b: 1}", "1:4: tags are not allowed"),
        (b"!!str a: 1", "1:1: tags are not allowed"),
        (b"%TAG ! tag:x,2026:\n---\na: 1", "2:1: a %TAG or %YAML directive: this is plain YAML 1.2"),
        (b"'a': 1\n\"a\": 2\n", "2:1: a: the key occurs twice"),
        (b"1: x\n'1': y", "2:1: 1: the key occurs twice"),
        (b"a: 1\n...\nb: 2", "3:1: a second document: one file is one document"),
        (
            b"a:\n\t- b",
            "2:1: not YAML: while scanning for the next token found character '\\t' that cannot start any token",
        ),
        (b'a: "\\ud83d\\ude00"', "1:4: an escape of half a character: it can't be written as UTF-8"),
        (b"a:\n  <<: {b: 1}", "2:3: merge keys are not YAML 1.2: write the keys out"),
        (b"a: 1\n---\nb: 2", "2:1: a second document: one file is one document"),
        (b"%YAML 1.1\n---\na: 1", "2:1: a %TAG or %YAML directive: this is plain YAML 1.2"),
        (b"? [a]\n: b", "1:3: a mapping key must be text"),
        (b"a: &k x\n*k : 1", "2:1: a mapping key must be text, not an alias"),
        (b"a: *b", "1:4: alias *b has no anchor before it"),
        (b"a: &b [*b]", "1:8: alias *b has no anchor before it"),
        (b"[" * 40, "1:33: nested deeper than 32 levels"),
        (b"a: caf\xe9", "1:1: the file is not UTF-8"),
        (b"a: b\n\x01", "2:1: not YAML: the character U+0001"),
        (b"a: [1", "1:6: not YAML: while parsing a flow sequence expected ',' or ']', but got '<stream end>'"),
        (b"x" * (MAX_BYTES + 1), f"the file has {MAX_BYTES + 1} bytes, at most {MAX_BYTES} are read"),
    ],
)
def test_read_refuses_with_the_place(data: bytes, message: str) -> None:
    """What is not strict YAML is refused in one line that says where."""
    with pytest.raises(DocumentError) as refused:
        read(data)

    assert str(refused.value) == message


def test_read_bounds_what_aliases_stand_for() -> None:
    """Aliases of aliases can't grow a small file to a huge value."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(DocumentError, match="more than 50000 values"):
        read("\n".join(lines).encode())


def test_read_keeps_positions_of_keys_and_values() -> None:
    """Every value and every key can be pointed at."""
    doc = read(b"a:\n  - b: 1\n  - c\n")

    assert doc.keys == {"a": (1, 1), "a[0].b": (2, 5)}
    assert doc.values == {"": (1, 1), "a": (2, 3), "a[0]": (2, 5), "a[0].b": (2, 8), "a[1]": (3, 5)}


def test_the_place_of_a_value_that_was_left_out_is_that_of_its_key() -> None:
    """Not that of what comes next, which would be another section's; an empty text has a place of its own."""
    document = read(b"a:\n  b:  # nothing\n\nc: ''\nd: {}\ne: ~\nf: {g: }\nh:\n")

    assert document.values == {
        "": (1, 1),
        "a": (2, 3),
        "a.b": (2, 3),
        "c": (4, 4),
        "d": (5, 4),
        "e": (6, 4),
        "f": (7, 4),
        "f.g": (7, 7),
        "h": (8, 1),
    }


def test_read_never_repeats_the_line_that_is_wrong() -> None:
    """A syntax error next to a secret does not show the secret."""
    with pytest.raises(DocumentError) as refused:
        read(b"kafka: {sasl.password: 'hunter2', x: [}")

    assert "hunter2" not in str(refused.value)


def outcome(data: bytes) -> Document | DocumentError:
    """What becomes of the bytes: only a DocumentError is caught."""
    try:
        return read(data)
    except DocumentError as refused:
        return refused


@given(st.one_of(st.binary(max_size=60), st.text("ab:-[]{}&*!|>'\"%#\n ~?,\\ux0", max_size=60).map(str.encode)))
def test_read_raises_nothing_else(data: bytes) -> None:
    """Any bytes at all are either a document or a DocumentError."""
    assert isinstance(outcome(data), Document | DocumentError)
