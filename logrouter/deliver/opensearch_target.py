"""Options of a sink to OpenSearch or Elasticsearch, as its protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logrouter.config.options.sinks import IndexOptions
from logrouter.sinks.opensearch.bulk import OpensearchProtocol
from logrouter.sinks.opensearch.credentials import HeaderCredentials, api_key, basic
from logrouter.sinks.opensearch.documents import DocumentForm
from logrouter.sinks.opensearch.rotation import IndexNames, Rotation
from logrouter.sinks.opensearch.sigv4 import AwsCredentials
from logrouter.sinks.opensearch.templates import setup_of

if TYPE_CHECKING:
    from logrouter.config.compile.sink_aws import AwsKeys
    from logrouter.config.options.sinks import OpensearchOptions
    from logrouter.sinks.opensearch.credentials import Credentials
    from logrouter.sinks.opensearch.templates import TemplateSetup

_HOUR_MS: Final = 3_600_000
_OF_TIMEOUT: Final = 0.8
_MIN_ANSWER: Final = 4 << 20
_ITEM: Final = 1 << 10


def opensearch_protocol(options: OpensearchOptions, keys: AwsKeys | None = None) -> OpensearchProtocol:
    """The protocol that *options* describe; *keys* are those of AWS, where they ask for its signatures."""
    return OpensearchProtocol(
        options.url,
        _index_names(options),
        DocumentForm(options.document),
        _credentials(options, keys),
        compress=options.compression == "gzip",
        patience_seconds=_patience(options),
    )


def _patience(options: OpensearchOptions) -> int:
    if options.aws is not None and options.aws.service == "aoss":
        return 0  # it has no shards of ours, and refuses some parameters
    return max(int(options.timeout_seconds * _OF_TIMEOUT), 1)


def largest_answer(options: OpensearchOptions) -> int:
    """Bytes of an answer that refuses each event of the largest batch, with its reasons."""
    return max(_MIN_ANSWER, options.batch.max_records * _ITEM)


def template_setup(options: OpensearchOptions) -> TemplateSetup | None:
    """What puts the index template there, None where nobody wants that."""
    if not options.template:
        return None
    form = DocumentForm(options.document)
    return setup_of(options.url, _index_names(options), form, is_data_stream=bool(options.data_stream))


def _index_names(options: OpensearchOptions) -> IndexNames:
    if options.data_stream:
        return IndexNames(options.data_stream)
    index = options.index or IndexOptions()
    return IndexNames(
        index.name,
        Rotation(index.rotation),
        by_arrival=index.by == "arrival",
        max_past_ms=index.max_past_days * 24 * _HOUR_MS,
        max_future_ms=index.max_future_hours * _HOUR_MS,
    )


def _credentials(options: OpensearchOptions, keys: AwsKeys | None) -> Credentials:
    if options.basic_auth is not None:
        return basic(options.basic_auth.user, options.basic_auth.password.reveal())
    if options.api_key is not None:
        return api_key(options.api_key.reveal())
    if options.aws is not None and keys is not None:
        return AwsCredentials(
            keys.access_key_id, keys.secret_access_key, options.aws.region, options.aws.service, keys.session_token
        )
    return HeaderCredentials()
