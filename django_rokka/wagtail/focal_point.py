"""Wagtail's focal point, a box around a centre, as rokka's subject area."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from wagtail.images.rect import Rect

from django_rokka.api import InvalidArgument, RokkaError, SubjectArea, read_dynamic_metadata
from django_rokka.api.types import JSON

if TYPE_CHECKING:
    from .base import AbstractRokkaImage

#: The columns that hold it.
FIELDS = ("focal_point_x", "focal_point_y", "focal_point_width", "focal_point_height")

#: What may go wrong at rokka.
TROUBLE = (RokkaError, ImproperlyConfigured, FileNotFoundError)


def subject_area(image: AbstractRokkaImage) -> SubjectArea | None:
    """The subject area in whole pixels, within the image; ``None`` without a focal point."""
    if not image.has_focal_point():
        return None
    # Whole numbers, as the columns hold them, so that a row that was read again has the same area.
    rect = Rect.from_point(*(int(getattr(image, name)) for name in FIELDS))
    left, right = _span(rect.left, rect.right, image.width)
    top, bottom = _span(rect.top, rect.bottom, image.height)
    return SubjectArea(left, top, right - left, bottom - top)


def _span(start: float, end: float, length: int | None) -> tuple[int, int]:
    """Two whole numbers that cover it within ``length``, at least one apart."""
    last = length or max(math.ceil(end), 1)
    first = min(max(math.floor(start), 0), last - 1)
    return first, min(max(math.ceil(end), first + 1), last)


def publish(image: AbstractRokkaImage) -> bool:
    """Set the subject area of an image's picture, or remove it; tells if that was a change."""
    if not image.file or not image.file.at_rokka:
        return False
    wanted = subject_area(image)
    if _is(image.file.source_image.dynamic_metadata.get(SubjectArea.name), wanted):
        return False
    if wanted is None:
        image.file.delete_dynamic_metadata(SubjectArea.name)
    else:
        image.file.set_dynamic_metadata(wanted)
    return True


def _is(present: JSON, wanted: SubjectArea | None) -> bool:
    if present is None or wanted is None:
        return present is wanted
    try:
        return read_dynamic_metadata(SubjectArea.name, present) == wanted
    except InvalidArgument:
        return False


def publish_all(
    model: type[AbstractRokkaImage],
) -> Iterator[tuple[AbstractRokkaImage, bool | Exception]]:
    """`publish` every focal point, each for itself; gives the image, and what came of it or the error."""
    rows = model._base_manager.exclude(focal_point_x=None)
    for pk in rows.order_by("pk").values_list("pk", flat=True):
        # Read when its turn comes: with many images an editor may have moved it meanwhile.
        image = rows.filter(pk=pk).first()
        if image is not None:
            yield image, _attempt(image)


def _attempt(image: AbstractRokkaImage) -> bool | Exception:
    try:
        return publish(image)
    except TROUBLE as error:
        return error
