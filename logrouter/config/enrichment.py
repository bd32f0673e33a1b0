"""The enrichment options of a route as the compiled functions that the pipeline calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logrouter.config.kinds import usable
from logrouter.config.problems import join
from logrouter.core.enrich import ApiRule, compile_api, compile_client_id, compile_client_ip, compile_weight
from logrouter.core.redact import ip_policy

if TYPE_CHECKING:
    from logrouter.config.options import Privacy
    from logrouter.config.problems import Problems
    from logrouter.config.routeoptions import Api, ClientId, ClientIp, Weight
    from logrouter.core.routing import ClientIdOf, ClientIpOf, WeightOf


def client_id_of(options: ClientId, client_ip: ClientIpOf) -> ClientIdOf:
    """The client id by the first source that has one. An address that serves as an id is treated as addresses are."""
    return compile_client_id(options.sources, client_ip)


def api_rules_of(options: Api, path: str, problems: Problems) -> tuple[ApiRule, ...] | None:
    """The rules that tell the API, fields of the line before path rules; None with the problems noted."""
    rules = [ApiRule(field=source) for source in options.sources]
    for index, rule in enumerate(options.paths):
        at = f"{join(path, 'paths')}[{index}]"
        if bool(rule.prefix) == bool(rule.glob):
            problems.add(at, "needs either `prefix` or `glob`")
            return None
        made = ApiRule(
            prefix=rule.prefix or None, glob=rule.glob or None, name=rule.name or None, version=rule.version or None
        )
        try:
            compile_api([made])
        except ValueError as error:
            problems.add(at, str(error).rpartition("): ")[2])
            return None
        rules.append(made)
    return tuple(rules)


def weight_of(options: Weight, rate: float) -> WeightOf:
    """The sampling weight by status, for a route that keeps the share *rate* of what it gets."""
    by_status = {status: weight / rate for status, weight in (options.by_status or {}).items()}
    return compile_weight(options.default / rate, by_status)


def client_ip_of(options: ClientIp, privacy: Privacy, path: str, problems: Problems) -> ClientIpOf | None:
    """The address policy; None with the problem noted."""
    if not usable(privacy):
        return None
    if options.policy == "hash" and privacy.hash_key is None:
        problems.add(join(path, "policy"), "`hash` needs `privacy.hash_key`")
        return None
    key = privacy.hash_key.reveal().encode() if privacy.hash_key is not None else None
    return compile_client_ip(options.trusted_hops, ip_policy(options.policy, key))
