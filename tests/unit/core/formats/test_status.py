"""HTTP has no status below 100, in any format; 0 only stands where the gateway's own word is that the client left."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from logrouter.core.formats import FORMATS, parser
from logrouter.model import Parsed

from .test_corpus import cases, folder_of, line_of, settings_of_case

OF_A_CLIENT_THAT_LEFT = {"apache", "builds", "envoy", "haproxy", "istio", "kv", "nginx"}
"""Formats of which 0 is such a word: Envoy's response code, `000` of web servers, HAProxy's termination
state, an error code of Heroku's router."""


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_no_status_is_below_100(kind):
    """Each status of the corpus is replaced by numbers that are none, in every spelling."""
    for case in cases(folder_of(kind)):
        parse = parser(kind, settings_of_case(kind, case))
        line = line_of(kind, case)
        found = parse(line)
        status = found.event.get("http", {}).get("status_code") if isinstance(found, Parsed) else None
        if type(status) is not int or status < 100:
            continue
        for other in ("0", "000", "007", "7", "99", "-1"):
            text = re.sub(rf"(?<![\d.]){status}(?![\d.])", other, line.text)
            changed = parse(replace(line, text=text, document=None))
            if isinstance(changed, Parsed):
                reader = changed.format or kind
                now = changed.event.get("http", {}).get("status_code")
                assert type(now) is not int or now >= 100 or (now == 0 and reader in OF_A_CLIENT_THAT_LEFT), text
