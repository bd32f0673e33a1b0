"""Objects that are nested as deeply as JSON readers allow: no format walks them by recursion."""

from __future__ import annotations

import orjson
import pytest

from logrouter.core.formats import FORMATS
from logrouter.model import Envelope, Ignored, Parsed, Rejected

from .test_corpus import format_cases, line_of, settings_of_case

DEPTH = 1000
DEEP_OBJECT = '{"a":' * DEPTH + "1" + "}" * DEPTH
DEEP_LIST = "[" * DEPTH + "1" + "]" * DEPTH


def is_object(text: str) -> bool:
    """Whether a text is valid JSON and an object."""
    try:
        return isinstance(orjson.loads(text), dict)
    except ValueError:
        return False


OBJECTS = [(kind, case) for kind, case in format_cases() if is_object(line_of(kind, case).text)]


@pytest.mark.parametrize(("kind", "case"), OBJECTS)
def test_no_depth_makes_parsing_raise(kind, case):
    """Beside the members that there are, and in place of each of them."""
    members = orjson.loads(line_of(kind, case).text)
    parse = FORMATS[kind].compile(settings_of_case(kind, case))
    for name in ("deep", *members):
        for deep in (DEEP_OBJECT, DEEP_LIST):
            rest = {"quoted": '":', **{other: value for other, value in members.items() if other != name}}
            line = f"{{{orjson.dumps(name).decode()}:{deep},{orjson.dumps(rest).decode()[1:]}"
            assert isinstance(parse(Envelope("plain", line)), Parsed | Ignored | Rejected)
            assert isinstance(parse(Envelope("cee", "", orjson.loads(line))), Parsed | Ignored | Rejected)
