"""Addresses within texts are found however they are spelled, and nothing else is."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.text.addresses import holds_address, replace_addresses

BEFORE = st.sampled_from(["", " ", "-", "x ", "[", "(", '"', ", ", "tag: ", "=", "@", "10:00:00 "])
BEHIND = st.sampled_from(["", " ", "-", " - -", "]", "]:443", ")", '"', ", 192.0.2.9", "%eth0", " 10:00:00"])


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("192.0.2.7", "A"),
        ("192.0.2.7:443", "A:443"),
        ("[2001:db8::7]:443", "[A]:443"),
        ("::ffff:192.0.2.7", "A"),
        ("2001:DB8:0:0:0:0:0:7", "A"),
        ("192.0.2.7, 198.51.100.2", "A, A"),
        ("12:11:55 198.51.100.13 nginx: 192.0.2.3 - -", "12:11:55 A nginx: A - -"),
        ("user:2001:db8::7", "user:A"),
        ("2001:db8:1:2:3:4:5:7:443", "A:443"),
        ("user192.0.2.7", "userA"),
        ("Mozilla/5.0 Chrome/120.0.0.0", "Mozilla/5.0 Chrome/120.0.0.0"),
        ("1.2.3.4.5", "1.2.3.4.5"),
        ("256.0.2.7", "256.0.2.7"),
        ("aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff"),
        ("10:00:00", "10:00:00"),
        ("Net::HTTP", "Net::HTTP"),
        ("Gate::Bed", "Gate::Bed"),
        ("arn:aws:iam::111122223333:user/x", "arn:aws:iam::111122223333:user/x"),
        ("", ""),
    ],
)
def test_addresses_are_told_from_what_looks_like_them(text, replaced):
    """Versions, times of day, hardware addresses and names with colons stay."""
    assert replace_addresses(text, lambda _: "A") == replaced
    assert holds_address(text) == (text != replaced)


@given(st.ip_addresses(), BEFORE, BEHIND)
def test_no_address_is_overlooked(address, before, behind):
    """Whatever stands around it as logs write it."""
    text = f"{before}{address}{behind}"
    assert str(address) not in replace_addresses(text, lambda _: "A")
    assert holds_address(text)


@given(st.text("0123456789abcdefg:.[]/ ", max_size=80))
def test_only_what_is_an_address_is_handed_over(text):
    """No text raises, and what is replaced is an address."""
    seen: list[str] = []
    replace_addresses(text, lambda found: seen.append(found) or "")
    for found in seen:
        ip_address(found)
