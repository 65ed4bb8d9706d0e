"""Bulk operations whose workers are killed: others go on, nothing is lost or doubled, the counts are right."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from django.utils import timezone

from django_rokka import tasks
from django_rokka.bulk import operations
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import BulkItem, BulkOperation
from tests.workers.bulk import EVERY, BulkScenario, Copy, CopyNew, Delete, Protect
from tests.workers.harness import BROKERS, Rig, Tally
from tests.workers.scenarios import Rokka, clear

pytestmark = [pytest.mark.servers, pytest.mark.django_db(transaction=True)]

#: How many images a task takes, and how many tasks a worker runs at the same time.
_CHUNK, _CHILDREN = 3, 2
#: Where tasks are killed; the services that they call have tests of their own.
_FILES = ["operations.py", "actions.py", "tasks.py", "later.py"]
#: How long rokka refuses all calls, in seconds.
_LIMITED = 6
#: So many lines of these, at least, the tasks pass.
_LINES = 120


@pytest.fixture(autouse=True)
def _chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who starts an operation has to know as well how many images a task takes."""
    monkeypatch.setattr(operations, "CHUNK", _CHUNK)


def test_bulk_children_are_killed_at_every_line(make_rig: Callable[..., Rig], rokka: Rokka) -> None:
    """Odd lines with one broker, even ones with the other, each once; a copy again at some."""
    rigs = [make_rig(broker, children=_CHILDREN, chunk=_CHUNK) for broker in BROKERS]
    places: set[str] = set()
    for kind in EVERY:
        rounds = [(rig, kind(rokka), Tally(kind.name, name, "children killed at lines"))
                  for rig, name in zip(rigs, BROKERS, strict=True)]  # fmt: skip
        for rest, (rig, round_, _) in enumerate(rounds):
            if kind is CopyNew:
                rig.forget_places()
            divisor = 6 if kind is CopyNew else len(rigs)
            rig.plan_kills(rest, divisor, _FILES)
            rig.start(round_.start)
        for rig, _, _ in rounds:
            rig.settle(patience=180)
        for rig, round_, tally in rounds:
            tally.places += rig.places()
            rig.run(round_.finish)
            print(kind.name, tally.broker, "killed at", *tally.places)  # noqa: T201 - if it fails
            round_.check(tally)
            places |= {*tally.places}
        clear()
    assert len(places) >= _LINES


#: In the call so and so much, before or after its work. A protection makes four calls for an image.
_CALLS: list[tuple[type[BulkScenario], int, bool]] = [
    (Delete, 2, False),
    (Delete, 3, True),
    (CopyNew, 2, True),
    (Copy, 2, False),
    (Protect, 5, False),
    (Protect, 6, True),
    (Protect, 8, True),
    (Protect, 7, False),
]


@pytest.mark.parametrize("broker", BROKERS)
def test_bulk_workers_are_killed_in_a_call(
    broker: str, make_rig: Callable[..., Rig], rokka: Rokka
) -> None:
    """Half of the calls with each broker. Until the next worker starts, an editor saves rows."""
    rig = make_rig(broker, visibility_timeout=1, children=_CHILDREN, chunk=_CHUNK)
    for kind, call, after_work in _CALLS[[*BROKERS].index(broker) :: len(BROKERS)]:
        round_, tally = kind(rokka), Tally(kind.name, broker, "worker killed in a call")
        fault = rig.plan_hang(call, after_work=after_work)
        rig.start(round_.start)
        assert rig.hangs()
        rig.kill_worker()
        round_.meanwhile()
        rig.start_worker()
        rig.settle()
        rig.emulator.clear_faults()
        tally.places.append(fault.seen[call - 1])
        print(kind.name, "killed in", *tally.places, f"{after_work=}")  # noqa: T201 - if it fails
        round_.check(tally)
        clear()


@pytest.mark.parametrize(("broker", "kind"), [("redis", Copy), ("rabbitmq", Protect)], ids=BROKERS)
def test_bulk_operations_whose_messages_are_lost_are_resumed(
    broker: str, kind: type[BulkScenario], make_rig: Callable[..., Rig], rokka: Rokka
) -> None:
    rig = make_rig(broker, children=_CHILDREN, chunk=_CHUNK)
    round_, tally = kind(rokka), Tally(kind.name, broker, "messages are lost")
    rig.plan_hang(2, after_work=True)
    rig.start(round_.start)
    assert rig.hangs()
    rig.kill_worker()
    rig.lose_messages()
    rig.emulator.clear_faults()
    rig.start_worker()

    rig.run(lambda: tasks.resume_bulk_operations.delay("default"))
    left = round_.operation.items.filter(state__in=BulkItem.OPEN).count()
    assert left
    long_ago = timezone.now() - 2 * operations.LOST
    BulkOperation.objects.update(heartbeat=long_ago)
    rig.run(lambda: tasks.resume_bulk_operations.delay("default"))

    tally.places.append(f"{left} images left")
    round_.check(tally)


def test_bulk_operations_wait_while_rokka_limits_the_rate(
    make_rig: Callable[..., Rig], emulator: Emulator, rokka: Rokka
) -> None:
    """With RabbitMQ, the worker is killed while its tasks wait for their next try."""
    rigs = {
        broker: make_rig(broker, longest_pause=2, children=_CHILDREN, chunk=_CHUNK)
        for broker in BROKERS
    }
    rounds = [(broker, kind(rokka)) for kind in (Delete, CopyNew, Protect) for broker in BROKERS]
    emulator.add_fault(Fault(status=429, times=1_000_000, path="^/sourceimages/"))
    for broker, round_ in rounds:
        rigs[broker].start(round_.start)
    time.sleep(_LIMITED / 2)
    rigs["rabbitmq"].kill_worker()
    rigs["rabbitmq"].start_worker()
    time.sleep(_LIMITED / 2)
    emulator.clear_faults()
    for rig in rigs.values():
        rig.settle()
    for broker, round_ in rounds:
        tally = Tally(round_.name, broker, f"429 for {_LIMITED} seconds")
        round_.check(tally)
        tally.places.append(broker)
    refused = sum(call.status == 429 for call in emulator.calls)
    assert refused >= 2 * len(rounds)
