"""Rows whose picture is gone: which are found, what can be done, and what is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_rokka import api, lifecycle
from django_rokka.conf import get_client, get_config
from django_rokka.doctor import drift
from django_rokka.doctor.report import ROWS
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import MovedFile, SourceImage
from django_rokka.storage import RokkaStorage
from tests.library.models import Article, Attachment, Page, Portrait
from tests.pictures import picture

from .conftest import KEY, Doctor, article

pytestmark = pytest.mark.django_db(transaction=True)

Configure = Callable[..., None]
UNKNOWN = "0123456789abcdef0123456789abcdef01234567"


def delete(row: Article) -> str:
    """Delete a row's picture as somebody else does; the mirror is not told."""
    hash = row.photo.hash
    get_client(mirrors=False).delete_source_image(hash)
    return hash


def purge(site: Emulator, hash: str) -> str:
    """Delete a picture for good."""
    with site.application.state.transaction() as db:
        db.execute("DELETE FROM images WHERE hash = ?", [hash])
    return hash


def told(hash: str) -> None:
    """Let the mirror know."""
    with pytest.raises(api.NotFound):
        get_client().get_source_image(hash)


def stored(row: Any, field: str = "photo") -> str:
    """What the database has."""
    return str(type(row)._base_manager.values_list(field, flat=True).get(pk=row.pk))


def is_shown(row: Article) -> bool:
    url = Article.objects.get(pk=row.pk).photo.render_url("dynamic", width=10)
    return requests.get(url, timeout=30).status_code == 200


# --- Finding ----------------------------------------------------------------------------------


def test_the_mirror_says_what_is_gone_without_a_call(site: Emulator, doctor: Doctor) -> None:
    row = article()
    told(delete(row))
    before = len(site.calls)

    report = doctor("--references", "--offline")

    assert len(site.calls) == before
    assert report.codes() == ["references.repairable"]
    assert report.case() == {
        "alias": "default",
        "organization": "acme",
        "hash": row.photo.hash,
        "name": "dog.jpg",
        "rows": [{"model": "library.Article", "pk": str(row.pk), "field": "photo"}],
        "more_rows": False,
        "repair": "restore",
        "text": "it can be restored for 30 days more",
        "done": False,
    }
    assert doctor().codes("references") == ["references.gone"]


def test_rokka_is_asked_for_what_the_mirror_does_not_know(site: Emulator, doctor: Doctor) -> None:
    row = article()
    article("cat", "#ff0000")
    hash = delete(row)

    assert doctor().codes("references") == ["references.ok"]
    report = doctor("--references")

    assert report.case()["hash"] == hash
    assert report.code == 1
    # Looking has changed nothing, in the mirror neither.
    assert SourceImage.objects.live().count() == 2
    assert doctor().codes("references") == ["references.ok"]


def test_a_picture_that_is_back_is_no_drift(doctor: Doctor) -> None:
    row = article()
    hash = delete(row)
    told(hash)
    get_client(mirrors=False).restore_source_image(hash)

    assert doctor().codes("references") == ["references.gone"]
    assert doctor("--drift").codes() == ["references.ok"]


def test_rows_in_every_kind_of_column(site: Emulator, doctor: Doctor) -> None:
    row = article()
    name, url = row.photo.name, row.photo.url
    hidden = Portrait.objects.create(hidden=True, picture=name)
    page = Page.objects.create(
        hero=row.photo.hash, data={"blocks": [{"image": name}]}, body=f'<img src="{url}">'
    )
    delete(row)

    rows = {(item["model"], item["pk"], item["field"]) for item in doctor("--references").case()["rows"]}  # fmt: skip

    assert rows == {
        ("library.Article", str(row.pk), "photo"),
        ("library.Portrait", str(hidden.pk), "picture"),
        ("library.Page", str(page.pk), "hero"),
        ("library.Page", str(page.pk), "data__blocks__0__image"),
        ("library.Page", str(page.pk), "body"),
    }


def test_names_that_the_mirror_does_not_know(site: Emulator, doctor: Doctor) -> None:
    Page.objects.create(
        hero=f"{UNKNOWN}/x.jpg",
        body=f'<img src="https://acme.rokka.io/dynamic/{"a1" * 20}/decade.jpg">',
    )

    report = doctor()
    assert report.codes("references") == ["references.unknown"]
    assert "shows 2" in report.one("references.unknown")["seen"].replace("show 2", "shows 2")

    report = doctor("--references")
    assert {item["hash"] for item in report.document["references"]} == {UNKNOWN, "a1" * 20}
    assert {item["repair"] for item in report.document["references"]} == {"none"}
    assert "nobody knows its bytes" in report.document["references"][0]["text"]
    assert report.codes() == ["references.left"]


@pytest.mark.parametrize(
    "name", ["", "attachments/2024/dog.jpg", "decade/dog.jpg", "20240131/dog.jpg", "dog.jpg",
             "deferred/abc123def/dog.jpg", "A1B2C3D4/dog.jpg"]
)  # fmt: skip
def test_files_from_before_are_no_drift(doctor: Doctor, name: str) -> None:
    Page.objects.create(hero=name)
    Attachment.objects.bulk_create([Attachment(file=name)])

    report = doctor("--references")

    assert report.codes() == ["references.ok"]
    assert "All 0 pictures" in report.one("references.ok")["seen"]


def test_an_image_that_is_named_in_two_ways_is_one(site: Emulator, doctor: Doctor) -> None:
    row = article()
    image = row.photo.source_image
    Page.objects.create(hero=f"{image.short_hash}/x.jpg")
    told(delete(row))

    case = doctor("--references").case()

    assert len(case["rows"]) == 2


def test_rokka_is_asked_about_a_limited_number(site: Emulator, doctor: Doctor) -> None:
    for color in ("#010101", "#020202", "#030303"):
        article(color=color)
    before = len(site.calls)

    report = doctor("--references", "--limit=2")

    assert report.codes() == ["references.limited"]
    assert "about 1 of 3" in report.one("references.limited")["seen"]
    assert [call.path for call in site.calls[before:]].count("/sourceimages/acme") == 1
    assert (
        len({call.path for call in site.calls[before:] if "/sourceimages/acme/" in call.path}) == 2
    )
    assert doctor("--references", "--limit=0").codes() == ["references.ok"]


def test_trouble_at_rokka_ends_it_soon(
    site: Emulator, doctor: Doctor, configure: Configure
) -> None:
    told(delete(article()))
    configure(BASE_URL="http://127.0.0.1:9")

    report = doctor("--references")

    assert report.codes() == ["key.unreachable", "references.skipped"]
    assert report.code == 1


def test_trouble_on_the_way_ends_it(site: Emulator, doctor: Doctor) -> None:
    row = article()
    site.add_fault(Fault(status=500, path=row.photo.hash, times=9))

    report = doctor("--references")

    assert report.codes() == ["references.failed"]
    assert "ServerError" in report.one("references.failed")["seen"]


def test_many_are_asked_side_by_side_in_portions(
    site: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [article(color=f"#0000{40 * index:02x}") for index in range(7)]
    gone = {delete(row) for row in rows[::2]}
    monkeypatch.setattr(drift, "_PORTION", 3)

    found = [lost for _, lost in drift.scan(get_config(), ask=True) if lost]

    assert {lost.hash for lost in found} == gone
    assert all(lost.restorable and lost.binary_hash for lost in found)


# --- Repair: restore and repoint --------------------------------------------------------------


def test_what_was_deleted_lately_is_restored(doctor: Doctor) -> None:
    row = article()
    name = stored(row)
    delete(row)

    assert doctor("--references").case()["done"] is False
    assert not is_shown(row)
    report = doctor("--repair")

    assert report.code == 0
    assert (report.case()["repair"], report.case()["done"]) == ("restore", True)
    assert report.codes() == ["references.repaired"]
    assert report.one("references.repaired")["seen"].endswith("repaired: restore 1.")
    assert is_shown(row)
    assert stored(row) == name
    assert doctor("--repair").codes() == ["references.ok"]


def test_an_image_that_the_mirror_never_knew_is_restored(doctor: Doctor) -> None:
    row = article()
    delete(row)
    SourceImage.objects.all().delete()

    assert doctor("--repair").case()["repair"] == "restore"
    assert is_shown(row)
    assert SourceImage.objects.live().count() == 1


def test_rows_follow_to_what_this_site_replaced_it_by(site: Emulator, doctor: Doctor) -> None:
    row = article()
    old = row.photo.name
    new = row.photo.source_image.set_subject_area(3, 4)
    Article.objects.filter(pk=row.pk).update(photo=old)

    assert new.hash in doctor("--references").case()["text"]
    assert doctor("--repair").case()["repair"] == "repoint"

    assert stored(row) == f"{new.hash}/dog.jpg"


def test_rows_follow_to_the_live_image_with_the_same_bytes(site: Emulator, doctor: Doctor) -> None:
    row = article()
    hash = row.photo.hash
    outcome = get_client(mirrors=False).set_dynamic_metadata(hash, api.SubjectArea(3, 4))
    purge(site, row.photo.hash)

    case = doctor("--references").case()
    assert case["repair"] == "repoint"
    assert outcome.hash in case["text"]
    assert stored(row).startswith(hash)

    assert doctor("--repair").codes() == ["references.repaired"]
    assert stored(row) == f"{outcome.hash}/dog.jpg"
    assert is_shown(row)


def test_of_several_with_the_same_bytes_none_is_guessed(site: Emulator, doctor: Doctor) -> None:
    row = article()
    client = get_client(mirrors=False)
    for x in (1, 2):
        client.set_dynamic_metadata(row.photo.hash, api.SubjectArea(x, x))
    hash = purge(site, row.photo.hash)

    assert "2 live images" in doctor("--references").case()["text"]
    case = doctor("--repair").case()

    assert (case["repair"], case["done"]) == ("none", False)
    assert "nothing tells which" in case["text"]
    assert stored(row).startswith(hash)


def test_urls_that_cannot_follow_are_told(site: Emulator, doctor: Doctor) -> None:
    row = article()
    image = row.photo.source_image
    outcome = get_client(mirrors=False).set_dynamic_metadata(image.hash, api.SubjectArea(3, 4))
    Page.objects.create(body=f'<img src="{row.photo.url}?sig=0123456789abcdef">')
    purge(site, row.photo.hash)

    case = doctor("--repair").case()

    assert stored(row).startswith(outcome.hash)
    assert case["repair"] == "none"
    assert "1 rows did not follow" in case["text"]


def test_what_came_back_meanwhile_is_left_as_it_is(site: Emulator, doctor: Doctor) -> None:
    row = article()
    hash = delete(row)
    told(hash)
    get_client(mirrors=False).restore_source_image(hash)

    case = doctor("--repair", "--offline").case()

    assert case["text"] == "it is live again"
    assert SourceImage.objects.live().get().hash == hash


def test_a_short_hash_that_nobody_knows(site: Emulator, doctor: Doctor) -> None:
    Page.objects.create(hero="a1b2c3d4/x.jpg")

    case = doctor("--repair").case()

    assert (case["repair"], case["done"]) == ("none", False)
    assert "short hash" in case["text"]
    assert not SourceImage.objects.exists()


def test_a_name_of_nobodys_bytes_is_noted_and_left(site: Emulator, doctor: Doctor) -> None:
    Page.objects.create(hero=f"{UNKNOWN}/x.jpg")

    assert "nobody knows its bytes" in doctor("--repair").case()["text"]
    # Known as gone now, so that nobody has to ask again.
    assert doctor().codes("references") == ["references.gone"]


def test_of_many_rows_the_first_are_named(doctor: Doctor) -> None:
    row = article()
    Page.objects.bulk_create([Page(hero=row.photo.name) for _ in range(ROWS)])
    delete(row)

    case = doctor("--references").case()

    assert (len(case["rows"]), case["more_rows"]) == (ROWS, True)


# --- Repair: upload again ---------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files, of which one is the picture, under another name; and one that only has its name."""
    folder = tmp_path / "old"
    (folder / "deep").mkdir(parents=True)
    (folder / "dog.jpg").write_bytes(b"x" * len(picture()))
    (folder / "deep" / "IMG_1.jpg").write_bytes(picture())
    (folder / "large.jpg").write_bytes(picture((800, 600)))
    (folder / "link.jpg").symlink_to(folder / "deep" / "IMG_1.jpg")
    return folder


def test_the_bytes_are_found_in_a_folder(site: Emulator, doctor: Doctor, folder: Path) -> None:
    row = article()
    hash = purge(site, row.photo.hash)

    assert doctor("--references").case()["repair"] == "none"
    case = doctor("--references", f"--files={folder}").case()
    assert case["repair"] == "upload"
    assert case["text"].endswith("deep/IMG_1.jpg")
    assert not is_shown(row)

    case = doctor("--repair", f"--files={folder}").case()
    assert (case["repair"], case["done"]) == ("upload", True)
    assert stored(row) == f"{hash}/dog.jpg"
    assert is_shown(row)
    assert doctor("--references").codes() == ["references.ok"]
    assert not SourceImage.objects.broken().exists()


def test_what_the_mirror_remembers_is_set_again(
    site: Emulator, doctor: Doctor, folder: Path
) -> None:
    row = article()
    image = row.photo.source_image.set_subject_area(3, 4)
    get_client().patch_user_metadata(image.hash, {"title": "A dog"})
    row.refresh_from_db()
    purge(site, image.hash)

    assert doctor("--repair", f"--files={folder}").code == 0

    assert stored(row).startswith(image.hash)
    found = get_client().get_source_image(image.hash)
    assert found.dynamic_metadata == {"subject_area": {"x": 3, "y": 4, "width": 1, "height": 1}}
    assert (found.user_metadata, found.name) == ({"title": "A dog"}, "dog.jpg")


def test_rows_follow_where_the_hash_cannot_be_the_same(
    site: Emulator, doctor: Doctor, folder: Path
) -> None:
    row = article()
    hash = purge(site, row.photo.hash)
    SourceImage.objects.update(dynamic_metadata={"subject_area": {"x": 3, "y": 4}, "secret": {}})

    case = doctor("--repair", f"--files={folder}").case()

    assert case["repair"] == "upload"
    assert not stored(row).startswith(hash)
    assert is_shown(row)


@pytest.fixture
def moved(
    site: Emulator, configure: Configure, tmp_path: Path, settings: Any
) -> tuple[Article, Path]:
    """A row whose picture was moved from a storage that still has the file, and is gone since."""
    root = tmp_path / "before"
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {
        **settings.STORAGES,
        "before": {"BACKEND": backend, "OPTIONS": {"location": str(root)}},
    }
    configure(FALLBACK="before")
    (root / "photos").mkdir(parents=True)
    (root / "photos" / "a.jpg").write_bytes(picture())
    row = article()
    MovedFile.objects.create(
        column="library.Article.photo",
        direction=MovedFile.Direction.IMPORT,
        source="photos/a.jpg",
        target=row.photo.name,
        binary_hash=hashlib.sha1(picture(), usedforsecurity=False).hexdigest(),
        state=MovedFile.State.DONE,
    )
    purge(site, row.photo.hash)
    return row, root / "photos" / "a.jpg"


def test_the_file_from_before_the_move_is_uploaded_again(
    moved: tuple[Article, Path], doctor: Doctor
) -> None:
    row, _ = moved

    assert "photos/a.jpg" in doctor("--references").case()["text"]
    assert doctor("--repair").case()["repair"] == "upload"
    assert is_shown(row)


def test_rows_follow_by_the_bytes_that_only_the_journal_knows(
    moved: tuple[Article, Path], site: Emulator, doctor: Doctor
) -> None:
    row, _ = moved
    SourceImage.objects.update(binary_hash="", dynamic_metadata={"version": {"text": "x"}})

    assert doctor("--repair").case()["repair"] == "upload"
    assert not stored(row).startswith(row.photo.hash)
    assert is_shown(row)


def test_the_journal_knows_the_bytes_where_the_mirror_does_not(
    moved: tuple[Article, Path], doctor: Doctor
) -> None:
    SourceImage.objects.all().delete()

    assert doctor("--repair").case()["repair"] == "upload"
    assert is_shown(moved[0])


@pytest.mark.parametrize("content", [b"something else", None])
def test_a_file_with_other_bytes_is_not_uploaded(
    moved: tuple[Article, Path], site: Emulator, doctor: Doctor, content: bytes | None
) -> None:
    _, path = moved
    path.write_bytes(content) if content else path.unlink()

    case = doctor("--repair").case()

    assert (case["repair"], case["done"]) == ("none", False)
    assert [call.method for call in site.calls].count("POST") == 1


# --- Guards, and doing it again ---------------------------------------------------------------


def test_an_alias_that_only_reads_repairs_nothing(doctor: Doctor, configure: Configure) -> None:
    row = article()
    delete(row)
    configure(READ_ONLY=True)

    report = doctor("--repair")

    assert report.codes() == ["references.left"]
    assert "READ_ONLY" in report.case()["text"]
    assert not is_shown(row)


def test_anothers_image_is_not_followed_to(
    site: Emulator, doctor: Doctor, configure: Configure
) -> None:
    row = article()
    client = get_client(mirrors=False)
    outcome = client.set_dynamic_metadata(row.photo.hash, api.SubjectArea(3, 4))
    client.patch_user_metadata(outcome.hash, {lifecycle.UPLOADED_BY: "production"})
    purge(site, row.photo.hash)
    configure(ENVIRONMENT="staging", ISOLATE=True)

    assert doctor("--references").case()["repair"] == "none"
    assert doctor("--repair").case()["repair"] == "none"


def test_isolated_uploads_stay_isolated(
    site: Emulator, doctor: Doctor, configure: Configure, folder: Path
) -> None:
    configure(ENVIRONMENT="staging", ISOLATE=True)
    row = article()
    hash = purge(site, row.photo.hash)
    SourceImage.objects.update(dynamic_metadata={})

    assert doctor("--repair", f"--files={folder}").code == 0

    found = get_client().get_source_image(hash)
    assert found.dynamic_metadata == {"version": {"text": "staging"}}
    assert found.user_metadata[lifecycle.UPLOADED_BY] == "staging"


def test_trouble_ends_a_repair_and_the_next_one_goes_on(site: Emulator, doctor: Doctor) -> None:
    rows = [article(color=f"#0000{40 * index:02x}") for index in range(6)]
    for row in rows:
        delete(row)
    site.add_fault(Fault(status=500, method="POST", path="/restore$", skip=1, times=3))

    report = doctor("--repair")
    assert [item["done"] for item in report.document["references"]] == [True, False, False, False]
    assert "after 4 pictures" in report.one("references.failed")["seen"]
    assert report.one("references.repaired")["seen"].startswith("1 pictures")

    report = doctor("--repair")
    assert len(report.document["references"]) == 5
    assert report.code == 0
    assert all(map(is_shown, rows))


def test_a_picture_that_always_fails_does_not_keep_the_others(
    site: Emulator, doctor: Doctor
) -> None:
    rows = [article(color=f"#0000{40 * index:02x}") for index in range(3)]
    for row in rows:
        delete(row)
    site.add_fault(Fault(status=500, method="POST", path=f"{rows[0].photo.hash}/restore$", times=9))

    report = doctor("--repair")

    assert report.codes() == ["references.repaired", "references.left"]
    assert [is_shown(row) for row in rows] == [False, True, True]


def test_a_refusal_concerns_one_picture(site: Emulator, doctor: Doctor) -> None:
    rows = [article(color=f"#0000{40 * index:02x}") for index in range(2)]
    for row in rows:
        delete(row)
    body = json.dumps({"code": 403, "message": f"not with {KEY}"})
    site.add_fault(Fault(status=403, method="POST", path="/restore$", body=body))
    site.add_fault(Fault(status=400, path="/binaryhash/", body=body.replace("403", "400")))

    report = doctor("--repair")

    assert sorted(item["done"] for item in report.document["references"]) == [False, True]
    assert report.codes() == ["references.repaired", "references.left"]
    assert KEY not in report.text


def test_it_can_be_read(site: Emulator, capsys: Any) -> None:
    row = article()
    delete(row)

    with pytest.raises(SystemExit):
        call_command("rokka_doctor", "--references")

    said = capsys.readouterr().out
    assert f"{row.photo.hash}  dog.jpg\n    restore possible: " in said
    assert f"    library.Article {row.pk}, photo\n" in said
    assert "rokka_doctor --repair --alias=default" in said
    call_command("rokka_doctor", "--repair")
    assert "    restore done: restored\n" in capsys.readouterr().out


def test_a_folder_must_be_one(site: Emulator, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no directory"):
        call_command("rokka_doctor", "--repair", f"--files={tmp_path}/none")


def test_days_are_told(doctor: Doctor) -> None:
    row = article()
    told(delete(row))
    SourceImage.objects.update(deleted=timezone.now() - timedelta(days=31))

    report = doctor("--references", "--offline")

    assert report.codes() == ["references.left"]
    assert report.case()["repair"] == "none"
    assert RokkaStorage().exists(stored(row)) is False
