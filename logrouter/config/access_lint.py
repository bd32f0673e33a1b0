"""Warnings about a section `access` that is valid and will hardly do what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logrouter.config.compile.access import why_not_open
from logrouter.config.options.endpoint import is_loopback

if TYPE_CHECKING:
    from logrouter.config.options.file import FileOptions
    from logrouter.config.yaml.problems import Problems


def warn_access(file: FileOptions, document: Any, problems: Problems) -> None:
    """Warn of access for everybody on a network, and of a section that lets nobody in.

    A worker does not start where everybody on a network would be let in without a word; that is an error. It is none
    for the route lane, and the command line may name another address, so it is not found when a file is loaded.
    """
    access, http = file.access, file.tables_lane.http
    shown = file.tables_lane.metrics.top_clients and "open" in (access.mode, access.metrics)
    if shown and not is_loopback(http.host):
        problems.warn("tables_lane.metrics.top_clients", f"shows client ids to everybody who reaches {http.host}")
    if access.mode == "open":
        why = why_not_open(access, http.host)
        if why is not None:
            problems.add("access.mode", why)
        elif not is_loopback(http.host):
            problems.warn(
                "access.mode",
                f"lets in everybody who reaches {http.host}: whoever does may read all usage of everybody",
            )
    elif "access" in document and not (access.tokens or access.tokens_file or access.jwt):
        problems.warn("access", "lets nobody in: give tokens, tokens_file or jwt")
