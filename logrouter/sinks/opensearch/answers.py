"""What answers to bulk requests say of each event.

A bulk request is answered with 200 whatever has become of its documents; each has an item with a status of its own, in
the order of the request. `errors` is not looked at: the items say the same, and more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from logrouter.sinks.contract import DELIVERED, Refused, RefusedTogether, Retry, Trouble
from logrouter.sinks.http_messages import MAX_DETAIL, excerpt, judge_status
from logrouter.sinks.opensearch.room import Excess, excess_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.sinks.contract import Result
    from logrouter.sinks.http_messages import HttpAnswer

FILTER: Final = "items.*._id,items.*.status,items.*.error.type,items.*.error.reason,error,status"
"""What of an answer is read (`filter_path`); the last two are there if the request was refused as a whole."""
_DONE: Final = frozenset({200, 201})
_CONFLICT: Final = "version_conflict_engine_exception"
_DENIED: Final = frozenset({401, 403, 404})
_OVERLOADED: Final = frozenset({429, 503})
# Refusals that are about the index or the cluster, whatever their status: another document would be refused as well.
_ABOUT_INDEX: Final = frozenset(
    {
        "cluster_block_exception",
        "index_closed_exception",
        "index_not_found_exception",
        "invalid_index_name_exception",
        "routing_missing_exception",
        "security_exception",
        "validation_exception",  # no room for further shards
    }
)
_ABOUT_INDEX_REASONS: Final = (
    "no write index is defined for alias",
    "pipeline with id [",
    "no such index [",
    "only write ops with an op_type of create",
    # Documents have the same fields always, so it is not they that are too many; and templates may name no such field.
    "Limit of ",
    "unknown index sort field",
)
_NO_TYPE: Final = "error"
# Documents are parsed one by one. What is no request at all has lost its body, or its headers, on the way.
_ABOUT_REQUEST: Final = frozenset(
    {_NO_TYPE, "illegal_argument_exception", "parse_exception", "media_type_header_exception"}
)
_VALUES: Final = (" Preview of field's value", " The prefix of the first immense term")
# States that pass by themselves, whatever their status; a block with 503 is that of a cluster without a master.
_PASSING: Final = frozenset(
    {
        "unavailable_shards_exception",
        "process_cluster_event_timeout_exception",
        "resource_already_exists_exception",  # somebody else has made the index in the same moment
        "no_shard_available_action_exception",
    }
)


class ItemError(msgspec.Struct):
    """Why a document was not taken: a name and a sentence."""

    type: str | None = ""
    reason: str | None = ""


class BulkItem(msgspec.Struct):
    """What became of one document."""

    status: int
    id: str | None = msgspec.field(default=None, name="_id")
    error: ItemError | None = None


class BulkAnswer(msgspec.Struct):
    """The answer to a bulk request. Each item has one key, the action."""

    items: list[dict[str, BulkItem]]


_decode = msgspec.json.Decoder(BulkAnswer).decode


def read_answer(answer: HttpAnswer, number: int, ids: Callable[[], Sequence[str]]) -> Sequence[Result]:
    """A result for each of so many events; *ids* gives those of their documents, in order.

    They are asked for only if not all are alike.
    """
    if answer.status != 200:
        return [_judge(answer, alone=number == 1)] * number
    try:
        items = [item for [item] in (entry.values() for entry in _decode(answer.body).items)]
    except (ValueError, RecursionError):
        return [Retry(Trouble.NONSENSE, answer.status, f"no answer to a bulk request: {excerpt(answer.body)}")] * number
    if len(items) != number:
        return [Retry(Trouble.NONSENSE, answer.status, f"{len(items)} items for {number} documents")] * number
    results = [_judge_item(item, alone=number == 1) for item in items]
    if any(result is not DELIVERED for result in results):
        for item, expected in zip(items, ids(), strict=True):
            if item.id is not None and item.id != expected:
                return [Retry(Trouble.NONSENSE, answer.status, "items are not in the order of the documents")] * number
    return results


def _judge_item(item: BulkItem, *, alone: bool) -> Result:
    status, error = item.status, item.error
    if status in _DONE and error is None:
        return DELIVERED
    kind, reason = ("", "") if error is None else (error.type or "", error.reason or "")
    if status == 409 and kind in ("", _CONFLICT):
        return DELIVERED  # it is there already
    detail = describe(kind, reason) if error is not None else ""
    if (trouble := _trouble_of(status, kind, reason)) is not None:
        return Retry(trouble, status, detail)
    if status in _DENIED:
        return Retry(Trouble.DENIED, status, detail)
    if status in _OVERLOADED:
        return _wait_for_room(Retry(Trouble.OVERLOADED, status, detail), kind, reason, alone=alone)
    if 500 <= status <= 599:
        return Retry(Trouble.UNAVAILABLE, status, detail)
    if 400 <= status <= 499 and error is not None:
        return Refused(status, detail)
    return Retry(Trouble.NONSENSE, status, detail)


def _trouble_of(status: int, kind: str, reason: str) -> Trouble | None:
    """What a refusal means that is about the index or the cluster, None if its kind does not say that it is."""
    if kind in _PASSING or (status == 503 and kind in _ABOUT_INDEX):
        return Trouble.UNAVAILABLE
    return Trouble.DENIED if kind in _ABOUT_INDEX or reason.startswith(_ABOUT_INDEX_REASONS) else None


def _wait_for_room(overloaded: Retry, kind: str, reason: str, *, alone: bool) -> Retry | Refused:
    """What becomes of events that a node has no room for; *alone* is one that was the only one of its request."""
    excess = excess_of(kind, reason)
    if excess is Excess.EVER and alone:
        return Refused(overloaded.status, overloaded.detail)
    return replace(overloaded, in_halves=excess is not Excess.NO)


def describe(kind: str, reason: str) -> str:
    """Why, without the value of a field that search engines put at the end: it may be what nobody should read."""
    for mark in _VALUES:
        reason = reason.partition(mark)[0]
    return (reason if kind == _NO_TYPE else f"{kind}: {reason}")[:MAX_DETAIL]


def _judge(answer: HttpAnswer, *, alone: bool) -> Retry | Refused | RefusedTogether:
    """What the answer means where the whole request was not taken.

    Documents are judged by items, so hardly any 400 is about them: it comes from a proxy that was sent http instead of
    https, from a path behind which there is no `_bulk`, from a setting that forbids to name an index.
    """
    judged = judge_status(answer)
    said = error_of(answer.body)
    if said is None:
        return Retry(Trouble.DENIED, 400, judged.detail) if answer.status == 400 else judged
    kind, reason = said
    detail = describe(kind, reason)
    if (trouble := _trouble_of(answer.status, kind, reason)) is not None:
        return Retry(trouble, answer.status, detail)
    if answer.status == 400 and kind in _ABOUT_REQUEST:
        return Retry(Trouble.DENIED, answer.status, detail)
    if isinstance(judged, RefusedTogether):
        return RefusedTogether(answer.status, detail)
    retry = replace(judged, detail=detail)
    return _wait_for_room(retry, kind, reason, alone=alone) if answer.status in _OVERLOADED else retry


def error_of(body: bytes) -> tuple[str, str] | None:
    """Type and reason of an error of the search engine, None if the body is none."""
    try:
        said: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError):  # a `DecodeError` is one, and so is what is no UTF-8
        return None
    error = said.get("error") if isinstance(said, dict) else None
    if isinstance(error, str):
        return _NO_TYPE, error
    if not isinstance(error, dict):
        return None
    return str(error.get("type") or _NO_TYPE), str(error.get("reason") or "")
