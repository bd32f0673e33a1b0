"""Puts the page's charting library into a wheel. An editable install goes without, if it cannot be had."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SPEC = importlib.util.spec_from_file_location("logrouter_packing_fetch", Path(__file__).with_name("fetch.py"))
assert _SPEC is not None  # noqa: S101 - the file lies beside this one
assert _SPEC.loader is not None  # noqa: S101
fetch = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fetch)


class ChartsHook(BuildHookInterface[Any]):
    """Fetches the library before the files of a wheel are collected."""

    def dependencies(self) -> list[str]:
        """What building needs: a Node.js of our own, where the library and npm are both missing."""
        return [] if fetch.is_there() or fetch.npm() else [fetch.NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the hook's signature
        """Raises, and so ends the build, if a wheel would be without charts."""
        try:
            fetch.fetch()
        except fetch.FetchError as problem:
            if version != "editable":
                raise
            print(f"warning: the page will have tables and no charts: {problem}", file=sys.stderr)
