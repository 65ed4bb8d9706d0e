"""Files that may still have the bytes of a picture that is gone. Each is compared by its SHA-1 before it is used."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, SuspiciousFileOperation

from ..api.names import HASH_LENGTH, slugify
from ..api.upload import digest
from ..models import MovedFile
from .drift import Lost

logger = logging.getLogger("django_rokka.doctor")


@dataclass(frozen=True)
class Source:
    """A file with the bytes of a picture: where it is, in words, what it was called, and how it is opened."""

    where: str
    name: str
    storage: Any

    def open(self) -> IO[bytes]:
        """Open it for reading; close it."""
        file: IO[bytes] = self.storage.open(self.name, "rb")
        return file


@dataclass
class Files:
    """Where files are looked for: in the journal of what was moved to rokka, and in a ``folder``."""

    folder: Path | None = None
    _sizes: dict[Path, int] | None = field(default=None, init=False)
    _digests: dict[Path, str] = field(default_factory=dict, init=False)

    def find(self, lost: Lost) -> Source | None:
        """A file with the bytes of the picture, or ``None``."""
        return next(self._found(lost), None)

    def _found(self, lost: Lost) -> Iterator[Source]:
        yield from _moved(lost)
        wanted = binary_hash_of(lost)
        if self.folder is None or not wanted:
            return
        for path in self._likely(lost):
            if self._digest(path) == wanted:
                yield Source(str(path), path.name, _Folder(path.parent))

    def _likely(self, lost: Lost) -> list[Path]:
        """The files that may be it, likely names first: of its size, if that is known."""
        size = lost.image.size if lost.image else None
        paths = [path for path, found in self._listed().items() if size in (None, found)]
        name = slugify(lost.image.name) if lost.image and lost.image.name else ""
        return sorted(paths, key=lambda path: (slugify(path.name) != name, path))

    def _listed(self) -> dict[Path, int]:
        """All files of the folder, with their sizes; links are not followed."""
        if self._sizes is None and self.folder is not None:
            paths = (Path(top, name) for top, _, names in os.walk(self.folder) for name in names)
            files = [path for path in paths if path.is_file() and not path.is_symlink()]
            self._sizes = {path: path.stat().st_size for path in files}
        return self._sizes or {}

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = _digest(lambda: path.open("rb"))
        return self._digests[path]


class _Folder:
    """What a `Source` needs of a storage, for a folder that is no storage."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str, mode: str) -> IO[Any]:
        return (self._path / name).open(mode)


def _digest(opening: Any) -> str:
    """The SHA-1 of a file; empty if it cannot be read."""
    try:
        with closing(opening()) as file:
            return digest(file)[0]
    except (OSError, SuspiciousFileOperation) as error:
        logger.info("A file cannot be read: %s", error)
        return ""


# --- The journal ------------------------------------------------------------------------------


def binary_hash_of(lost: Lost) -> str:
    """The SHA-1 of the picture's bytes, by rokka, the mirror or the journal; empty if nobody knows."""
    known = lost.binary_hash or (lost.image.binary_hash if lost.image else "")
    return known or next((row.binary_hash for row in _journal(lost) if row.binary_hash), "")


def _journal(lost: Lost) -> Iterator[MovedFile]:
    """What was moved to rokka and became this picture."""
    hash = lost.image.hash if lost.image else lost.hash
    if len(hash) < HASH_LENGTH:
        return
    rows = MovedFile.objects.filter(
        direction=MovedFile.Direction.IMPORT, target__startswith=f"{hash}/"
    )
    yield from rows.order_by("pk")
    if lost.binary_hash:
        # The picture's hash has changed since.
        yield from (
            MovedFile.objects.filter(
                direction=MovedFile.Direction.IMPORT, binary_hash=lost.binary_hash
            )
            .exclude(target__startswith=f"{hash}/")
            .order_by("pk")
        )


def _moved(lost: Lost) -> Iterator[Source]:
    """The file that a picture was before it was moved, where it is still there."""
    wanted = binary_hash_of(lost)
    for row in _journal(lost):
        storage = _storage_of(row.column)
        source = Source(f"{row.source} ({row.column})", row.source, storage)
        if wanted and storage is not None and _digest(source.open) == wanted:
            yield source


def _storage_of(column: str) -> Any:
    try:
        app, model, name = column.split(".")
        field: Any = apps.get_model(app, model)._meta.get_field(name)
    except (ValueError, LookupError, FieldDoesNotExist):
        return None
    return getattr(getattr(field, "storage", None), "fallback_storage", None)
