"""Envoy's response flags: why a request did not end as it should, and whose fault that was."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from logrouter.core.outcomes import outcome_of
from logrouter.core.text.proto_json import camel_case


class ResponseFlag(NamedTuple):
    """A response flag: its short name in text logs, its field in protobuf, its outcome (None: by the status)."""

    short: str
    name: str
    outcome: str | None


# In order of weight: of several that are set the first decides. A client that left is the last to be blamed, as clients
# do leave when a backend fails them.
FLAGS: Final = (
    ResponseFlag("UH", "no_healthy_upstream", "backend_error"),
    ResponseFlag("UF", "upstream_connection_failure", "backend_error"),
    ResponseFlag("UT", "upstream_request_timeout", "backend_error"),
    ResponseFlag("UR", "upstream_remote_reset", "backend_error"),
    ResponseFlag("UC", "upstream_connection_termination", "backend_error"),
    ResponseFlag("UPE", "upstream_protocol_error", "backend_error"),
    ResponseFlag("UMSDR", "upstream_max_stream_duration_reached", "backend_error"),
    ResponseFlag("UO", "upstream_overflow", "backend_error"),
    ResponseFlag("URX", "upstream_retry_limit_exceeded", "backend_error"),
    ResponseFlag("DF", "dns_resolution_failure", "backend_error"),
    ResponseFlag("DO", "drop_overload", "gateway_error"),
    ResponseFlag("RL", "rate_limited", "throttled"),
    ResponseFlag("UAEX", "unauthorized_details", "auth"),
    ResponseFlag("NC", "no_cluster_found", "gateway_error"),
    ResponseFlag("NFCF", "no_filter_config_found", "gateway_error"),
    ResponseFlag("RLSE", "rate_limit_service_error", "gateway_error"),
    ResponseFlag("LH", "failed_local_healthcheck", "gateway_error"),
    ResponseFlag("LR", "local_reset", "gateway_error"),
    ResponseFlag("SI", "stream_idle_timeout", "gateway_error"),
    ResponseFlag("DT", "duration_timeout", "gateway_error"),
    ResponseFlag("OM", "overload_manager", "gateway_error"),
    ResponseFlag("FI", "fault_injected", "gateway_error"),
    ResponseFlag("NR", "no_route_found", "not_found"),
    ResponseFlag("IH", "invalid_envoy_request_headers", "client_error"),
    ResponseFlag("DPE", "downstream_protocol_error", "client_error"),
    ResponseFlag("DC", "downstream_connection_termination", "aborted"),
    ResponseFlag("DR", "downstream_remote_reset", "aborted"),
    ResponseFlag("DI", "delay_injected", None),
    ResponseFlag("RFCF", "response_from_cache_filter", None),
)

_LONG: Final = {
    **{flag.name.replace("_", ""): flag for flag in FLAGS},
    **{
        name: flag
        for flag in FLAGS
        for short, name in (
            ("UAEX", "unauthorizedexternalservice"),
            ("OM", "overloadmanagerterminated"),
            ("DF", "dnsresolutionfailed"),
        )
        if flag.short == short
    },
}
_SPELLED: Final = {flag: frozenset({flag.name, camel_case(flag.name)}) for flag in FLAGS}
_MAX_TEXT: Final = 256


def flags_of(value: Any) -> tuple[ResponseFlag, ...]:
    """The flags in `UF,URX` or in `{"upstream_connection_failure": true, …}`, by weight; unknown ones are left out."""
    if type(value) is str:
        short = set(value[:_MAX_TEXT].split(","))
        return tuple(flag for flag in FLAGS if flag.short in short)
    if type(value) is dict:
        names = {name for name, is_set in value.items() if is_set not in (None, False, "false")}
        return tuple(flag for flag in FLAGS if not names.isdisjoint(_SPELLED[flag])) if names else ()
    return ()


def long_flags_of(text: str) -> tuple[ResponseFlag, ...]:
    """The flags in `UpstreamConnectionFailure,UpstreamRetryLimitExceeded`, by weight; unknown ones are left out."""
    named = {_LONG.get(name.lower()) for name in text[:_MAX_TEXT].split(",")}
    return tuple(flag for flag in FLAGS if flag in named)


def outcome_by(status: int, set_flags: tuple[ResponseFlag, ...], *, reached: bool) -> str | None:
    """By the weightiest flag, else by the status, where no backend can have given it."""
    for flag in set_flags:
        if flag.outcome == "not_found" and status != 404:
            return "gateway_error"
        if flag.outcome is not None:
            return flag.outcome
    return None if reached or status < 500 else outcome_of(status, from_backend=False)


def error_by(set_flags: tuple[ResponseFlag, ...], details: str | None) -> dict[str, str] | None:
    """The flags that are faults, and Envoy's own words without what follows in braces: addresses may be in there."""
    faults = [flag for flag in set_flags if flag.outcome not in (None, "aborted")]
    if not faults:
        return None
    message = details.partition("{")[0][:1024] if details is not None else ""
    codes = ",".join(flag.short for flag in faults)[:128]
    return {"code": codes, "class": faults[0].name, **({"message": message} if message else {})}
