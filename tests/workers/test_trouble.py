"""Trouble at rokka that passes: the tasks try again, until they are through."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from django_rokka.emulator import Emulator
from django_rokka.emulator.faults import Fault
from tests.workers.harness import BROKERS, Rig, Tally
from tests.workers.scenarios import (
    CENTRAL,
    Rehash,
    RehashLastRow,
    RehashOneRow,
    Release,
    Rokka,
    Scenario,
    Upload,
    check_uploads,
    clear,
)

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True)]


class LeavingRehash(Rehash):
    """The same where the old image may stay until ``delete_due`` runs."""

    leaves_the_rest = True


class LeavingRehashLastRow(RehashLastRow):
    """The same."""

    leaves_the_rest = True


#: How long rokka refuses all calls, in seconds.
MINUTE = 60
_FAILURES: list[dict[str, Any]] = [{"kind": "status", "status": 500}, {"kind": "cut"}]
_CALLS: list[tuple[type[Scenario], str, str]] = [
    (Rehash, "PUT", "/meta/dynamic/"),
    (RehashOneRow, "PUT", "/meta/dynamic/"),
    (LeavingRehash, "DELETE", "/sourceimages/acme/"),
    (LeavingRehashLastRow, "DELETE", "/sourceimages/acme/"),
    (Release, "DELETE", "/sourceimages/acme/"),
    (Upload, "POST", "/sourceimages/acme$"),
]


def test_rokka_limits_the_rate_for_a_minute(
    make_rig: Callable[..., Rig], emulator: Emulator, rokka: Rokka
) -> None:
    """With RabbitMQ, the worker is killed while its tasks wait for their next try."""
    rigs = {broker: make_rig(broker, longest_pause=15) for broker in BROKERS}
    tallies = {broker: Tally("all tasks", broker, "429 for a minute") for broker in BROKERS}
    rounds = [(broker, kind(rokka)) for kind in CENTRAL for broker in BROKERS]
    emulator.add_fault(Fault(status=429, times=1_000_000, path="^/sourceimages/"))
    for broker, round_ in rounds:
        rigs[broker].start(round_.start)
    time.sleep(MINUTE / 2)
    rigs["rabbitmq"].kill_worker()
    rigs["rabbitmq"].start_worker()
    time.sleep(MINUTE / 2)
    emulator.clear_faults()
    for rig in rigs.values():
        rig.settle()
    for broker, round_ in rounds:
        round_.check(tallies[broker])
        tallies[broker].places.append(round_.name)
    check_uploads(rokka, [round_ for _, round_ in rounds], [*tallies.values()])
    refused = sum(call.status == 429 for call in emulator.calls)
    assert refused >= 3 * len(rounds)


@pytest.mark.parametrize("after_work", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("broker", BROKERS)
def test_a_call_fails(
    broker: str,
    after_work: bool,
    make_rig: Callable[..., Rig],
    emulator: Emulator,
    rokka: Rokka,
) -> None:
    """An error 500, or a connection that breaks off, before or after rokka has done its work.

    A rehash does not try again to delete the old image: that is left to ``delete_due``.
    """
    rig = make_rig(broker)
    for kind, method, path in _CALLS:
        tally = Tally(kind.name, broker, f"{method} fails {'after' if after_work else 'before'}")
        for failure in _FAILURES:
            round_ = kind(rokka)
            emulator.add_fault(Fault(method=method, path=path, after_work=after_work, **failure))
            rig.run(round_.start)
            print(method, "failed with", failure)  # noqa: T201 - shown if the test fails
            rig.run(round_.finish)
            round_.check(tally)
            unanswered = int(after_work and method == "POST")
            check_uploads(rokka, [round_], [tally], unanswered=unanswered)
            tally.places.append(f"{method} {failure}")
            clear()
