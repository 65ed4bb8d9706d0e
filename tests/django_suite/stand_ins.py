"""Our field and our storage under the names of Django's, with the little that Django's tests want besides.

rokka takes pictures only, and most of the tests save a text. So a text goes up behind a picture, which is for
rokka a picture still, and comes down without. The names that files get are rokka's.
"""

from __future__ import annotations

import io
import itertools
from types import ModuleType
from typing import IO, Any

from django.core.files import storage
from django.core.files.base import File
from django.db import models
from django.db.models.fields import files
from django.test import SimpleTestCase

from django_rokka.fields import RokkaFieldFile, RokkaImageField
from django_rokka.storage import RokkaFile, RokkaStorage
from tests.pictures import picture

_PICTURE = picture((4, 4), "PNG")
_SIGNATURE = _PICTURE[:8]
#: Before each text there is a number, so that equal ones are still different pictures.
_HEAD = len(_PICTURE) + 8
_numbers = itertools.count()
#: The hashes of the pictures that have a text behind them.
_texts: set[str] = set()


class _BehindPicture(io.RawIOBase):
    """A text on its way up. It reads the caller's file, as an upload of that file would."""

    def __init__(self, text: IO[Any]) -> None:
        self._text = text
        self._head = io.BytesIO(_PICTURE + b"%08d" % next(_numbers))

    def seekable(self) -> bool:
        return self._text.seekable()

    def tell(self) -> int:
        return self._head.tell() + self._text.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        """To the start or to the end: an upload goes nowhere else."""
        return self._head.seek(offset, whence) + self._text.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        head = self._head.read(size)
        text = self._text.read(-1 if size < 0 else size - len(head))
        return head + (text.encode() if isinstance(text, str) else text)


class _Text(RokkaFile):
    """A text that came down."""

    def _download(self) -> IO[bytes]:
        with super()._download() as content:
            return io.BytesIO(content.read()[_HEAD:])


class PictureStorage(RokkaStorage):
    """`RokkaStorage` with the arguments of Django's storages, none of which says anything to rokka."""

    #: Read while a module of tests is imported.
    OS_OPEN_FLAGS = 0

    def __init__(self, location: str = "", **options: Any) -> None:
        super().__init__()
        self.location = location

    def _save(self, name: str, content: File[Any]) -> str:
        if content.seekable():
            content.seek(0)
            if content.read(len(_SIGNATURE)) == _SIGNATURE:
                return super()._save(name, content)
        saved = super()._save(name, File(_BehindPicture(content)))
        _texts.add(saved[:40])
        return saved

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        file = super()._open(name, mode)
        return _Text(name, self) if name[:40] in _texts else file

    def size(self, name: str) -> int:
        return super().size(name) - (_HEAD if name[:40] in _texts else 0)


def _at_rokka(file: IO[Any] | None, name: str = "file") -> File[Any]:
    """What stands for Django's `File` of an open file: one at rokka that has its content."""
    pictures = PictureStorage()
    return pictures.open(pictures.save(name, File(file or io.BytesIO(), name)))


def install() -> None:
    """Before Django's tests and their models are imported."""
    put: dict[Any, dict[str, Any]] = {
        storage: dict.fromkeys(["FileSystemStorage", "InMemoryStorage", "Storage"], PictureStorage),
        storage.filesystem: {"FileSystemStorage": PictureStorage},
        models: dict.fromkeys(["FileField", "ImageField"], RokkaImageField),
        files: {"ImageFieldFile": RokkaFieldFile},
        # What a storage knows is in the mirror.
        SimpleTestCase: {"databases": {"default"}},
    }
    for owner, values in put.items():
        for name, value in values.items():
            setattr(owner, name, value)


def install_files(tests: ModuleType) -> None:
    """After the module ``files.tests`` is imported."""
    tests.File = _at_rokka  # type: ignore[attr-defined]
