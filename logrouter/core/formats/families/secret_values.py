"""Where a pattern puts values that are never published: lines of it are shown without them, whatever they hold.

    $remote_addr [$time_local] "$request" $status key="$http_x_api_key"      the pattern
    192.0.2.7 [01/May/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 key="a b"    a line
    192.0.2.7 [01/May/2026:10:00:00 +0000] "GET / HTTP/1.1" 2x0 key="a b"    one that does not fit

Of a line that fits, the values are known. Of one that does not, a value is found by the text before it, `key="`. Where
nothing tells a value but its place, what is behind the beginning of the line is not shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.core.formats.families.weblog import UNPUBLISHED
from logrouter.core.redact import REDACTED
from logrouter.core.text.line_patterns import Variable, beginning_of, compile_scan, head_of, variables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from logrouter.core.text.line_patterns import Piece

_LABEL: Final = re.compile(r"[\w.-]{2,}[^\w\s]{1,4}$", re.ASCII)


def compile_secret_mask(
    pieces: Sequence[Piece], *, escaped: bool = True, only_fitting: bool = False
) -> Callable[[str], str] | None:
    """A function that hides the values which the pattern's secret variables have in a line; None if it has none.

    With *only_fitting* lines that don't fit the pattern stay as they are, but for values with a word before them.

    Raises:
        PatternError: lines of the pattern cannot be read back.
    """
    names = variables_of(pieces)
    hidden = [group for group, name in enumerate(names, 1) if _is_secret(name)]
    if not hidden:
        return None
    whole, head = compile_scan(pieces, escaped=escaped), head_of(pieces, escaped=escaped)
    labels = [_label_of(pieces, index) for index, piece in enumerate(pieces) if _is_secret(piece)]
    known = [label for label in labels if label is not None]

    def mask(text: str) -> str:
        match = whole.fullmatch(text)
        if match is not None:
            return _without(text, [match.span(group) for group in hidden])
        begun = head.match(text) if len(known) < len(labels) and not only_fitting else None
        if begun is not None:
            spans = [begun.span(group) for group in hidden if group <= head.groups]
            return _without(text[: begun.end()], spans) + (REDACTED if begun.end() < len(text) else "")
        for label in known:
            text = label.sub(rf"\1{REDACTED}", text)
        return text

    return mask


def compile_pattern_user_mask(
    pieces: Sequence[Piece], names: Collection[str], *, escaped: bool = True
) -> Callable[[str], str] | None:
    """A function that hides the values of the pattern's fields *names* in a line; None if it has none of them.

    Of a line that does not fit, a value is hidden if the line is of the pattern until there; all else is shown.

    Raises:
        PatternError: lines of the pattern cannot be read back.
    """
    meanings = {f"field:{name}" for name in names}
    hidden = [group for group, each in enumerate(variables_of(pieces), 1) if each.meaning in meanings]
    if not hidden:
        return None
    whole = compile_scan(pieces, escaped=escaped)
    places = [
        (beginning_of(pieces[:index], escaped=escaped), pieces[index + 1] if index + 1 < len(pieces) else "")
        for index, piece in enumerate(pieces)
        if isinstance(piece, Variable) and piece.meaning in meanings
    ]

    def mask(text: str) -> str:
        match = whole.fullmatch(text)
        if match is not None:
            return _without(text, [match.span(group) for group in hidden])
        spans = []
        for before, behind in places:
            begun = before.match(text)
            if begun is not None:
                stop = text.find(behind, begun.end()) if isinstance(behind, str) and behind else -1
                spans.append((begun.end(), stop if stop >= 0 else len(text)))
        return _without(text, spans)

    return mask


def _is_secret(piece: Piece) -> bool:
    """Whether it is a variable that may not leave for what it says, and no figure that nobody needs."""
    if not isinstance(piece, Variable) or not piece.meaning.startswith(UNPUBLISHED):
        return False
    return not piece.kind.chars or re.fullmatch(piece.kind.chars, "x") is not None


def _label_of(pieces: Sequence[Piece], index: int) -> re.Pattern[str] | None:
    """The expression for the text before a variable and its value; None where no word stands before it."""
    before = pieces[index - 1] if index else ""
    found = _LABEL.search(before) if isinstance(before, str) else None
    if found is None:
        return None
    label = found[0]
    value = r"[^\"\\]++" if label.endswith('"') else r"[^\s,;&\"\\]++"
    return re.compile("((?<![\\w.-])" + re.escape(label).replace('"', r'\\{0,15}"') + ")" + value)


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text with what stands in *spans*, in their order, replaced, unless it means that nothing is there."""
    parts, end = [], 0
    for begin, stop in sorted(spans):
        if begin >= end and text[begin:stop] not in ("", "-", '""'):
            parts += [text[end:begin], REDACTED]
            end = stop
    return "".join((*parts, text[end:]))
