"""Bulk operations that several connections work on at the same time, on PostgreSQL."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.utils import timezone

from django_rokka import bulk
from django_rokka.bulk import operations
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import BulkItem, BulkOperation, SourceImage
from tests.pictures import picture
from tests.test_concurrency import Workers, is_waiting, open_transaction, wait_for

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("postgres")]

Kind, State = BulkOperation.Kind, BulkItem.State
_IMAGES, _TASKS = 36, 6


@pytest.fixture(autouse=True)
def _settings(rokka_emulator: Emulator, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "CHUNK", 5)
    settings.ROKKA = {
        alias: {**values, "CONCURRENCY": _TASKS} for alias, values in settings.ROKKA.items()
    }


@pytest.fixture
def images(rokka_emulator: Emulator, _settings: None) -> list[SourceImage]:
    """Images that no row holds. No calls are noted of them, and those to come take their time."""
    client = get_client()
    for number in range(_IMAGES):
        content = picture((8, 8), "PNG", (number, 1, 1))
        client.create_source_image(SimpleUploadedFile(f"{number}.png", content))
    rokka_emulator.application.calls.clear()
    rokka_emulator.add_fault(Fault(kind="hang", seconds=0.01, times=10_000))
    return list(SourceImage.objects.order_by("pk"))


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(max_workers=_TASKS) as pool:
        yield pool


def chain(operation: BulkOperation) -> int:
    """Work as tasks do that start one another, each under an id of its own; gives how many there were."""
    count = 1
    while bulk.work(operation, uuid.uuid4().hex):
        count += 1
    return count


def calls_each(emulator: Emulator) -> Counter[str]:
    """How many calls there were about each image."""
    return Counter(call.path.split("/")[3] for call in emulator.calls)


def outcome(operation: BulkOperation) -> tuple[str, int, int, int]:
    operation.refresh_from_db()
    found = bulk.progress(operation)
    return operation.state, found.done, found.skipped, found.failed


def test_each_image_is_worked_on_once_and_the_end_is_noted_once(
    images: list[SourceImage], rokka_emulator: Emulator, workers: Workers
) -> None:
    ends: list[int] = []

    def note_end(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and BulkOperation.State.FINISHED in (params or ()):
            ends.append(context["cursor"].rowcount)
        return result

    def work() -> int:
        with connection.execute_wrapper(note_end):
            return chain(operation)

    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())
    tasks = [future.result(60) for future in [workers.start(work) for _ in range(_TASKS)]]

    assert outcome(operation) == (BulkOperation.State.FINISHED, _IMAGES, 0, 0)
    assert calls_each(rokka_emulator) == {image.hash: 1 for image in images}
    assert sum(ends) == 1
    # One for each chunk, and at most one more in each chain, which finds nothing left.
    assert sum(tasks) <= -(-_IMAGES // operations.CHUNK) + 2 * _TASKS


@pytest.mark.parametrize("kind", [Kind.LOCK, Kind.COPY, Kind.DELETE])
def test_stopping_and_taking_up_in_between_loses_and_doubles_nothing(
    kind: str,
    images: list[SourceImage],
    rokka_emulator: Emulator,
    workers: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without Celery who takes up works as well; every call that was under way is made at most once more."""
    monkeypatch.setattr(operations, "STEP", 0.05)
    options = {"destination": "acme-stage"} if kind == Kind.COPY else {}
    operation = bulk.create(kind, SourceImage.objects.all(), options=options)
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            chain(operation)
            time.sleep(0.005)

    futures = [workers.start(work) for _ in range(_TASKS - 1)]
    taken_up = 0
    for _ in range(8):
        time.sleep(0.03)
        bulk.stop(operation)
        time.sleep(0.01)
        bulk.take_up(operation)
        taken_up += 1
    try:
        assert wait_for(
            lambda: outcome(operation)[0] == BulkOperation.State.FINISHED, seconds=30
        ), outcome(operation)
    finally:
        ended.set()
    for future in futures:
        future.result(60)

    assert outcome(operation) == (BulkOperation.State.FINISHED, _IMAGES, 0, 0)
    calls = len(rokka_emulator.calls)
    assert calls <= _IMAGES + taken_up * _TASKS
    stage = get_client("stage", mirrors=False).list_source_images()
    assert stage.total == (_IMAGES if kind == Kind.COPY else 0)
    assert SourceImage.objects.live().count() == (0 if kind == Kind.DELETE else _IMAGES)


def test_an_operation_that_is_lost_is_resumed_by_one_of_several(
    images: list[SourceImage], workers: Workers, settings: Any
) -> None:
    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())
    operations._take(operation, "lost")
    BulkOperation.objects.update(heartbeat=timezone.now() - 2 * operations.LOST)

    resumed = [workers.start(bulk.resume_lost, "default") for _ in range(_TASKS)]

    assert sum(future.result(30) for future in resumed) == 1
    chain(operation)
    assert outcome(operation) == (BulkOperation.State.FINISHED, _IMAGES, 0, 0)


def test_who_gives_images_back_waits_for_no_task(
    images: list[SourceImage], workers: Workers
) -> None:
    """A row that is being written is not lost; and who waits for nobody takes part in no deadlock."""
    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())
    first, second, *_ = operations._take(operation, "busy")
    own = BulkItem.objects.filter(pk=second.pk)

    with open_transaction(workers, lambda: own.update(state=State.RUNNING)):
        workers.start(operations._give_back, operation.items.all()).result(5)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.holder) == (State.WAITING, "")
    assert (second.state, second.holder) == (State.RUNNING, "busy")


def test_a_task_of_a_stopped_operation_keeps_no_images(images: list[SourceImage]) -> None:
    """It ends, so that nobody would give back what it took as the operation was taken up."""
    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())
    bulk.stop(operation)

    assert not bulk.work(operation, "late")

    assert set(operation.items.values_list("state", "holder")) == {(State.WAITING, "")}


def test_a_task_too_many_ends_and_starts_no_other(images: list[SourceImage], settings: Any) -> None:
    settings.ROKKA = {**settings.ROKKA, "default": {**settings.ROKKA["default"], "CONCURRENCY": 2}}
    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())
    for name in "ab":
        operations._take(operation, name)

    assert not bulk.work(operation, "c")
    assert bulk.work(operation, "a")
    assert outcome(operation) == (BulkOperation.State.RUNNING, 5, 0, 0)


def test_what_is_taken_up_as_the_last_task_ends_is_worked_on(
    images: list[SourceImage], workers: Workers
) -> None:
    operation = bulk.create(Kind.LOCK, SourceImage.objects.filter(pk__in=[images[0].pk]))
    failed = BulkItem.objects.create(operation=operation, image=images[1], state=State.FAILED)

    def take_up() -> None:
        with transaction.atomic():
            bulk.take_up(operation)
            taken.set()
            assert wait_for(is_waiting)

    taken = threading.Event()
    items = operations._take(operation, "last")
    shift = operations._Shift(operation, "last", None)
    shift.work_on_all(items)
    future = workers.start(take_up)
    assert taken.wait(10)
    bulk.work(operation, "last")
    future.result(30)

    failed.refresh_from_db()
    assert failed.state == State.DONE
    assert outcome(operation) == (BulkOperation.State.FINISHED, 2, 0, 0)
