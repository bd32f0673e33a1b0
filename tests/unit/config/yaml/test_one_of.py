"""A section that is one of several, by a key that says which."""

from __future__ import annotations

import jsonschema
import pytest

from logrouter.config.yaml.kinds import INVALID, Integer, options
from logrouter.config.yaml.kinds import option as opt
from logrouter.config.yaml.one_of import OneOf
from logrouter.config.yaml.problems import Problems


@options
class Shape:
    """What all shapes have."""

    colour: int = opt(Integer(0, 9), "A colour.", default=0)


@options
class Circle(Shape):
    """Round."""

    radius: int = opt(Integer(1, 9), "From the middle.")


@options
class Square(Shape):
    """Not round."""

    side: int = opt(Integer(1, 9), "Each of four.", default=1)


SHAPE = OneOf("kind", {"circle": Circle, "square": Square}, Shape, "Which shape.")


def read(value: object, kind: OneOf = SHAPE) -> tuple[object, list[str]]:
    """What is read of a value, and each problem."""
    problems = Problems()
    return kind.read(value, "s", problems), sorted(str(problem) for problem in problems.errors)


def test_the_tag_says_whose_options_they_are():
    """Those of all, and its own, with their defaults."""
    assert read({"kind": "circle", "radius": 2}) == (Circle(radius=2, colour=0), [])
    assert read({"kind": "square", "colour": 3}) == (Square(side=1, colour=3), [])


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        (None, ["s: must be a mapping whose `kind` is one of `circle`, `square`, not empty"]),
        ([], ["s: must be a mapping whose `kind` is one of `circle`, `square`, not a list"]),
        ({"radius": 1}, ["s: lacks `kind`, which is required"]),
        ({"kid": "circle"}, ['s.kid: unknown key (did you mean "kind"?)', "s: lacks `kind`, which is required"]),
        ({"kind": "cirle"}, ["s.kind: must be one of `circle`, `square`, not 'cirle' (did you mean \"circle\"?)"]),
        ({"kind": None}, ["s.kind: must be one of `circle`, `square`, not empty"]),
        ({"kind": "circle"}, ["s: lacks `radius`, which is required"]),
        ({"kind": "square", "radius": 1}, ["s.radius: is no option of `kind: square`, but of circle"]),
        ({"kind": "square", "sde": 1}, ['s.sde: unknown key (did you mean "side"?)']),
        ({"kind": "square", "side": 0}, ["s.side: must be a whole number from 1 to 9, not 0"]),
    ],
)
def test_what_is_wrong_is_said_once_and_makes_it_invalid(value, problems):
    """An option of another kind is named with that kind."""
    made, found = read(value)

    assert made is INVALID
    assert found == sorted(problems)
    assert jsonschema.Draft202012Validator(SHAPE.schema()).is_valid(value) is False


def test_a_part_that_is_wrong_leaves_the_rest_for_further_checks():
    """Of a partial one, as several problems are told at once."""
    partial = OneOf("kind", SHAPE.of, Shape, SHAPE.doc, partial=True)
    made, problems = read({"kind": "square", "side": 0, "colour": 4, "radius": 1}, partial)

    assert (made.side, made.colour) == (INVALID, 4)
    assert len(problems) == 2


def test_editors_take_each_kind_with_its_options():
    """One object for each."""
    validator = jsonschema.Draft202012Validator(SHAPE.schema())

    assert [validator.is_valid(value) for value in ({"kind": "circle", "radius": 1}, {"kind": "square"})] == [
        True,
        True,
    ]
