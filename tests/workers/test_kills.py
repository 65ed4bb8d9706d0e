"""Workers that are killed in the middle of their work: another one finishes it, and nothing is lost."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.workers.harness import BROKERS, Rig, Tally
from tests.workers.scenarios import (
    EVERY_CALL,
    EVERY_LINE,
    LINES,
    UPLOAD,
    Rokka,
    Scenario,
    check_uploads,
    clear,
)

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("scenarios", EVERY_LINE, ids=lambda kinds: kinds[0].__name__)
def test_a_child_is_killed_at_every_line(
    scenarios: list[type[Scenario]], make_rig: Callable[..., Rig], rokka: Rokka
) -> None:
    """Even lines with one broker, odd ones with the other, at the same time: each task is killed once.

    A scenario is begun anew until no line is left at which none of them was killed.
    """
    rigs = [make_rig(broker) for broker in BROKERS]
    for scenario in scenarios:
        tallies = [Tally(scenario.name, broker, "child killed at a line") for broker in BROKERS]
        while _killed_at_lines(scenario, rigs, tallies, rokka):
            clear()
        clear()
    assert sum(len(tally.places) for tally in Tally.every) >= LINES


def _killed_at_lines(
    scenario: type[Scenario], rigs: list[Rig], tallies: list[Tally], rokka: Rokka
) -> bool:
    """Run a task with each broker and kill it at its next line; whether there was one."""
    rounds = [scenario(rokka) for _ in rigs]
    for rest, (rig, round_) in enumerate(zip(rigs, rounds, strict=True)):
        rig.plan_kills(rest, len(rigs), once=True)
        rig.start(round_.start)
    for rig in rigs:
        rig.settle()
    places = [rig.places() for rig in rigs]
    print(scenario.name, "killed at", *places)  # noqa: T201 - shown if the test fails
    for rig, round_, tally, place in zip(rigs, rounds, tallies, places, strict=True):
        rig.run(round_.finish)
        round_.check(tally)
        tally.places += place
    check_uploads(rokka, rounds, tallies)
    return any(places)


@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.parametrize("scenario", EVERY_CALL, ids=lambda kind: kind.__name__)
def test_a_worker_is_killed_in_every_call(
    scenario: type[Scenario], broker: str, make_rig: Callable[..., Rig], rokka: Rokka
) -> None:
    """Before and after rokka has done the work. Until the next worker starts, an editor saves a row."""
    rig = make_rig(broker, visibility_timeout=1)
    tally = Tally(scenario.name, broker, "worker killed in a call")
    for after_work in (False, True):
        for call in itertools.count(1):
            place = _killed_in(call, after_work, scenario(rokka), rig, tally)
            clear()
            if not place:
                break
            tally.places.append(place)
    assert len(tally.places) >= 2 * scenario.calls


def _killed_in(call: int, after_work: bool, round_: Scenario, rig: Rig, tally: Tally) -> str:
    """Run a task whose worker is killed in its nth call. Gives that call; empty if there are fewer."""
    fault = rig.plan_hang(call, after_work=after_work)
    rig.start(round_.start)
    killed = rig.hangs()
    if killed:
        rig.kill_worker()
        rig.start(round_.meanwhile)
        rig.start_worker()
    rig.settle()
    rig.emulator.clear_faults()
    place = fault.seen[call - 1] if killed else ""
    print("killed in", place, f"{after_work=}")  # noqa: T201 - shown if the test fails
    round_.check(tally)
    check_uploads(round_.rokka, [round_], [tally], unanswered=int(after_work and place == UPLOAD))
    return place
