"""Which rows an import moves, under which names, and what it leaves alone that others do meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_rokka import lifecycle
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.fields import RokkaImageField
from django_rokka.models import MovedFile, SourceImage
from django_rokka.moves import Import, columns, move
from tests.library.models import Article, Attachment, Captioned, Poster, Slide, Snapshot
from tests.meanwhile import meanwhile
from tests.pictures import SVG

from .living_site import (
    FILE,
    PHOTO,
    at_rokka,
    binary_hash,
    calls,
    content,
    disk,
    names,
    path,
    put,
    row,
    run,
    uploads,
    with_settings,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("emulator")]

UPDATE = 'UPDATE "library_article" SET "photo"|UPDATE "library_article" SET "width"'


def fresh(item: Any) -> Any:
    return type(item).objects.get(pk=item.pk)


# --- Names and kinds of files -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("202401/a.jpg", "a.jpg"),
        ("abcdef/b/c.jpg", "c.jpg"),
        ("Zürich am Abend (2).JPG", "zurich-am-abend-2.jpg"),
        ("über/日本語.jpg", "image.jpg"),
        ("no-extension", "no-extension.jpg"),
        ("two.dots.and_lines.jpeg", "two-dots-and-lines.jpg"),
        ("wrong.png", "wrong.jpg"),
        (" spaces .jpg", "spaces.jpg"),
        ("100%25?#&.jpg", "100-25.jpg"),
    ],
)
def test_any_name_of_a_file_becomes_a_name_of_an_image(name: str, slug: str) -> None:
    item = row(name, content(1))

    assert run("rokka_import")[0] == 0

    assert fresh(item).photo.name == f"{fresh(item).photo.hash}/{slug}"
    assert at_rokka(fresh(item).photo.name) == binary_hash(content(1))
    assert MovedFile.objects.get().source == name
    assert path(name).read_bytes() == content(1)


def test_a_long_name_is_cut_to_the_column(emulator: Emulator) -> None:
    short = row(f"attachments/{'long-' * 16}.jpg", content(1), Attachment, "file")
    long = row(f"{'x' * 240}.jpg", content(2))

    run("rokka_import", label=FILE)
    run("rokka_import")

    assert len(fresh(short).file.name) <= 100
    assert len(fresh(long).photo.name) <= 100
    assert at_rokka(fresh(short).file.name) == binary_hash(content(1))
    assert at_rokka(fresh(long).photo.name) == binary_hash(content(2))


def test_a_file_of_many_rows_is_sent_once_and_counted_once(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("django_rokka.moves.columns"), "_PORTION", 2)
    rows = [
        row(name) for name in ("b.jpg", "a.jpg", "b.jpg", "b.jpg", "gone.jpg", "b.jpg", "gone.jpg")
    ]
    put("a.jpg", content(1)), put("b.jpg", content(2))
    # Slow enough that the second portion is read before the first one is done.
    emulator.add_fault(Fault(kind="hang", seconds=0.3, method="POST", times=2))

    assert "3 files of 7 rows" in run("rokka_import", "--dry-run")[1]
    code, said = run("rokka_import")

    assert (code, "2 files moved" in said, " 1 failed" in said) == (1, True, True)
    assert uploads(emulator) == 2
    assert len(set(names())) == 3
    assert [fresh(item).photo.at_rokka for item in rows] == [True] * 4 + [False, True, False]


def test_progress_counts_every_row_once(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("django_rokka.moves.columns"), "_PORTION", 2)
    for name in ("a.jpg", "b.jpg", "a.jpg", "gone.jpg", "a.jpg", "gone.jpg"):
        row(name)
    put("a.jpg", content(1)), put("b.jpg", content(2))

    *_, last = move(Import(columns(PHOTO)[0]), workers=1)

    assert (last.seen, last.total) == (6, 6)


def test_two_files_with_the_same_bytes_become_one_image(emulator: Emulator) -> None:
    first, second = row("a/dog.jpg", content(1)), row("b/cat.jpg", content(1))

    assert run("rokka_import")[0] == 0

    assert fresh(first).photo.name == f"{fresh(second).photo.hash}/dog.jpg"
    assert fresh(second).photo.name.endswith("/cat.jpg")
    assert SourceImage.objects.count() == 1
    assert MovedFile.objects.filter(state=MovedFile.State.DONE).count() == 2


def test_a_drawing_moves_though_it_has_no_pixels(emulator: Emulator) -> None:
    item = row("logo.svg", SVG)

    run("rokka_import")

    assert fresh(item).photo.name.endswith("/logo.svg")
    assert (fresh(item).width, fresh(item).height) == (200, 100)


@pytest.mark.parametrize(
    ("model", "field"), [(Slide, "picture"), (Snapshot, "photo"), (Poster, "back")]
)
def test_columns_of_every_kind_of_model_are_found(model: Any, field: str) -> None:
    item = row("dog.jpg", content(1), model, field)

    assert run("rokka_import", label=f"library.{model.__name__}.{field}")[0] == 0

    assert getattr(fresh(item), field).at_rokka


def test_a_column_is_the_same_by_a_proxy_and_rows_that_a_manager_hides_move() -> None:
    item = row("dog.jpg", content(1))
    hidden = row("cat.jpg", content(2), Poster, "picture")
    Poster.objects.update(hidden=True)

    run("rokka_import", label="library.Headline.photo")
    run("rokka_import", label="library.Poster.picture")

    assert fresh(item).photo.at_rokka
    assert Poster._base_manager.get(pk=hidden.pk).picture.at_rokka
    assert set(MovedFile.objects.values_list("column", flat=True)) == {
        PHOTO,
        "library.Portrait.picture",
    }


def test_what_waits_in_the_spool_is_left_to_its_task(emulator: Emulator, settings: Any) -> None:
    with with_settings(settings, CELERY=True, SPOOL="old"):
        item = Snapshot.objects.create()
        name = disk().save(f"deferred/{'a' * 32}/dog.jpg", ContentFile(content(1)))
        Snapshot.objects.update(photo=name)

        assert "0 files moved" in run("rokka_import", label="library.Snapshot.photo")[1]

        assert fresh(item).photo.name == name
        assert uploads(emulator) == 0


def test_texts_of_the_first_row_go_along_and_the_site_leaves_its_mark(settings: Any) -> None:
    for _number in range(2):
        row("dog.jpg", content(1), Captioned)
    Captioned.objects.update(headline="A dog", keywords=["dog", "green"])
    Captioned.objects.filter(pk=Captioned.objects.last().pk).update(headline="Another")

    with with_settings(settings, ENVIRONMENT="production"):
        run("rokka_import", label="library.Captioned.photo")

    image = get_client(mirrors=False).get_source_image(Captioned.objects.first().photo.hash)
    assert image.user_metadata["title"] == "A dog"
    assert image.user_metadata["array:keywords"] == ["dog", "green"]
    assert image.user_metadata[lifecycle.UPLOADED_BY] == "production"
    assert "text:alt" not in image.user_metadata


def test_an_isolated_site_gets_images_of_its_own(emulator: Emulator, settings: Any) -> None:
    other = get_client(mirrors=False).create_source_image(ContentFile(content(1)), name="dog.jpg")
    item = row("dog.jpg", content(1))

    with with_settings(settings, ENVIRONMENT="production", ISOLATE=True):
        run("rokka_import")
        # A file that was noted by a run that was killed is looked for among one's own images.
        again = row("dog.jpg", content(1))
        run("rokka_import")

    assert fresh(item).photo.hash == fresh(again).photo.hash != other.hash
    assert uploads(emulator) == 2


# --- What others do meanwhile -----------------------------------------------------------------


def replace_file(pk: Any) -> None:
    Article.objects.filter(pk=pk).update(photo="another.jpg")


def upload_another(pk: Any) -> None:
    article = Article.objects.get(pk=pk)
    article.photo = ContentFile(content(9), name="new.jpg")
    article.save()


def delete_row(pk: Any) -> None:
    Article.objects.get(pk=pk).delete()


@pytest.mark.parametrize("change", [replace_file, upload_another, delete_row])
def test_a_row_that_changes_just_before_it_would_move_is_not_overwritten(
    emulator: Emulator, change: Callable[[Any], None]
) -> None:
    changed, other = row("a.jpg", content(1)), row("b.jpg", content(2))
    (column,) = columns(PHOTO)
    mover = Import(column)
    jobs = list(mover.jobs())
    carried = [mover.carry(job) for job in jobs]

    change(changed.pk)
    before = list(Article.objects.filter(pk=changed.pk).values("photo", "width", "height"))
    settled = [mover.settle(job, file) for job, file in zip(jobs, carried, strict=True)]

    assert [item.rows for item in settled] == [0, 1]
    assert list(Article.objects.filter(pk=changed.pk).values("photo", "width", "height")) == before
    assert fresh(other).photo.at_rokka
    assert path("a.jpg").read_bytes() == content(1)
    # The picture that nobody shows is seen to as any other.
    image = SourceImage.objects.get(binary_hash=binary_hash(content(1)))
    assert image.unreferenced is not None
    lifecycle.delete_due("default")
    image.refresh_from_db()
    assert image.deleted is not None


def test_a_row_that_changes_in_the_middle_of_the_move_is_not_overwritten() -> None:
    item = row("a.jpg", content(1))
    (column,) = columns(PHOTO)
    mover = Import(column)
    (job,) = mover.jobs()
    carried = mover.carry(job)

    with meanwhile(UPDATE, lambda: replace_file(item.pk)):
        assert mover.settle(job, carried).rows == 0

    assert fresh(item).photo.name == "another.jpg"


def test_a_stale_copy_that_is_saved_after_the_move_follows_it(emulator: Emulator) -> None:
    stale, partly = row("dog.jpg", content(1)), row("cat.jpg", content(2))
    run("rokka_import")

    stale.title = "Saved by a long request"
    stale.save()
    partly.title = "Only this"
    partly.save(update_fields=["title"])

    assert [at_rokka(name) for name in names()] == [binary_hash(content(n)) for n in (1, 2)]
    assert [(item.width, item.height) for item in Article.objects.order_by("pk")] == [
        (41, 30),
        (42, 30),
    ]
    assert [item.title for item in Article.objects.order_by("pk")] == [
        "Saved by a long request",
        "Only this",
    ]
    # The copy has learned it, too.
    assert (stale.photo.name, stale.width) == (names()[0], 41)


def test_a_stale_copy_with_wrong_numbers_gets_those_of_the_image(emulator: Emulator) -> None:
    row("dog.jpg", content(1))
    Article.objects.update(width=7, height=7)
    stale = Article.objects.get()
    run("rokka_import")

    stale.save()

    assert (fresh(stale).width, fresh(stale).height) == (41, 30)


def test_a_stale_copy_that_is_saved_before_the_move_is_moved(emulator: Emulator) -> None:
    stale = row("dog.jpg", content(1))
    mover = Import(columns(PHOTO)[0])
    (job,) = mover.jobs()
    carried = mover.carry(job)
    stale.title = "Saved while it was sent"
    stale.save()

    assert mover.settle(job, carried).rows == 1

    assert fresh(stale).title == "Saved while it was sent"
    assert fresh(stale).photo.at_rokka


def test_a_stale_copy_that_old_code_saves_is_moved_again_without_an_upload(
    emulator: Emulator,
) -> None:
    item = row("attachments/dog.jpg", content(1), Attachment, "file")
    run("rokka_import", label=FILE)

    item.save()
    assert fresh(item).file.name == "attachments/dog.jpg"
    assert fresh(item).file.url == "/old/attachments/dog.jpg"
    code, said = run("rokka_import", label=FILE)

    assert (code, "1 files moved, 0 bytes sent (1 were there already)" in said) == (0, True)
    assert uploads(emulator) == 1


def test_a_name_of_before_that_is_assigned_becomes_that_of_the_image(emulator: Emulator) -> None:
    row("dog.jpg", content(1))
    run("rokka_import")

    made = Article.objects.create(photo="dog.jpg")
    Article.objects.bulk_create([Article(photo="dog.jpg")])

    assert len(set(names())) == 1
    assert (fresh(made).width, fresh(made).height) == (41, 30)


def test_saving_a_row_costs_no_call_before_and_after_the_move(emulator: Emulator) -> None:
    item = row("dog.jpg", content(1))
    stale = fresh(item)
    item.save()
    assert calls(emulator) == 0

    run("rokka_import")
    before = calls(emulator)
    fresh(item).save()
    stale.save()

    assert calls(emulator) == before


def test_a_move_costs_few_queries_for_each_file(emulator: Emulator) -> None:
    def queries(count: int) -> int:
        for number in range(count):
            row(f"{count}-{number}.jpg", content(count + number))
        with CaptureQueriesContext(connection) as found:
            run("rokka_import", "--workers=1")
        return len(found)

    few, many = queries(3), queries(7)

    # With those that begin and end the transaction.
    assert (many - few) / 4 <= 13


def test_a_field_without_columns_for_the_size_moves() -> None:
    assert isinstance(Captioned._meta.get_field("photo"), RokkaImageField)
    item = row("dog.jpg", content(1), Captioned)

    run("rokka_import", label="library.Captioned.photo")

    assert (fresh(item).photo.width, fresh(item).photo.height) == (41, 30)
