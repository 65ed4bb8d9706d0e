"""The mirror and rokka, after others were at work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_rokka import api, sync
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage, SyncRun
from django_rokka.sync import items, runs
from django_rokka.sync import run as walk
from tests.library.models import Article, Page
from tests.meanwhile import meanwhile
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three images on a page, so that a few pictures make several."""
    monkeypatch.setattr(walk, "PAGE", 3)
    monkeypatch.setattr(walk, "_ROWS", 4)


def article(color: str) -> Article:
    file = ContentFile(picture(color=color), name="dog.jpg")
    return Article.objects.create(title=color, photo=file)


def others() -> api.RokkaClient:
    """A client that our mirror does not hear of."""
    return get_client(mirrors=False)


def upload(number: int) -> str:
    """An image of others; gives its hash."""
    file = ContentFile(picture(format="PNG", color=f"#{number:06x}"), name=f"{number}.png")
    return others().create_source_image(file).hash


def counts(run: SyncRun) -> dict[str, int]:
    """What a run counted, without the zeros."""
    return {name: getattr(run, name) for name in run.COUNTS if getattr(run, name)}


def full() -> dict[str, int]:
    return counts(sync.sync_organization("default"))


def assert_mirror_is_true() -> None:
    """Field by field: every image at rokka is a row that says the same, and no other row is live."""
    images = {image.hash: image for image in others().iter_source_images()}
    rows = {row.hash: row for row in SourceImage.objects.live()}
    assert set(rows) == set(images)
    for hash, image in images.items():
        for name in SourceImage.RECORDED_FIELDS:
            if name not in ("deleted", "synced"):
                assert getattr(rows[hash], name) == getattr(image, name), name


# --- A full run -------------------------------------------------------------------------------


def test_a_run_learns_what_is_new_gone_and_rehashed() -> None:
    same, rehashed, gone, unused = (article(color) for color in ("#100", "#200", "#300", "#400"))
    unused_hash = unused.photo.hash
    Article.objects.filter(pk=unused.pk)._raw_delete("default")
    new = upload(5)
    target = others().set_dynamic_metadata(rehashed.photo.hash, api.SubjectArea(1, 2)).hash
    for hash in (rehashed.photo.hash, gone.photo.hash, unused_hash):
        others().delete_source_image(hash)

    assert full() == {"seen": 3, "created": 2, "changed": 1, "deleted": 3, "rehashed": 1}

    assert_mirror_is_true()
    assert Article.objects.get(pk=rehashed.pk).photo.hash == target
    assert SourceImage.objects.broken().get().hash == gone.photo.hash
    assert SourceImage.objects.filter(hash__in=[same.photo.hash, new]).live().count() == 2
    full()  # the look for the lost image has written the one that was found
    assert full() == {"seen": 3, "unchanged": 3}


@pytest.mark.parametrize("number", [0, 1, 3, 4, 7])
def test_pages_of_every_number_are_walked(number: int) -> None:
    for index in range(number):
        upload(index)

    run = sync.sync_organization("default")

    assert (run.seen, run.created, run.total) == (number, number, number)
    assert run.complete
    assert_mirror_is_true()
    for hash in SourceImage.objects.values_list("hash", flat=True)[: number // 2]:
        others().delete_source_image(hash)
    assert sync.sync_organization("default").deleted == number // 2
    assert_mirror_is_true()


def test_an_unchanged_run_writes_no_image() -> None:
    for index in range(7):
        upload(index)
    full()

    with CaptureQueriesContext(connection) as queries:
        assert full() == {"seen": 7, "unchanged": 7}

    written = [query["sql"] for query in queries if re.match("INSERT|UPDATE|DELETE", query["sql"])]
    assert [sql for sql in written if "rokka_sourceimage" in sql] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda client, hash: client.rename_source_image(hash, "new.jpg"),
        lambda client, hash: client.patch_user_metadata(hash, {"title": "x"}),
        lambda client, hash: client.set_locked(hash, True),
    ],
)
def test_every_change_of_others_is_seen(change: Callable[[api.RokkaClient, str], None]) -> None:
    hashes = [upload(index) for index in range(5)]
    full()

    change(others(), hashes[2])

    assert full() == {"seen": 5, "changed": 1, "unchanged": 4}
    assert_mirror_is_true()
    change(get_client(), hashes[3])
    assert full() == {"seen": 5, "changed": 1, "unchanged": 4}


def test_an_image_that_a_lagging_listing_lacks_is_asked_for(emulator: Emulator) -> None:
    hashes = [upload(index) for index in range(5)]
    full()
    SourceImage.objects.update(synced=timezone.now() - timedelta(days=1))
    emulator.listing_lag = 60
    emulator.application.calls.clear()

    assert full() == {}

    assert SourceImage.objects.live().count() == 5
    asked = [call.path.rpartition("/")[2] for call in emulator.calls]
    assert sorted(asked) == sorted(["acme", *hashes])  # each once


def test_what_is_uploaded_during_a_run_is_not_missing(emulator: Emulator) -> None:
    for index in range(7):
        upload(index)
    runs = sync.run_sync("default")
    next(runs)

    own = article("#abcdef").photo.hash
    emulator.listing_lag = 60
    *_, run = runs

    assert run.deleted == 0
    assert SourceImage.objects.live().filter(hash=own).exists()


def test_a_listing_in_another_order_marks_nothing_as_deleted(
    monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    for index in range(7):
        upload(index)
    full()
    walked = api.RokkaClient.iter_raw_pages
    monkeypatch.setattr(
        api.RokkaClient,
        "iter_raw_pages",
        lambda self, **search: walked(self, **{**search, "sort": "hash desc"}),
    )
    SourceImage.objects.update(synced=timezone.now() - timedelta(days=1))
    others().delete_source_image(SourceImage.objects.all()[0].hash)

    run = sync.sync_organization("default")

    assert (run.seen, run.deleted) == (6, 0)
    assert "not in the order of the hashes" in caplog.text
    assert SourceImage.objects.live().count() == 7


# --- Interruption -----------------------------------------------------------------------------


def test_an_interrupted_run_goes_on_at_its_cursor(emulator: Emulator) -> None:
    for index in range(10):
        upload(index)
    runs = sync.run_sync("default")
    next(runs)
    first = next(runs)
    runs.close()
    assert SourceImage.objects.count() == 6
    emulator.application.calls.clear()

    run = sync.sync_organization("default")

    assert (run.pk, run.created, run.seen) == (first.pk, 10, 10)
    assert run.complete
    assert len(emulator.calls) == 2
    assert_mirror_is_true()


@pytest.mark.parametrize("page", range(4))
def test_trouble_on_any_page_is_raised_and_the_next_run_goes_on(
    emulator: Emulator, page: int
) -> None:
    for index in range(10):
        upload(index)
    emulator.add_fault(Fault(kind="slow", times=max(page, 1), seconds=0, method="GET"))
    emulator.add_fault(Fault(status=500, method="GET"))

    with pytest.raises(api.ServerError):
        full()

    assert SyncRun.objects.get().finished is None
    assert full()["seen"] == 10
    assert_mirror_is_true()


@pytest.mark.parametrize("pages", range(4))
def test_a_run_that_is_left_anywhere_ends_as_one_that_was_not(pages: int) -> None:
    hashes = [upload(index) for index in range(10)]
    full()
    SourceImage.objects.update(synced=timezone.now() - timedelta(days=1))
    others().delete_source_image(max(hashes))
    others().rename_source_image(min(hashes), "new.png")

    runs = sync.run_sync("default")
    for _ in range(pages):
        next(runs, None)
    runs.close()

    assert full() == {"seen": 9, "changed": 1, "unchanged": 8, "deleted": 1}
    assert_mirror_is_true()


def test_a_cursor_that_is_not_valid_any_more_begins_anew(caplog: Any) -> None:
    for index in range(10):
        upload(index)
    runs = sync.run_sync("default")
    next(runs)
    runs.close()
    SyncRun.objects.update(cursor="no cursor")

    full()

    assert "beginning anew" in caplog.text
    assert_mirror_is_true()


def test_only_one_run_at_a_time() -> None:
    for index in range(7):
        upload(index)
    runs = sync.run_sync("default")
    next(runs)

    with pytest.raises(sync.Busy, match="'acme' is under way: 3 images"):
        full()
    sync.sync_organization("stage")

    SyncRun.objects.filter(running="acme").update(heartbeat=timezone.now() - timedelta(minutes=11))
    full()
    with pytest.raises(sync.Busy, match="taken up by another process"):
        list(runs)
    assert_mirror_is_true()


def test_of_two_runs_that_begin_at_once_one_gets_through() -> None:
    insert = '^INSERT INTO "rokka_syncrun"'

    with (
        meanwhile(insert, lambda: runs.begin("acme", SyncRun.Kind.NEW)),
        pytest.raises(sync.Busy, match="has just begun"),
    ):
        full()


def test_a_request_that_rokka_refuses_marks_nothing_as_deleted(emulator: Emulator) -> None:
    upload(1)
    full()
    emulator.add_fault(Fault(status=400, times=2))

    for dry_run in (True, False):
        with pytest.raises(api.InvalidRequest):
            list(sync.run_sync("default", dry_run=dry_run))

    assert full() == {"seen": 1, "unchanged": 1}
    assert_mirror_is_true()


def test_a_run_of_another_kind_does_not_disturb_an_interrupted_one() -> None:
    for index in range(7):
        upload(index)
    runs = sync.run_sync("default")
    first = next(runs)
    runs.close()

    assert sync.sync_organization("default", SyncRun.Kind.DELETED).complete

    run = sync.sync_organization("default")
    assert (run.pk, run.seen, run.complete) == (first.pk, 7, True)


def test_a_run_that_was_interrupted_long_ago_is_not_taken_up() -> None:
    for index in range(7):
        upload(index)
    runs = sync.run_sync("default")
    first = next(runs)
    runs.close()
    SyncRun.objects.update(started=timezone.now() - timedelta(days=2))

    run = sync.sync_organization("default")

    assert (run.pk != first.pk, run.seen, run.complete) == (True, 7, True)
    first.refresh_from_db()
    assert (first.complete, bool(first.finished)) == (False, True)


def test_images_that_come_and_go_while_the_listing_is_read(emulator: Emulator) -> None:
    """Offsets move then: an image may be seen twice, or not at all."""
    hashes = sorted(upload(index) for index in range(12))
    full()
    SourceImage.objects.update(synced=timezone.now() - timedelta(days=1))
    numbers = iter(range(100, 400))
    runs = sync.run_sync("default")
    next(runs)

    others().delete_source_image(hashes[1])
    next(runs)
    for _ in range(3):
        while upload(next(numbers)) > hashes[2]:
            pass
    *_, run = runs

    assert (run.deleted, run.complete) == (0, True)  # it was there when its page was read
    assert "not in the order" not in str(run)
    full()
    assert_mirror_is_true()


# --- Incremental ------------------------------------------------------------------------------


def test_an_incremental_run_reads_what_is_new(emulator: Emulator) -> None:
    for index in range(7):
        upload(index)
    first = sync.sync_organization("default", SyncRun.Kind.NEW)
    assert (first.kind, first.created) == ("full", 7)  # there was none before
    SyncRun.objects.update(started=timezone.now() + timedelta(minutes=10, seconds=-2))
    SourceImage.objects.all()[0].delete()
    with emulator.application.state.transaction() as db:
        db.execute("UPDATE images SET created = created - 3600")
    new = upload(99)

    run = sync.sync_organization("default", SyncRun.Kind.NEW)

    assert counts(run) == {"seen": 1, "created": 1}
    assert SourceImage.objects.live().filter(hash=new).exists()
    assert SourceImage.objects.count() == 7


# --- Deleted ----------------------------------------------------------------------------------


def test_deletion_restoring_and_purging_by_others_show_up(emulator: Emulator) -> None:
    hashes = [upload(index) for index in range(8)]
    full()
    for hash in hashes[:5]:
        others().delete_source_image(hash)

    run = sync.sync_organization("default", SyncRun.Kind.DELETED)
    assert counts(run) == {"seen": 5, "deleted": 5}
    assert set(SourceImage.objects.deleted().values_list("hash", flat=True)) == set(hashes[:5])
    assert counts(sync.sync_organization("default", SyncRun.Kind.DELETED)) == {
        "seen": 5,
        "unchanged": 5,
    }

    others().restore_source_image(hashes[0])
    assert full() == {"seen": 4, "restored": 1, "unchanged": 3}
    with emulator.application.state.transaction() as db:
        db.execute("DELETE FROM images WHERE hash IN (?, ?)", hashes[1:3])

    run = sync.sync_organization("default", SyncRun.Kind.DELETED)
    assert counts(run) == {"seen": 2, "purged": 2, "unchanged": 2}
    purged = SourceImage.objects.exclude(purged=None)
    assert set(purged.values_list("hash", flat=True)) == set(hashes[1:3])
    assert sync.sync_organization("default", SyncRun.Kind.DELETED).purged == 0
    assert upload(1) == hashes[1]
    assert full()["restored"] == 1
    assert SourceImage.objects.get(hash=hashes[1]).purged is None


# --- Malformed --------------------------------------------------------------------------------

GOOD = {"hash": "a" * 40, "organization": "acme", "created": "2019-12-10T10:45:32+00:00"}


@pytest.mark.parametrize(
    "item",
    [
        None,
        [],
        "text",
        {},
        {"organization": "acme"},
        {**GOOD, "hash": None},
        {**GOOD, "hash": "abc"},
        {"hash": "a" * 40},
        {**GOOD, "organization": "other"},
        {**GOOD, "created": "yesterday"},
        {**GOOD, "user_metadata": ["title"]},
        {**GOOD, "dynamic_metadata": "text"},
        {**GOOD, "width": "wide"},
        {**GOOD, "size": True},
    ],
)
def test_what_cannot_be_read_is_reported_and_skipped(
    item: Any, emulator: Emulator, caplog: Any
) -> None:
    hashes = [upload(index) for index in range(5)]
    full()
    SourceImage.objects.update(synced=timezone.now() - timedelta(days=1))
    good = json.loads(json.dumps(_listed(hashes[0])))
    body = json.dumps({"total": 5, "items": [item, good], "links": []})
    emulator.add_fault(Fault(status=200, body=body, path="^/sourceimages/acme$"))

    run = sync.sync_organization("default")

    assert (run.malformed, run.deleted, run.complete) == (1, 0, True)
    assert "Skipped" in caplog.text
    assert SourceImage.objects.live().count() == 5


def _listed(hash: str) -> Any:
    pages = others().iter_raw_pages()
    return next(item for page in pages for item in page.items if item["hash"] == hash)


def test_a_listing_that_ends_early_marks_nothing_as_deleted(
    emulator: Emulator, caplog: Any
) -> None:
    for index in range(5):
        upload(index)
    full()
    SourceImage.objects.update(synced=timezone.now() - timedelta(days=1))
    emulator.application.calls.clear()
    body = '{"total": 5, "items": []}'
    emulator.add_fault(Fault(status=200, body=body, path="^/sourceimages/acme$"))

    assert full() == {}

    assert "it ends after 0 of 5 images" in caplog.text
    assert len(emulator.calls) == 1
    assert SourceImage.objects.live().count() == 5


def test_a_missing_image_that_cannot_be_read_is_not_deleted(emulator: Emulator) -> None:
    hashes = [upload(index) for index in range(3)]
    full()
    SourceImage.objects.update(synced=timezone.now() - timedelta(days=1))
    emulator.listing_lag = 60
    emulator.add_fault(Fault(status=200, body="[]", path=f"/{hashes[1]}$"))

    run = sync.sync_organization("default")

    assert (run.malformed, run.deleted) == (1, 0)
    assert SourceImage.objects.live().count() == 3


def test_equal_items_have_equal_fingerprints() -> None:
    one = {"a": "x" * 3, "b": {"c": [1, 2.5, None, True]}, "d": "x" * 3}
    other = json.loads(json.dumps(one))

    assert items.fingerprint(one) == items.fingerprint(other)
    assert len({items.fingerprint(value) for value in (one, {**one, "a": "y"}, {}, [], None)}) == 5
    assert -(2**63) <= items.fingerprint(one) < 2**63


# --- One image, and the manager ---------------------------------------------------------------


def test_one_image_can_be_synced() -> None:
    row = article("#100")
    image = row.photo.source_image
    others().rename_source_image(image.hash, "renamed.jpg")

    assert sync.sync_image(image) == image
    assert image.name == "renamed.jpg"
    others().delete_source_image(image.hash)
    assert sync.sync_image(image) is None


def test_the_mirror_can_be_asked() -> None:
    held, texted, free = article("#100"), upload(2), upload(3)
    hidden = upload(4)
    full()
    rows = SourceImage.objects
    Page.objects.create(body=f"https://acme.rokka.io/hero/{texted[:12]}/a.jpg", hero=hidden)
    others().patch_user_metadata(free, {"title": "Dog", "int:year": 2024})
    full()

    def hashes(found: Any) -> set[str]:
        return {image.hash for image in found}

    assert hashes(rows.unreferenced()) == {free}
    assert hashes(rows.with_user_metadata(title="Dog", **{"int:year": 2024})) == {free}
    assert not rows.with_user_metadata(title="Cat")
    assert hashes(rows.search("DOG.j")) == {held.photo.hash}
    assert hashes(rows.search(f" {free[:8].upper()} ")) == {free}
    assert hashes(rows.search(rows.get(hash=free).binary_hash)) == {free}
    assert len(list(rows.one_by_one(portion=2))) == 4
    get_client().delete_source_image(free)
    assert hashes(rows.deleted()) == {free}
    assert hashes(rows.live().unreferenced()) == set()


# --- The command ------------------------------------------------------------------------------


def run_command(capsys: Any, *options: str) -> str:
    call_command("rokka_sync", "--alias=default", *options)
    return str(capsys.readouterr().out)


def test_the_command_says_what_it_did(capsys: Any) -> None:
    for index in range(5):
        upload(index)

    dry = run_command(capsys, "--dry-run")
    assert "5 seen, 5 created, 0 changed" in dry
    assert "(nothing was written)" in dry
    assert not SourceImage.objects.exists()
    assert not SyncRun.objects.exists()

    said = run_command(capsys, "--full", "--deleted")
    assert "acme, all images: 5 seen, 5 created, 0 changed, 0 unchanged, 0 deleted" in said
    assert "acme, deleted images: 0 seen" in said
    assert re.search(r"in \d+\.\d s\.\n", said)
    assert "acme, images that are new: 5 seen, 0 created, 0 changed, 5 unchanged" in run_command(
        capsys
    )
    others().delete_source_image(SourceImage.objects.all()[0].hash)
    assert "1 deleted" in run_command(capsys, "--full", "--dry-run")
    assert SourceImage.objects.live().count() == 5


def test_the_command_syncs_every_organization_once(capsys: Any, settings: Any) -> None:
    settings.ROKKA = {**settings.ROKKA, "again": settings.ROKKA["default"]}

    call_command("rokka_sync")

    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["acme", "acme-stage"]


def test_on_a_terminal_there_is_a_bar(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(7):
        upload(index)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TQDM_MININTERVAL", "0")

    call_command("rokka_sync", "--alias=default")

    said = capsys.readouterr()
    assert "7.00/7.00 [" in said.err
    assert "images/s" in said.err
    assert "7 seen" in said.out


def test_in_a_pipe_there_is_a_line_now_and_then(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(7):
        upload(index)
    monkeypatch.setattr("django_rokka.management.progress._EVERY", 0)

    call_command("rokka_sync", "--alias=default")

    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        f"{seen} of 7 images" for seen in (3, 6, 7, 7)
    ]
    assert all(re.search(r", [\d.]+/s, 00:00 left$", line) for line in lines)


def test_the_command_leaves_if_another_one_runs(capsys: Any) -> None:
    for index in range(5):
        upload(index)
    runs = sync.run_sync("default")
    next(runs)

    with pytest.raises(CommandError, match="under way") as error:
        run_command(capsys)
    assert error.value.returncode == 3
    runs.close()


def test_an_interrupted_command_says_that_it_can_go_on(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(7):
        upload(index)

    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(walk._Walk, "finish", interrupted)
        with pytest.raises(CommandError, match="Interrupted") as error:
            run_command(capsys, "--full")

    assert error.value.returncode == 130
    assert SyncRun.objects.get().heartbeat is None
    assert "7 seen, 7 created" in run_command(capsys, "--full")


def test_the_command_fails_for_what_it_could_not_read(capsys: Any, emulator: Emulator) -> None:
    emulator.add_fault(
        Fault(status=200, body='{"total": 1, "items": [null]}', path="^/sourceimages/acme$")
    )
    with pytest.raises(SystemExit) as ended:
        call_command("rokka_sync", "--full")
    assert ended.value.code == 1
    emulator.add_fault(Fault(status=500))
    with pytest.raises(CommandError, match="goes on from here"):
        call_command("rokka_sync", "--full")
