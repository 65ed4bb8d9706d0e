"""Files that cannot be moved: each is reported with its reason, and its row goes on showing what it did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError
from django.db import connection

from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import MovedFile
from tests.library.models import Article, Attachment, Captioned
from tests.pictures import PDF, picture

from .living_site import (
    FILE,
    at_rokka,
    binary_hash,
    calls,
    content,
    names,
    path,
    put,
    reasons,
    row,
    run,
    uploads,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("emulator")]

HASH = "a" * 40


class MoodyStorage(FileSystemStorage):
    """What libraries of storages raise: errors of their own, with anything in the message."""

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if name.startswith("locked"):
            raise PermissionError(13, "Permission denied", name)
        if name.startswith("moody"):
            raise RuntimeError(f"no \0 luck \udcff with {name}" + "!" * 2000)
        return super()._open(name, mode)


@pytest.fixture
def moody(emulator: Emulator, settings: Any) -> None:
    old = {**settings.STORAGES["old"], "BACKEND": "tests.moves.test_import_failures.MoodyStorage"}
    settings.STORAGES = {**settings.STORAGES, "old": old}


def test_every_reason_is_in_the_report_and_the_rows_stay(
    emulator: Emulator, tmp_path: Path
) -> None:
    large, cut = picture((300, 200)), picture((50, 50))[:200]
    expected = {
        "missing.jpg": (None, "missing"),
        "empty.jpg": (b"", "empty"),
        "damaged.jpg": (cut, "unreadable"),
        "folder": (None, "unreadable"),
        "../outside.jpg": (None, "unreadable"),
        "text.txt": (b"no picture", "unsupported"),
        "text.jpg": (b"no picture", "unreadable"),
        "large.jpg": (large, "too large"),
        f"{HASH}/dog.jpg": (content(2), "ambiguous"),
        "deferred/dog.jpg": (content(3), "ambiguous"),
    }
    for name, (data, _) in expected.items():
        row(name)
        if data is not None:
            put(name, data)
    path("folder").mkdir()
    row("good.jpg", content(4))
    rows = list(Article.objects.order_by("pk").values_list("photo", "width", "height"))
    # The large one comes last but one: the others that are sent are refused before it.
    emulator.add_fault(Fault(status=413, method="POST", skip=3))
    report = tmp_path / "report.csv"

    code, said = run("rokka_import", f"--report={report}", "--workers=1")

    assert code == 1
    assert reasons(report) == {name: reason for name, (_, reason) in expected.items()}
    assert "1 files moved" in said
    assert "10 failed" in said
    assert "10 could not be moved" in said
    assert "missing.jpg: the file is missing. " in said
    assert "empty.jpg: the file is empty.\n" in said
    after = list(Article.objects.order_by("pk").values_list("photo", "width", "height"))
    assert after[:-1] == rows[:-1]
    assert at_rokka(names()[-1]) == binary_hash(content(4))


def test_what_is_mended_moves_with_the_next_run_and_nothing_else_is_sent(
    emulator: Emulator, tmp_path: Path
) -> None:
    for name in ("missing.jpg", "damaged.jpg", "gone.jpg", "renamed.jpg"):
        row(name)
    put("damaged.jpg", content(1)[:100])
    row("good.jpg", content(2))
    assert run("rokka_import")[0] == 1
    first = uploads(emulator)

    put("missing.jpg", content(3)), put("damaged.jpg", content(4)), put("new.jpg", content(5))
    Article.objects.filter(photo="renamed.jpg").update(photo="new.jpg")
    Article.objects.filter(photo="gone.jpg").update(photo="")
    code, said = run("rokka_import", f"--report={tmp_path / 'report.csv'}")

    assert (code, "3 files moved" in said, "could not be moved" in said) == (0, True, False)
    assert (first, uploads(emulator)) == (1, 4)
    assert reasons(tmp_path / "report.csv") == {}
    assert not MovedFile.objects.exclude(state=MovedFile.State.DONE).exists()
    assert [at_rokka(name) for name in names() if name] == [
        binary_hash(content(number)) for number in (3, 4, 5, 2)
    ]


def test_an_ambiguous_name_is_moved_after_it_was_renamed_and_images_are_not_ambiguous() -> None:
    row(f"{HASH}/dog.jpg", content(1)), row("cat.jpg", content(2))
    run("rokka_import")
    # An image of rokka's that only happens to have a file of the same name, and one that has no file at all.
    put(names()[1], content(3)), row(f"{'b' * 40}/cow.jpg")

    assert "1 could not be moved" in run("rokka_import")[1]

    path(f"{HASH}/dog.jpg").rename(path("dog.jpg"))
    Article.objects.filter(photo=f"{HASH}/dog.jpg").update(photo="dog.jpg")
    assert run("rokka_import")[0] == 0
    assert at_rokka(names()[0]) == binary_hash(content(1))


@pytest.mark.usefixtures("moody")
def test_an_error_of_a_storage_stands_against_its_file_alone(tmp_path: Path) -> None:
    row("moody.jpg", content(1)), row("good.jpg", content(2)), row("locked.jpg", content(3))

    code, said = run("rokka_import", f"--report={tmp_path / 'report.csv'}")

    assert code == 1
    assert reasons(tmp_path / "report.csv") == {
        "moody.jpg": "unreadable",
        "locked.jpg": "unreadable",
    }
    assert "PermissionError: [Errno 13] Permission denied: 'locked.jpg'" in said
    assert "RuntimeError: no  luck ? with moody.jpg" in said
    assert len(MovedFile.objects.get(source="moody.jpg").message) <= 1000
    assert "good.jpg" in names()[1]


def test_other_bytes_than_those_of_the_file_are_no_success(
    emulator: Emulator, tmp_path: Path
) -> None:
    row("dog.jpg", content(1))
    other = get_client(mirrors=False).create_source_image(ContentFile(content(9)), name="x.jpg")
    emulator.add_fault(Fault(kind="replace", method="POST", body=answer_with(other.hash)))

    assert run("rokka_import", f"--report={tmp_path / 'report.csv'}")[0] == 1

    assert reasons(tmp_path / "report.csv") == {"dog.jpg": "different"}
    assert names() == ["dog.jpg"]
    assert binary_hash(content(1)) in MovedFile.objects.get().message
    assert run("rokka_import")[0] == 0
    assert at_rokka(names()[0]) == binary_hash(content(1))


def answer_with(hash: str) -> str:
    """What an upload answers, with another picture's hash."""
    image = {
        "organization": "acme",
        "hash": hash,
        "short_hash": hash[:6],
        "binary_hash": binary_hash(content(9)),
        "created": "2024-01-01T00:00:00+00:00",
        "name": "x.jpg",
        "mimetype": "image/jpeg",
        "format": "jpg",
        "size": 700,
        "width": 49,
        "height": 30,
    }
    return json.dumps({"total": 1, "items": [image]})


def test_what_is_no_picture_moves_if_rokka_takes_it() -> None:
    row("paper.pdf", PDF, Attachment, "file")
    row("notes.txt", b"no picture", Attachment, "file")
    row("photo.jpg", b"no picture", Attachment, "file")

    code, said = run("rokka_import", label=FILE)

    assert (code, "1 files moved" in said) == (1, True)
    assert "notes.txt: rokka does not take such files" in said
    assert "photo.jpg: the file cannot be read" in said


@contextmanager
def unique(table: str, column: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE UNIQUE INDEX one_each ON {table} ({column})")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX one_each")


def test_a_row_that_breaks_a_rule_of_the_database_does_not_end_the_run(emulator: Emulator) -> None:
    row("a/dog.jpg", content(1)), row("b/dog.jpg", content(1)), row("c.jpg", content(2))

    with unique("library_article", "photo"):
        code, said = run("rokka_import", "--workers=1")

    assert (code, "2 files moved" in said) == (1, True)
    assert "b/dog.jpg: the call failed. IntegrityError" in said
    assert names()[1] == "b/dog.jpg"
    assert path("b/dog.jpg").exists()


def test_a_row_that_cannot_say_its_texts_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def headline_length(row: Captioned) -> int:
        return 1 // len(row.headline)

    monkeypatch.setattr(Captioned, "headline_length", headline_length)
    row("silent.jpg", content(1), Captioned)
    told = row("told.jpg", content(2), Captioned)
    Captioned.objects.filter(pk=told.pk).update(headline="A dog")

    code, said = run("rokka_import", label="library.Captioned.photo")

    assert (code, "1 files moved" in said) == (1, True)
    assert "silent.jpg: the call failed. user_metadata: ZeroDivisionError" in said


def test_many_failures_are_cut_on_the_screen_and_whole_in_the_report(tmp_path: Path) -> None:
    for number in range(25):
        row(f"{number}.jpg")

    said = run("rokka_import")[1]
    assert said.count("the file is missing") == 20
    assert "all of them with --report" in said

    run("rokka_import", f"--report={tmp_path / 'report.csv'}")
    assert len(reasons(tmp_path / "report.csv")) == 25


def test_a_report_that_cannot_be_written_is_said_before_anything_is_moved(
    emulator: Emulator, tmp_path: Path
) -> None:
    row("dog.jpg", content(1))

    with pytest.raises(CommandError, match="The report cannot be written"):
        run("rokka_import", f"--report={tmp_path / 'nowhere' / 'report.csv'}")

    assert calls(emulator) == 0


def test_a_column_that_is_too_short_is_refused_before_anything_is_sent(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    row("dog.jpg", content(1), Attachment, "file")
    monkeypatch.setattr(Attachment._meta.get_field("file"), "max_length", 40)

    with pytest.raises(CommandError, match="max_length of 40"):
        run("rokka_import", label=FILE)

    assert calls(emulator) == 0


def test_names_that_the_journal_cannot_hold_are_said_before_anything_is_sent(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    row("dog.jpg", content(1), Attachment, "file")
    monkeypatch.setattr(Attachment._meta.get_field("file"), "max_length", 2000)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE library_attachment ALTER file TYPE varchar(2000)")
    assert run("rokka_import", "--dry-run", label=FILE)[0] == 0
    Attachment.objects.create(file=f"{'x' * 500}.jpg")

    with pytest.raises(CommandError, match=r"500 characters.*such as 'xxx"):
        run("rokka_import", label=FILE)

    assert MovedFile.objects.count() == 0
    Attachment.objects.all().delete()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE library_attachment ALTER file TYPE varchar(255)")


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        ("rokka_import", ["--delete"], "leave out --delete"),
        ("rokka_export", [], "set another FALLBACK"),
    ],
)
def test_what_only_reads_is_not_written_to(
    command: str, arguments: list[str], said: str, emulator: Emulator, settings: Any
) -> None:
    old = {
        "BACKEND": "django_rokka.url_storage.URLStorage",
        "OPTIONS": {"base_url": "http://127.0.0.1:9/"},
    }
    settings.STORAGES = {**settings.STORAGES, "old": old}
    row("dog.jpg")

    with pytest.raises(CommandError, match=said):
        run(command, *arguments)

    assert calls(emulator) == 0


@pytest.mark.parametrize(
    "arguments",
    [["--days=-1"], ["--days=nan"], ["--days=1e9"], ["--dry-run", "--mbits=0"], ["--workers=11"]],
)
def test_numbers_that_cannot_be_are_said(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=arguments[-1].partition("=")[0]):
        run("rokka_import", *arguments)
