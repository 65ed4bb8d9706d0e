"""`rokka_import` and `rokka_export`: from a disk to rokka and back, with what can go wrong on the way."""

from __future__ import annotations

import csv
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.files.base import ContentFile
from django.core.management import CommandError
from django.template import engines
from django.utils import timezone

from django_rokka import api
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import MovedFile, SourceImage
from django_rokka.moves import Import, columns, move
from tests.library.models import Article, Attachment, Captioned

from .living_site import PHOTO, binary_hash, content, disk, row, run, uploads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("emulator")]


def test_files_move_to_rokka_and_their_rows_show_them_there(emulator: Emulator) -> None:
    rows = [row(f"2020/dog-{number}.jpg", content(number)) for number in range(5)]
    assert [item.photo.at_rokka for item in rows] == [False] * 5

    code, said = run("rokka_import")

    assert code == 0
    assert "5 files moved" in said
    assert uploads(emulator) == 5
    for number, item in enumerate(rows):
        item.refresh_from_db()
        assert item.photo.at_rokka
        assert (item.width, item.height) == (40 + number, 30)
        assert item.photo.source_image.binary_hash == binary_hash(content(number))
        assert item.photo.name.endswith(f"/dog-{number}.jpg")
        assert requests.get(item.photo.url, timeout=30).status_code == 200
        moved = MovedFile.objects.get(source=f"2020/dog-{number}.jpg")
        assert (moved.state, moved.target) == (MovedFile.State.DONE, item.photo.name)
        assert moved.binary_hash == binary_hash(content(number))
        assert moved.size == len(content(number))
        assert disk().exists(moved.source)

    assert run("rokka_import")[1].startswith(f"{PHOTO}: 0 files moved")
    assert uploads(emulator) == 5


def test_rows_are_shown_from_the_disk_until_they_are_moved(emulator: Emulator) -> None:
    # A folder that looks like a short hash.
    item = row("202401/dog.jpg", content(1))
    tags = engines["django"].from_string(
        "{% load rokka %}{% rokka_img item.photo %}{% rokka_url item.photo width=20 %}"
    )

    html = tags.render({"item": item})

    assert html.count("/old/202401/dog.jpg") >= 2
    assert item.photo.url == "/old/202401/dog.jpg"
    assert item.photo.format == "jpg"
    with item.photo.open() as file:
        assert file.read() == content(1)
    with pytest.raises(api.InvalidArgument, match="not at rokka yet"):
        _ = item.photo.hash
    item.title = "Another title"
    item.save()
    assert emulator.calls == []
    run("rokka_import")
    item.refresh_from_db()
    assert item.photo.hash in tags.render({"item": item})


def test_a_file_of_two_rows_and_a_plain_file_field_move_as_well(emulator: Emulator) -> None:
    first, second = row("dog.jpg", content(1)), row("dog.jpg")
    label = "library.Attachment.file"
    other = row("attachments/cat.jpg", content(2), Attachment, "file")

    run("rokka_import")
    run("rokka_import", label=label)

    assert uploads(emulator) == 2
    for item in (first, second, other):
        item.refresh_from_db()
    assert first.photo.name == second.photo.name
    assert first.photo.at_rokka
    assert SourceImage.objects.filter(hash=other.file.name[:40]).exists()


def test_texts_of_the_row_go_along(emulator: Emulator) -> None:
    item = row("dog.jpg", content(1), Captioned)
    Captioned.objects.update(headline="A dog")

    run("rokka_import", label="library.Captioned.photo")

    item.refresh_from_db()
    image = get_client().get_source_image(item.photo.hash)
    assert "A dog" in image.user_metadata.values()


def test_what_cannot_be_moved_is_reported_and_stays(emulator: Emulator, tmp_path: Path) -> None:
    names = {
        "missing.jpg": (None, "missing"),
        "empty.jpg": (b"", "empty"),
        "text.txt": (b"no picture", "unsupported"),
        "damaged.jpg": (content(1)[:60], "unreadable"),
        f"{'a' * 40}/dog.jpg": (content(2), "ambiguous"),
    }
    for name, (data, _) in names.items():
        row(name, data)
    good = row("good.jpg", content(3))
    report = tmp_path / "report.csv"

    code, said = run("rokka_import", "--report", str(report))

    assert code == 1
    assert "could not be moved" in said
    with report.open(newline="") as file:
        found = {line["name"]: line["reason"] for line in csv.DictReader(file)}
    assert found == {name: reason for name, (_, reason) in names.items()}
    good.refresh_from_db()
    assert good.photo.at_rokka
    shown = set(Article.objects.exclude(pk=good.pk).values_list("photo", flat=True))
    assert shown == set(names)

    # What is mended moves with the next run.
    disk().save("missing.jpg", ContentFile(content(4)))
    run("rokka_import")
    assert not Article.objects.filter(photo="missing.jpg").exists()
    assert uploads(emulator) == 2


def test_a_file_that_rokka_finds_too_large_is_one_failure(emulator: Emulator) -> None:
    row("large.jpg", content(1))
    emulator.add_fault(Fault(status=413, method="POST"))

    assert run("rokka_import")[0] == 1

    assert MovedFile.objects.get().reason == MovedFile.Reason.TOO_LARGE


def test_rows_that_changed_meanwhile_are_not_overwritten(emulator: Emulator) -> None:
    replaced, deleted = row("a.jpg", content(1)), row("b.jpg", content(2))
    (column,) = columns(PHOTO)
    mover = Import(column)
    jobs = list(mover.jobs())
    Article.objects.filter(pk=replaced.pk).update(photo="c.jpg")
    deleted.delete()

    settled = [mover.settle(job, mover.carry(job)) for job in jobs]

    assert [item.rows for item in settled] == [0, 0]
    replaced.refresh_from_db()
    assert replaced.photo.name == "c.jpg"


def test_a_stale_copy_that_is_saved_follows(emulator: Emulator) -> None:
    stale = row("dog.jpg", content(1))
    run("rokka_import")

    stale.title = "Saved by a long request"
    stale.save()

    assert Article.objects.get().photo.at_rokka


def test_trouble_in_a_row_ends_the_run_and_the_next_one_goes_on(emulator: Emulator) -> None:
    for number in range(8):
        row(f"{number}.jpg", content(number))
    emulator.add_fault(Fault(status=500, method="POST", times=5))

    with pytest.raises(CommandError, match="next run goes on"):
        run("rokka_import", "--workers=1")

    assert run("rokka_import")[0] == 0
    assert uploads(emulator) == 8
    assert all(item.photo.at_rokka for item in Article.objects.all())


def test_a_wrong_key_ends_the_run(emulator: Emulator, settings: Any) -> None:
    row("dog.jpg", content(1))
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "API_KEY": "wrong"}}

    with pytest.raises(CommandError):
        run("rokka_import")

    assert Article.objects.get().photo.name == "dog.jpg"


def test_a_dry_run_counts_and_changes_nothing(emulator: Emulator) -> None:
    row("dog.jpg", content(1))
    row("gone.jpg")

    code, said = run("rokka_import", "--dry-run")

    assert code == 0
    assert "2 files of 2 rows" in said
    assert "1 cannot be moved" in said
    assert "Nothing was changed" in said
    assert uploads(emulator) == 0
    assert not MovedFile.objects.exists()
    assert "0 rows show images" in run("rokka_export", "--dry-run")[1]


@pytest.mark.parametrize(
    ("label", "arguments", "message"),
    [
        (PHOTO, ["--workers=0"], "--workers must be from 1"),
        (PHOTO, ["--days=-1"], "--days must be 0 or more"),
        ("library.Article.nothing", [], "names no field"),
        ("library.Article.title", [], "holds no files"),
        ("library.Attachment.plain", [], "keeps its files in"),
    ],
)
def test_what_cannot_be_is_said(label: str, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("rokka_import", *arguments, label=label)


def test_a_column_needs_a_storage_to_fall_back_to(settings: Any) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "FALLBACK": ""}}

    with pytest.raises(CommandError, match="FALLBACK"):
        run("rokka_import")


def test_old_files_are_deleted_only_when_they_are_at_rokka_and_not_shown(
    emulator: Emulator,
) -> None:
    for name, number in {"a.jpg": 1, "changed.jpg": 2, "shown.jpg": 3, "lost.jpg": 4}.items():
        row(name, content(number))
    assert "0 old files deleted" in run("rokka_import", "--delete")[1]
    MovedFile.objects.update(changed=timezone.now() - timedelta(days=2))
    disk().delete("changed.jpg")
    disk().save("changed.jpg", ContentFile(b"another"))
    row("shown.jpg")
    lost = MovedFile.objects.get(source="lost.jpg").target
    get_client(mirrors=False).delete_source_image(lost[:40])

    run("rokka_import", "--delete")

    assert sorted(disk().listdir("")[1]) == ["changed.jpg", "lost.jpg", "shown.jpg"]
    assert list(MovedFile.objects.exclude(deleted=None).values_list("source", flat=True)) == [
        "a.jpg"
    ]


def test_the_way_back_gives_the_same_bytes_under_the_same_names(emulator: Emulator) -> None:
    rows = [row(f"2020/dog-{number}.jpg", content(number)) for number in range(3)]
    run("rokka_import")
    fresh = Article.objects.create(photo=ContentFile(content(9), name="new.jpg"))
    disk().save("new.jpg", ContentFile(b"somebody else's"))

    code, said = run("rokka_export")

    assert (code, "4 files moved" in said) == (0, True)
    for number, item in enumerate(rows):
        item.refresh_from_db()
        assert item.photo.name == f"2020/dog-{number}.jpg"
        assert Path(disk().path(item.photo.name)).read_bytes() == content(number)
    fresh.refresh_from_db()
    assert not fresh.photo.at_rokka
    assert Path(disk().path(fresh.photo.name)).read_bytes() == content(9)
    assert Path(disk().path("new.jpg")).read_bytes() == b"somebody else's"

    run("rokka_import")
    assert all(item.photo.at_rokka for item in Article.objects.all())


def test_images_are_deleted_after_they_came_back(emulator: Emulator) -> None:
    row("dog.jpg", content(1))
    run("rokka_import")
    hash = Article.objects.get().photo.hash
    run("rokka_export")
    MovedFile.objects.update(changed=timezone.now() - timedelta(days=2))

    assert "1 images at rokka deleted" in run("rokka_export", "--delete")[1]

    with pytest.raises(api.NotFound):
        get_client(mirrors=False).get_source_image(hash)
    assert Path(disk().path("dog.jpg")).read_bytes() == content(1)


def test_an_image_that_rokka_has_lost_is_a_failure_of_the_way_back(emulator: Emulator) -> None:
    item = row("dog.jpg", content(1))
    run("rokka_import")
    item.refresh_from_db()
    disk().delete("dog.jpg")
    get_client(mirrors=False).delete_source_image(item.photo.hash)

    assert run("rokka_export")[0] == 1

    item.refresh_from_db()
    assert item.photo.at_rokka


def test_a_pause_that_rokka_asks_for_is_waited_for(emulator: Emulator, settings: Any) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "ATTEMPTS": 1}}
    row("dog.jpg", content(1))
    headers = {"X-RateLimit-Retry-After": str(time.time() + 1)}
    emulator.add_fault(Fault(status=429, method="POST", headers=headers))

    assert run("rokka_import")[0] == 0

    assert Article.objects.get().photo.at_rokka


def test_a_run_that_is_left_has_moved_what_it_says(emulator: Emulator) -> None:
    for number in range(6):
        row(f"{number}.jpg", content(number))
    (column,) = columns(PHOTO)
    runs = move(Import(column), workers=2)
    next(runs), next(runs)
    runs.close()

    assert run("rokka_import")[0] == 0
    assert uploads(emulator) == 6
    assert all(item.photo.at_rokka for item in Article.objects.all())
