"""The way back: images become files again, with their bytes, under their names of before or new ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError

from django_rokka import api, lifecycle
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import MovedFile, SourceImage
from django_rokka.moves import Export, columns, move
from tests.library.models import Article, Attachment, Page, Portrait
from tests.meanwhile import meanwhile

from .living_site import (
    FILE,
    PHOTO,
    at_rokka,
    binary_hash,
    content,
    days_pass,
    disk,
    files,
    names,
    path,
    put,
    reasons,
    row,
    run,
    uploads,
    with_settings,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("emulator")]


def new(number: int, name: str = "dog.jpg") -> Article:
    """A picture that was never anywhere but at rokka."""
    return Article.objects.create(photo=ContentFile(content(number), name=name))


def fresh(item: Any) -> Any:
    return type(item).objects.get(pk=item.pk)


def shown() -> list[bytes]:
    """The bytes that each row shows, from wherever they are."""
    found = []
    for item in Article.objects.order_by("pk"):
        with closing(item.photo.open()) as file:
            found.append(file.read())
    return found


def downloads(emulator: Emulator) -> int:
    return sum("download" in call.path and call.status == 200 for call in emulator.calls)


def is_gone(hash: str) -> bool:
    try:
        get_client(mirrors=False).get_source_image(hash)
    except api.NotFound:
        return True
    return False


# --- Names and bytes --------------------------------------------------------------------------


def test_files_that_were_kept_are_used_again_without_a_download(emulator: Emulator) -> None:
    for number in range(3):
        row(f"2020/Zürich {number}.JPG", content(number))
    before, sizes = names(), list(Article.objects.order_by("pk").values_list("pk", "photo"))
    run("rokka_import")

    code, said = run("rokka_export")

    assert (code, "3 files moved, 0 bytes sent (3 were there already)" in said) == (0, True)
    assert names() == before
    assert list(Article.objects.order_by("pk").values_list("pk", "photo")) == sizes
    assert downloads(emulator) == 0
    assert [item.photo.url[:10] for item in Article.objects.all()] == ["/old/2020/"] * 3


def test_files_that_were_deleted_come_back_under_new_names_with_the_same_bytes(
    emulator: Emulator,
) -> None:
    for number in range(3):
        row(f"2020/Zürich {number}.JPG", content(number))
    run("rokka_import", "--delete", "--days=0")
    assert files() == set()

    assert run("rokka_export")[0] == 0

    assert names() == [f"Zürich_{number}.jpg" for number in range(3)]
    assert shown() == [content(number) for number in range(3)]
    assert downloads(emulator) == 3
    assert files() == set(names())


def test_upload_to_says_where_new_files_go(monkeypatch: pytest.MonkeyPatch) -> None:
    def upload_to(article: Article, name: str) -> str:
        return f"articles/{article.title}/{name}"

    monkeypatch.setattr(Article._meta.get_field("photo"), "upload_to", upload_to)
    item = new(1)
    Article.objects.update(title="first")

    run("rokka_export")

    assert fresh(item).photo.name == "articles/first/dog.jpg"
    assert shown() == [content(1)]


def test_an_upload_to_that_fails_for_a_row_stands_against_it_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def upload_to(article: Article, name: str) -> str:
        return f"{100 // len(article.title)}/{name}"

    bad, good = new(1), new(2)
    monkeypatch.setattr(Article._meta.get_field("photo"), "upload_to", upload_to)
    Article.objects.filter(pk=good.pk).update(title="titled")

    code, said = run("rokka_export", f"--report={tmp_path / 'report.csv'}")

    assert (code, "1 files moved" in said) == (1, True)
    assert reasons(tmp_path / "report.csv") == {fresh(bad).photo.name: "trouble"}
    assert "ZeroDivisionError" in said
    assert fresh(good).photo.name == "16/dog.jpg"


def test_other_files_are_never_written_over(emulator: Emulator) -> None:
    put("dog.jpg", b"somebody else's")
    put("cat.jpg", content(2))
    first, second, third = new(1), new(3), new(2, "cat.jpg")

    assert run("rokka_export")[0] == 0

    assert path("dog.jpg").read_bytes() == b"somebody else's"
    assert shown() == [content(1), content(3), content(2)]
    assert len({*names(), "dog.jpg", "cat.jpg"}) == len(names()) + 2
    assert [fresh(item).photo.name[:4] for item in (first, second, third)] == [
        "dog_",
        "dog_",
        "cat_",
    ]


def test_an_old_file_with_other_bytes_by_now_is_left_as_it_is() -> None:
    row("dog.jpg", content(1))
    run("rokka_import")
    put("dog.jpg", content(7))

    assert run("rokka_export")[0] == 0

    assert path("dog.jpg").read_bytes() == content(7)
    assert names()[0] != "dog.jpg"
    assert shown() == [content(1)]


def test_a_name_that_is_too_long_for_the_column_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Article._meta.get_field("photo"), "max_length", 60)
    monkeypatch.setattr(Article._meta.get_field("photo"), "upload_to", "some/folder/of/pictures")
    for number in range(3):
        new(number, f"{'a-long-name-' * 6}.jpg")

    assert run("rokka_export")[0] == 0

    assert all(len(name) <= 60 and name.startswith("some/folder/") for name in names())
    assert len(set(names())) == 3
    assert shown() == [content(number) for number in range(3)]


def test_a_large_original_goes_through_a_file(settings: Any) -> None:
    new(1), new(2)

    with with_settings(settings, MAX_MEMORY_SIZE=100):
        assert run("rokka_export")[0] == 0

    assert shown() == [content(1), content(2)]


def test_a_picture_of_many_rows_is_one_file(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("django_rokka.moves.columns"), "_PORTION", 2)
    first = new(1)
    for _ in range(4):
        Article.objects.create(photo=first.photo.name)
    # Slow enough that the second portion is read before the first one is done.
    emulator.add_fault(Fault(kind="hang", seconds=0.3, path="download"))

    code, said = run("rokka_export")

    assert (code, "1 files moved" in said, downloads(emulator)) == (0, True, 1)
    assert (files(), set(names())) == ({"dog.jpg"}, {"dog.jpg"})


def test_a_focal_point_does_not_change_the_bytes_that_come_back() -> None:
    row("dog.jpg", content(1))
    run("rokka_import")
    Article.objects.get().photo.set_subject_area(1, 1)

    assert run("rokka_export")[0] == 0

    assert shown() == [content(1)]
    # Nor is there a second file.
    assert (files(), names()) == ({"dog.jpg"}, ["dog.jpg"])


def test_names_that_an_image_has_from_before_its_hash_changed_come_back() -> None:
    item = new(1)
    before = item.photo.name
    item.photo.source_image.set_subject_area(1, 1)
    Article.objects.update(photo=before)

    assert run("rokka_export")[0] == 0

    assert shown() == [content(1)]


def test_there_and_back_and_there_again(emulator: Emulator) -> None:
    row("a/dog.jpg", content(1)), row("b/dog.jpg", content(1)), row("cat.jpg", content(2))
    new(3, "new.jpg")
    pictures = shown()

    for _ in range(2):
        assert run("rokka_import")[0] == 0
        assert all(item.photo.at_rokka for item in Article.objects.all())
        assert shown() == pictures
        assert run("rokka_export")[0] == 0
        assert not any(item.photo.at_rokka for item in Article.objects.all())
        assert shown() == pictures

    # Two files with the same bytes were sent, each once, and the new picture.
    assert uploads(emulator) <= 5
    assert not MovedFile.objects.exclude(state=MovedFile.State.DONE).exists()
    assert (Article.objects.first().width, Article.objects.first().height) == (41, 30)


def test_a_row_that_is_saved_after_the_way_back_does_not_follow_the_way_there() -> None:
    first, second = row("a/dog.jpg", content(1)), row("b/dog.jpg", content(1))
    run("rokka_import"), run("rokka_export")

    Article.objects.filter(pk=first.pk).update(photo="a/dog.jpg")
    for item in (first, second):
        fresh(item).save()

    assert names()[0] == "a/dog.jpg"
    assert not any(item.photo.at_rokka for item in Article.objects.all())


def test_a_plain_file_field_comes_back(emulator: Emulator) -> None:
    item = Attachment.objects.create(file=ContentFile(b"%PDF-1.4\n%%EOF\n", name="paper.pdf"))

    assert run("rokka_export", label=FILE)[0] == 0

    assert fresh(item).file.name.startswith("attachments/20")
    assert path(fresh(item).file.name).read_bytes() == b"%PDF-1.4\n%%EOF\n"


# --- What can fail ----------------------------------------------------------------------------


def test_what_rokka_does_not_have_is_reported_and_its_row_stays(tmp_path: Path) -> None:
    gone, purged, good = new(1), new(2), new(3)
    get_client(mirrors=False).delete_source_image(gone.photo.hash)
    Article.objects.filter(pk=purged.pk).update(photo=f"{'b' * 40}/purged.jpg")
    before = names()

    code, said = run("rokka_export", f"--report={tmp_path / 'report.csv'}")

    assert (code, "1 files moved" in said, " 2 failed" in said) == (1, True, True)
    assert reasons(tmp_path / "report.csv") == dict.fromkeys(before[:2], "missing")
    assert names()[:2] == before[:2]
    assert not fresh(good).photo.at_rokka
    assert files() == {names()[2]}

    # What is restored comes back with the next run.
    get_client(mirrors=False).restore_source_image(gone.photo.hash)
    Article.objects.filter(pk=purged.pk).delete()
    assert run("rokka_export")[0] == 0
    assert shown() == [content(1), content(3)]


def test_other_bytes_are_no_success_and_no_file(emulator: Emulator, tmp_path: Path) -> None:
    new(1)
    before = names()
    emulator.add_fault(Fault(kind="replace", path="download", body="other bytes"))

    assert run("rokka_export", f"--report={tmp_path / 'report.csv'}")[0] == 1

    assert reasons(tmp_path / "report.csv") == {before[0]: "different"}
    assert (names(), files()) == (before, set())
    assert run("rokka_export")[0] == 0
    assert shown() == [content(1)]


def test_a_download_that_breaks_off_is_tried_by_the_next_run(emulator: Emulator) -> None:
    new(1), new(2)
    emulator.add_fault(Fault(kind="truncate", path="download"))

    code, said = run("rokka_export")

    assert (code, "1 files moved" in said, "the call failed" in said) == (1, True, True)
    assert len(files()) == 1
    assert run("rokka_export")[0] == 0
    assert shown() == [content(1), content(2)]


def test_a_disk_that_keeps_other_bytes_is_found_out(
    emulator: Emulator, settings: Any, tmp_path: Path
) -> None:
    new(1)
    old = {**settings.STORAGES["old"], "BACKEND": "tests.moves.lossy_storage.LossyStorage"}
    settings.STORAGES = {**settings.STORAGES, "old": old}

    assert run("rokka_export", f"--report={tmp_path / 'report.csv'}")[0] == 1

    assert list(reasons(tmp_path / "report.csv").values()) == ["different"]
    assert Article.objects.get().photo.at_rokka


def test_a_run_ends_when_rokka_is_down_and_the_next_one_does_the_rest(
    emulator: Emulator, settings: Any
) -> None:
    for number in range(8):
        new(number)
    emulator.add_fault(Fault(status=500, path="download", skip=1, times=100))

    with with_settings(settings, ATTEMPTS=1), pytest.raises(CommandError, match="next run"):
        run("rokka_export", "--workers=1")
    emulator.clear_faults()

    assert run("rokka_export")[0] == 0
    assert shown() == [content(number) for number in range(8)]
    assert downloads(emulator) == 8


# --- Runs that are stopped, and what others do meanwhile --------------------------------------


def test_a_beginning_that_a_killed_run_has_left_is_replaced(emulator: Emulator) -> None:
    new(1)
    list(Export(columns(PHOTO)[0]).jobs())
    put("dog.jpg", content(1)[:100])  # and here it is killed

    assert run("rokka_export")[0] == 0

    assert (names(), files(), shown()) == (["dog.jpg"], {"dog.jpg"}, [content(1)])


def test_what_is_no_beginning_is_somebody_elses_even_after_a_kill() -> None:
    new(1)
    list(Export(columns(PHOTO)[0]).jobs())
    put("dog.jpg", b"somebody else's")

    assert run("rokka_export")[0] == 0

    assert path("dog.jpg").read_bytes() == b"somebody else's"
    assert shown() == [content(1)]


def test_a_whole_file_that_a_killed_run_has_left_is_not_written_again(emulator: Emulator) -> None:
    new(1)
    mover = Export(columns(PHOTO)[0])
    (job,) = mover.jobs()
    mover.carry(job)  # and here it is killed

    code, said = run("rokka_export")

    assert (code, "1 were there already" in said, files()) == (0, True, {"dog.jpg"})
    assert downloads(emulator) == 1


def test_two_pictures_never_get_the_name_that_the_other_one_was_noted_with() -> None:
    first = new(1)
    list(Export(columns(PHOTO)[0]).jobs())  # killed before it was written
    second = new(2)
    Article.objects.filter(pk=first.pk).delete()
    Article.objects.create(photo=first.photo.name)

    assert run("rokka_export")[0] == 0

    assert fresh(second).photo.name.startswith("dog_")
    assert sorted(shown()) == sorted([content(1), content(2)])


def upload_another(pk: Any) -> None:
    article = Article.objects.get(pk=pk)
    article.photo = ContentFile(content(9), name="another.jpg")
    article.save()


def delete_row(pk: Any) -> None:
    Article.objects.get(pk=pk).delete()


@pytest.mark.parametrize("change", [upload_another, delete_row])
def test_a_row_that_changes_meanwhile_is_not_overwritten_and_leaves_no_file(
    change: Callable[[Any], None],
) -> None:
    item = new(1)
    mover = Export(columns(PHOTO)[0])
    (job,) = mover.jobs()
    carried = mover.carry(job)

    change(item.pk)
    after = names()

    assert mover.settle(job, carried).rows == 0
    assert (names(), files()) == (after, set())


def test_a_row_that_changes_in_the_middle_of_the_move_is_not_overwritten() -> None:
    item = new(1)
    mover = Export(columns(PHOTO)[0])
    (job,) = mover.jobs()
    carried = mover.carry(job)

    with meanwhile(
        'UPDATE "library_article"',
        lambda: Article.objects.filter(pk=item.pk).update(photo="somewhere/else.jpg"),
    ):
        assert mover.settle(job, carried).rows == 0

    assert names() == ["somewhere/else.jpg"]


def test_a_file_that_another_run_has_shown_stays() -> None:
    new(1)
    mover = Export(columns(PHOTO)[0])
    (job,) = mover.jobs()
    carried = mover.carry(job)
    Article.objects.update(photo=carried.target)

    assert mover.settle(job, carried).rows == 0

    assert (files(), shown()) == ({carried.target}, [content(1)])


def test_a_run_that_is_left_has_moved_what_it_says(emulator: Emulator) -> None:
    for number in range(5):
        new(number)
    runs = move(Export(columns(PHOTO)[0]), workers=2)
    next(runs), next(runs)
    runs.close()

    assert sum(not item.photo.at_rokka for item in Article.objects.all()) == 1
    assert run("rokka_export")[0] == 0
    assert shown() == [content(number) for number in range(5)]
    assert files() == set(names())


# --- Looking before, and deleting after -------------------------------------------------------


def test_a_dry_run_counts_and_weighs_and_changes_nothing(emulator: Emulator) -> None:
    first = new(1)
    Article.objects.create(photo=first.photo.name)
    row("old.jpg", content(2)), row(f"{'b' * 40}/unknown.jpg")
    before, calls = names(), len(emulator.calls)

    code, said = run("rokka_export", "--dry-run")

    assert code == 0
    assert f"3 rows show images, 2 files of {len(content(1))} bytes" in said
    assert "Nothing was changed" in said
    assert (names(), len(emulator.calls), files()) == (before, calls, {"old.jpg"})
    assert not MovedFile.objects.exists()


@pytest.mark.parametrize("arguments", [[], ["--keep"]])
def test_images_are_kept_unless_somebody_says_otherwise(arguments: list[str]) -> None:
    hash = new(1).photo.hash
    run("rokka_export")
    days_pass(1000)

    run("rokka_export", *arguments)

    assert not is_gone(hash)


def test_images_are_deleted_some_days_after_they_came_back_and_can_be_restored() -> None:
    hash = new(1).photo.hash
    assert "0 images at rokka deleted" in run("rokka_export", "--delete")[1]
    days_pass()

    assert "1 images at rokka deleted" in run("rokka_export", "--delete")[1]

    assert is_gone(hash)
    assert shown() == [content(1)]
    get_client(mirrors=False).restore_source_image(hash)


def lost_file(name: str, hash: str) -> None:
    path("dog.jpg").unlink()


def changed_file(name: str, hash: str) -> None:
    put("dog.jpg", content(7))


def shown_again(name: str, hash: str) -> None:
    Portrait.objects.create(picture=name)


def shown_in_a_text(name: str, hash: str) -> None:
    url = f"{SourceImage.objects.get(hash=hash).render_url('dynamic')}"
    Page.objects.create(body=f'<img src="{url}">')


def referenced(name: str, hash: str) -> None:
    Page.objects.create(hero=hash)


@pytest.mark.parametrize(
    "what", [lost_file, changed_file, shown_again, shown_in_a_text, referenced]
)
def test_an_image_stays_that_may_be_needed(what: Callable[[str, str], None]) -> None:
    item, other = new(1), new(2, "other.jpg")
    run("rokka_export")
    what(item.photo.name, item.photo.hash)
    days_pass()

    said = run("rokka_export", "--delete")[1]

    assert "1 images at rokka deleted" in said
    assert (is_gone(item.photo.hash), is_gone(other.photo.hash)) == (False, True)


def test_images_that_are_gone_already_are_no_complaint() -> None:
    item = new(1)
    run("rokka_export")
    lifecycle.delete_unreferenced(SourceImage.objects.get())
    days_pass()

    code, said = run("rokka_export", "--delete")
    assert (code, "0 images at rokka deleted" in said, "1:" in said) == (0, True, False)

    SourceImage.objects.all().delete()
    MovedFile.objects.update(deleted=None)
    assert "1:" not in run("rokka_export", "--delete")[1]
    assert is_gone(item.photo.hash)


def test_an_image_of_another_site_stays_and_does_not_end_the_run(settings: Any) -> None:
    item, other = new(1), new(2, "other.jpg")
    run("rokka_export")
    days_pass()
    anothers = {lifecycle.UPLOADED_BY: "staging"}
    SourceImage.objects.filter(hash=item.photo.hash).update(user_metadata=anothers, uploaded=None)

    with with_settings(settings, ENVIRONMENT="production", ISOLATE=True):
        code, said = run("rokka_export", "--delete")

    assert (code, "1 images at rokka deleted" in said) == (0, True)
    assert (is_gone(item.photo.hash), is_gone(other.photo.hash)) == (False, True)


def test_a_locked_image_stays_and_does_not_end_the_run() -> None:
    item, other = new(1), new(2, "other.jpg")
    get_client().set_locked(item.photo.hash, True)
    run("rokka_export")
    days_pass()

    assert "1 images at rokka deleted" in run("rokka_export", "--delete")[1]

    assert (is_gone(item.photo.hash), is_gone(other.photo.hash)) == (False, True)


def test_an_image_that_went_there_again_is_not_deleted() -> None:
    row("dog.jpg", content(1))
    run("rokka_import"), run("rokka_export"), run("rokka_import")
    days_pass()

    hash = names()[0][:40]
    Article.objects.update(photo="")
    run("rokka_export", "--delete")

    assert not is_gone(hash)
    assert disk().exists("dog.jpg")


def test_old_files_are_not_deleted_once_they_are_shown_again() -> None:
    row("a/dog.jpg", content(1)), row("b/dog.jpg", content(1))
    run("rokka_import"), run("rokka_export")
    days_pass()
    Article.objects.update(photo="")

    run("rokka_import", "--delete")

    assert files() == {"a/dog.jpg", "b/dog.jpg"}


def test_bytes_of_the_database_are_what_rokka_said() -> None:
    new(1)
    run("rokka_export")

    moved = MovedFile.objects.get()

    assert (moved.binary_hash, moved.size) == (binary_hash(content(1)), len(content(1)))
    assert at_rokka(moved.source) == moved.binary_hash
