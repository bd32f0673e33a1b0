"""Index templates: how the fields of documents are indexed, and how the template comes to its cluster.

A template that is there is left alone, whoever has put it there; but one of ours of an earlier version is replaced.
Whoever edits ours takes the field `_meta` out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from logrouter.sinks.contract import Retry, Trouble
from logrouter.sinks.http_messages import HttpRequest, judge_status
from logrouter.sinks.opensearch.answers import describe, error_of
from logrouter.sinks.opensearch.documents import FIELDS_OF
from logrouter.sinks.opensearch.fields import MAPPINGS
from logrouter.sinks.opensearch.rotation import Rotation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logrouter.sinks.http_messages import HttpAnswer
    from logrouter.sinks.opensearch.documents import DocumentForm
    from logrouter.sinks.opensearch.fields import DocumentField
    from logrouter.sinks.opensearch.rotation import IndexNames

VERSION: Final = 1
"""Of the mappings: one more whenever they change."""
_OWNER: Final = "logrouter"
_PRIORITY: Final = 200
"""Above templates that come with the target; the length of the name goes on top, so that the longest name counts."""
_MAX_DETAIL: Final = 400


def mappings_of(fields: Sequence[DocumentField]) -> dict[str, Any]:
    """The mappings of documents with these fields. Further ones are stored, and not indexed."""
    properties: dict[str, Any] = {}
    for field in fields:
        *parents, leaf = field.target.split(".")
        place = properties
        for name in parents:
            place = place.setdefault(name, {"properties": {}})["properties"]
        place[leaf] = dict(MAPPINGS[field.kind])
    return {"dynamic": False, "properties": properties}


def template_of(indices: IndexNames, form: DocumentForm, *, is_data_stream: bool) -> dict[str, Any]:
    """The index template for the indices, or the data stream, of a sink."""
    rotates = indices.rotation is not Rotation.NONE
    return {
        "index_patterns": [f"{indices.name}-*" if rotates else indices.name],
        "priority": _PRIORITY + len(indices.name),
        "version": VERSION,
        "_meta": {"managed_by": _OWNER, "document": str(form)},
        **({"data_stream": {}} if is_data_stream else {}),
        "template": {"mappings": mappings_of(FIELDS_OF[form])},
    }


@dataclass(frozen=True, slots=True)
class TemplateSetup:
    """Puts a *template* where it is missing: a question, and a request that depends on the answer."""

    url: str
    name: str
    template: Mapping[str, Any]

    def begin(self) -> HttpRequest:
        """Whether a template of the name is there, and which version."""
        parts = "index_templates.name,index_templates.index_template.version,index_templates.index_template._meta"
        return HttpRequest(f"{self._at}?filter_path={parts}", b"", {}, "GET")

    def go_on(self, request: HttpRequest, answer: HttpAnswer) -> HttpRequest | Retry | None:
        """What comes behind the answer to *request*: another one, trouble, or nothing, as the template is there."""
        if request.method == "GET":
            if answer.status == 404:
                return self._put("?create=true")
            if answer.status != 200:
                return self._trouble(answer, "read")
            return self._put("") if self._is_former(answer.body) else None
        if answer.status == 200:
            return None
        if answer.status == 400 and "already exists" in (error_of(answer.body) or ("", ""))[1]:
            return None  # another process was quicker
        return self._trouble(answer, "put there")

    @property
    def _at(self) -> str:
        return f"{self.url.rstrip('/')}/_index_template/{self.name}"

    def _put(self, query: str) -> HttpRequest:
        headers = {"Content-Type": "application/json"}
        return HttpRequest(self._at + query, orjson.dumps(self.template), headers, "PUT")

    def _is_former(self, body: bytes) -> bool:
        """Whether the template that is there is one of ours of an earlier version."""
        try:
            found = orjson.loads(body)["index_templates"][0]["index_template"]
            version, owner = found["version"], found["_meta"]["managed_by"]
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
            return False
        return owner == _OWNER and isinstance(version, int) and version < VERSION

    def _trouble(self, answer: HttpAnswer, what: str) -> Retry:
        """Nothing here is about an event, so no event is refused for it."""
        judged = judge_status(answer)
        said = error_of(answer.body)
        why = judged.detail if said is None else describe(*said)
        detail = f"the index template {self.name} can't be {what}: {why[:_MAX_DETAIL]}; `template: false` does without"
        if isinstance(judged, Retry):
            return Retry(judged.trouble, answer.status, detail, judged.after_seconds)
        return Retry(Trouble.DENIED, answer.status, detail)


def setup_of(url: str, indices: IndexNames, form: DocumentForm, *, is_data_stream: bool) -> TemplateSetup:
    """What puts the template of a sink there."""
    name = f"{_OWNER}-{indices.name}"
    return TemplateSetup(url, name, template_of(indices, form, is_data_stream=is_data_stream))
