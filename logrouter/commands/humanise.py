"""Figures of the table view as text for a terminal: short numbers, sizes, times, and how two windows differ."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

Figures = dict[str, Any]
"""Figures of one window of a client or API, as in the table view's JSON (docs/table-view.md)."""

_LEFT: Final = frozenset({"000", "499"})
_STATUS_STYLES: Final = {"2": "green", "3": "cyan", "4": "yellow", "5": "red"}
_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
WINDOW_WORDS: Final = {"m": "minute", "h": "hour", "d": "day"}


def count(number: float) -> str:
    """A whole number with commas: "12,345"."""
    return f"{round(number):,}"


def size(number: float) -> str:
    """A number of bytes with three digits and a decimal unit: "123 kB"."""
    step = 0
    while number >= 999.5 and step < len(_SIZES) - 1:
        number /= 1000
        step += 1
    return f"{number:.3g} {_SIZES[step]}" if step and number < 999.5 else f"{number:,.0f} {_SIZES[step]}"


def millis(number: float | None) -> str:
    """Milliseconds as "12 ms" or "1.5 s"; "-" for None."""
    if number is None:
        return "-"
    if number < 999.5:
        return f"{number:.2g} ms" if number < 9.95 else f"{number:.0f} ms"
    return f"{number / 1000:.3g} s" if number < 999_500 else f"{number / 1000:,.0f} s"


def percent(part: float, whole: float) -> str:
    """*part* of *whole*: "12 %"; "-" where *whole* is 0."""
    if not whole:
        return "-"
    share = part / whole * 100
    return f"{share:.0f} %" if share >= 9.95 or share == 0 else f"{share:.2g} %"


def latency(figures: Figures, name: str) -> float | None:
    """Milliseconds of "mean", "p50", "p95" or "p99"; None if no request had a latency."""
    found = figures.get("latency_ms")
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, (int, float)) else None


def traffic(figures: Figures) -> int:
    """Bytes in and out."""
    return int(figures["bytes"]["in"]) + int(figures["bytes"]["out"])


def change(now: float | None, before: float | None) -> str:
    """How *now* differs from *before*: "▲ 50 % more"; "" where one of them is None."""
    if now is None or before is None:
        return ""
    if not before:
        return "none before" if now else "none before either"
    share = now / before - 1
    if abs(share) < 0.005:
        return "= as before"
    if share >= 9.995:
        return f"▲ {now / before:,.0f} times as much"
    return f"▲ {percent(share, 1)} more" if share > 0 else f"▼ {percent(-share, 1)} less"


def as_long_as(now: Figures, before: Figures) -> Figures:
    """*before* with its sums as over a time as long as *now*, which is shorter while its last minute is running."""
    lengths = _seconds(now), _seconds(before)
    if not all(lengths):
        return before
    share = lengths[0] / lengths[1]
    traffic = {name: size * share for name, size in before["bytes"].items()}
    return {**before, "count": before["count"] * share, "errors": before["errors"] * share, "bytes": traffic}


def _seconds(span: Figures) -> float:
    """The length of a time range; 0 where it has no begin, or what a server says is no time."""
    try:
        begin, end = (datetime.fromisoformat(span[name]) for name in ("from", "to"))
    except (KeyError, TypeError, ValueError):
        return 0.0
    return (end - begin).total_seconds()


def status(code: str) -> tuple[str, str]:
    """A status as it is shown, and its style: the client left before there was an answer of "000" and "499"."""
    return (f"{code} left", "dim") if code in _LEFT else (code, _STATUS_STYLES.get(code[:1], ""))


def comparison(answer: Figures) -> str:
    """With which time an answer compares its figures, or why with none; "" where that was not asked."""
    before, since = answer.get("previous"), answer.get("counted_since")
    if isinstance(before, dict):
        return f"compared with {moment(before['from'])} to {moment(before['to'])}"
    return f"not compared: the time before is not known in full, as counting began {moment(since)}" if since else ""


def window_words(window: str) -> str:
    """A window like "24h" or "life" in words: "last 24 hours"."""
    if window == "life":
        return "all time"
    number, unit = window[:-1], WINDOW_WORDS[window[-1]]
    return f"last {unit}" if number == "1" else f"last {number} {unit}s"


def moment(text: str | None) -> str:
    """A time in RFC 3339, as answers have it, to the second: "2026-05-04 10:00:00 UTC"; "-" for None."""
    return "-" if not text else f"{text[:10]} {text[11:19]} UTC"


def staleness(answer: Figures) -> str | None:
    """Why figures of an answer are old or incomplete, from its `freshness`; None if they are neither."""
    fresh = answer.get("freshness") or {}
    if missing := fresh.get("missing"):
        return f"partial: {len(missing)} partitions are missing"
    if holes := fresh.get("holes"):
        lost = count(sum(hole["records"] for hole in holes))
        return f"partial: {lost} rollup records were deleted before they were counted"
    if fresh.get("stale"):
        return "a standby answered: the figures may be behind"
    behind = sum(entry.get("lag") or 0 for entry in fresh.get("partitions", ()))
    return f"{count(behind)} rollup records are not counted yet" if behind > 2 * len(fresh["partitions"]) else None
