"""A storage that does not keep what it is given, as a disk that is full, or something that optimizes pictures."""

from __future__ import annotations

from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage


class LossyStorage(FileSystemStorage):
    """Keeps all but the last bytes."""

    def _save(self, name: str, content: Any) -> str:
        return str(super()._save(name, ContentFile(content.read()[:-10])))
