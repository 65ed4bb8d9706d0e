"""What several connections do to one picture at the same time, on PostgreSQL.

After each of it every row renders: that is `broken`, which asks rokka about every row there is.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import DatabaseError, OperationalError, connection, connections, transaction

from django_rokka import api, lifecycle, rehash
from django_rokka.changes import Change
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage
from tests.library.models import Article, Portrait
from tests.pictures import picture

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("postgres")]


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


def new_file(color: str = "#3366cc") -> ContentFile[bytes]:
    return ContentFile(picture(color=color), name="dog.jpg")


@pytest.fixture
def row() -> Article:
    return Article.objects.create(title="first", photo=new_file())


def broken() -> list[str]:
    """The names that rows show and rokka does not have."""
    live = {image.hash for image in get_client(mirrors=False).iter_source_images()}
    shown = [
        *Article.objects.exclude(photo="").values_list("photo", flat=True),
        *Portrait._base_manager.values_list("picture", flat=True),
    ]
    return [name for name in shown if name[:40] not in live]


def hashes() -> set[str]:
    return {name[:40] for name in Article.objects.values_list("photo", flat=True)}


class Workers(ThreadPoolExecutor):
    """Threads that let go of their database connections."""

    def start(self, work: Callable[..., Any], *args: Any) -> Future[Any]:
        def run() -> Any:
            try:
                return work(*args)
            finally:
                connections.close_all()

        return self.submit(run)


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(max_workers=6) as pool:
        yield pool


@contextmanager
def open_transaction(workers: Workers, work: Callable[[], Any]) -> Iterator[None]:
    """Another connection does its work and then keeps its transaction open while the block runs."""
    done, commit = threading.Event(), threading.Event()

    def run() -> None:
        with transaction.atomic():
            work()
            done.set()
            commit.wait(20)

    future = workers.start(run)
    assert done.wait(20) or future.result(0)
    try:
        yield
    finally:
        commit.set()
        future.result(30)


def is_waiting() -> bool:
    """Whether a connection waits for a lock of another one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def wait_for(condition: Callable[[], Any], seconds: float = 10) -> bool:
    """Whether something becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


# --- Rehash -----------------------------------------------------------------------------------


def test_two_rehashes_of_one_image_come_one_after_the_other(
    row: Article, emulator: Emulator, workers: Workers
) -> None:
    image = row.photo.source_image
    emulator.add_fault(Fault(kind="hang", method="PUT", seconds=0.3, times=9))
    changes = [
        Change("subject_area", {"x": 1, "y": 2}),
        Change("version", {"text": "v"}),
        Change("crop_area", {"x": 0, "y": 0, "width": 9, "height": 9}),
    ]

    for future in [workers.start(rehash.change_image, image, change) for change in changes]:
        future.result(30)

    (hash,) = hashes()
    kinds = get_client().get_source_image(hash).dynamic_metadata
    assert set(kinds) == {"subject_area", "version", "crop_area"}
    assert broken() == []
    # Each started from what the one before had made, so nothing is left over.
    assert [image.hash for image in get_client(mirrors=False).iter_source_images()] == [hash]


def save_a_stale_copy() -> None:
    row = Article.objects.get(title="first")
    row.width = 1
    row.save()


def insert_by_name() -> None:
    Article.objects.create(title="new", photo=Article.objects.get(title="first").photo.name)


def upload_the_same() -> None:
    Article.objects.create(title="new", photo=new_file())


def insert_in_bulk() -> None:
    name = Article.objects.get(title="first").photo.name
    Article.objects.bulk_create([Article(title="new", photo=name) for _ in range(3)])


WRITERS = [save_a_stale_copy, insert_by_name, upload_the_same, insert_in_bulk]


@pytest.mark.parametrize("write", WRITERS)
def test_a_rehash_waits_for_a_transaction_that_saves_a_row_with_the_old_hash(
    row: Article, workers: Workers, write: Callable[[], None]
) -> None:
    image = row.photo.source_image

    with open_transaction(workers, write):
        future = workers.start(rehash.change_image, image, Change("version", {"text": "v"}))
        assert wait_for(is_waiting)
        assert not future.done()
        assert broken() == []
    new = future.result(30)

    assert hashes() == {new.hash}
    assert broken() == []


@pytest.mark.parametrize("write", WRITERS)
def test_a_transaction_that_began_before_the_rehash_ends_well(
    row: Article, workers: Workers, write: Callable[[], None]
) -> None:
    """The row is read before the rehash, and written after it."""
    stale = Article.objects.get()
    rehash.change_image(row.photo.source_image, Change("version", {"text": "v"}))

    stale.title = "first"
    stale.save()
    write()

    assert broken() == []


# --- Deletion ---------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [insert_by_name, upload_the_same, insert_in_bulk])
def test_a_deletion_waits_for_a_transaction_that_takes_the_picture(
    row: Article, workers: Workers, write: Callable[[], None]
) -> None:
    image = row.photo.source_image

    with open_transaction(workers, write):
        Article.objects.filter(pk=row.pk)._raw_delete("default")
        future = workers.start(lifecycle.release, image)
        assert wait_for(is_waiting)
        assert not future.done()
    future.result(30)

    assert Article.objects.exists()
    assert broken() == []


@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("after_work", [False, True])
@pytest.mark.parametrize("take", ["name", "upload"])
def test_who_takes_a_picture_while_it_is_deleted_gets_it_back(
    row: Article,
    emulator: Emulator,
    workers: Workers,
    take: str,
    after_work: bool,
    in_transaction: bool,
) -> None:
    name = row.photo.name
    emulator.add_fault(Fault(kind="hang", method="DELETE", seconds=0.5, after_work=after_work))
    deletion = workers.start(row.delete)
    assert wait_for(lambda: not emulator.application.faults._waiting)

    def write() -> None:
        photo = name if take == "name" else new_file()
        if in_transaction:
            with transaction.atomic():
                Article.objects.create(title="new", photo=photo)
        else:
            Article.objects.create(title="new", photo=photo)

    workers.start(write).result(30)
    deletion.result(30)

    assert Article.objects.get().photo.name == name
    assert broken() == []


def test_two_who_take_a_deleted_picture_do_not_wait_for_each_other_for_ever(
    row: Article, workers: Workers
) -> None:
    image = row.photo.source_image
    row.delete()
    both_hold = threading.Barrier(2)

    def take() -> None:
        with transaction.atomic():
            SourceImage.objects.held("acme", image.hash)
            both_hold.wait(20)
            lifecycle.restore(image)

    for future in [workers.start(take), workers.start(take)]:
        future.result(30)

    assert SourceImage.objects.live().get() == image
    assert get_client(mirrors=False).get_source_image(image.hash)


def test_readers_and_savers_do_not_wait_for_each_other(row: Article, workers: Workers) -> None:
    """Any number of transactions may save rows with one picture, while rokka is at work on it."""
    other = Article.objects.create(title="other", photo=row.photo.name)

    def save() -> None:
        Article.objects.get(pk=row.pk).save()

    with open_transaction(workers, save):
        workers.start(Article.objects.get(pk=other.pk).save).result(5)
        get_client().get_source_image(row.photo.hash)  # what the mirror records is no obstacle


# --- Everything at once -----------------------------------------------------------------------

#: How work that lost a race ends. A deadlock is ended by PostgreSQL, and nothing was written.
RACES = (
    api.NotFound,
    rehash.PictureReplaced,
    Article.DoesNotExist,
    SourceImage.DoesNotExist,
    OperationalError,
)
COLORS = ["#110000", "#001100", "#000011"]


class Chaos:
    """Random work on few pictures and rows, as many sites and editors would do it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - only to choose what to do
        self.done = 0

    def run(self, until: float) -> None:
        """Do one thing after another. What loses a race against others may fail, and nothing else."""
        steps = [self.create, self.create, self.save, self.replace, self.clear, self.delete,
                 self.rehash_picture, self.rehash_picture, self.rehash_row, self.rollback]  # fmt: skip
        while time.monotonic() < until:
            with contextlib.suppress(*RACES):
                self.random.choice(steps)()
                self.done += 1

    def _row(self) -> Article:
        pks = list(Article.objects.values_list("pk", flat=True))
        return Article.objects.get(pk=self.random.choice(pks or [0]))

    def _file(self) -> ContentFile[bytes]:
        return new_file(self.random.choice(COLORS))

    def create(self) -> None:
        """Upload, or take another row's picture by its name, in a transaction or without one."""
        photo = self._file() if self.random.random() < 0.5 else self._row().photo.name
        if self.random.random() < 0.5:
            with transaction.atomic():
                Article.objects.create(title="chaos", photo=photo)
                time.sleep(self.random.random() * 0.01)
        else:
            Article.objects.create(title="chaos", photo=photo)

    def save(self) -> None:
        """Save a copy that may be stale by then."""
        row = self._row()
        time.sleep(self.random.random() * 0.02)
        row.title = "saved"
        with contextlib.suppress(DatabaseError):  # deleted meanwhile
            row.save(force_update=True)

    def replace(self) -> None:
        """Give a row another picture."""
        row = self._row()
        row.photo = self._file()
        row.save()

    def clear(self) -> None:
        """Take a row's picture away."""
        self._row().photo.delete()

    def delete(self) -> None:
        """Delete a row."""
        if Article.objects.count() > 4:
            self._row().delete()

    def rehash_picture(self) -> None:
        """Change a picture; every row follows."""
        row = self._row()
        if row.photo:
            row.photo.source_image.set_subject_area(self.random.randint(0, 3), 1)

    def rehash_row(self) -> None:
        """Change a picture for one row."""
        row = self._row()
        if row.photo:
            row.photo.set_subject_area(self.random.randint(0, 3), 2)

    def rollback(self) -> None:
        """Do something, and take it back."""
        with transaction.atomic():
            self._row().delete()
            Article.objects.create(title="never", photo=self._file())
            transaction.set_rollback(True)


def test_whatever_happens_at_once_every_row_renders(workers: Workers, capsys: Any) -> None:
    all_chaos = [Chaos(seed) for seed in range(6)]
    for color in COLORS:
        Article.objects.create(title="start", photo=new_file(color))

    end = time.monotonic() + 12
    for future in [workers.start(chaos.run, end) for chaos in all_chaos]:
        future.result(60)

    done = sum(chaos.done for chaos in all_chaos)
    with capsys.disabled():
        print(f"\n{done} operations of 6 connections, {Article.objects.count()} rows, "  # noqa: T201
              f"{len(broken())} broken references")  # fmt: skip
    assert broken() == []
    assert done > 200
