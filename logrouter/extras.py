"""Extras: dependencies that only some options and commands need. pyproject.toml lists them."""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """What to do for the packages of *extra*, as the end of a message.

    The package is not published, so that what is installed is a checkout.
    """
    return f"run pip install '.[{extra}]' in a checkout of logrouter"
