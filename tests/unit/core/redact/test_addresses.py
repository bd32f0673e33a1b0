"""No address comes through that the policy does not let through, and what is none stays readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logrouter.core.redact.addresses import mask_addresses, truncate

LONG = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:f00d"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("198.51.100.237", "198.51.100.0"),
        ("from 198.51.100.237:443.", "from 198.51.100.0:443."),
        ("IP 198.51.100.237.51234 > 10.1.2.3.80:", "IP 198.51.100.0.51234 > 10.1.2.0.80:"),
        ("198.051.100.237", "198.51.100.0"),
        ("198%2E51%2E100%252E237", "198.51.100.0"),
        ("ip-198-51-100-237.example.org", "ip-198-51-100-0.example.org"),
        (f"[{LONG}]:443", "[2001:db8:aaaa::]:443"),
        (f"{LONG}:443", "2001:db8:aaaa:::443"),
        (f"peer:{LONG}", "peer:2001:db8:aaaa::"),
        (f"peer:{LONG}:443", "peer:2001:db8:aaaa:::443"),
        ("client:2001:db8::f00d:", "client:2001:db8:::"),
        ("x.2001:db8::f00d", "x.2001:db8::"),
        ("2001:db8::f00d.5", "2001:db8::.5"),
        ("2001%3Adb8%3A%3af00d", "2001:db8::"),
        ("2001%253Adb8%253A%253Af00d", "2001:db8::"),
        ("a%5B2001:db8::f00d%5D", "a%5B2001:db8::%5D"),
        ("a%20198.51.100.237", "a%20198.51.100.0"),
        ("::ffff:198.51.100.237", "198.51.100.0"),
        ("2002:c633:64ed::1", "2002:c633:6400::"),
    ],
)
def test_an_address_is_found_whatever_stands_around_it(line, shown):
    """A name and a colon, a port without brackets, percent-encoding, dashes; with /40 where IPv6 holds an IPv4."""
    assert mask_addresses(line.encode(), truncate) == shown.encode()


@pytest.mark.parametrize(
    "line",
    [
        *(
            "12:30:45",
            "2026-11-29T18:00:01.123Z",
            "29/Nov/2026:10:00:00 +0000",
            "de:ad:be:ef:00:01",
            "+49-123-456-78-90",
        ),
        *(
            "aa:bb:cc:dd:ee:ff:00:11:22:33",
            "1.3.6.1.4.1.311",
            "std::deque",
            "Foo::Bar",
            "arn:aws:iam::123456789012:role/x",
        ),
        *("550e8400-e29b-41d4-a716-446655440000", "300.1.1.1", "%7B%22a%22%3A%22b%22%7D"),
    ],
)
def test_what_is_no_address_stays(line):
    """Times, fingerprints, hardware addresses, object identifiers, names in C++, names of resources, UUIDs."""
    assert mask_addresses(line.encode(), truncate) == line.encode()


@given(st.ip_addresses(v=6, network="2001:db8::/32"), st.sampled_from(["", "peer:", "a=", "/", "x.", "("]))
def test_no_address_survives_a_name_before_it_or_a_port_behind_it(address, before):
    """Written in full or short, nothing but its network is left."""
    for text in (str(address), address.exploded):
        for port in ("", ":5", ":65535"):
            shown = mask_addresses(f"{before}{text}{port}".encode(), truncate)
            assert text.encode() not in shown or text == truncate(str(address))
