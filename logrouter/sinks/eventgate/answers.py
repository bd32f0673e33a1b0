"""What eventgate's answers say of each event: 207, 400 and 500 list those that it did not take.

```json
{"invalid": [{"status": "invalid", "event": {…}, "context": {"errors": […], "errorsText": "…"}}],
 "error": [{"status": "error", "event": {…}, "context": {"message": "…"}}]}
```

Items repeat the event as eventgate has it by then, with what it has added, and not its place among those sent: it is
found by `meta.id`.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from logrouter.sinks.contract import DELIVERED, Refused, Retry, Trouble
from logrouter.sinks.http_messages import excerpt, judge_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from logrouter.sinks.contract import Result
    from logrouter.sinks.eventgate.document import StreamEvent
    from logrouter.sinks.http_messages import HttpAnswer

_TAKEN: Final = frozenset({201, 204})
"""204 was the answer of former versions."""
_LISTING: Final = frozenset({201, 207, 400, 500})
_KINDS: Final = ("invalid", "error")
_MAX_COMPARED: Final = 64
"""Events of one id that are compared with one that eventgate has added something to."""


class NotTaken(NamedTuple):
    """An event that was not taken: the *kind* of failure, the *event* as repeated, and why in words."""

    kind: str
    event: Any
    why: str


def read_items(answer: HttpAnswer) -> list[NotTaken] | None:
    """The events that an answer lists; None if it lists none."""
    if answer.status not in _LISTING or not answer.body:
        return None
    try:
        lists = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(lists, dict) or not any(lists.get(kind) for kind in _KINDS):
        return None
    items: list[NotTaken] = []
    for kind in _KINDS:
        found = lists.get(kind) or []
        if not isinstance(found, list):
            return None
        items += (NotTaken(kind, *_read_item(item)) for item in found)
    return items


def judge(answer: HttpAnswer) -> Result:
    """What an answer that lists no events says of all of its request."""
    status = answer.status
    if status in _TAKEN:
        return DELIVERED
    if status == 202:
        return Retry(Trouble.NONSENSE, status, "202 is for events that may be lost (`hasty`), which was not asked for")
    if status == 207:
        return Retry(Trouble.NONSENSE, status, f"207 that does not say for which events: {excerpt(answer.body)}")
    if status == 400:
        # eventgate lists the events that it refuses. nginx says 400 to a client without the right certificate.
        return Retry(Trouble.DENIED, status, f"400 that lists no events, so not of eventgate: {excerpt(answer.body)}")
    return judge_status(answer)


def assign(items: Iterable[NotTaken], documents: Sequence[StreamEvent], status: int) -> Sequence[Result]:
    """What has become of each of the *documents* of a request whose answer lists *items*."""
    results: list[Result | None] = [None] * len(documents)
    unnamed: dict[object, _Namesakes] = defaultdict(_Namesakes)
    for place, document in enumerate(documents):
        unnamed[_key(document.id)].left[place] = document.fields
    is_stray = False
    for item in items:
        namesakes = unnamed.get(_key(_id_of(item.event)))
        meant = None if namesakes is None else namesakes.take(item.event)
        if meant is None:
            is_stray = True
            continue
        results[meant] = (
            Refused(status, item.why) if item.kind == "invalid" else Retry(Trouble.UNAVAILABLE, status, item.why)
        )
    rest = _rest(status, is_stray=is_stray)
    return [rest if result is None else result for result in results]


class _Namesakes:
    """Events of a request that share an id, hardly ever more than one: those that no item has named yet."""

    def __init__(self) -> None:
        self.left: dict[int, dict[str, Any]] = {}
        """Fields by place."""
        self._by_text: dict[bytes, list[int]] | None = None

    def take(self, event: Any) -> int | None:
        """The place of the one that *event* repeats, which may have additions; None if none is left."""
        if len(self.left) > 1:
            place = self._find_equal(event)
            if place is None:
                some = islice(self.left.items(), _MAX_COMPARED)
                place = next((place for place, fields in some if _holds(event, fields)), None)
        else:
            place = None
        if place is None:
            place = next(iter(self.left), None)
        if place is not None:
            del self.left[place]
        return place

    def _find_equal(self, event: Any) -> int | None:
        """One that says exactly the same; found at once, as thousands may share an id that somebody writes into all."""
        if self._by_text is None:
            self._by_text = defaultdict(list)
            for place, fields in self.left.items():
                self._by_text[_text(fields)].append(place)
        text = _text(event)
        places = self._by_text.get(text, []) if text else []
        while places:
            place = places.pop()
            if place in self.left:
                return place
        return None


def _text(event: Any) -> bytes:
    """What tells one event from another, in whatever order its members stand; nothing for one that is too deep."""
    try:
        return orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return b""


def _rest(status: int, *, is_stray: bool) -> Result:
    """What has become of events that no item names; *is_stray* if an item names none that was sent."""
    if status == 500:
        return Retry(Trouble.UNAVAILABLE, status)
    if is_stray:
        return Retry(Trouble.NONSENSE, status, "names events that were not sent, so it may mean others")
    if status == 400:
        return Retry(Trouble.NONSENSE, status, "400 says that all events are invalid, and names some of them only")
    return DELIVERED


def _read_item(item: Any) -> tuple[Any, str]:
    """The event of an item, None if it names none, and why it was not taken."""
    if not isinstance(item, dict):
        return None, ""
    context = item.get("context")
    said = [context.get(name) for name in ("message", "errorsText")] if isinstance(context, dict) else [context]
    why = ": ".join(text[:1000] for text in said if isinstance(text, str))
    return item.get("event"), excerpt(why.encode("utf-8", "replace"))


def _id_of(event: Any) -> object:
    meta = event.get("meta") if isinstance(event, dict) else None
    return meta.get("id") if isinstance(meta, dict) else None


def _key(identity: object) -> object:
    """An id that is no text is found as what it is written as."""
    return identity if isinstance(identity, str) else (repr(identity)[:200],)


def _holds(found: Any, sent: Any) -> bool:
    """Whether *found* is what was sent, with or without additions; two events may share an id."""
    try:
        if isinstance(sent, dict) and isinstance(found, dict):
            return all(name in found and _holds(found[name], value) for name, value in sent.items())
        return bool(found == sent)
    except RecursionError:
        return False
