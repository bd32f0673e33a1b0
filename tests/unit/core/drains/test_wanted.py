"""What is asked for who makes a drain: read as it is meant, or refused with a pointer to each fault."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.drains.registration import DrainForm
from logrouter.core.drains.target_url import MAX_URL, read_drain_url
from logrouter.core.drains.wanted import FIELDS, MAX_FAULTS, WantedDrain, read_wanted

TLS = "syslog+tls://logs.example.org:6514"
HTTPS = "https://logs.example.org/in"
KEY = "whsec_" + "MDAw" * 8
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def pointers(document):
    """Where the faults are."""
    found = read_wanted(document)
    assert not isinstance(found, WantedDrain), found
    return [fault.pointer for fault in found]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"url": TLS}, WantedDrain(TLS)),
        ({"url": "syslog://h"}, WantedDrain("syslog://h")),
        ({"url": "syslog+udp://[2001:db8::1]:514/"}, WantedDrain("syslog+udp://[2001:db8::1]:514/")),
        ({"url": HTTPS}, WantedDrain(HTTPS, form=DrainForm.LOGPLEX)),
        ({"url": "https://u:p@h/?key=a%20b"}, WantedDrain("https://u:p@h/?key=a%20b", form=DrainForm.LOGPLEX)),
        ({"url": HTTPS, "form": "ndjson"}, WantedDrain(HTTPS, form=DrainForm.NDJSON)),
        ({"url": TLS, "addon": ""}, WantedDrain(TLS)),
        ({"url": TLS, "addon": None, "match": None}, WantedDrain(TLS)),
        ({"url": TLS, "addon": "a"}, WantedDrain(TLS, addon_id="a", addon_name="a")),
        ({"url": TLS, "addon": {"id": "a", "name": "b"}}, WantedDrain(TLS, addon_id="a", addon_name="b")),
        ({"url": TLS, "framing": "newline", "ca": PEM}, WantedDrain(TLS, framing="newline", ca=PEM)),
        ({"url": TLS, "max_message_bytes": 480, "sample": 1}, WantedDrain(TLS, max_message_bytes=480)),
        ({"url": TLS, "match": {"program": "web"}}, WantedDrain(TLS, match={"program": "web"})),
        (
            {"url": HTTPS, "signing_keys": [KEY], "challenge": True},
            WantedDrain(HTTPS, form=DrainForm.LOGPLEX, signing_keys=(KEY,), challenge=True),
        ),
    ],
)
def test_a_drain_as_it_is_asked_for(document, expected):
    """What is left out is as usual for the scheme."""
    assert read_wanted(document) == expected


@pytest.mark.parametrize(
    "url",
    [
        *(None, 7, "", "logs.example.org", "//h", "https://", "https:///path", "https://:80", "https://h:0"),
        *("https://h:65536", "https://h:port", "https://a b", "https://h/a b", "https://h\n", "https://h/\x00"),
        *("https://h/#top", "https://h\\@evil", "https://u@v@h", "HTTPS://h", "ftp://h", "file:///etc/passwd"),
        *("javascript:alert(1)", "ssh://h", "https://hö.example", "https://[::1", "https://::1", "https://-h"),
        *(
            "https://127.1/",
            "https://0x7f.0.0.1/",
            "https://2130706433/",
            "https://a..b/",
            "https://h/%zz",
            "https://h/#",
        ),
        *(
            "https://m%3ae:a@h/",
            "https://me:a%0d%0ab@h/",
            "https://a[b]@h/",
            "https://_h/",
            "HTTPS://h:8/",
            "https://h:/",
        ),
        *("syslog://h/path", "syslog://u:p@h", "syslog+tls://h?key=x", "syslog+tls://h:", f"https://h/{'x' * MAX_URL}"),
    ],
)
def test_a_url_that_is_none(url):
    """Nothing that one client reads as one host and another as another."""
    assert pointers({"url": url}) == ["/url"]


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"form": "gelf"}, "/form"),
        ({"form": "logplex"}, "/form"),
        ({"framing": "lf"}, "/framing"),
        ({"max_message_bytes": 479}, "/max_message_bytes"),
        ({"max_message_bytes": True}, "/max_message_bytes"),
        ({"max_message_bytes": 1024.0}, "/max_message_bytes"),
        ({"sample": 0}, "/sample"),
        ({"sample": 1.1}, "/sample"),
        ({"sample": True}, "/sample"),
        ({"ca": "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"}, "/ca"),
        ({"ca": PEM + "x"}, "/ca"),
        ({"match": []}, "/match"),
        ({"request": "x"}, "/request"),
        ({"signing_keys": [KEY]}, "/signing_keys"),
        ({"signing_keys": [KEY, "whsec_MDAw"]}, "/signing_keys/1"),
        ({"signing_keys": [KEY] * 3}, "/signing_keys"),
        ({"challenge": 1}, "/challenge"),
        ({"challenge": True}, "/challenge"),
        ({"addon": 1}, "/addon"),
        ({"addon": {"id": "a\n"}}, "/addon"),
        ({"addon": {"plan": "a"}}, "/addon"),
        ({"Url": TLS}, "/Url"),
        ({"a/b~\n": 1}, "/a~1b~0?"),
    ],
)
def test_a_field_that_is_wrong(more, pointer):
    """Each by its pointer; fields that the scheme has no place for as well."""
    assert pointers({"url": TLS, **more}) == [pointer]


def test_conditions_are_not_nested_without_end():
    """They are stored, compiled and shown."""
    deep: dict = {}
    for _ in range(500):
        deep = {"not": deep}
    assert pointers({"url": TLS, "match": deep}) == ["/match"]


def test_faults_are_bounded_and_do_not_repeat_values():
    """A body of 64 KiB has room for thousands; what is wrong may be a secret."""
    found = read_wanted({"url": "planted", "ca": "planted", **{f"f{number}": "planted" for number in range(1000)}})
    assert len(found) == MAX_FAULTS
    assert "planted" not in str(found)
    assert "planted" not in repr(WantedDrain("https://planted@h"))


def test_certificates_are_read_in_one_pass():
    """Blanks before and behind could be divided in very many ways."""
    assert pointers({"url": TLS, "ca": PEM + " " * 30_000 + "x"}) == ["/ca"]


@given(JSON | st.dictionaries(st.sampled_from(sorted(FIELDS)), JSON))
def test_reading_never_raises(document):
    """Whatever JSON comes."""
    found = read_wanted(document)
    assert isinstance(found, WantedDrain) or 0 < len(found) <= MAX_FAULTS


@given(st.from_regex(r"(https?|syslog(\+(tcp|udp|tls))?)://[!-~]{1,40}", fullmatch=True))
def test_a_url_that_is_taken_has_one_host(url):
    """As the standard library reads it; and lines can be sent there."""
    found = read_wanted({"url": url})
    if isinstance(found, WantedDrain):
        read_drain_url(url)
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port is None or 0 < parts.port < 65536
        assert not parts.fragment
