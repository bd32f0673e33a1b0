"""Path templates that are learned from the requests of an API: a place in its paths that takes very many values is one.

`/users/alice` and `/users/bob` are paths of two resources until there are more than `MAX_VALUES` of them; from then on
they are `/users/{value}`. Only requests that did not fail teach: what a scanner makes up is no path of the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.core.templates.masking import PLACEHOLDERS, VALUE, WRITTEN_VALUE, mask_segments

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_VALUES: Final = 128
"""So many different segments may stand at one place in the paths of an API."""
MAX_PLACES: Final = 4096
"""Places that are known of the paths of one API. Where that is not enough, fewer values make a place variable."""
MAX_PLACES_OF_ALL: Final = 1 << 16
"""Places that are known of all APIs: beyond that, what is known of the first ones is forgotten."""
MAX_APIS: Final = 4096
_MAX_REMEMBERED: Final = 1 << 15
_LONGEST: Final = 256
"""Characters of a path whose template is remembered."""


class _Place:
    """What has stood behind the same beginning of a path; *any_value* is what comes behind whatever stands here."""

    __slots__ = ("any_value", "next")

    def __init__(self) -> None:
        self.next: dict[str, _Place] = {}
        self.any_value: _Place | None = None

    def places(self) -> Iterator[_Place]:
        """This place and all behind it."""
        left = [self]
        while left:
            place = left.pop()
            yield place
            left += place.next.values()
            if place.any_value is not None:
                left.append(place.any_value)

    def make_variable(self) -> None:
        """Whatever stands here is a value from now on; ids that are known by their form stay what they are."""
        self.next = {segment: place for segment, place in self.next.items() if segment in PLACEHOLDERS}
        self.any_value = self.any_value or _Place()


class _ApiPaths:
    """The paths of one API."""

    __slots__ = ("known", "root", "size", "unknown")

    def __init__(self) -> None:
        self.root = _Place()
        self.size = 1
        self.known: dict[str, str] = {}
        self.unknown: dict[str, str] = {}

    def find(self, path: str) -> str:
        """The template of a path by what is known."""
        place: _Place | None = self.root
        parts = mask_segments(path).split("/")
        for at, segment in enumerate(parts):
            if place is None:
                break
            following = place.next.get(segment)
            if following is None and place.any_value is not None and segment not in PLACEHOLDERS:
                parts[at], following = VALUE, place.any_value
            place = following
        return "/".join(parts)

    def learn(self, path: str) -> str:
        """The template of a path that the API has, which is known from now on."""
        place = self.root
        parts = mask_segments(path).split("/")
        changed = False
        for at, segment in enumerate(parts):
            following = place.next.get(segment)
            if following is None and (place.any_value is None or segment in PLACEHOLDERS):
                following = place.next[segment] = _Place()
                self.size += 1
                if len(place.next) > MAX_VALUES:
                    place.make_variable()
                    changed = True
            if place.any_value is not None and segment not in PLACEHOLDERS:
                parts[at], following = VALUE, place.any_value
            place = following or _Place()
        if changed or self.size > MAX_PLACES:
            self._count_again()
            return self.find(path)
        return "/".join(parts)

    def _count_again(self) -> None:
        """Keep to `MAX_PLACES`; what was found before may be another template now."""
        values = MAX_VALUES
        while True:
            self.size = sum(1 for _ in self.root.places())
            if self.size <= MAX_PLACES:
                break
            values //= 2
            if not values:
                self.root = _Place()
            for place in list(self.root.places()):
                if len(place.next) > values:
                    place.make_variable()
        self.known.clear()
        self.unknown.clear()


class TemplateLearner:
    """The path templates of all APIs, as far as this process has seen their requests."""

    def __init__(self) -> None:
        self._apis: dict[str, _ApiPaths] = {}
        self._places = self._remembered = 0

    def template_of(self, api: str, path: str, *, succeeded: bool) -> str:
        """The template of a path (without query) of *api*, by the form of its segments and by what was learned.

        A path that *succeeded* is learned. The same requests in the same order give the same templates.
        """
        paths = self._apis.get(api)
        if paths is not None:
            known = paths.known.get(path)
            if known is not None:
                return known
            if not succeeded:
                known = paths.unknown.get(path)
                if known is not None:
                    return known
        return self._find(api, path, learn=succeeded)

    def _find(self, api: str, path: str, *, learn: bool) -> str:
        # Who asks for /{value} must not have all that the API has counted as one URL.
        written = path.replace(VALUE, WRITTEN_VALUE)
        paths = self._apis.get(api)
        if not path.startswith("/") or (paths is None and not learn):
            return mask_segments(written)
        if paths is None:
            paths = self._apis[api] = _ApiPaths()
            self._places += 1
        before = paths.size
        template, memo = (paths.learn(written), paths.known) if learn else (paths.find(written), paths.unknown)
        self._places += paths.size - before
        while self._places > MAX_PLACES_OF_ALL or len(self._apis) > MAX_APIS:
            self._places -= self._apis.pop(next(iter(self._apis))).size
        if len(path) <= _LONGEST:
            memo[path] = template
            self._remembered += 1
            if self._remembered > _MAX_REMEMBERED:
                self._forget_answers()
        return template

    def _forget_answers(self) -> None:
        for paths in self._apis.values():
            paths.known.clear()
            paths.unknown.clear()
        self._remembered = 0
