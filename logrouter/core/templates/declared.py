"""Path templates that an API's owner declares: `/items/{id}` is the template of `/items/17`.

They are kept as a tree of segments, so that a path is compared with all of them at once. Of several that fit, the most
concrete one is found, as OpenAPI says: going from left to right, a segment that is written out goes before one that is
so in part (`{id}.json`), that before a variable, and that before `**`, which stands for all that is below.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.templates.masking import MAX_SEGMENTS, MAX_TEMPLATE, VALUE, WRITTEN_VALUE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

BELOW: Final = "**"
"""The last segment of a template of everything below a path."""
MAX_REMEMBERED: Final = 16_384
"""Paths whose templates a route remembers, of all APIs together."""
_LONGEST: Final = 256
"""Characters of a path that is remembered."""
_VARIABLE: Final = re.compile(r"\{[^{}/]++\}")
_AT_ITS_END: Final = -1


class TemplateError(Exception):
    """A text that is no path template; the message says why and is meant to follow the text."""


class _Parts:
    """A segment with variables in it, by the texts before, between and behind these: `{id}.json` is `"", ".json"`."""

    __slots__ = ("before", "behind", "between", "size")

    def __init__(self, texts: list[str]) -> None:
        self.before, *self.between, self.behind = texts
        self.size = sum(map(len, texts))

    def fits(self, segment: str) -> bool:
        """Whether the segment is these texts with at least a character for each variable."""
        if not segment.startswith(self.before) or not segment.endswith(self.behind):
            return False
        at, end = len(self.before), len(segment) - len(self.behind)
        for text in self.between:
            found = segment.find(text, at + 1, end)
            if found < 0:
                return False
            at = found + len(text)
        return at < end


class _Branch:
    """What may follow the same beginning of a path; *template* is that of a path that ends here."""

    __slots__ = ("below", "literals", "mixed", "template", "variable")

    def __init__(self) -> None:
        self.literals: dict[str, _Branch] = {}
        self.mixed: dict[tuple[str, ...], tuple[_Parts, _Branch]] = {}
        self.variable: _Branch | None = None
        self.template: str | None = None
        self.below: str | None = None

    def follow(self, segment: str) -> _Branch:
        """The branch behind a segment of a template, which is made if it is new."""
        texts = _VARIABLE.split(segment)
        if len(texts) == 1:
            return self.literals.setdefault(segment, _Branch())
        if texts == ["", ""]:
            self.variable = self.variable or _Branch()
            return self.variable
        return self.mixed.setdefault(tuple(texts), (_Parts(texts), _Branch()))[1]

    def sort(self) -> None:
        """Put the segments with the longest texts first, here and in all branches."""
        left = [self]
        while left:
            branch = left.pop()
            branch.mixed = dict(sorted(branch.mixed.items(), key=lambda item: (-item[1][0].size, item[0])))
            left += branch.literals.values()
            left += (each for _, each in branch.mixed.values())
            if branch.variable is not None:
                left.append(branch.variable)


class DeclaredTemplates:
    """The templates that are declared for an API.

    Names of variables say nothing: of two with one shape the first stays, and the other is one of *repeated*.
    """

    def __init__(self, templates: Iterable[str]) -> None:
        """Raises `TemplateError` for a text that is no template."""
        self._root = _Branch()
        self.repeated: list[str] = []
        for template in templates:
            self._add(template)
        self._root.sort()

    def _add(self, template: str) -> None:
        segments = split_template(template)
        below = segments[-1:] == [BELOW]
        branch = self._root
        for segment in segments[:-1] if below else segments:
            branch = branch.follow(segment)
        named = template.replace(VALUE, WRITTEN_VALUE)
        there = branch.below if below else branch.template
        if there is not None:
            if there != named:
                self.repeated.append(template)
        elif below:
            branch.below = named
        else:
            branch.template = named

    def find(self, path: str) -> str | None:
        """The most concrete template of a path without query; None if none fits. A slash at the end says nothing."""
        if not path.startswith("/"):
            return None
        # One segment more than any template has: what is behind matters to none but `**`.
        parts = _segments_of(path)
        left = [(self._root, 0)]
        while left:
            branch, at = left.pop()
            if at == _AT_ITS_END:
                return branch.below
            if at == len(parts):
                if branch.template is not None:
                    return branch.template
                continue
            # The last that is put there is looked at first. Every branch of the tree is put there once at most.
            segment = parts[at]
            if branch.below is not None:
                left.append((branch, _AT_ITS_END))
            if branch.variable is not None and segment:
                left.append((branch.variable, at + 1))
            if branch.mixed:
                fitting = [(each, at + 1) for parts_of, each in branch.mixed.values() if parts_of.fits(segment)]
                left += reversed(fitting)
            following = branch.literals.get(segment)
            if following is not None:
                left.append((following, at + 1))
        return None


def _segments_of(path: str) -> list[str]:
    whole = path[1:-1] if path.endswith("/") else path[1:]
    return whole.split("/", MAX_SEGMENTS) if whole else []


def split_template(template: str) -> list[str]:
    """The segments of a template, which is checked.

    Raises:
        TemplateError: it is no template.
    """
    if not template.startswith("/"):
        raise TemplateError("does not begin with /")
    if len(template) > MAX_TEMPLATE:
        raise TemplateError(f"has {len(template)} characters, at most {MAX_TEMPLATE} are allowed")
    if template.count("/") > MAX_SEGMENTS:
        raise TemplateError(f"has {template.count('/')} segments, at most {MAX_SEGMENTS} are allowed")
    segments = _segments_of(template)
    for number, segment in enumerate(segments, 1):
        if segment == BELOW and number == len(segments):
            continue
        rest = _VARIABLE.sub("", segment)
        if "*" in rest:
            raise TemplateError("has a * that is not the last segment **: a variable is a name in braces, like {id}")
        if "{" in rest or "}" in rest:
            raise TemplateError("has a brace without its other: a variable is a name in braces, like {id}")
        if not segment.isprintable() or any(sign in segment for sign in " ?#"):
            raise TemplateError("has a character that no path has: a blank, ?, # or one that can't be printed")
    return segments


def compile_declared(
    of_api: Mapping[str, DeclaredTemplates], of_all: DeclaredTemplates | None
) -> Callable[[dict[str, Any]], None]:
    """A function that puts the template of an event's path under `path_template`, where one is declared.

    *of_api* are those of an API by its name, which go before *of_all*.
    """
    known: dict[tuple[str | None, str], str | None] = {}

    def find(api: str | None, path: str) -> str | None:
        found = of_api[api].find(path) if api is not None else None
        if found is None and of_all is not None:
            found = of_all.find(path)
        if len(known) >= MAX_REMEMBERED:
            known.clear()
        if len(path) <= _LONGEST:
            known[api, path] = found
        return found

    def enrich(event: dict[str, Any]) -> None:
        http, api = event.get("http"), event.get("api")
        path = http.get("path") if type(http) is dict else None
        if type(path) is not str:
            return
        if type(api) is not str or api not in of_api:
            api = None
        try:
            found = known[api, path]
        except KeyError:
            found = find(api, path)
        if found is not None:
            event["path_template"] = found

    return enrich
