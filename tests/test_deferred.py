"""Deferred uploads: shown from the spool at once, uploaded by a task, exactly once."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from django.template import engines

from django_rokka import deferred, tasks
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.forms import AdminRokkaImageWidget
from django_rokka.models import SourceImage
from tests.library.models import Article, Snapshot
from tests.pictures import SVG, picture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    settings.MEDIA_URL = "/media/"
    return tmp_path


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


@pytest.fixture
def waiting(emulator: Emulator) -> Snapshot:
    """A row whose upload did not happen: rokka was unreachable just then."""
    emulator.add_fault(Fault(status=500, method="POST"))
    row = Snapshot.objects.create(photo=new_file())
    emulator.application.calls.clear()
    return Snapshot.objects.get(pk=row.pk)


def new_file(name: str = "dog.jpg", content: bytes = b"") -> ContentFile[bytes]:
    return ContentFile(content or picture((80, 60)), name=name)


def uploads(emulator: Emulator) -> int:
    """How many uploads rokka has done."""
    return sum(call.method == "POST" and call.status == 201 for call in emulator.calls)


def test_without_celery_the_upload_follows_the_commit(emulator: Emulator) -> None:
    with transaction.atomic():
        row = Snapshot.objects.create(photo=new_file())
        assert row.photo.deferred
        assert emulator.calls == []

    row.refresh_from_db()
    assert row.photo.name == f"{row.photo.hash}/dog.jpg"
    assert (row.width, row.height) == (80, 60)
    assert uploads(emulator) == 1


def test_a_waiting_file_is_shown_from_the_spool(waiting: Snapshot, emulator: Emulator) -> None:
    photo = waiting.photo

    assert photo.name.startswith("deferred/")
    assert photo.name.endswith("/dog.jpg")
    assert photo.url == photo.render_url(width=10) == f"/media/{photo.name}"
    assert (photo.width, photo.height, photo.format) == (80, 60, "jpg")
    assert photo.read() == picture((80, 60))
    photo.close()
    assert photo.size == photo.storage.size(photo.name) == len(picture((80, 60)))
    assert photo.storage.exists(photo.name)
    assert photo.storage.url(photo.name) == photo.url
    assert photo.storage.get_created_time(photo.name) == photo.storage.get_modified_time(photo.name)
    html = engines["django"].from_string("{% load rokka %}{% rokka_img photo %}")
    shown = html.render({"photo": photo})
    for attribute in (f'src="{photo.url}"', 'width="80"', 'height="60"'):
        assert attribute in shown
    with pytest.raises(ValueError, match="not the name of a rokka image"):
        photo.set_subject_area(1, 2)
    assert emulator.calls == []


def test_the_sweep_uploads_what_waits_and_does_it_once(
    waiting: Snapshot, emulator: Emulator
) -> None:
    copy = Snapshot.objects.create(photo=waiting.photo.name)
    emulator.clear_faults()
    assert tasks.upload_pending("default") == 0  # saving the copy has started it again

    for row in (waiting, copy):
        row.refresh_from_db()
        assert row.photo.hash == SourceImage.objects.get().hash
    assert uploads(emulator) == 1


@pytest.mark.parametrize("fault", ["cut", "status"])
def test_an_upload_whose_answer_was_lost_is_found_and_not_repeated(
    waiting: Snapshot, emulator: Emulator, fault: Any, settings: Any
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "ATTEMPTS": 1}}
    emulator.add_fault(Fault(kind=fault, method="POST", after_work=True))

    assert tasks.upload_pending("default") == 1
    waiting.refresh_from_db()
    assert waiting.photo.deferred
    assert len(list(get_client(mirrors=False).iter_source_images())) == 1
    posts = [call for call in emulator.calls if call.method == "POST"]

    assert tasks.upload_pending("default") == 1
    waiting.refresh_from_db()
    assert not waiting.photo.deferred
    assert [call for call in emulator.calls if call.method == "POST"] == posts


def test_an_upload_that_is_there_already_says_what_the_row_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Snapshot.objects.create(photo=new_file())
    field = Snapshot._meta.get_field("photo")
    monkeypatch.setattr(field, "user_metadata", {"int:original_width": "width"})

    row = Snapshot.objects.create(photo=new_file())

    row.refresh_from_db()
    image = get_client(mirrors=False).get_source_image(row.photo.hash)
    assert image.user_metadata == {"int:original_width": 80}


def test_an_isolated_site_does_not_take_another_sites_image(
    waiting: Snapshot, emulator: Emulator, settings: Any
) -> None:
    plain = get_client(mirrors=False).create_source_image(new_file())
    own = {"ENVIRONMENT": "production", "ISOLATE": True}
    settings.ROKKA = {"default": {**settings.ROKKA["default"], **own}}

    tasks.upload_pending("default")

    waiting.refresh_from_db()
    assert waiting.photo.hash != plain.hash
    assert waiting.photo.source_image.dynamic_metadata == {"version": {"text": "production"}}


def test_a_row_that_is_replaced_or_deleted_meanwhile_is_not_uploaded(
    waiting: Snapshot, emulator: Emulator
) -> None:
    name = waiting.photo.name
    waiting.delete()

    assert not deferred.upload("default", name)
    assert emulator.calls == []


def test_a_stale_copy_that_is_saved_is_uploaded_again_to_the_same_image(
    waiting: Snapshot, emulator: Emulator
) -> None:
    stale = Snapshot.objects.get()
    tasks.upload_pending("default")
    hash = Snapshot.objects.get().photo.hash

    stale.save()

    assert Snapshot.objects.get().photo.hash == hash
    assert uploads(emulator) == 1


def test_a_deleted_image_is_restored_when_its_bytes_come_again(emulator: Emulator) -> None:
    row = Article.objects.create(title="a", photo=new_file())
    hash = row.photo.hash
    row.delete()

    snapshot = Snapshot.objects.create(photo=new_file())

    snapshot.refresh_from_db()
    assert snapshot.photo.hash == hash
    assert snapshot.photo.storage.exists(snapshot.photo.name)


def test_the_spool_is_cleared_of_what_was_uploaded_a_day_ago(
    emulator: Emulator, media: Path
) -> None:
    emulator.add_fault(Fault(status=500, method="POST", times=2))
    first, second, waits = (
        Snapshot.objects.create(photo=new_file(f"{name}.jpg", picture(color=color)))
        for name, color in [("a", "#f00"), ("b", "#0f0"), ("c", "#00f")]
    )
    # The first two failed; the first is given up, the second is uploaded now.
    first.delete()
    deferred.upload("default", second.photo.name)
    emulator.add_fault(Fault(status=500, method="POST"))
    files = sorted((media / "deferred").glob("*/*"))
    assert len(files) == 3
    yesterday = time.time() - 25 * 3600
    for file in files:
        os.utime(file, (yesterday, yesterday))
    waits.photo.save("d.jpg", new_file("d.jpg", picture(color="#ff0")))

    assert deferred.clear_spool("default") == 3
    assert [file.name for file in (media / "deferred").glob("*/*")] == ["d.jpg"]
    assert deferred.clear_spool("default") == 0


def test_bulk_create_waits_for_the_sweep(emulator: Emulator) -> None:
    Snapshot.objects.bulk_create([Snapshot(photo=new_file())])
    assert emulator.calls == []

    assert tasks.upload_pending("default") == 1
    assert not Snapshot.objects.get().photo.deferred
    assert uploads(emulator) == 1


def test_names_are_safe_and_fit(emulator: Emulator) -> None:
    emulator.add_fault(Fault(status=500, method="POST", times=2))
    long = Snapshot.objects.create(photo=new_file("Zürich " * 60 + ".JPG"))
    odd = Snapshot.objects.create(photo=new_file("logo.s v g", SVG))

    assert len(long.photo.name) <= 100
    assert long.photo.name.endswith(".jpg")
    assert odd.photo.name.endswith(".bin")


def test_another_storage_can_be_the_spool(
    settings: Any, tmp_path: Path, emulator: Emulator
) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "spool": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "elsewhere", "base_url": "/elsewhere/"},
        },
    }
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "SPOOL": "spool"}}
    emulator.add_fault(Fault(status=500, method="POST"))

    row = Snapshot.objects.create(photo=new_file())

    assert row.photo.url.startswith("/elsewhere/deferred/")
    assert len(list((tmp_path / "elsewhere").glob("deferred/*/dog.jpg"))) == 1
    row.photo.storage.delete(row.photo.name)
    assert not row.photo.storage.exists(row.photo.name)


def test_a_form_shows_a_waiting_file_from_the_spool(waiting: Snapshot) -> None:
    html = AdminRokkaImageWidget().render("photo", waiting.photo)

    assert f'<img src="/media/{waiting.photo.name}" alt="dog.jpg"' in html
    assert "80 × 60" in html
    assert "/focus/" not in html


def test_deleting_the_file_clears_the_row(waiting: Snapshot, emulator: Emulator) -> None:
    waiting.photo.delete()

    assert not Snapshot.objects.get().photo
    assert tasks.upload_pending("default") == 0
    assert emulator.calls == []
