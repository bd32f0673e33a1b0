"""The line of a file that a problem is about: where the caret stands, and which lines are not shown."""

from __future__ import annotations

import pytest

from logrouter.config.secret_options import may_name_secret
from logrouter.config.yaml.excerpt import MAX_LINE, MAX_WIDTH, excerpt
from logrouter.config.yaml.problems import Problem


def shown(text: str, line: int | None, column: int | None) -> tuple[str, str] | None:
    """The excerpt for a place in a text."""
    return excerpt(text.splitlines(), Problem("", "", line, column), may_name_secret)


@pytest.mark.parametrize(
    ("text", "line", "column", "found"),
    [
        ("a: b", 1, 4, ("a: b", "   ^")),
        ("a: b\nc", 2, 1, ("c", "^")),
        ("a", 1, 9, ("a", " ^")),
        ("", 1, 1, None),
        ("a", 2, 1, None),
        ("a", 0, 1, None),
        ("a", None, None, None),
        ("a: " + "x" * MAX_LINE, 1, 1, None),
        ("a\tb\x1b[1m", 1, 3, ("a b [1m", "  ^")),
        ("x" * 300, 1, 1, ("x" * MAX_WIDTH, "^")),
        ("x" * 299 + "y", 1, 300, ("x" * (MAX_WIDTH - 1) + "y", " " * (MAX_WIDTH - 1) + "^")),
    ],
)
def test_excerpt(text: str, line: int | None, column: int | None, found: tuple[str, str] | None) -> None:
    """The caret is below the character, in a line that is cut or not; no place, no excerpt."""
    assert shown(text, line, column) == found


@pytest.mark.parametrize(
    ("text", "line", "visible"),
    [
        ("kafka:\n  sasl.password: x", 2, False),
        ("kafka:\n  sasl.username: x\n  sasl.password: y", 2, True),
        ("kafka:\n  ssl.key.pem: |\n    secret", 3, False),
        ("kafka: {sasl.password: x,\n  group.id: y}", 2, False),
        ("privacy: {hash_key: x}", 1, False),
        ("admin:\n  token: x", 2, False),
        ("kafka:\n  sasl.password: x\nsources: y", 3, True),
        ("kafka: {sasl.passwrod: x}", 1, False),
        ("sinks:\n  a:\n    api_key: x\n    type: b", 3, False),
        ("sinks:\n  a:\n    api_key: x\n    type: b", 4, True),
        ("sinks:\n  a:\n    signing_keys:\n      - whsec_x", 4, False),
        ("sinks: {a: {singing_keys: [whsec_x], type: b}}", 1, False),
        ("sinks: {a: {type: b, autorization: x}}", 1, False),
        ("sinks: {a: {aws: {access_key_id: x}}}", 1, False),
        ("sinks:\n  a:\n    headers:\n      x-thing: y", 4, False),
        ("sinks: {a: {url: 'https://u:p@h/'}}", 1, False),
        ("sinks: {a: {url: 'https://h/?sig=x'}}", 1, False),
        ("sinks: {a: {url: 'https://h/x'}}", 1, True),
    ],
)
def test_lines_that_may_hold_a_secret_are_not_shown(text: str, line: int, visible: bool) -> None:
    """Neither the line of a secret setting, also one that is spelt wrong, nor one that may be its continuation."""
    assert (shown(text, line, 1) is not None) is visible
