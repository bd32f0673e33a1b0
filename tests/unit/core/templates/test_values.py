"""Paths counted one by one, and the template that was learned for them."""

from __future__ import annotations

from logrouter.core.templates.values import match_values


def test_paths_are_instances_of_the_most_definite_template():
    """By segments; without a template with values nothing is an instance of anything."""
    templates = ["/u/ann", "/u/{value}", "/u/ann/orders", "/u/{value}/orders", "/u/{value}/{value}"]
    templates += ["/u/bob/items", "/v/ann"]
    assert match_values(templates) == {
        "/u/ann": "/u/{value}",
        "/u/ann/orders": "/u/{value}/orders",
        "/u/bob/items": "/u/{value}/{value}",
    }
    assert match_values(["/u/ann", "/u/{id}"]) == {}
