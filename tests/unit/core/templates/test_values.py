"""Paths counted one by one, and the template that was learned for them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.templates.masking import VALUE
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


@given(st.sets(st.lists(st.sampled_from(["a", "b", VALUE]), min_size=1, max_size=4).map("/".join), max_size=40))
def test_templates_are_found_that_a_comparison_with_each_finds(templates):
    """What a path is an instance of has its segments or values, and none with fewer values is there."""
    found = match_values(templates)
    for path in (path for path in templates if VALUE not in path):
        fits = [
            name.count(VALUE)
            for name in templates
            if VALUE in name
            and len(name.split("/")) == len(path.split("/"))
            and all(want in (VALUE, part) for want, part in zip(name.split("/"), path.split("/"), strict=True))
        ]
        assert (found[path].count(VALUE) if path in found else None) == min(fits, default=None)
