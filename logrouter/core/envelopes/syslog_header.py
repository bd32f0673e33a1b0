"""The header that syslog puts before a line, where a collector has written it to a file or a topic as it came.

    Nov  9 12:11:55 web1 nginx[7]: <line>                                RFC 3164
    2026-11-09T12:11:55.123456+01:00 web1 nginx[7]: <line>               as rsyslog writes its files
    1 2026-11-09T12:11:55.003Z web1 nginx 7 access [id key="v"] <line>   RFC 5424

Each may have a priority before it, `<190>`, which before an address or an object may be all there is. The time of RFC
3164 has neither a year nor a zone, so it is left out.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

FIRST: Final = frozenset(
    {"Ja", "Fe", "Ma", "Ap", "Ju", "Au", "Se", "Oc", "No", "De", "20", "1 "} | {f"<{digit}" for digit in range(10)}
)
"""The two characters that a header begins with: what begins otherwise need not be looked at."""

_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)"
_HOST: Final = r"[\w.:%-]{1,255}"
_TAG: Final = r"([\w./-]{1,64}+)(?:\[[\w.-]{0,64}\])?:"
_DATA: Final = r'(?:-|(?:\[[^\s=\]"]{1,64}(?:[ ][^\s=\]"]{1,64}="(?:[^"\\]++|\\.)*+")*+\])++)'
_HEADER: Final = re.compile(
    r"(?:<\d{1,3}>)?(?:"
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ ]{1,2}\d{1,2}[ ](?:\d{4}[ ])?\d\d:\d\d:\d\d(?:\.\d{1,9})?[ ]"
    rf"(?:{_TAG}[ ]|({_HOST})[ ]{_TAG}[ ]?)"
    rf"|({_TIME})[ ](?!std(?:out|err)[ ])({_HOST})[ ]{_TAG}[ ]?"
    rf"|1[ ](?:({_TIME})|-)[ ]([!-~]{{1,255}})[ ]([!-~]{{1,48}})[ ][!-~]{{1,128}}[ ][!-~]{{1,32}}[ ]{_DATA}"
    r"[ ]\ufeff?"
    r"|(?<=>)(?=\{|[0-9A-Fa-f:.]{2,45}[ ])"  # a priority and nothing else before an object or an address
    r")(?=[^ ])",
    re.ASCII | re.DOTALL,
)
_COOKIE: Final = "@cee:"


class SyslogHeader(NamedTuple):
    """What a header says, and the line behind it. *text* is the header itself."""

    text: str
    line: str
    host: str | None
    program: str | None
    time: str | None


def split_header(text: str) -> SyslogHeader | None:
    """The header at the beginning of *text* and the line behind it; None if there is no header, or no line."""
    match = _HEADER.match(text)
    if match is None:
        return None
    alone, host, program, time, other_host, other_program, newest, newest_host, newest_program = match.groups()
    line = text[match.end() :]
    if line.startswith(_COOKIE):
        line = line[len(_COOKIE) :].lstrip()
    return SyslogHeader(
        match[0],
        line,
        _present(host or other_host or newest_host),
        _present(alone or program or other_program or newest_program),
        time or newest,
    )


def _present(name: str | None) -> str | None:
    return name if name != "-" else None
