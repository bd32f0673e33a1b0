"""The text that is committed beside an offset: which topic it is about, besides what the lane's states say.

`topic1 rP_YLXgxRF6sAcuElM3arQ` where the states say nothing. Places of fragments (`core.join.partial_lines`) stay as
they are, since release 0.1.0 reads nothing else, and is among the workers while a fleet is upgraded: the id follows as
places further on than any offset, which every release skips.

    pieces1 2s,4,zzzzzzzzzzzz,<the id in three words of 12 digits>
"""

from __future__ import annotations

from typing import Final

_TOPIC: Final = "topic1 "
_MARK: Final = ",zzzzzzzzzzzz,"
_BASE: Final = 36
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_WORDS: Final = 3
_WORD: Final = 12
_MAX_ID_BYTES: Final = 23
"""What fits into the words."""


def with_topic_id(text: str, topic_id: str) -> str:
    """The text to commit; *text* is what the states say, "" for nothing."""
    if not topic_id:
        return text
    if not text:
        return _TOPIC + topic_id
    number, digits = int.from_bytes(topic_id.encode()), ""
    while number:
        number, digit = divmod(number, _BASE)
        digits = _DIGITS[digit] + digits
    digits = digits.rjust(_WORDS * _WORD, "0")
    return text + _MARK + ",".join(digits[at : at + _WORD] for at in range(0, len(digits), _WORD))


def split_topic_id(text: str) -> tuple[str, str]:
    """(what the states say, topic id) of a committed text; "" for what it does not say."""
    if text.startswith(_TOPIC):
        return "", text.removeprefix(_TOPIC)
    own, mark, words = text.partition(_MARK)
    digits = words.replace(",", "")
    if not mark or len(digits) != _WORDS * _WORD or not set(digits) <= set(_DIGITS):
        return text, ""
    try:
        return own, int(digits, _BASE).to_bytes(_MAX_ID_BYTES + 1).lstrip(b"\0").decode()
    except UnicodeDecodeError:
        return text, ""
