"""Which settings of librdkafka a topics.yaml may name, and why the others may not be named.

The names are those of librdkafka's own table of properties; a test compares both, so that a new property of a newer
librdkafka is decided here before anybody can write it. What is in neither table of this module nor in
`config.options.kafka.OWNED` is refused as unknown.

The rule: a topics.yaml is data, and somebody may check one that somebody else has proposed. So no setting may name code
(a library, an engine, a command), write a file, or send the content of a file or the credentials of this machine to an
address of the same file. Files that TLS reads stay: certificates and keys never leave the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SettingGroup:
    """Settings that may be named, and *reason*: what they do, and so why they may."""

    reason: str
    names: frozenset[str]


def _group(reason: str, names: str) -> SettingGroup:
    return SettingGroup(reason, frozenset(names.split()))


GROUPS: Final = (
    _group(
        "Where the cluster is and who we are to it: names, addresses, and the protocol by name.",
        """bootstrap.servers metadata.broker.list client.id client.rack client.dns.lookup security.protocol
        broker.address.family broker.address.ttl broker.version.fallback api.version.request
        api.version.request.timeout.ms api.version.fallback.ms allow.auto.create.topics enable.metrics.push""",
    ),
    _group(
        "Connections: sizes of buffers, times, and flags of sockets.",
        """socket.timeout.ms socket.blocking.max.ms socket.send.buffer.bytes socket.receive.buffer.bytes
        socket.keepalive.enable socket.nagle.disable socket.max.fails socket.connection.setup.timeout.ms
        connections.max.idle.ms reconnect.backoff.jitter.ms reconnect.backoff.ms reconnect.backoff.max.ms
        retry.backoff.ms retry.backoff.max.ms max.in.flight max.in.flight.requests.per.connection message.max.bytes
        message.copy.max.bytes receive.message.max.bytes""",
    ),
    _group(
        "Metadata: how often the cluster is asked for it.",
        """metadata.max.age.ms metadata.recovery.strategy metadata.recovery.rebootstrap.trigger.ms
        topic.metadata.refresh.interval.ms topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.fast.cnt
        topic.metadata.refresh.sparse topic.metadata.propagation.max.ms""",
    ),
    _group(
        "TLS: certificates and keys, in files that are read and never sent or as PEM, and names of algorithms.",
        """ssl.ca.location ssl.ca.pem ssl.ca.certificate.stores ssl.crl.location ssl.certificate.location
        ssl.certificate.pem ssl.key.location ssl.key.pem ssl.key.password ssl.keystore.location ssl.keystore.password
        ssl.cipher.suites ssl.curves.list ssl.sigalgs.list ssl.endpoint.identification.algorithm
        enable.ssl.certificate.verification""",
    ),
    _group("SASL by a name and a password.", "sasl.mechanism sasl.mechanisms sasl.username sasl.password"),
    _group(
        "SASL by OAuth: who asks which issuer for a token; the route lane asks, `check` does not.",
        """sasl.oauthbearer.method sasl.oauthbearer.client.id sasl.oauthbearer.client.secret
        sasl.oauthbearer.client.credentials.client.id sasl.oauthbearer.client.credentials.client.secret
        sasl.oauthbearer.scope sasl.oauthbearer.extensions sasl.oauthbearer.token.endpoint.url
        sasl.oauthbearer.sub.claim.name sasl.oauthbearer.grant.type sasl.oauthbearer.config
        sasl.oauthbearer.assertion.algorithm sasl.oauthbearer.assertion.private.key.file
        sasl.oauthbearer.assertion.private.key.passphrase sasl.oauthbearer.assertion.private.key.pem
        sasl.oauthbearer.assertion.claim.aud sasl.oauthbearer.assertion.claim.exp.seconds
        sasl.oauthbearer.assertion.claim.iss sasl.oauthbearer.assertion.claim.jti.include
        sasl.oauthbearer.assertion.claim.nbf.seconds sasl.oauthbearer.assertion.claim.sub
        enable.sasl.oauthbearer.unsecure.jwt https.ca.location https.ca.pem""",
    ),
    _group(
        "What the consumer of the route lane fetches: sizes and times.",
        """heartbeat.interval.ms max.poll.interval.ms coordinator.query.interval.ms
        queued.min.messages queued.max.messages.kbytes fetch.wait.max.ms fetch.queue.backoff.ms
        fetch.message.max.bytes max.partition.fetch.bytes fetch.max.bytes fetch.min.bytes fetch.error.backoff.ms
        check.crcs""",
    ),
    _group(
        "What the producer of the route lane collects and compresses: sizes, times, and names of codecs.",
        """acks request.required.acks request.timeout.ms message.timeout.ms delivery.timeout.ms linger.ms
        queue.buffering.max.messages queue.buffering.max.kbytes queue.buffering.max.ms
        queue.buffering.backpressure.threshold queuing.strategy batch.num.messages batch.size
        sticky.partitioning.linger.ms message.send.max.retries retries compression.codec compression.type
        compression.level enable.gapless.guarantee""",
    ),
    _group(
        "How much librdkafka says of itself, to its own log.",
        "debug log_level log.connection.close log.thread.name statistics.interval.ms enable.random.seed",
    ),
)
"""Every setting that a topics.yaml may name, by what it is for."""

ALLOWED: Final = frozenset[str]().union(*(group.names for group in GROUPS))

FILES: Final = frozenset(
    {
        "https.ca.location",
        "sasl.oauthbearer.assertion.private.key.file",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.crl.location",
        "ssl.key.location",
        "ssl.keystore.location",
    }
)
"""Those whose value is the name of a file, or for `FOLDERS` of a folder."""

FOLDERS: Final = frozenset({"https.ca.location", "ssl.ca.location"})
"""Those that may name a folder of certificates instead of a file."""

_CODE: Final = "loads code into this process; a configuration can't name code, so remove it"
_COMMAND: Final = "belongs to Kerberos, for which librdkafka runs a command; use SCRAM, PLAIN or OAUTHBEARER instead"
_SENDS: Final = "sends the content of a file to an address of this file; use sasl.oauthbearer.assertion.claim.* instead"
_OFFSETS: Final = "keeps offsets outside of the transaction; remove it"
_OURS: Final = "is for programs that are built on librdkafka; remove it"

REFUSED: Final = {
    "plugin.library.paths": _CODE,
    "interceptors": _CODE,
    "ssl.engine.id": _CODE,
    "ssl.engine.location": _CODE,
    "ssl.providers": _CODE,
    "sasl.kerberos.keytab": _COMMAND,
    "sasl.kerberos.kinit.cmd": _COMMAND,
    "sasl.kerberos.min.time.before.relogin": _COMMAND,
    "sasl.kerberos.principal": _COMMAND,
    "sasl.kerberos.service.name": _COMMAND,
    "sasl.oauthbearer.assertion.file": _SENDS,
    "sasl.oauthbearer.assertion.jwt.template.file": _SENDS,
    "sasl.oauthbearer.metadata.authentication.type": "hands the credentials of this machine to a broker that this file "
    "names; use sasl.oauthbearer.method: oidc with a client of its own",
    "auto.commit.enable": _OFFSETS,
    "auto.commit.interval.ms": _OFFSETS,
    "offset.store.method": _OFFSETS,
    "offset.store.path": "writes a file, and " + _OFFSETS,
    "offset.store.sync.interval.ms": _OFFSETS,
    "group.protocol": "the lane sets it; remove it",
    "group.protocol.type": "the lane sets it; remove it",
    "group.remote.assignor": "the lane sets it; remove it",
    "delivery.report.only.error": "the lane counts what is delivered; remove it",
    "produce.offset.report": "the lane counts what is delivered; remove it",
    "topic.blacklist": "runs an expression over all names of topics, in an engine without bounds; name topics in "
    "sources instead",
    "internal.termination.signal": "makes librdkafka send signals to this process; remove it",
    "test.mock.num.brokers": "starts a broker that only pretends; remove it, or run `logrouter broker`",
    "test.mock.broker.rtt": "starts a broker that only pretends; remove it, or run `logrouter broker`",
    **dict.fromkeys(
        (
            *("builtin.features", "consume.callback.max.messages", "default_topic_conf", "enabled_events"),
            *("log.queue", "max.poll.records", "msg_order_cmp", "opaque", "share.acknowledgement.mode"),
            *("ssl_ca", "ssl_certificate", "ssl_engine_callback_data", "ssl_key", "ssl.certificate.verify_cb"),
            *("background_event_cb", "closesocket_cb", "connect_cb", "consume_cb", "dr_cb", "dr_msg_cb", "error_cb"),
            *("log_cb", "oauthbearer_token_refresh_cb", "offset_commit_cb", "open_cb", "partitioner_cb"),
            *("rebalance_cb", "resolve_cb", "socket_cb", "stats_cb", "throttle_cb"),
        ),
        _OURS,
    ),
}
"""Settings of librdkafka that can't be named: each with why, and what to do instead."""

MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
"""Values of `sasl.mechanism`. GSSAPI is not among them: for it librdkafka runs a command."""

PASSWORD_MECHANISMS: Final = MECHANISMS[:3]
"""Those by which a client proves a password and asks nobody but the broker."""
