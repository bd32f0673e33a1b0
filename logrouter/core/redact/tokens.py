"""Secrets that are known by how they are written, whatever stands before them: tokens of known issuers, and keys.

Most begin with a prefix that their issuer has chosen for scanners to find them.
"""

from __future__ import annotations

import re
from typing import Final

from logrouter.core.redact.names import REDACTED

_FORMS: Final = (
    # ours, GitHub, GitLab, Slack, Stripe, npm, PyPI, Hugging Face, DigitalOcean, Shopify, Square
    r"lrt_[0-9a-z]{8,}+",
    r"gh[pousr]_[0-9a-z]{8,}+|github_pat_\w{8,}+",
    r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt|oas|rtr)-[\w.-]{8,}+",
    r"xox[abcdeoprs]-[\w-]{8,}+|xapp-[\w-]{8,}+|xoxe\.[\w.-]{8,}+",
    r"(?:[srp]k_(?:live|test|prod)|whsec)_[0-9a-z]{8,}+",
    r"npm_[0-9a-z]{8,}+|pypi-[\w-]{11,}+|hf_[0-9a-z]{8,}+|do[opr]_v1_[0-9a-f]{8,}+",
    r"shp(?:at|ca|pa|ss)_[0-9a-f]{8,}+|sq0[a-z]{3}-[\w-]{8,}+",
    # cloud providers, their databases, and services with keys of a form
    r"a(?:kia|sia|roa|ida)[0-9a-z]{12,}+",
    r"aiza[\w-]{11,}+|ya29\.[\w-]{8,}+|gocspx-[\w-]{8,}+|1//0[\w-]{20,}+",
    r"sg\.[\w-]{11,}+(?:\.[\w-]*+)?|sk-(?:proj|ant|live|svcacct|or)-[\w-]{8,}+|sk-[\w-]{20,}+|key-[0-9a-f]{20,}+",
    r"hv[sbr]\.[\w-]{8,}+|dapi[0-9a-f]{20,}+|gl(?:sa|c)_[\w-]{8,}+|dp\.(?:pt|st|ct|sa)\.[0-9a-z.]{8,}+",
    r"(?:nrak|pmak|hrku|nrjs|nrii)-[\w-]{8,}+|atatt3[\w=-]{8,}+|lin_api_[0-9a-z]{8,}+|ntn_[0-9a-z]{8,}+",
    r"fo1_[\w-]{11,}+|sbp_[0-9a-f]{8,}+|pscale_\w{2,8}_[\w-]{8,}+|age-secret-key-1[0-9a-z]{8,}+",
    r"eaac[0-9a-z]{20,}+|sl\.[ab][\w-]{40,}+|tskey-[\w-]{8,}+|rk[0-9a-f]{32}(?![0-9a-z])|sk[0-9a-f]{32}(?![0-9a-z])",
    # the number and key of a Telegram bot
    r"[0-9]{5,12}(?::|%3a)aa[\w-]{11,}+",
)
_PREFIXED: Final = rf"(?<![0-9a-z])(?:{'|'.join(_FORMS)})"
_HOOK: Final = r"hooks\.slack\.com\\{0,7}/services\\{0,7}/"
_RUN: Final = r"(?:[\w.~-]|%(?:25){0,3}2[eE]){20,}+"
_KEY_BLOCK: Final = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----END)[\s\S])*+(?:-----END[A-Z0-9 ]{0,60}-----)?"
)

# Runs that are long enough for a token, so that the many forms are compared with those alone.
_CANDIDATE: Final = r"[\w.:%/-]{12,}+"

_PREFIXED_TEXT: Final = re.compile(_PREFIXED, re.ASCII)
_PREFIXED_RAW: Final = re.compile(_PREFIXED.encode())
_CANDIDATE_TEXT: Final = re.compile(_CANDIDATE, re.ASCII)
_CANDIDATE_RAW: Final = re.compile(_CANDIDATE.encode())
_RUN_TEXT: Final = re.compile(_RUN, re.ASCII)
_RUN_RAW: Final = re.compile(_RUN.encode())
_KEY_BLOCK_RAW: Final = re.compile(_KEY_BLOCK.encode())
_HOOK_TEXT: Final = re.compile(rf"({_HOOK})[\w/\\-]++", re.IGNORECASE | re.ASCII)
_HOOK_RAW: Final = re.compile(_HOOK_TEXT.pattern.encode(), re.IGNORECASE)
_HIDDEN: Final = REDACTED.encode()


def without_tokens(text: str) -> str:
    """The text without tokens of known forms."""
    if "eyJ" in text:
        text = _RUN_TEXT.sub(_without_jwt, text)
    if "hooks." in text:
        text = _HOOK_TEXT.sub(rf"\1{REDACTED}", text)
    return _CANDIDATE_TEXT.sub(_without_prefixed, text) if len(text) > 11 else text


def raw_without_tokens(raw: bytes) -> bytes:
    """The same of bytes, whatever their encoding; of keys in PEM nothing is left."""
    if b"PRIVATE KEY" in raw:
        raw = _KEY_BLOCK_RAW.sub(_HIDDEN, raw)
    if b"eyJ" in raw:
        raw = _RUN_RAW.sub(_without_raw_jwt, raw)
    if b"ervices" in raw:
        raw = _HOOK_RAW.sub(rb"\1" + _HIDDEN, raw)
    return _CANDIDATE_RAW.sub(_without_raw_prefixed, raw)


def _without_prefixed(run: re.Match[str]) -> str:
    text, parts, end = run[0], [], 0
    for match in _PREFIXED_TEXT.finditer(text.lower()):
        parts += [text[end : match.start()], REDACTED]
        end = match.end()
    return "".join((*parts, text[end:])) if parts else text


def _without_raw_prefixed(run: re.Match[bytes]) -> bytes:
    text, parts, end = run[0], [], 0
    for match in _PREFIXED_RAW.finditer(text.lower()):
        parts += [text[end : match.start()], _HIDDEN]
        end = match.end()
    return b"".join((*parts, text[end:])) if parts else text


def _without_jwt(run: re.Match[str]) -> str:
    text = run[0]
    start = text.find("eyJ")
    rest = text[start:]
    return text[:start] + REDACTED if start >= 0 and ("." in rest or "%" in rest) else text


def _without_raw_jwt(run: re.Match[bytes]) -> bytes:
    text = run[0]
    start = text.find(b"eyJ")
    rest = text[start:]
    return text[:start] + _HIDDEN if start >= 0 and (b"." in rest or b"%" in rest) else text
