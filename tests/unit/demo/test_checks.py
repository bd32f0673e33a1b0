"""The demo's comparison finds whatever is lost, doubled or miscounted."""

from __future__ import annotations

import pytest

from logrouter.demo import generator
from logrouter.demo.checks import RequestCounts, compare_counts, differing_clients, shorten_names

TRUTHS = [truth for _, truth in generator.records(2000) if truth]


def event(truth: generator.Truth) -> dict:
    """The event that the router should make of a request."""
    made = {"meta": {"request_id": generator.request_id(truth.number)}, "http": {"status_code": truth.status}}
    return made | {name: value for name, value in (("client_id", truth.client), ("api", truth.api)) if value}


def truth_counts() -> RequestCounts:
    """Everything that was made up."""
    counts = RequestCounts()
    for truth in TRUTHS:
        counts.add_truth(truth)
    return counts


def topic_counts(truths: list[generator.Truth]) -> RequestCounts:
    """What a topic with these requests holds."""
    counts = RequestCounts()
    for truth in truths:
        counts.add_event(event(truth))
    return counts


def table_counts() -> RequestCounts:
    """What a right table view answers."""
    counts = RequestCounts()
    for client, usage in truth_counts().clients.items():
        status = {f"{code:03d}": count for code, count in usage.status.items()}
        counts.add_answer(client, {"count": usage.count, "status": status, "apis": dict(usage.apis)})
    return counts


def failing(
    published: RequestCounts, tables: RequestCounts, *, read: int = 2000, dead_letters: int = 3, lost_by_sink: int = 0
) -> set[str]:
    """What does not hold."""
    outcomes = {"accepted": len(TRUTHS), "ignored": 2000 - len(TRUTHS) - 3, "rejected": 3}
    truth = truth_counts()
    listed = (len(truth.clients), truth.requests)
    found = compare_counts(
        truth,
        published,
        tables,
        fed=2000,
        read=read,
        outcomes=outcomes,
        dead_letters=dead_letters,
        listed=listed,
        in_sink=len(TRUTHS) - lost_by_sink,
    )
    return {check.what for check in found if not check.ok}


def test_everything_right_holds():
    """Topic and tables that agree with the truth pass every check."""
    assert failing(topic_counts(TRUTHS), table_counts()) == set()


@pytest.mark.parametrize(
    ("truths", "expected"),
    [
        (TRUTHS[1:], {"requests published", "requests missing in the topic"}),
        ([*TRUTHS, TRUTHS[0]], {"requests published", "requests published twice"}),
        ([TRUTHS[0]._replace(status=599), *TRUTHS[1:]], set()),
        ([TRUTHS[0]._replace(api="other"), *TRUTHS[1:]], set()),
    ],
    ids=["lost", "doubled", "wrong status", "wrong api"],
)
def test_wrong_topic_is_found(truths, expected):
    """A request lost, doubled or changed on the topic fails its check, and names its client."""
    published = topic_counts(truths)
    assert failing(published, table_counts()) == expected | {"clients that differ between topic and truth"}
    assert differing_clients(truth_counts(), published) == [TRUTHS[0].client or "-"]


def test_wrong_table_is_found():
    """One client with one request too many in the tables fails."""
    tables = table_counts()
    next(iter(tables.clients.values())).count += 1
    assert failing(topic_counts(TRUTHS), tables) == {
        "requests in the tables",
        "clients that differ between tables and truth",
    }


def test_unaccounted_lines_are_found():
    """Outcomes that do not add up to what was read, and lines never read, fail."""
    assert failing(topic_counts(TRUTHS), table_counts(), read=1999) == {
        "lines read of those fed",
        "accepted + ignored + rejected of lines read",
    }
    assert failing(topic_counts(TRUTHS), table_counts(), dead_letters=2) == {"records in the dead-letter topic"}


@pytest.mark.parametrize("lost", [1, -1], ids=["lost", "doubled"])
def test_an_event_too_few_or_too_many_in_the_sink_is_found(lost):
    """Whatever the process that delivers says."""
    assert failing(topic_counts(TRUTHS), table_counts(), lost_by_sink=lost) == {"events in the sink"}


def test_a_list_of_names_is_bounded():
    """A long list of clients is cut short."""
    assert shorten_names(["a", "b"]) == "a, b"
    assert shorten_names([str(number) for number in range(7)]) == "0, 1, 2, 3, 4 and 2 more"
