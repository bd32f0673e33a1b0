"""Segments of paths that are credentials: what stands behind a word like `reset-password`."""

from __future__ import annotations

import re
from typing import Final

STRONG: Final = (
    r"[\w.-]{0,30}tokens?|(?:re)?set[-_.]?(?:my[-_.]?)?pass(?:word|wd)?|pass(?:word|wd)?s?(?:[-_.]?(?:re)?set)?|reset"
    r"|(?:forgot|forgotten|change|recover|new)[-_.]?pass(?:word|wd)?|recover(?:y)?|magic(?:[-_.]?(?:link|login))?|otp|totp"
    r"|verify(?:[-_.]?(?:e?[-_]?mail|account))?|verification|confirm(?:ation)?[-_.]?(?:e?[-_]?mail|account)"
    r"|activat(?:e|ion)(?:[-_.]?account)?|invit(?:e|es|ation|ations)|unsubscribe|api[-_.]?keys?|access[-_.]?keys?|sso|jwt"
    r"|one[-_.]?time(?:[-_.]?\w{0,12})?|autologin|impersonate"
)
"""Words behind which nothing stands but credentials, and words of an API."""

WEAK: Final = (
    r"confirm(?:ation)?s?|sessions?|session[-_.]?ids?|sid|(?:incoming)?(?:web)?hooks?|auth|oauth|code|keys?|secrets?|credentials?"
    r"|signatures?|sig"
)
"""Words behind which ids stand as well, so that only what is long and no UUID is taken for a credential."""

_STRONG_NAME: Final = re.compile(STRONG, re.IGNORECASE | re.ASCII)
_WEAK_NAME: Final = re.compile(WEAK, re.IGNORECASE | re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_WORD_WITH_NUMBER: Final = re.compile(
    r"v[0-9]+(?:(?:alpha|beta|rc)[0-9]*)?|oauth2?|openid|saml2?|base64|sha[0-9]+", re.IGNORECASE
)
_MANY_CAPITALS: Final = re.compile(r"[A-Z_-]{8,}")
_ID: Final = re.compile(r"[0-9]{1,20}|[\w-]{1,8}={0,2}|[\w-]{36}(?:@[\w-]{36})?", re.ASCII)
_LONG_TOKEN: Final = re.compile(r"[\w~=-]{20,}", re.ASCII)
_LONGEST: Final = 60
_ANY: Final = "key"


def is_credential(text: str, before: str) -> bool:
    """Whether the segment behind the segment *before* is a credential rather than a word, a version or a number."""
    if len(before) > _LONGEST or len(text) < 4:
        return False
    strong = _STRONG_NAME.fullmatch(before) is not None
    if not strong and _WEAK_NAME.fullmatch(before) is None:
        return False
    digits, letters = any(map(str.isdecimal, text)), any(map(str.isalpha, text))
    if not strong:
        return len(text) >= 16 and digits and letters and _UUID.fullmatch(text) is None
    if not letters:
        return digits and before[-1:] not in "sS"
    if digits:
        return len(text) >= 6 and _WORD_WITH_NUMBER.fullmatch(text) is None
    return len(text) >= 24 or _MANY_CAPITALS.fullmatch(text) is not None


def is_credential_behind_id(text: str, between: str, before: str) -> bool:
    """The same of the segment behind an id: `/reset/MQ/5x1-9b1c…`, `/webhooks/1234/x9…`."""
    if len(before) > _LONGEST or not _LONG_TOKEN.fullmatch(text) or not _ID.fullmatch(between):
        return False
    named = _STRONG_NAME.fullmatch(before) is not None or _WEAK_NAME.fullmatch(before) is not None
    return named and is_credential(text, _ANY)
