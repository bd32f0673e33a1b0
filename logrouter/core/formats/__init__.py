"""Formats: what gateways write, read from an envelope into canonical names."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from logrouter.core.formats import (
    apache,
    auto,
    aws_clf,
    aws_csv,
    aws_json,
    aws_pairs,
    aws_xml,
    builds,
    envoy,
    envoy_text,
    haproxy,
    istio,
    json_fields,
    kong,
    kv,
    mediawiki,
    nginx,
    traefik,
    wso2_access,
    wso2_api_log,
    wso2_apim_metrics,
    wso2_correlation,
    wso2_http,
)
from logrouter.core.formats.format import FormatSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logrouter.core.formats.format import Format
    from logrouter.model import Parser

_READERS: Final[Mapping[str, Format]] = {
    "apache": apache.FORMAT,
    "aws_clf": aws_clf.FORMAT,
    "aws_csv": aws_csv.FORMAT,
    "aws_json": aws_json.FORMAT,
    "aws_pairs": aws_pairs.FORMAT,
    "aws_xml": aws_xml.FORMAT,
    "builds": builds.FORMAT,
    "envoy": envoy.FORMAT,
    "envoy_text": envoy_text.FORMAT,
    "haproxy": haproxy.FORMAT,
    "istio": istio.FORMAT,
    "json": json_fields.FORMAT,
    "kong": kong.FORMAT,
    "kv": kv.FORMAT,
    "mediawiki": mediawiki.FORMAT,
    "nginx": nginx.FORMAT,
    "traefik": traefik.FORMAT,
    "wso2_access": wso2_access.FORMAT,
    "wso2_api_log": wso2_api_log.FORMAT,
    "wso2_apim_metrics": wso2_apim_metrics.FORMAT,
    "wso2_correlation": wso2_correlation.FORMAT,
    "wso2_http": wso2_http.FORMAT,
}

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    dict(sorted({**_READERS, auto.NAME: auto.format_over(_READERS)}.items()))
)
"""Every format by the name that topics.yaml calls it by. `auto` is the one that tries the others."""


def parser(name: str, settings: FormatSettings | None = None) -> Parser:
    """The parser of the format *name*, without settings if none are given.

    Raises:
        KeyError: there is no such format.
        FormatSettingsError: the format cannot work with the settings.
    """
    return FORMATS[name].compile(settings or FormatSettings())
