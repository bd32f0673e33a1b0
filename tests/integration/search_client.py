"""What tests ask a search node: one request, one answer, no retries."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

ASK_SECONDS = 60.0


class Answer(NamedTuple):
    """Status and document of an answer."""

    status: int
    body: Any


class SearchClient:
    """Asks the node at *url*, with *headers* in every request."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._address = urlsplit(url).netloc
        self._headers = dict(headers or {})

    def ask(self, method: str, path: str, document: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request: *document* as JSON, or as it is when it is text or bytes."""
        body = document if document is None or isinstance(document, str | bytes) else json.dumps(document)
        kind = {"Content-Type": "application/json"} if body is not None else {}
        with closing(http.client.HTTPConnection(self._address, timeout=ASK_SECONDS)) as connection:
            connection.request(method, path, body, {**kind, **self._headers, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
        return Answer(answer.status, json.loads(text) if text else None)

    def get(self, path: str) -> Any:
        """The document of a GET that must succeed."""
        return self._must("GET", path)

    def put(self, path: str, document: object = None) -> Any:
        """The answer to a PUT that must succeed."""
        return self._must("PUT", path, document)

    def post(self, path: str, document: object = None) -> Any:
        """The answer to a POST that must succeed."""
        return self._must("POST", path, document)

    def delete(self, path: str) -> Any:
        """The answer to a DELETE that must succeed."""
        return self._must("DELETE", path)

    def _must(self, method: str, path: str, document: object = None) -> Any:
        answer = self.ask(method, path, document)
        assert answer.status < 300, f"{method} {path}: {answer}"
        return answer.body
