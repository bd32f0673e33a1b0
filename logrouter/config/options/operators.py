"""The operators of conditions: an operand for a field becomes a condition on the field's text."""

from __future__ import annotations

import math
import operator as comparing
import re
from fnmatch import translate
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final, TypeVar

from logrouter.config.options.match_fields import LOWER, TOPIC_FIELD, Vocabulary
from logrouter.config.options.regex import RegexError, compile_regex
from logrouter.config.yaml.problems import did_you_mean, join_path, list_names, quote_value
from logrouter.core.match.conditions import ALWAYS, NEVER, Absent, Condition, Field, OfTopic
from logrouter.core.match.prefilter import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.config.yaml.problems import Problems

T = TypeVar("T")

TEXT_OPERATORS: Final = ("equals", "glob", "prefix", "suffix", "contains", "regex")
COMPARISONS: Final = {"gt": comparing.gt, "ge": comparing.ge, "lt": comparing.lt, "le": comparing.le}
OPERATORS: Final = ("equals", "in", "glob", "prefix", "suffix", "contains", "regex", *COMPARISONS, "cidr", "exists")
MAX_TEXT: Final = 500
MAX_LISTED: Final = 40

_WORDS: Final = {
    "equals": "equals",
    "prefix": "begins with",
    "suffix": "ends with",
    "contains": "contains",
    "glob": "matches",
    "gt": "is more than",
    "ge": "is at least",
    "lt": "is less than",
    "le": "is at most",
}
_NUMBER: Final = re.compile(r"[-+]?[0-9]{1,18}(\.[0-9]{0,18})?([eE][-+]?[0-9]{1,3})?", re.ASCII)
_LONGEST_ADDRESS: Final = 45


class _WrongError(Exception):
    """An operand that can't be used: its path and the message."""

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        self.message = message
        super().__init__(path, message)


def read_operator(
    vocabulary: Vocabulary, field: str, operator: str, given: Any, path: str, problems: Problems
) -> Condition | None:
    """The condition of *operator* on *field* with the operand *given*; None if wrong, with the problem noted."""
    at = path if operator in ("equals", "in") else join_path(path, operator)
    if operator not in OPERATORS:
        hint = did_you_mean(operator, OPERATORS)
        problems.add(at, f"no such operator{hint}; there are {', '.join(OPERATORS)}", at_key=True)
        return None
    try:
        return _Reader(vocabulary, field, problems).read(operator, given, at)
    except _WrongError as wrong:
        problems.add(wrong.path, wrong.message)
        return None


class _Reader:
    """Reads operands for one field."""

    def __init__(self, vocabulary: Vocabulary, field: str, problems: Problems) -> None:
        self._vocabulary = vocabulary
        self._field = field
        self._problems = problems

    def read(self, operator: str, given: Any, path: str) -> Condition:
        match operator:
            case "exists":
                return self._exists(given, path)
            case "in":
                return self._one_of(given, path)
            case "equals" if self._field in self._vocabulary.numbers:
                return self._numbers([(given, path)], path)
            case "regex":
                return self._regex(given, path)
            case "cidr":
                return self._cidr(given, path)
        return (
            self._comparison(operator, given, path) if operator in COMPARISONS else self._by_text(operator, given, path)
        )

    def _exists(self, given: Any, path: str) -> Condition:
        if not isinstance(given, bool):
            raise _WrongError(path, f"must be true or false, not {quote_value(given)}")
        if self._field == TOPIC_FIELD:
            return ALWAYS if given else NEVER
        get = self._vocabulary.get(self._field)
        return Field(self._field, get, _anything, None, "is there", "exists") if given else Absent(get, self._field)

    def _one_of(self, given: Any, path: str) -> Condition:
        if not isinstance(given, list) or not given:
            raise _WrongError(path, "must be a list of texts, not empty")
        items = [(item, f"{path}[{index}]") for index, item in enumerate(given)]
        if self._field in self._vocabulary.numbers:
            return self._numbers(items, path)
        wanted = frozenset(self._each(self._text, items))
        tokens = [literal(text) for text in wanted]
        needs = frozenset(token for token in tokens if token is not None) if None not in tokens else None
        return self._made(path, wanted.__contains__, needs, f"is one of {', '.join(sorted(wanted))}", "in", wanted)

    def _numbers(self, items: list[tuple[Any, str]], path: str) -> Condition:
        wanted = frozenset(self._each(_number, items))
        words = f"is one of {', '.join(map(str, sorted(wanted)))}"
        return self._made(path, lambda text: parse_number(text) in wanted, None, words, "numbers", wanted)

    def _by_text(self, operator: str, given: Any, path: str) -> Condition:
        text = self._text(given, path)
        words = f"{_WORDS[operator]} {text}"
        if operator == "equals":
            return self._made(path, text.__eq__, _needs(operator, text), words, "in", frozenset([text]))
        return self._made(path, _accepts(operator, text), _needs(operator, text), words, operator, text)

    def _regex(self, given: Any, path: str) -> Condition:
        if not isinstance(given, str) or not given:
            raise _WrongError(path, f"must be a regular expression, not {quote_value(given)}")
        if len(given) > MAX_TEXT:
            raise _WrongError(path, f"has {len(given)} characters, at most {MAX_TEXT} are allowed")
        try:
            made = compile_regex(given, fold_case=self._field in LOWER)
        except RegexError as error:
            raise _WrongError(path, str(error)) from None
        if made.impossible:
            raise _WrongError(path, "can match nothing: a character stands before the beginning or after the end")
        return self._made(path, made.accepts, made.needs, f"matches /{given}/", "regex", given)

    def _comparison(self, operator: str, given: Any, path: str) -> Condition:
        if not self._vocabulary.is_number(self._field):
            raise _WrongError(path, f"{self._field} is no number; {operator} is for {self._those('numbers')}")
        bound = _number(given, path)
        compare = COMPARISONS[operator]

        def accepts(text: str) -> bool:
            number = parse_number(text)
            return number is not None and compare(number, bound)

        return self._made(path, accepts, None, f"{_WORDS[operator]} {bound}", operator, bound)

    def _cidr(self, given: Any, path: str) -> Condition:
        if not self._vocabulary.is_address(self._field):
            raise _WrongError(path, f"{self._field} is no address; cidr is for {self._those('addresses')}")
        if given == []:
            raise _WrongError(path, "must be a network or a list of networks, not empty")
        items = [(item, f"{path}[{index}]") for index, item in enumerate(given)] if isinstance(given, list) else None
        networks = tuple(self._each(_network, items or [(given, path)]))
        return self._made(path, in_networks(networks), None, f"is in {', '.join(map(str, networks))}", "cidr", networks)

    def _each(self, read: Callable[[Any, str], T], items: list[tuple[Any, str]]) -> list[T]:
        """Every item read; the problems of all of them are noted before it gives up."""
        made: list[T] = []
        wrong: list[_WrongError] = []
        for item, at in items:
            try:
                made.append(read(item, at))
            except _WrongError as error:
                wrong.append(error)
        for other in wrong[:-1]:
            self._problems.add(other.path, other.message)
        if wrong:
            raise wrong[-1]
        return made

    def _made(
        self,
        path: str,
        accepts: Callable[[str], bool],
        needs: frozenset[bytes] | None,
        words: str,
        operator: str,
        operand: Any,
    ) -> Condition:
        if self._field == TOPIC_FIELD:
            return OfTopic(accepts, words)
        self._warn(path, accepts, words, operator, operand)
        kept = needs if self._vocabulary.gives_tokens(self._field) else None
        return Field(self._field, self._vocabulary.get(self._field), accepts, kept, words, operator, operand)

    def _warn(self, path: str, accepts: Callable[[str], bool], words: str, operator: str, operand: Any) -> None:
        """Say where a field that has few values can't have what is asked for."""
        known = self._vocabulary.known.get(self._field)
        if known is None:
            return
        there_are = f"; there are {list_names(known)}" if len(known) <= MAX_LISTED else ""
        if operator in ("in", "numbers"):
            for value in sorted(set(map(str, operand)) - known):
                near = did_you_mean(value, known) or did_you_mean(value.upper(), known) if there_are else ""
                self._problems.warn(path, f'no {self._field} is "{value}"{near}{there_are}')
        elif not any(map(accepts, known)):
            self._problems.warn(path, f"no {self._field} {words}{there_are}")

    def _text(self, given: Any, path: str) -> str:
        """The operand, folded where the field is."""
        if isinstance(given, bool) or not isinstance(given, str | int) or given == "":
            raise _WrongError(path, f"must be text, not {quote_value(given)}")
        text = str(given)
        if len(text) > MAX_TEXT:
            raise _WrongError(path, f"has {len(text)} characters, at most {MAX_TEXT} are allowed")
        if text == "-":
            raise _WrongError(path, 'can never hold: "-" means that the field is absent, so write {exists: false}')
        return text.lower() if self._field in LOWER else text

    def _those(self, which: str) -> str:
        named: frozenset[str] = getattr(self._vocabulary, which)
        return ", ".join([*sorted(named), *(f"{prefix}<name>" for prefix in self._vocabulary.prefixes)])


def _number(given: Any, path: str) -> int | float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise _WrongError(path, f"must be a number, not {quote_value(given)}")
    return given


def _network(given: Any, path: str) -> IPv4Network | IPv6Network:
    text = given if isinstance(given, str) else ""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise _WrongError(
            path, f"must be a network such as 10.0.0.0/8 or 2001:db8::/32, not {quote_value(given)}"
        ) from None
    if ip_address(text.partition("/")[0]) != network.network_address:
        raise _WrongError(path, f'{text} has bits set beyond its prefix (did you mean "{network}"?)')
    return network


def parse_number(text: str) -> int | float | None:
    """The number in a text of decimal digits; None for anything else."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    return float(text) if found[1] or found[2] else int(text)


def in_networks(networks: Sequence[IPv4Network | IPv6Network]) -> Callable[[str], bool]:
    """A function: whether a text is an address in one of the networks. IPv4 in IPv6 notation counts as IPv4."""
    v4 = tuple((int(n.network_address), int(n.netmask)) for n in networks if isinstance(n, IPv4Network))
    v6 = tuple((int(n.network_address), int(n.netmask)) for n in networks if isinstance(n, IPv6Network))

    def accepts(text: str) -> bool:
        if len(text) > _LONGEST_ADDRESS:
            return False
        try:
            address = ip_address(text)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None and _among(int(mapped), v4):
            return True
        return _among(int(address), v4 if address.version == 4 else v6)

    return accepts


def _among(number: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(number & mask == network for network, mask in ranges)


def _accepts(operator: str, text: str) -> Callable[[str], bool]:
    match operator:
        case "prefix":
            return lambda value: value.startswith(text)
        case "suffix":
            return lambda value: value.endswith(text)
        case "contains":
            return lambda value: text in value
    # fnmatch writes expressions that take linear time per "*", so a glob can't hang a lane.
    matches = re.compile(translate(text)).match
    return lambda value: matches(value) is not None


def _needs(operator: str, text: str) -> frozenset[bytes] | None:
    """What the record's bytes must hold: of a glob, the longest run of plain characters before any bracket."""
    parts = [text] if operator != "glob" else re.split(r"[*?]", text.partition("[")[0])
    tokens = [token for part in parts if (token := literal(part)) is not None]
    return frozenset([max(tokens, key=len)]) if tokens else None


def _anything(_value: str) -> bool:
    return True
