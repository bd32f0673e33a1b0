"""Which version routes: offered, taken, refused, watched and taken back; told once and where it is looked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from logrouter.core.routing import RouteTable
from logrouter.core.trial import TrialBounds
from logrouter.reload.versions import ConfigVersions, ReloadOutcome, ReloadResult, Version
from logrouter.telemetry import metrics

BOUNDS = TrialBounds(60_000, 10, max_rejected_ratio=0.1, max_lag_growth_records=100)


class Clock:
    """Milliseconds that pass when told to."""

    now = 1_777_888_800_000

    def __call__(self):
        return self.now


def version(generation, canary=None):
    """A version of that name; the lane's settings do not matter here."""
    return Version(None, RouteTable(generation, ()), canary)


def versions(clock=None):
    """Version `a` in force."""
    return ConfigVersions(version("a"), file="topics.yaml", clock_ms=clock or Clock())


def swap(to, generation, canary=None):
    """Offer a version and take it, as the lane does."""
    to.propose(version(generation, canary), asked=False)
    assert to.is_swap_due()
    return to.activate().generation


def batch(to, accepted=0, rejected=0):
    """A committed batch."""
    to.record_commit(
        {"s": [accepted + rejected, 1]},
        {("r", "accepted", "", ""): accepted, ("r", "rejected", "validate", "schema"): rejected},
    )


def events(caplog):
    """The log events so far."""
    return [record.message for record in caplog.records]


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level("INFO", "logrouter")


def test_offered_version_is_in_force_when_the_lane_has_taken_it(caplog):
    """Offering promises, taking does; both generations are never in the metrics together."""
    it = versions()
    assert not it.is_swap_due()
    assert it.propose(version("b"), asked=False) == (ReloadResult.APPLIED, "", "b")
    assert (it.version.generation, it.is_swap_due()) == ("a", True)
    assert it.activate().generation == "b"

    assert (it.report()["generation"], it.is_swap_due(), it.activate()) == ("b", False, None)
    assert metrics.CONFIG_INFO.labels("b")._value.get() == 1
    assert ("a",) not in metrics.CONFIG_INFO._metrics
    assert events(caplog) == ["config_applied"]


def test_version_in_force_offered_again_calls_off_the_one_to_come():
    """The file was changed and changed back before the lane looked."""
    it = versions()
    it.propose(version("b"), asked=False)

    assert it.propose(version("a"), asked=False).result is ReloadResult.UNCHANGED
    assert not it.is_swap_due()


def test_latest_offer_counts():
    """Two edits between two batches: the second one."""
    it = versions()
    it.propose(version("b"), asked=False)
    it.propose(version("c"), asked=False)

    assert it.activate().generation == "c"


@pytest.mark.parametrize("asked", [False, True])
def test_failure_is_told_once_unless_somebody_asks_again(caplog, asked):
    """The same file failing in the same way is no news; valid stays 0 until there is a good one."""
    it = versions()
    for _ in range(3):
        it.record_failure(ReloadOutcome(ReloadResult.INVALID, "1:1: routes: lacks"), asked=asked)

    assert events(caplog) == ["config_rejected"] * (3 if asked else 1)
    assert metrics.CONFIG_VALID._value.get() == 0
    report = it.report()
    assert (report["generation"], report["valid"], report["last_error"]) == ("a", False, "1:1: routes: lacks")
    it.propose(version("a"), asked=False)
    assert (it.report()["valid"], metrics.CONFIG_VALID._value.get()) == (True, 1)


def test_crossed_bound_brings_the_former_version_back(caplog):
    """By itself at the next batch; the bad one is refused until another is offered."""
    it = versions()
    swap(it, "b", BOUNDS)
    assert it.report()["canary"]["state"] == "watching"
    batch(it, accepted=80, rejected=8)
    assert not it.is_swap_due()
    batch(it, rejected=8)
    assert it.is_swap_due()
    assert it.activate().generation == "a"

    report = it.report()
    assert (report["generation"], report["valid"]) == ("a", False)
    assert report["canary"] == {"state": "rolled_back", "rolled_back_generation": "b"}
    assert report["last_error"] == "rejected_ratio is 0.1667, max_rejected_ratio is 0.1"
    assert events(caplog) == ["config_applied", "config_rolled_back"]
    assert it.propose(version("b"), asked=False).result is ReloadResult.REFUSED
    assert not it.is_swap_due()
    assert it.propose(version("a"), asked=False).result is ReloadResult.UNCHANGED
    assert it.propose(version("b"), asked=False).result is ReloadResult.APPLIED


def test_lag_that_grows_brings_the_former_version_back():
    """A table that is valid but too dear is taken back as well."""
    it = versions()
    swap(it, "b", BOUNDS)
    it.record_lag({("t", 0): 5})
    it.record_lag({("t", 0): 106})

    assert it.activate().generation == "a"


def test_version_that_keeps_its_bounds_passes(caplog):
    """After the window nothing brings the former one back."""
    clock = Clock()
    it = versions(clock)
    swap(it, "b", BOUNDS)
    clock.now += 60_000
    assert not it.is_swap_due()
    batch(it, rejected=1000)

    assert not it.is_swap_due()
    assert it.report()["canary"]["state"] == "passed"
    assert events(caplog) == ["config_applied", "canary_passed"]


def test_edit_of_a_version_under_watch_falls_back_to_the_last_that_passed():
    """The edit and its repair both go wrong: what routed before both comes back."""
    it = versions()
    swap(it, "b", BOUNDS)
    swap(it, "c", BOUNDS)
    assert it.report()["canary"]["falls_back_to"] == "a"
    batch(it, rejected=100)

    assert it.activate().generation == "a"


def test_edit_that_comes_while_a_rollback_waits_goes_first():
    """The operator was faster than the lane: the new edit is tried, under watch again."""
    it = versions()
    swap(it, "b", BOUNDS)
    batch(it, rejected=100)
    it.propose(version("c", BOUNDS), asked=False)
    assert it.activate().generation == "c"
    assert it.report()["canary"]["state"] == "watching"
    batch(it, rejected=100)

    assert it.activate().generation == "a"


def test_bad_version_read_again_while_its_rollback_waits_changes_nothing():
    """Touching the file does not call the rollback off."""
    it = versions()
    swap(it, "b", BOUNDS)
    batch(it, rejected=100)
    it.propose(version("b", BOUNDS), asked=False)

    assert it.activate().generation == "a"


def test_version_without_canary_stays_whatever_happens():
    """No bounds, no judge."""
    it = versions()
    swap(it, "b")
    batch(it, rejected=1000)

    assert not it.is_swap_due()
    assert it.report()["canary"] == {"state": "off", "rolled_back_generation": None}


def test_withdrawn_version_is_reported_as_refused():
    """The client found fault with it after it was taken."""
    it = versions()
    former = it.version
    swap(it, "b", BOUNDS)
    it.reject(former, "no such expression")

    assert (it.report()["generation"], it.report()["last_error"]) == ("a", "no such expression")
    assert not it.is_swap_due()


@pytest.mark.parametrize(
    ("then", "result"),
    [
        (lambda it, _former: it.is_swap_due(), ReloadResult.APPLIED),
        (lambda it, former: it.reject(former, "no such expression"), ReloadResult.REFUSED),
    ],
)
def test_whoever_waits_is_told_only_what_is_decided(then, result):
    """A version that is taken may still be withdrawn: it is in force when the lane goes on with it."""
    it = versions()
    former = it.version
    swap(it, "b")
    assert it.wait_decided("b", 0) is None
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(it.wait_decided, "b", 5)
        then(it, former)

        assert waiting.result().result is result
