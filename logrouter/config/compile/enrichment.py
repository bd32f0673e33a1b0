"""The enrichment options of a route as the compiled functions that the pipeline calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logrouter.config.compile.field_changes import forbids_field
from logrouter.config.yaml.kinds import usable
from logrouter.config.yaml.problems import join_path
from logrouter.core.enrich import (
    ENVELOPE_PREFIX,
    ApiRule,
    compile_api,
    compile_client_id,
    compile_client_ip,
    compile_weight,
    hash_client_id,
)
from logrouter.core.enrich.from_envelope import ENVELOPE_NAMES, is_envelope_field, with_transport
from logrouter.core.enrich.sources import plain_source
from logrouter.core.names import TYPED_FROM
from logrouter.core.redact import ip_policy
from logrouter.core.redact.disclosure import Disclosure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logrouter.config.options.privacy import PrivacyOptions
    from logrouter.config.options.route import (
        ApiOptions,
        ClientIdOptions,
        ClientIpOptions,
        EnrichOptions,
        WeightOptions,
    )
    from logrouter.config.yaml.problems import Problems
    from logrouter.core.routing import ClientIdOf, ClientIpOf, WeightOf
    from logrouter.model import Parser

_STRICTNESS: Final = ("keep", "truncate", "hash")


def build_client_id(
    options: ClientIdOptions, client_ip: ClientIpOf, privacy: PrivacyOptions, path: str, problems: Problems
) -> ClientIdOf:
    """The client id by the first source that has one. If that is the address, *client_ip* is applied to it."""
    given = {plain_source(source) for source in options.sources}
    for source in options.typed_from if options.typed_from != TYPED_FROM else ():
        if plain_source(source) not in given:
            problems.warn(join_path(path, "typed_from"), f"{source} is no source of the client id")
    found = compile_client_id(options.sources, client_ip, options.typed_from, hashed=options.hashed)
    if not options.hashed or not usable(privacy):
        return found
    if privacy.hash_key is None:
        problems.add(join_path(path, "hashed"), "needs `privacy.hash_key`")
        return found
    return hash_client_id(found, privacy.hash_key.reveal().encode())


def build_api_rules(options: ApiOptions, path: str, problems: Problems) -> tuple[ApiRule, ...] | None:
    """The rules that name the API, fields before path rules; None if one is wrong, with the problem noted."""
    rules = [ApiRule(field=source) for source in options.sources]
    for index, rule in enumerate(options.paths):
        at = f"{join_path(path, 'paths')}[{index}]"
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


def build_envelope_reader(
    options: EnrichOptions, schema: Mapping[str, Any], path: str, problems: Problems
) -> Callable[[Parser], Parser] | None:
    """A wrapper of parsers that adds what sources read from the envelope; None with the problems noted."""
    if options.tenant and forbids_field(schema, ("tenant",)):
        problems.add(join_path(path, "tenant"), "the schema allows no field tenant")
    given = {"api.from": options.api.sources, "client_id.from": options.client_id.sources, "tenant": options.tenant}
    found = True
    for name, sources in given.items():
        for index, source in enumerate(sources):
            if source.startswith(ENVELOPE_PREFIX) and not is_envelope_field(source):
                known = ", ".join(sorted(ENVELOPE_NAMES))
                free = "label.<name>, field.<name> and header.<name>"
                problems.add(
                    f"{join_path(path, name)}[{index}]", f"no such field of an envelope; there are {known}, {free}"
                )
                found = False
    every = (*options.api.sources, *options.client_id.sources)
    return (lambda parse: with_transport(parse, every, options.tenant)) if found else None


def build_weight(options: WeightOptions, rate: float) -> WeightOf:
    """The sampling weight by status, for a route that keeps the share *rate* of what it gets."""
    by_status = {status: weight / rate for status, weight in (options.by_status or {}).items()}
    return compile_weight(options.default / rate, by_status)


def build_client_ip(
    options: ClientIpOptions, privacy: PrivacyOptions, path: str, problems: Problems
) -> ClientIpOf | None:
    """The address policy of a route; None if its key is missing, with the problem noted."""
    if not usable(privacy):
        return None
    if options.policy == "hash" and privacy.hash_key is None:
        problems.add(join_path(path, "policy"), "`hash` needs `privacy.hash_key`")
        return None
    return compile_client_ip(options.trusted_hops, _policy(options, privacy))


def build_disclosure(
    query: str, client_ip: ClientIpOptions, privacy: PrivacyOptions, lines: tuple[Callable[[str], str], ...]
) -> Disclosure:
    """What may be shown of the route's lines where no event is made of them; the options have no problems.

    *lines* are masks of the route's format.
    """
    return Disclosure(
        keeps_query=query == "keep",
        address=None if client_ip.policy == "keep" else _policy(client_ip, privacy),
        strictness=_STRICTNESS.index(client_ip.policy),
        lines=lines,
    )


def _policy(options: ClientIpOptions, privacy: PrivacyOptions) -> Callable[[str], str]:
    key = privacy.hash_key.reveal().encode() if privacy.hash_key is not None else None
    return ip_policy(options.policy, key)
