r"""CloudWatch Logs on its way to Kafka: one record packs many lines, in whatever the services between have wrapped it.

    {"messageType":"DATA_MESSAGE","owner":"123…","logGroup":"…","logStream":"…",
     "logEvents":[{"id":"…","timestamp":1777888800000,"message":"<line>"}, …]}       a subscription's payload, usually
                                                                                     compressed by gzip
    {"awslogs":{"data":"<base64>"}}                                                  what a function is called with
    {"records":[{"data":"<base64>"}, …]}  {"Records":[{"kinesis":{"data":"<base64>"}}]}   Firehose and Kinesis
    {"data":"<base64>"}                                                              one record of theirs

These nest, and follow each other: gzip members, base64 texts and JSON documents may be concatenated with or without
line ends between them. What is none of these is a line itself, as Firehose leaves it when it extracts messages.

Every line is an envelope of its own. What decompression may yield, the number of lines and the depth of wrappings are
bounded by record; beyond a bound the whole record is rejected. Any other fault costs the part that has it.
"""

from __future__ import annotations

import re
import zlib
from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.core.text.colours import ESCAPE, without_colours
from logrouter.core.text.json_numbers import as_whole
from logrouter.core.text.json_objects import split_documents
from logrouter.model import ENCODED, Envelope, Ignored, Reason, Rejected, Stage

if TYPE_CHECKING:
    from logrouter.model import Decoded

SHAPE: Final = "cloudwatch"
EXTRACTED: Final = "plain"
"""Shape of a line that has lost its payload on the way, and with it log group, stream, account and time."""

MAX_UNPACKED: Final = 16 << 20
"""Bytes that all compressed parts of one record may yield together."""
MAX_LINES: Final = 16_000
MAX_DEPTH: Final = 5
"""Wrappings within each other; the deepest that services make are four: list, base64, gzip, JSON."""

_MAX_MEMBERS: Final = 1000
_GZIP: Final = b"\x1f\x8b"
_GZIP_IN_BASE64: Final = b"H4sI"
_JSON_IN_BASE64: Final = (b"eyJ", b"ewo", b"ewr")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]++={0,2}")
_WRAPPERS: Final = (b'"messageType"', b'"logEvents"', b'"awslogs"', b'"records"', b'"Records"')
_HEAD: Final = 200
_DATA: Final = ("data", "Data", "kafkaRecordValue")
_RECORD_KEYS: Final = frozenset(
    {*_DATA, "recordId", "approximateArrivalTimestamp", "kinesisRecordMetadata", "kafkaRecordMetadata", "partitionKey"}
    | {"PartitionKey", "sequenceNumber", "SequenceNumber", "ApproximateArrivalTimestamp", "EncryptionType"}
    | {"encryptionType", "kinesisSchemaVersion", "subsequenceNumber", "explicitHashKey", "ExplicitHashKey"}
)
_TEXT_LINE = re.compile(rb"[^\n]++")

_BOUNDS: Final = frozenset({Reason.TOO_DEEP, Reason.TOO_LARGE, Reason.TOO_MANY})
_CONTROL: Final = Ignored(Reason.CONTROL)


def decode(value: bytes) -> Decoded:
    """Every line in one record, in order, each with its own time and fields. Never raises."""
    unpacking = _Unpacking()
    try:
        unpacking.part(value, 0)
    except _RejectedError as stop:
        return stop.rejected
    lines = unpacking.lines
    return lines[0] if len(lines) == 1 else tuple(lines)


class _RejectedError(Exception):
    """A part of the record is no good; the whole of it, if a bound is passed."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        # What it was found in may be encoded, so that no eye would see the secrets in it.
        self.rejected = Rejected(Stage.DECODE, reason, detail, raw=ENCODED)


class _Unpacking:
    """The lines found so far, and how much more the record may yield."""

    def __init__(self) -> None:
        self.lines: list[Envelope | Ignored | Rejected] = []
        self._left = MAX_UNPACKED

    def part(self, data: bytes, depth: int) -> None:
        """What stands by itself: if it is no good, that is one more outcome, and the others stay."""
        try:
            self.data(data, depth)
        except _RejectedError as stop:
            if stop.rejected.reason in _BOUNDS:
                raise
            self._add(stop.rejected)

    def data(self, data: bytes, depth: int) -> None:
        """Bytes of which nothing is known but that they hold lines in some wrapping."""
        if depth > MAX_DEPTH:
            raise _RejectedError(Reason.TOO_DEEP, f"more than {MAX_DEPTH} wrappings within each other")
        if data[:2] == _GZIP:
            self.data(self._decompressed(data), depth + 1)
            return
        stripped = data.strip()
        if stripped.startswith(_GZIP_IN_BASE64) and _BASE64.fullmatch(joined := b"".join(stripped.split())):
            self._encoded(joined, depth + 1)
            return
        if stripped[:1] not in (b"{", b"["):
            self._by_line(stripped, depth)
            return
        _check_size(stripped)
        try:
            document = orjson.loads(stripped)
        except ValueError:
            self._documents(stripped, depth)
        else:
            self._document(document, stripped, depth)

    def _documents(self, data: bytes, depth: int) -> None:
        """JSON documents after each other; or lines, of which some may be JSON."""
        if not self._concatenated(data, depth):
            self._by_line(data, depth)

    def _concatenated(self, data: bytes, depth: int) -> bool:
        documents = split_documents(data, MAX_LINES + 1)
        if documents is not None and len(documents) > MAX_LINES:
            raise _RejectedError(Reason.TOO_MANY, f"more than {MAX_LINES} documents in one record")
        for document, text in documents or ():
            self._document(document, text, depth)
        return documents is not None

    def _by_line(self, data: bytes, depth: int) -> None:
        for line in _TEXT_LINE.finditer(data):
            text = line[0].strip()
            if not text:
                continue
            if text[:1] in (b"{", b"["):
                if self._concatenated(text, depth):
                    continue
                if any(wrapper in text[:_HEAD] for wrapper in _WRAPPERS):
                    self._add(Rejected(Stage.DECODE, Reason.INVALID_JSON, "a cut payload, or no JSON", raw=ENCODED))
                    continue
            elif text.startswith(_GZIP_IN_BASE64) or (text.startswith(_JSON_IN_BASE64) and _BASE64.fullmatch(text)):
                self._encoded(text, depth + 1)
                continue
            self._line(text)

    def _document(self, document: Any, text: bytes, depth: int) -> None:
        if type(document) is list:
            for each in document:
                self._record(each, depth + 1)
        elif type(document) is not dict:
            self._line(text)
        elif "messageType" in document or "logEvents" in document:
            self._payload(document)
        elif type(document.get("awslogs")) is dict:
            self._record(document["awslogs"], depth + 1)
        else:
            records = document.get("records", document.get("Records"))
            if type(records) is list:
                for each in records:
                    self._record(each, depth + 1)
            elif _is_record(document):
                self._record(document, depth + 1)
            else:
                self._line(text)

    def _record(self, record: Any, depth: int) -> None:
        """One record of a list, or what stands in its place."""
        if depth > MAX_DEPTH:
            raise _RejectedError(Reason.TOO_DEEP, f"more than {MAX_DEPTH} wrappings within each other")
        if type(record) is dict and type(record.get("kinesis")) is dict:
            record = record["kinesis"]
        if type(record) is dict:
            given = next((record[name] for name in _DATA if name in record), None)
            if type(given) is str:
                self._encoded(given.encode("utf-8", "replace"), depth)
            else:
                document = given if type(given) is dict else record
                self._document(document, _written(document), depth)
        elif type(record) is str:
            self.part(record.encode("utf-8", "replace"), depth)
        else:
            self._add(Rejected(Stage.DECODE, Reason.NO_MESSAGE, "a record without data", raw=ENCODED))

    def _encoded(self, text: bytes, depth: int) -> None:
        try:
            data = a2b_base64(text.strip(), strict_mode=True)
        except (Base64Error, ValueError):
            self._add(Rejected(Stage.DECODE, Reason.BAD_COMPRESSION, "no base64 where data was to be", raw=ENCODED))
        else:
            self.part(data, depth)

    def _payload(self, payload: dict[str, Any]) -> None:
        if payload.get("messageType") == "CONTROL_MESSAGE":
            self._add(_CONTROL)
            return
        events = payload.get("logEvents")
        if type(events) is not list:
            self._add(Rejected(Stage.DECODE, Reason.NO_MESSAGE, "a payload without a list of log events", raw=ENCODED))
            return
        origin = {name: item for name in ("owner", "logGroup", "logStream") if type(item := payload.get(name)) is str}
        for event in events:
            self._add(_event(event, origin))

    def _line(self, text: bytes) -> None:
        try:
            line = text.decode()
            self._add(Envelope(EXTRACTED, without_colours(line) if ESCAPE in line else line))
        except UnicodeDecodeError as error:
            self._add(Rejected(Stage.DECODE, Reason.INVALID_UTF8, f"at byte {error.start}", raw=ENCODED))

    def _add(self, line: Envelope | Ignored | Rejected) -> None:
        if len(self.lines) >= MAX_LINES:
            raise _RejectedError(Reason.TOO_MANY, f"more than {MAX_LINES} lines in one record")
        self.lines.append(line)

    def _decompressed(self, data: bytes) -> bytes:
        """All gzip members in *data*, one after the other."""
        parts = []
        for _ in range(_MAX_MEMBERS):
            stream = zlib.decompressobj(wbits=31)
            try:
                part = stream.decompress(data, self._left + 1)
            except zlib.error:
                raise _RejectedError(Reason.BAD_COMPRESSION, "not what gzip writes") from None
            self._left -= len(part)
            if self._left < 0:
                raise _RejectedError(Reason.TOO_LARGE, f"more than {MAX_UNPACKED} bytes decompressed")
            if not stream.eof:
                raise _RejectedError(Reason.BAD_COMPRESSION, "the end of a gzip member is missing")
            parts.append(part)
            data = stream.unused_data
            if not data.strip(b"\0\r\n"):
                return b"".join(parts)
        raise _RejectedError(Reason.TOO_MANY, f"more than {_MAX_MEMBERS} gzip members in one record")


def _event(event: Any, origin: dict[str, str]) -> Envelope | Rejected:
    message = event.get("message") if type(event) is dict else None
    if type(message) is dict:
        message = _written(message).decode()
    if type(message) is not str:
        return Rejected(Stage.DECODE, Reason.NO_MESSAGE, "a log event without a message", raw=ENCODED)
    fields: dict[str, Any] = dict(origin)
    if type(event.get("id")) is str:
        fields["id"] = event["id"]
    if ESCAPE in message:
        message = without_colours(message)
    time = as_whole(event.get("timestamp"))
    return Envelope(SHAPE, message.rstrip("\r\n"), time=str(time) if type(time) in (int, str) else None, fields=fields)


def _is_record(document: dict[str, Any]) -> bool:
    if type(document.get("kinesis")) is dict:
        return True
    return document.keys() <= _RECORD_KEYS and any(name in document for name in _DATA)


def _written(document: dict[str, Any]) -> bytes:
    """The document as JSON text again; its writer is stricter about depth than the reader."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        raise _RejectedError(Reason.TOO_DEEP, "JSON within a wrapping is nested too deeply") from None


def _check_size(data: bytes) -> None:
    """Refuse what would become far more objects than any number of lines needs: each costs many times its bytes."""
    if len(data) > MAX_LINES * 20 and max(data.count(b"{"), data.count(b"["), data.count(b'"') // 4) > MAX_LINES * 40:
        raise _RejectedError(Reason.TOO_MANY, "more parts than the lines of one record can have")
