"""The forms that documents have: what makes one of an event, and the fields that it may have."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from logrouter.sinks.opensearch.ecs import ECS_FIELDS, to_ecs
from logrouter.sinks.opensearch.firehose import FIREHOSE_FIELDS, to_firehose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logrouter.sinks.opensearch.fields import DocumentField
    from logrouter.sinks.opensearch.source_event import SourceEvent


class DocumentForm(StrEnum):
    """The form of documents."""

    ECS = "ecs"
    FIREHOSE = "firehose"


MAKERS: Final[Mapping[DocumentForm, Callable[[SourceEvent], dict[str, Any]]]] = {
    DocumentForm.ECS: to_ecs,
    DocumentForm.FIREHOSE: to_firehose,
}
FIELDS_OF: Final[Mapping[DocumentForm, Sequence[DocumentField]]] = {
    DocumentForm.ECS: ECS_FIELDS,
    DocumentForm.FIREHOSE: FIREHOSE_FIELDS,
}
