"""What one condition says about another, as far as their structure tells; for lints, so it only claims what is sure.

implies(prefix("host", "gw-1"), prefix("host", "gw-"))       True: whatever satisfies the first satisfies the second
excludes(equals("host", "a"), equals("host", "b"))           True: nothing satisfies both
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

from logrouter.core.match.conditions import ALWAYS, Absent, AllOf, AnyOf, Field, Not, OfTopic

if TYPE_CHECKING:
    from logrouter.core.match.conditions import Condition

_LOWER_BOUNDS: Final = frozenset({"gt", "ge"})
_UPPER_BOUNDS: Final = frozenset({"lt", "le"})
_STRICT: Final = frozenset({"gt", "lt"})
_BOUNDS: Final = _LOWER_BOUNDS | _UPPER_BOUNDS


def implies(one: Condition, other: Condition) -> bool:
    """Whether everything that satisfies *one* satisfies *other*; False also if that is not known."""
    if one.never or other == ALWAYS:
        return True
    if isinstance(one, Not) and isinstance(one.part, Not):
        return implies(one.part.part, other)
    if isinstance(one, AnyOf):
        return all(implies(part, other) for part in one.parts)
    if isinstance(other, AllOf):
        return all(implies(one, part) for part in other.parts)
    if isinstance(other, AnyOf) and any(implies(one, part) for part in other.parts):
        return True
    if isinstance(one, AllOf):
        return any(implies(part, other) for part in one.parts)
    if isinstance(other, Not):
        return excludes(one, other.part)
    match one, other:
        case Field(), Field():
            return one.field == other.field and _field_implies(one, other)
        case Absent(), Absent():
            return one.field == other.field
        case OfTopic(), OfTopic():
            return one.wants == other.wants
    return False


def excludes(one: Condition, other: Condition) -> bool:
    """Whether nothing satisfies both; False also if that is not known."""
    if one.never or other.never:
        return True
    for first, second in ((one, other), (other, one)):
        if isinstance(first, Not) and isinstance(first.part, Not):
            return excludes(first.part.part, second)
        if isinstance(first, AnyOf) and all(excludes(part, second) for part in first.parts):
            return True
    for first, second in ((one, other), (other, one)):
        if isinstance(first, AllOf) and any(excludes(part, second) for part in first.parts):
            return True
        if isinstance(first, Not) and not isinstance(second, Not) and implies(second, first.part):
            return True
    match one, other:
        case Field(field=asked), Absent(field=missing):
            return asked == missing
        case Absent(field=missing), Field(field=asked):
            return asked == missing
        case Field(), Field():
            return one.field == other.field and (_field_excludes(one, other) or _field_excludes(other, one))
    return False


def _field_implies(one: Field, other: Field) -> bool:
    if other.operator == "exists" or (one.operator, one.operand) == (other.operator, other.operand):
        return True
    a, b = one.operand, other.operand
    match one.operator, other.operator:
        case "in", _:
            return all(other.accepts(text) for text in a)
        case "numbers", _ if other.operator in _BOUNDS or other.operator == "numbers":
            return all(other.accepts(str(number)) for number in a)
        case "prefix", "prefix":
            return bool(a.startswith(b))
        case "suffix", "suffix":
            return bool(a.endswith(b))
        case (("prefix" | "suffix" | "contains"), "contains"):
            return b in a
        case "cidr", "cidr":
            return all(any(_within(net, wider) for wider in b) for net in a)
    if one.operator in _LOWER_BOUNDS and other.operator in _LOWER_BOUNDS:
        return bool(a > b or (a == b and not (other.operator in _STRICT and one.operator not in _STRICT)))
    if one.operator in _UPPER_BOUNDS and other.operator in _UPPER_BOUNDS:
        return bool(a < b or (a == b and not (other.operator in _STRICT and one.operator not in _STRICT)))
    return False


def _field_excludes(one: Field, other: Field) -> bool:
    a, b = one.operand, other.operand
    match one.operator, other.operator:
        case "in", _:
            return not any(other.accepts(text) for text in a)
        case "numbers", _ if other.operator in _BOUNDS or other.operator == "numbers":
            return not any(other.accepts(str(number)) for number in a)
        case "prefix", "prefix":
            return not (a.startswith(b) or b.startswith(a))
        case "suffix", "suffix":
            return not (a.endswith(b) or b.endswith(a))
        case "cidr", "cidr":
            # An IPv4 address may be written as IPv6, so networks of different versions may meet.
            return all(net.version == far.version and not net.overlaps(far) for net, far in product(a, b))
    if one.operator in _LOWER_BOUNDS and other.operator in _UPPER_BOUNDS:
        return bool(a > b or (a == b and {one.operator, other.operator} & _STRICT))
    return False


def _within(net: Any, wider: Any) -> bool:
    return bool(net.version == wider.version and net.subnet_of(wider))
