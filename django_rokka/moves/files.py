"""Files of storages, opened to be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.files.base import File
from django.core.files.storage import Storage

from ..api.upload import digest


@contextmanager
def opened(storage: Storage, name: str) -> Iterator[File[Any]]:
    """A file of a storage. Raises `FileNotFoundError`, and whatever else the storage raises."""
    file = storage.open(name, "rb")
    try:
        yield file
    finally:
        file.close()


def digest_of(storage: Storage, name: str) -> tuple[str, int]:
    """The binary hash and the bytes of a file, as `api.upload.digest` gives them. Raises what `opened` does."""
    with opened(storage, name) as file:
        return digest(file)
