"""The drains API on a real local port, over registrations in memory."""

from __future__ import annotations

import pytest

from tests.drains_api import LIMIT, serve_api


@pytest.fixture(scope="session")
def api():
    """The context manager that runs the API."""
    return serve_api


@pytest.fixture(scope="session")
def limit():
    """How many drains an owner may have in memory."""
    return LIMIT
