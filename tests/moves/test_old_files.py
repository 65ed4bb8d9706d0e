"""``--delete``: old files go only when nothing needs them, compared once more; ``--keep`` is the default."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError

from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import MovedFile
from django_rokka.moves import OldFiles, columns
from tests.library.models import Article, Attachment, Portrait
from tests.meanwhile import meanwhile

from .living_site import (
    PHOTO,
    at_rokka,
    binary_hash,
    content,
    days_pass,
    files,
    names,
    path,
    put,
    row,
    run,
    with_settings,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("emulator")]


def deleted() -> set[str]:
    return set(MovedFile.objects.exclude(deleted=None).values_list("source", flat=True))


@pytest.mark.parametrize("arguments", [[], ["--keep"]])
def test_files_are_kept_unless_somebody_says_otherwise(arguments: list[str]) -> None:
    row("dog.jpg", content(1))
    run("rokka_import", *arguments)
    days_pass(1000)

    assert "deleted" not in run("rokka_import", *arguments)[1]

    assert files() == {"dog.jpg"}


def test_keep_and_delete_together_are_refused() -> None:
    with pytest.raises((CommandError, SystemExit)):
        run("rokka_import", "--keep", "--delete")


def test_only_what_was_moved_so_many_days_ago_is_deleted() -> None:
    row("dog.jpg", content(1))
    assert "0 old files deleted" in run("rokka_import", "--delete")[1]
    days_pass(2)

    assert "0 old files deleted" in run("rokka_import", "--delete", "--days=3")[1]
    assert files() == {"dog.jpg"}
    assert "1 old files deleted" in run("rokka_import", "--delete", "--days=1.5")[1]

    assert (files(), deleted()) == (set(), {"dog.jpg"})
    assert at_rokka(names()[0]) == binary_hash(content(1))
    assert "0 old files deleted" in run("rokka_import", "--delete")[1]


def test_with_no_days_a_file_goes_with_the_run_that_moves_it() -> None:
    row("dog.jpg", content(1)), row("gone.jpg")

    code, said = run("rokka_import", "--delete", "--days=0")

    assert (code, "1 old files deleted" in said) == (1, True)
    assert files() == set()
    assert at_rokka(names()[0]) == binary_hash(content(1))


def test_a_dry_run_deletes_nothing() -> None:
    row("dog.jpg", content(1))
    run("rokka_import")
    days_pass()

    run("rokka_import", "--dry-run", "--delete", "--days=0")

    assert files() == {"dog.jpg"}


def changed() -> None:
    put("dog.jpg", content(7))


def shown_again() -> None:
    row("dog.jpg")


def shown_by_another_column() -> None:
    row("dog.jpg", None, Attachment, "plain")


def shown_by_a_row_that_is_hidden() -> None:
    item = row("dog.jpg", None, Portrait, "picture")
    Portrait.objects.filter(pk=item.pk).update(hidden=True)


def lost_at_rokka() -> None:
    get_client(mirrors=False).delete_source_image(names()[0][:40])


def begun_anew() -> None:
    MovedFile.objects.update(state=MovedFile.State.BEGUN)


def failed_since() -> None:
    MovedFile.objects.update(state=MovedFile.State.FAILED)


@pytest.mark.parametrize(
    "what",
    [
        changed,
        shown_by_another_column,
        shown_by_a_row_that_is_hidden,
        lost_at_rokka,
        begun_anew,
        failed_since,
    ],
)
def test_a_file_stays_that_may_be_needed(what: Callable[[], None]) -> None:
    row("dog.jpg", content(1)), row("cat.jpg", content(2))
    run("rokka_import")
    first = MovedFile.objects.get(source="cat.jpg")
    what()
    MovedFile.objects.filter(pk=first.pk).update(state=MovedFile.State.DONE)
    days_pass()

    said = run("rokka_import", "--delete")[1]

    assert ("1 old files deleted" in said, files()) == (True, {"dog.jpg"})
    assert deleted() == {"cat.jpg"}


def test_a_file_that_a_row_shows_again_is_moved_again_and_not_deleted_with_that() -> None:
    row("dog.jpg", content(1))
    run("rokka_import")
    days_pass()
    shown_again()

    assert "0 old files deleted" in run("rokka_import", "--delete")[1]

    assert files() == {"dog.jpg"}
    assert len(set(names())) == 1


def test_a_row_that_shows_it_at_the_last_moment_keeps_it() -> None:
    row("dog.jpg", content(1))
    run("rokka_import")
    cleaner = OldFiles(columns(PHOTO)[0], older_than=timedelta(days=-1))
    (job,) = cleaner.jobs()
    carried = cleaner.carry(job)

    with meanwhile('FROM "library_article"', shown_again), pytest.raises(Exception, match="shows"):
        cleaner.settle(job, carried)

    assert files() == {"dog.jpg"}


def test_a_picture_with_another_focal_point_is_at_rokka_all_the_same() -> None:
    row("dog.jpg", content(1))
    run("rokka_import")
    before = names()[0]
    Article.objects.get().photo.source_image.set_subject_area(1, 1)
    days_pass()

    assert "1 old files deleted" in run("rokka_import", "--delete")[1]

    assert names()[0] != before
    assert at_rokka(names()[0]) == binary_hash(content(1))


def test_a_kill_after_a_deletion_leaves_no_complaint() -> None:
    row("dog.jpg", content(1))
    run("rokka_import")
    days_pass()
    path("dog.jpg").unlink()

    code, said = run("rokka_import", "--delete")

    assert (code, "0 old files deleted" in said, "missing" in said) == (0, True, False)
    assert deleted() == {"dog.jpg"}


def test_trouble_at_rokka_deletes_nothing(emulator: Emulator, settings: Any) -> None:
    for number in range(6):
        row(f"{number}.jpg", content(number))
    run("rokka_import")
    days_pass()
    emulator.add_fault(Fault(status=500, method="GET", times=100))

    with with_settings(settings, ATTEMPTS=1), pytest.raises(CommandError, match="next run"):
        run("rokka_import", "--delete", "--workers=1")
    assert len(files()) == 6

    emulator.clear_faults()
    assert "6 old files deleted" in run("rokka_import", "--delete")[1]


def test_a_late_copy_of_a_row_whose_file_is_deleted_shows_the_image() -> None:
    stale = row("dog.jpg", content(1))
    run("rokka_import", "--delete", "--days=0")

    stale.title = "Late"
    stale.save()

    assert (Article.objects.get().title, files()) == ("Late", set())
    assert at_rokka(names()[0]) == binary_hash(content(1))
