r"""The log-format strings of HAProxy as pieces for `core.text.line_patterns`.

    %ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %{+Q}r          what HAProxy is told
    log-format "%ci %[req.hdr(host)] %HM %HP %ST"                       the directive as it stands in haproxy.cfg

HAProxy writes one blank where several come together, so a list of captured headers that is empty takes a blank along.
The flag Q puts a text in quotes, but no figure and no time; with `%{+Q}o` every text from there on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logrouter.core.text.line_patterns import PatternError, Variable, VariableKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from logrouter.core.text.line_patterns import Piece

    Meaning = Callable[[str, int, bool], tuple[str, VariableKind]]

_EXPRESSION: Final = r'\[((?:[^\]()"]|"[^"]*"|\((?:[^()"]|"[^"]*"|\([^()]*\))*\))*+)\]'
_ITEM = re.compile(rf"%(?:%|(?:\([^()\s]*\))?(?:\{{([^{{}}]*)\}})?(?:{_EXPRESSION}|([A-Za-z]+))?)")
_DIRECTIVE = re.compile(r"\s*(?:error-)?log-format\s+", re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_BLANKS = re.compile(r"[ \t]+")
_CAPTURED: Final = ("%hr", "%hs", "%hrl", "%hsl")


def pieces_of(pattern: str, meaning: Meaning) -> list[Piece]:
    """The literals and variables of a format, given with or without its directive and quotes.

    *meaning* gives what a variable means and can hold: of its name, the place in the pattern, and whether it is in
    escapes. The name is "%ST" for a variable and "[path]" for an expression.

    Raises:
        PatternError: something in it is none of HAProxy's.
    """
    text = _unquoted(pattern)
    pieces: list[Piece] = []
    quoted = escaped = False
    end = 0
    for match in _ITEM.finditer(text):
        pieces.append(text[end : match.start()])
        end = match.end()
        if match[0] == "%%":
            pieces.append("%")
            continue
        flags, expression, name = match[1] or "", match[2], match[3]
        each_quoted = _flag(flags, "Q", default=quoted)
        each_escaped = _flag(flags, "E", default=escaped) or _flag(flags, "json", default=False)
        if name == "o":
            quoted, escaped = each_quoted, each_escaped
            continue
        called = f"%{name}" if name is not None else f"[{expression}]"
        if name is None and expression is None:
            raise PatternError(f'at character {match.start() + 1}: "%" without the name of a variable')
        found = Variable(called, match.start() + 1, *meaning(called, match.start() + 1, each_escaped))
        bare = name is not None and (found.kind.figures or found.kind.fixed)
        pieces += ('"', found, '"') if each_quoted and not bare else (found,)
    pieces.append(text[end:])
    return _joined(pieces)


def _unquoted(pattern: str) -> str:
    """The format as HAProxy gets it: without the directive, quotes and backslashes of its configuration."""
    directive = _DIRECTIVE.match(pattern)
    text = pattern[directive.end() :].strip() if directive else pattern.strip("\r\n")
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]
    if len(text) > 1 and text[0] == text[-1] == '"' and (directive or '\\"' in text or text.count('"') == 2):
        return _ESCAPE.sub(r"\1", text[1:-1])
    return _ESCAPE.sub(r"\1", text) if "\\ " in text or directive else text


def _flag(flags: str, letter: str, *, default: bool) -> bool:
    found = {each.strip() for each in flags.split(",")}
    return f"+{letter}" in found or (default and f"-{letter}" not in found)


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Literals that come together as one, with one blank where there are several."""
    joined: list[Piece] = []
    for piece in pieces:
        before = joined[-1] if joined else None
        if isinstance(piece, Variable):
            joined.append(piece)
        elif not piece:
            continue
        elif isinstance(before, str):
            joined[-1] = _BLANKS.sub(" ", before + piece)
        else:
            joined.append(_BLANKS.sub(" ", piece) if joined else piece.lstrip(" \t"))
    return _with_blanks([piece for piece in joined if piece])


def _with_blanks(pieces: list[Piece]) -> list[Piece]:
    """Lists of captured headers, each with a blank: the one behind it, or before it where nothing follows."""
    last = len(pieces)
    while last and (pieces[last - 1] == " " or _captured(pieces[last - 1])):
        last -= 1
    found: list[Piece] = []
    for index, piece in enumerate(pieces):
        at_end = last and index >= last - 1 and isinstance(pieces[last - 1], str)
        if isinstance(piece, Variable) and _captured(piece):
            shape = f"[ ]{piece.kind.shape}" if at_end else rf"{piece.kind.shape}(?:[ ]|\Z)"
            found.append(piece._replace(kind=piece.kind._replace(shape=shape)))
        elif isinstance(piece, Variable):
            found.append(piece)
        elif at_end:
            found.append(piece.rstrip(" "))
        else:
            found.append(piece.removeprefix(" ") if index and _captured(pieces[index - 1]) else piece)
    return [piece for piece in found if piece]


def _captured(piece: Piece) -> bool:
    return isinstance(piece, Variable) and piece.name in _CAPTURED
