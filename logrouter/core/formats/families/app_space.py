"""Names of a platform that hosts apps in spaces: `<app>-<space>`, as in host names and in names of builds."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

DEFAULT_SPACE: Final = "default"

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)


class AppSpace(NamedTuple):
    """An app and its space. Two names and never one: `ab` in `c` is not `a` in `bc`."""

    app: str
    space: str


def app_space(name: str) -> AppSpace | None:
    """The app and space in `shop-prod` or `shop-prod.apps.example.org`; None if that is not a label of a host name.

    An app's name has no dash, a space's may. Without a dash the space is `default`.
    """
    label = name.partition(".")[0].lower()
    if _LABEL.fullmatch(label) is None or label.isdigit():
        return None
    app, _, space = label.partition("-")
    return AppSpace(app, space or DEFAULT_SPACE)
