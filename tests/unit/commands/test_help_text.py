"""The little Markdown of docstrings, as it is shown."""

from __future__ import annotations

import pytest

from logrouter.commands.help_text import blocks, inline

DOCSTRING = """Show `tests:` of a file,
    in **bold**.

    **Examples**

        logrouter test | jq '.a[0] * 2 ** 3'
          indented

    The end.
    """


def test_paragraphs_are_joined_and_blocks_stay_as_they_are():
    """Nothing inside a block is a mark."""
    assert [shown.plain for shown in blocks(DOCSTRING)] == [
        "Show tests: of a file, in bold.",
        "Examples",
        "  logrouter test | jq '.a[0] * 2 ** 3'\n    indented",
        "The end.",
    ]


@pytest.mark.parametrize(
    ("text", "plain", "set_off"),
    [
        ("one `--flag` and **two**", "one --flag and two", ["--flag", "two"]),
        ("[default: text] stays", "[default: text] stays", []),
        ("2 ** 3, a lone ` and 'quotes'", "2 ** 3, a lone ` and 'quotes'", []),
    ],
)
def test_marks_become_styles(text, plain, set_off):
    """What is no mark is text, brackets as well, which Rich would take for styles."""
    shown = inline(text)

    assert shown.plain == plain
    assert [shown.plain[span.start : span.end] for span in shown.spans] == set_off
