"""The storages of Wagtail's images and renditions."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.files.storage import Storage
from django.utils.deconstruct import deconstructible
from wagtail.images.models import SourceImageIOError

from django_rokka.storage import RokkaStorage


@deconstructible(path="django_rokka.wagtail.storage.RokkaImageStorage")
class RokkaImageStorage(RokkaStorage):
    """A `RokkaStorage` whose files are not deleted by Wagtail.

    Wagtail deletes the file of every image that is replaced or deleted. A `RokkaImageField` sees to that
    by itself: after the commit, if no other row holds the picture, and when ``UNREFERENCED`` says.
    """

    def delete(self, name: str) -> None:
        """Do nothing: the field lets go of the picture."""


@deconstructible
class RenderStorage(Storage):
    """Of renditions: the name of a file is its URL, and there is no file."""

    def url(self, name: str | None) -> str:
        """The name."""
        return name or ""

    def exists(self, name: str) -> bool:
        """There is nothing that could be overwritten."""
        return False

    def delete(self, name: str) -> None:
        """There is nothing to delete."""

    def _open(self, name: str, mode: str = "rb") -> NoReturn:
        raise SourceImageIOError(
            f"The rendition {name} is not stored, it is rendered at rokka: use its url "
            "(and ServeView.as_view(action='redirect') to serve it)."
        )

    def _save(self, name: str, content: Any) -> NoReturn:
        raise NotImplementedError("Renditions are rendered at rokka, so none is saved.")
