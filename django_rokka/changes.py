"""What changes an image's hash, as values, and the methods that pictures and rows share for it.

Source: the dynamic metadata chapter of rokka's documentation. Areas are in pixels of the full image, or
in percent if ``percentage``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import api
from .api.types import JSON

if TYPE_CHECKING:
    from .models import SourceImage

PROTECTED = "protected"


@dataclass(frozen=True)
class Change:
    """One change that gives an image another hash, in a form that a task can carry.

    ``name`` is a kind of dynamic metadata or ``"protected"``, ``value`` its JSON; ``None`` deletes it.
    Raises `InvalidArgument` for anything else.
    """

    name: str
    value: JSON

    def __post_init__(self) -> None:
        if self.name == PROTECTED:
            if not isinstance(self.value, bool):
                raise api.InvalidArgument(f"protected is True or False, not {self.value!r}")
        elif self.value is not None:
            api.read_dynamic_metadata(self.name, self.value)

    def send(self, client: api.RokkaClient, hash: str, *, keep_hash: bool = False) -> api.Rehash:
        """Ask rokka for the change. The old image stays."""
        if self.name == PROTECTED:
            if keep_hash:
                raise api.InvalidArgument("protecting an image always changes its hash")
            return client.set_protected(hash, self.value)
        if self.value is None:
            return client.delete_dynamic_metadata(hash, self.name, keep_hash=keep_hash)
        metadata = api.read_dynamic_metadata(self.name, self.value)
        return client.set_dynamic_metadata(hash, metadata, keep_hash=keep_hash)


class Rehashable:
    """The changes that give another hash. On a `SourceImage` every row follows, on a row only that one.

    Each returns the image that has the change. With ``keep_hash`` rokka changes the image in place, for
    every row and every other site: caches go on showing the old renders for up to a year. All raise the
    errors of `django_rokka.api.errors`; whatever fails, every row goes on showing a picture.
    """

    def set_subject_area(
        self,
        x: int,
        y: int,
        *,
        width: int = 1,
        height: int = 1,
        percentage: bool = False,
        keep_hash: bool = False,
    ) -> SourceImage:
        """Set what must stay visible when the image is cropped: the focal point, or a box."""
        area = api.SubjectArea(x, y, width, height, percentage)
        return self.set_dynamic_metadata(area, keep_hash=keep_hash)

    def set_crop_area(
        self,
        x: int,
        y: int,
        width: int,
        height: int,
        *,
        percentage: bool = False,
        keep_hash: bool = False,
    ) -> SourceImage:
        """Set the exact part to cut out."""
        area = api.CropArea(x, y, width, height, percentage)
        return self.set_dynamic_metadata(area, keep_hash=keep_hash)

    def set_multi_areas(
        self, areas: Mapping[str, api.SubjectArea], *, keep_hash: bool = False
    ) -> SourceImage:
        """Set named areas: ``{"portrait": CropArea(…)}``. Those set before are gone."""
        return self.set_dynamic_metadata(api.MultiAreas(areas), keep_hash=keep_hash)

    def set_version(self, text: str, *, keep_hash: bool = False) -> SourceImage:
        """Give the image a hash of its own, apart from other uploads of the same bytes."""
        return self.set_dynamic_metadata(api.Version(text), keep_hash=keep_hash)

    def set_protected(self, protected: bool) -> SourceImage:
        """Protect the image, so that its renders need a signed URL, or unprotect it."""
        return self._rehash(Change(PROTECTED, protected), keep_hash=False)

    def set_dynamic_metadata(
        self, metadata: api.DynamicMetadata, *, keep_hash: bool = False
    ) -> SourceImage:
        """Set one kind of dynamic metadata; the other kinds stay."""
        return self._rehash(Change(metadata.name, metadata.as_json()), keep_hash=keep_hash)

    def delete_dynamic_metadata(self, name: str, *, keep_hash: bool = False) -> SourceImage:
        """Remove one kind of dynamic metadata, such as ``"subject_area"``."""
        return self._rehash(Change(name, None), keep_hash=keep_hash)

    def _rehash(self, change: Change, *, keep_hash: bool) -> SourceImage:
        raise NotImplementedError
