"""A site as it was before rokka: files on a disk, and rows with their names."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage, storages
from django.core.management import call_command
from django.utils import timezone

from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.models import MovedFile
from tests.library.models import Article
from tests.pictures import picture

PHOTO = "library.Article.photo"
FILE = "library.Attachment.file"


def disk() -> FileSystemStorage:
    """The storage of before."""
    storage = storages["old"]
    assert isinstance(storage, FileSystemStorage)
    return storage


def path(name: str) -> Path:
    """Where a file lies on the disk."""
    return Path(disk().path(name))


def put(name: str, data: bytes) -> None:
    """Write a file, whatever lies there."""
    path(name).parent.mkdir(parents=True, exist_ok=True)
    path(name).write_bytes(data)


def files() -> set[str]:
    """The names of all files on the disk."""
    root = Path(disk().location)
    return {found.relative_to(root).as_posix() for found in root.rglob("*") if found.is_file()}


def content(number: int) -> bytes:
    """A picture of ``40 + number`` times 30 pixels."""
    return picture((40 + number, 30))


def row(name: str, data: bytes | None = None, model: Any = Article, field: str = "photo") -> Any:
    """A row that old code has written; without ``data`` there is no file, or another row has brought it."""
    if data is not None:
        put(name, data)
    pk = model.objects.create().pk
    model.objects.filter(pk=pk).update(**{field: name})
    return model.objects.get(pk=pk)


def names() -> list[str]:
    """What the rows of articles have, in their order."""
    return list(Article.objects.order_by("pk").values_list("photo", flat=True))


def run(command: str, *arguments: str, label: str = PHOTO) -> tuple[int, str]:
    """The exit code, and what is said."""
    out, err = StringIO(), StringIO()
    code = 0
    try:
        call_command(command, label, *arguments, stdout=out, stderr=err)
    except SystemExit as error:
        code = int(error.code or 0)
    return code, out.getvalue() + err.getvalue()


def reasons(report: Path) -> dict[str, str]:
    """The names of a report, each with its reason."""
    with report.open(newline="", encoding="utf-8") as file:
        return {line["name"]: line["reason"] for line in csv.DictReader(file)}


def uploads(emulator: Emulator) -> int:
    """How many uploads rokka has taken."""
    return sum(call.method == "POST" and call.status == 201 for call in emulator.calls)


def calls(emulator: Emulator) -> int:
    """How many calls rokka has had."""
    return len(emulator.calls)


def binary_hash(data: bytes) -> str:
    """What rokka should say of a file."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def at_rokka(name: str) -> str:
    """The binary hash that rokka itself has for the image of a name."""
    return str(get_client(mirrors=False).get_source_image(name[:40]).binary_hash)


def days_pass(days: float = 2) -> None:
    """Let what was moved be moved some days ago."""
    MovedFile.objects.update(changed=timezone.now() - timedelta(days=days))


@contextmanager
def with_settings(settings: Any, **values: Any) -> Iterator[None]:
    """Settings of the alias for a block."""
    before = settings.ROKKA
    settings.ROKKA = {**before, "default": {**before["default"], **values}}
    yield
    settings.ROKKA = before
