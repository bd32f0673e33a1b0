"""Templates that are learned: places with very many values become one, in bounded memory."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.templates import learning
from logrouter.core.templates.learning import MAX_PLACES, MAX_VALUES, TemplateLearner
from logrouter.core.templates.masking import mask_segments


def learn(learner, paths, api="core"):
    """The templates of paths that succeeded, one after the other."""
    return [learner.template_of(api, path, succeeded=True) for path in paths]


def test_ids_are_known_by_their_form_from_the_first_request_on():
    """Nothing has to be learned for that."""
    assert learn(TemplateLearner(), ["/items/17", "/items/18/parts"]) == ["/items/{id}", "/items/{id}/parts"]


def test_a_place_with_very_many_values_is_one():
    """Up to 128 names are names; from the next one on all are one template, and what comes behind them is learned."""
    learner = TemplateLearner()
    names = [f"/users/{chr(97 + n // 26)}{chr(97 + n % 26)}x" for n in range(MAX_VALUES)]
    assert learn(learner, names) == names
    assert learn(learner, ["/users/one-more", "/users/aax", "/users/aax/orders", "/users/7"]) == [
        *("/users/{value}", "/users/{value}", "/users/{value}/orders"),
        "/users/{id}",
    ]
    assert learner.template_of("core", "/users/nobody/orders", succeeded=False) == "/users/{value}/orders"
    assert learn(learner, ["/users/aax"], api="other") == ["/users/aax"]


def test_what_fails_teaches_nothing():
    """A scanner's paths stay what they are, and make no place of an API a value."""
    learner = TemplateLearner()
    learn(learner, ["/wiki/main"])
    scanned = [f"/wiki/p{n}.php" for n in range(400)]
    assert [learner.template_of("core", path, succeeded=False) for path in scanned] == scanned
    assert learn(learner, ["/wiki/main", "/wiki/other"]) == ["/wiki/main", "/wiki/other"]


def test_an_answer_changes_when_its_place_does():
    """What was remembered of a path, learned or not, does not outlive what it was made from."""
    learner = TemplateLearner()
    assert learner.template_of("core", "/u/zoe", succeeded=False) == "/u/zoe"
    learn(learner, [f"/u/n{'y' * n}" for n in range(1, MAX_VALUES + 2)])
    for succeeded in (False, True):
        assert learner.template_of("core", "/u/zoe", succeeded=succeeded) == "/u/{value}"


def test_hostile_paths_need_bounded_room():
    """Random trees of successful paths: each API keeps to its places, and all of them together to theirs."""
    rnd, learner = Random(5), TemplateLearner()
    for n in range(60_000):
        path = "".join(f"/{rnd.choice('abcdefgh')}{rnd.choice('ijklmnop')}" for _ in range(rnd.randrange(1, 12)))
        template = learner.template_of(f"api{n % 40}", path, succeeded=True)
        assert template.count("/") == path.count("/")
    sizes = [sum(1 for _ in paths.root.places()) for paths in learner._apis.values()]
    assert max(sizes) <= MAX_PLACES
    assert learner._places == sum(sizes) <= learning.MAX_PLACES_OF_ALL


def test_many_apis_are_forgotten_from_the_first_on():
    """A hostile number of names makes no hostile number of tries."""
    learner = TemplateLearner()
    for n in range(learning.MAX_APIS + 50):
        learn(learner, ["/a/b"], api=f"api{n}")
    assert len(learner._apis) <= learning.MAX_APIS
    assert learn(learner, ["/a/b"], api="api0") == ["/a/b"]


PATHS = st.lists(
    st.lists(st.sampled_from(["a", "b", "7", "{value}", "{id}", "", "x.y", "%2F", "é"]), max_size=5).map("/".join)
    | st.text(max_size=40),
    max_size=40,
)


@given(PATHS, st.data())
def test_any_path_has_a_template_with_as_many_segments(paths, data):
    """Whatever was learned before; masking a template changes nothing."""
    learner = TemplateLearner()
    for path in paths:
        template = learner.template_of("core", path, succeeded=data.draw(st.booleans()))
        assert len(template) <= 256
        assert mask_segments(template) == template
        assert template.count("/") == mask_segments(path).count("/")


@pytest.mark.parametrize("count", [1, 50])
def test_the_same_requests_give_the_same_templates(count):
    """Nothing depends on hashes or time."""
    rnd = Random(count)
    paths = [f"/p/{rnd.randrange(300):x}z/{rnd.choice('ab')}" for _ in range(2000)]
    assert learn(TemplateLearner(), paths) == learn(TemplateLearner(), paths)


def test_a_placeholder_in_a_request_is_no_place_that_was_learned():
    """Answers gather paths of an API under `{value}`: who asks for that, in vain or not, must not bring it about."""
    learner = TemplateLearner()
    written = ["/{value}", "/items/{value}/x{value}"]
    for api, succeeded in (("unseen", False), ("core", True), ("core", False), ("core", True)):
        found = [learner.template_of(api, path, succeeded=succeeded) for path in written]
        assert found == ["/{value_}", "/items/{value_}/x{value_}"]
    assert learner.template_of("core", "*{value}", succeeded=False) == "*{value_}"
