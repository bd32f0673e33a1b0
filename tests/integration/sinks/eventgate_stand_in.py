"""A stand-in for eventgate: what it answers, what it adds to events, and a store in the place of Kafka.

The real one (1.8.4) is not to be had from npm. This one does what its source does, as far as a sender can see it:

- `POST /v1/events` with one event or an array: 201 without a body if all are taken, 207 with those that are not, 400 if
  all are invalid, 500 if none is taken and one of them could not be produced; 202 at once with `?hasty=true`.
- Items are `{status, event, context}`; invalid ones are those that the schema refuses, with formats and no coercion.
  Errors are a stream that it does not know, a schema that does not belong to it, and whatever it is told to fail at.
- An empty body or array is 400, broken JSON 500, a body of more than 10 MB, unpacked, 413.
- It sets `meta.id`, `meta.dt`, and from the headers of the request `meta.request_id` and the user agent, where an event
  has none; a request without `x-request-id` gets one.

As a program it listens until it is ended, and appends what it takes to a file before it answers:

    python -m tests.integration.sinks.eventgate_stand_in --port 8192 --store taken.jsonl --fail-every 7
"""

from __future__ import annotations

import argparse
import copy
import gzip
import threading
import uuid
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs
import orjson

from logrouter.config.compile.schemas import packaged_schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_BODY: Final = 10 * 1024 * 1024
STREAM: Final = "api-gateway.request"

_VALIDATOR: Final = jsonschema_rs.validator_for(
    orjson.loads(packaged_schemas()["wikimedia/api-gateway/request/1.0.0"]), validate_formats=True, offline=True
)


class StandInAnswer(NamedTuple):
    """Status and body."""

    status: int
    body: bytes = b""


class StandInRequest(NamedTuple):
    """What was asked for, names of headers in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class EventgateStandIn:
    """Answers requests; *taken* are the events that it would have produced, with what it has added.

    *fails* says at which events producing fails. *before* may answer in its place.
    """

    def __init__(
        self,
        *,
        streams: Mapping[str, str] | None = None,
        fails: Callable[[dict[str, Any]], bool] = lambda _: False,
        store: Path | None = None,
    ) -> None:
        """*streams* are those that it knows, each with the title of its schema."""
        self.taken: list[dict[str, Any]] = []
        self.requests: list[StandInRequest] = []
        self.before: Callable[[StandInRequest], StandInAnswer | None] = lambda _: None
        self._streams = {STREAM: "api-gateway/request"} if streams is None else streams
        self._fails = fails
        self._store = None if store is None else store.open("ab", buffering=0)
        self._lock = threading.Lock()

    def answer(self, request: StandInRequest) -> StandInAnswer:
        """What eventgate answers."""
        with self._lock:
            self.requests.append(request)
            return self.before(request) or self._answer(request)

    def _answer(self, request: StandInRequest) -> StandInAnswer:
        url = urlsplit(request.path)
        if url.path != "/v1/events":
            return _problem(404, "not found")
        body = request.body
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if len(body) > MAX_BODY:
            return _problem(413, "request entity too large")
        try:
            given = orjson.loads(body or b"[]")
        except orjson.JSONDecodeError:
            return _problem(500, "Unexpected token in JSON")
        events = given if isinstance(given, list) else [given]
        if not events or given == {}:
            return StandInAnswer(400)
        lists = self._process(events, {"x-request-id": str(uuid.uuid4()), **request.headers})
        if parse_qs(url.query).get("hasty"):
            return StandInAnswer(202)
        failures = len(lists["invalid"]) + len(lists["error"])
        if not failures:
            return StandInAnswer(201)
        if len(lists["invalid"]) == len(events):
            return StandInAnswer(400, orjson.dumps({"invalid": lists["invalid"]}))
        return StandInAnswer(207 if failures < len(events) else 500, orjson.dumps(lists))

    def _process(self, events: list[Any], headers: Mapping[str, str]) -> dict[str, list[Any]]:
        """Take what may be taken; the others as items."""
        lists: dict[str, list[Any]] = {"invalid": [], "error": []}
        for given in events:
            event = copy.deepcopy(given)
            if why := self._refuse(event):
                lists["error"].append({"status": "error", "event": event, "context": {"message": why}})
                continue
            _enrich(event, headers)
            errors = [error.message for error in _VALIDATOR.iter_errors(event)]
            if errors:
                # The message of an error is no member of it in JavaScript, and is left out.
                context = {"errors": [{"message": error} for error in errors], "errorsText": ", ".join(errors)}
                lists["invalid"].append({"status": "invalid", "event": event, "context": context})
            elif self._fails(event):
                context = {"message": "Local: Queue full"}
                lists["error"].append({"status": "error", "event": event, "context": context})
            else:
                self._take(event)
        return lists

    def _refuse(self, event: Any) -> str:
        """Why an event is none for this service; "" if it is."""
        if not isinstance(event, dict) or not isinstance(event.get("meta"), dict):
            return "Event stream name cannot be extracted"
        stream = event["meta"].get("stream")
        if stream not in self._streams:
            return f"event is not allowed in stream; {stream} is not a configured stream"
        if event.get("$schema") != f"/{self._streams[stream]}/1.0.0":
            return f"event is not allowed in stream; schema title must be {self._streams[stream]}"
        return ""

    def _take(self, event: dict[str, Any]) -> None:
        self.taken.append(event)
        if self._store is not None:
            self._store.write(orjson.dumps(event) + b"\n")

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[str]:
        """Answer requests on loopback meanwhile; the URL."""
        with ThreadingHTTPServer(("127.0.0.1", port), _handler(self)) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join()


def _enrich(event: dict[str, Any], headers: Mapping[str, str]) -> None:
    """What eventgate sets where an event has nothing."""
    meta = event["meta"]
    meta.setdefault("id", str(uuid.uuid4()))
    meta.setdefault("dt", "2026-05-04T10:00:00.000Z")
    meta.setdefault("request_id", headers["x-request-id"])
    if agent := headers.get("user-agent"):
        http = event.setdefault("http", {})
        if isinstance(http, dict):
            told = http.setdefault("request_headers", {})
            if isinstance(told, dict):
                told.setdefault("user-agent", agent)


def _problem(status: int, detail: str) -> StandInAnswer:
    """What the service answers where it has not come to events."""
    body = {"status": status, "type": "internal_error", "title": "Error", "detail": detail, "method": "post"}
    return StandInAnswer(status, orjson.dumps(body))


def _handler(stand_in: EventgateStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:  # the name that the base class looks for
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                answer = stand_in.answer(StandInRequest(self.path, headers, body))
            except (OSError, EOFError, zlib.error) as error:
                answer = _problem(400, str(error))
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            """Say nothing."""

    return Handler


def _fail_every(number: int) -> Callable[[dict[str, Any]], bool]:
    """Producing fails for each event with such a number, once."""
    failed: set[str] = set()

    def fails(event: dict[str, Any]) -> bool:
        identity = event["meta"]["id"]
        if not number or identity in failed or zlib.crc32(identity.encode()) % number:
            return False
        failed.add(identity)
        return True

    return fails


def main() -> None:
    """Listen until ended."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--store", type=Path, required=True, help="where events go that are taken, as lines of JSON")
    options.add_argument("--fail-every", type=int, default=0, help="one in so many events is not taken at first")
    options.add_argument("--config", type=Path, help="not read: what starts it passes this to all of its programs")
    given = options.parse_args()
    stand_in = EventgateStandIn(fails=_fail_every(given.fail_every), store=given.store)
    with ThreadingHTTPServer(("127.0.0.1", given.port), _handler(stand_in)) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
