"""Lookups in databases of other packages: country and network by address, family by user agent. Both are extras."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from logrouter.config.compile.inputs import InputFileError
from logrouter.config.yaml.kinds import usable
from logrouter.extras import how_to_install

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logrouter.config.compile.inputs import Inputs
    from logrouter.config.options.file import GeoIpOptions
    from logrouter.config.yaml.problems import Problems

    Find = Callable[[str], tuple[str | None, int | None]]

MAX_BYTES: Final = 1 << 30
"""Of all address databases together: they are kept in memory."""


def load_geoip(options: GeoIpOptions | None, inputs: Inputs, problems: Problems) -> Find | None:
    """A function from address to country code and ASN; None without options, or with the problems noted."""
    if options is None or not usable(options):
        return None
    try:
        import maxminddb  # noqa: PLC0415 - an extra
    except ImportError:
        problems.add("geoip", f"needs the package maxminddb: {how_to_install('geoip')}")
        return None
    readers = []
    left = MAX_BYTES
    for index, name in enumerate(options.files):
        path = f"geoip.files[{index}]"
        try:
            data = inputs.read(name, left)
            if data is None:
                problems.add(path, f"there is no file {name}")
                continue
            left -= len(data)
            # From memory, not mapped: a file that is written over while it is mapped would take the process down.
            readers.append(maxminddb.open_database(BytesIO(data), maxminddb.MODE_FD))
        except InputFileError as error:
            problems.add(path, f"{name} {error}")
        except (maxminddb.InvalidDatabaseError, ValueError) as error:
            problems.add(path, f"{name} is not an MMDB file: {error}")
    return _finder([reader.get for reader in readers]) if len(readers) == len(options.files) else None


def _finder(getters: Sequence[Callable[[str], Any]]) -> Find:
    def find(address: str) -> tuple[str | None, int | None]:
        country, asn = None, None
        for get in getters:
            found = _record(get, address)
            country = country or _country(found)
            number = found.get("autonomous_system_number")
            asn = asn or (number if type(number) is int and 0 < number < 2**32 else None)
        return country, asn

    return find


def _record(get: Callable[[str], Any], address: str) -> dict[str, Any]:
    try:
        found = get(address)
    except Exception:  # noqa: BLE001 - a damaged database raises anything; an IPv6 address in one for IPv4 does too
        return {}
    return found if isinstance(found, dict) else {}


def _country(found: dict[str, Any]) -> str | None:
    country = found.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else None
    return code if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isupper() else None


def load_agents(path: str, problems: Problems) -> Callable[[str], str | None] | None:
    """A function from user agent to its family; None if the package is missing, with the problem noted."""
    try:
        return _agents()
    except ImportError:
        problems.add(path, f"needs the package ua-parser: {how_to_install('useragent')}")
        return None


@lru_cache(maxsize=1)
def _agents() -> Callable[[str], str | None]:
    from ua_parser import Domain  # noqa: PLC0415 - an extra
    from ua_parser.loaders import load_builtins  # noqa: PLC0415 - likewise
    from ua_parser.regex import Resolver  # noqa: PLC0415 - likewise; of its engines the one that takes linear time

    matchers = load_builtins()
    resolve = Resolver((matchers[0], [], []))

    def family_of(agent: str) -> str | None:
        found = resolve(agent, Domain.USER_AGENT).user_agent
        return found.family if found is not None else None

    return family_of
