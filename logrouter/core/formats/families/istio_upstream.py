"""Names of Istio's upstream clusters: `outbound|80|v1|shop.prod.svc.cluster.local`, and what they say about the app."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_MAX_NAME: Final = 512
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)


class Upstream(NamedTuple):
    """Where a request went: app and namespace if the host is a service of the cluster, else "".

    *version* is the subset of such a service: its operator has called a part of its instances so.
    """

    port: str = ""
    subset: str = ""
    app: str = ""
    space: str = ""
    version: str = ""


def upstream_of(cluster: str) -> Upstream:
    """What the name of an upstream cluster says; nothing for another form, such as `BlackHoleCluster`. Never raises."""
    if len(cluster) > _MAX_NAME:
        return Upstream()
    # Gateways that only pass TLS on write the same with `_.` for `|`.
    parts = cluster.split("|", 3) if "|" in cluster else cluster.split("_.", 3)
    if len(parts) < 4 or parts[0] not in ("outbound", "inbound"):
        return Upstream()
    way, port, subset, host = parts
    app, space = service_of(host)
    named = app and way == "outbound"  # an inbound one has the name of its port there
    version = subset if named and _LABEL.fullmatch(subset.replace(".", "-")) is not None else ""
    return Upstream(port if port.isdecimal() else "", subset, app, space, version)


def service_of(host: str) -> tuple[str, str]:
    """App and namespace in `shop.prod.svc.cluster.local`; two empty names for any other host."""
    labels = host[:_MAX_NAME].split(".")
    if len(labels) >= 3 and labels[2] == "svc" and all(map(_LABEL.fullmatch, labels[:2])):
        return labels[0], labels[1]
    return "", ""
