"""Wagtail's filters as rokka's operations: what ``fill-320x240|format-webp`` asks for, in a render URL.

Wagtail computes where it cuts and how large the result is, and rokka is told just that. So a rendition has
the size that Wagtail says, `background_position_style` fits, and operations of your own that change the
geometry work as well. Everything here is arithmetic: no file is read, no query, no HTTP.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from wagtail.images import image_operations as wagtail
from wagtail.images.exceptions import InvalidFilterSpecError

from django_rokka.api.render import Options

if TYPE_CHECKING:
    from wagtail.images.models import Filter, ImageTransform

    from .base import AbstractRokkaImage

Size = tuple[int | None, int | None]

#: Formats that Wagtail and rokka name differently: Wagtail's name by rokka's.
_NAMES = {"jpg": "jpeg"}
_EXTENSIONS = {name: extension for extension, name in _NAMES.items()}
#: What a browser may not show is rendered as something else, as Wagtail does it.
_CONVERSIONS = {"bmp": "png", "heic": "jpeg", "heif": "jpeg"}
_UNWRITABLE = ("ico", "heic")
_QUALITIES = ("jpeg", "webp", "avif")
#: Wagtail's own; of these only a fill cuts something out.
_TRANSFORMS = (
    wagtail.FillOperation,
    wagtail.MinMaxOperation,
    wagtail.ScaleOperation,
    wagtail.WidthHeightOperation,
)
#: Operations that only note what they want.
_NOTING = (
    wagtail.DoNothingOperation,
    wagtail.FormatOperation,
    wagtail.JPEGQualityOperation,
    wagtail.WebPQualityOperation,
    wagtail.AvifQualityOperation,
)
#: Cutting something out of a drawing makes it a picture of pixels.
_CUT_DRAWING = "png"
_LOSSLESS = 100
# Floats of a transform are off by less than this.
_ERROR = 1e-6


@dataclass(frozen=True)
class Render:
    """What a filter makes of an image: the arguments of `RokkaFieldFile.render_url`, and the size in pixels.

    ``width`` and ``height`` are ``None`` where only rokka knows them.
    """

    width: int | None
    height: int | None
    operations: Mapping[str, Options]
    options: Options
    format: str | None


def translate(filter: Filter, image: AbstractRokkaImage) -> Render:
    """What a filter asks of rokka for this image.

    Raises Wagtail's `InvalidFilterSpecError` for what rokka cannot do.
    """
    size, operations = _geometry(filter, image)
    said, source = _said(filter), image.file.format
    format = _format(said, source)
    if format is None and "crop" in operations and image.is_svg():
        format = _CUT_DRAWING
    return Render(*size, operations, _options(said, format or source), format)


# --- Geometry ---------------------------------------------------------------------------------


def _geometry(filter: Filter, image: AbstractRokkaImage) -> tuple[Size, dict[str, Options]]:
    if not (image.width and image.height):
        return (None, None), _blindly(filter)
    transform = filter.get_transform(image)
    left, top, right, bottom = _part(transform, image.width, image.height)
    part, size = (right - left, bottom - top), (round(transform.size[0]), round(transform.size[1]))
    operations: dict[str, Options] = {}
    if part != (image.width, image.height):
        place = {"anchor": f"{left}_{top}"} if _knows_where(filter, image) else {}
        operations["crop"] = {"width": part[0], "height": part[1], **place}
    if part != size:
        operations["resize"] = {"width": size[0], "height": size[1], "mode": "absolute"}
    return size, operations


def _knows_where(filter: Filter, image: AbstractRokkaImage) -> bool:
    """Whether Wagtail says what is cut out. Else rokka does: by a subject area, or the middle as Wagtail would."""
    own = any(type(operation) not in _TRANSFORMS for operation in filter.transform_operations)
    return own or image.has_focal_point()


def _part(transform: ImageTransform, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is cut out, in whole pixels of the image."""
    rect = transform.get_rect()
    return (
        max(math.floor(rect.left + _ERROR), 0),
        max(math.floor(rect.top + _ERROR), 0),
        min(math.ceil(rect.right - _ERROR), width),
        min(math.ceil(rect.bottom - _ERROR), height),
    )


def _blindly(filter: Filter) -> dict[str, Options]:
    """The nearest operations for an image of unknown size. A scale needs one, and is left out."""
    operations: dict[str, Options] = {}
    for operation in filter.transform_operations:
        operations.update(_of_unknown_size(operation))
    return operations


def _of_unknown_size(operation: Any) -> dict[str, Options]:
    if isinstance(operation, wagtail.WidthHeightOperation):
        return {"resize": {operation.method: operation.size, "upscale": False}}
    if isinstance(operation, wagtail.ScaleOperation):
        return {}
    if not isinstance(operation, wagtail.FillOperation | wagtail.MinMaxOperation):
        raise _impossible(operation, "for an image of unknown size")
    box = {"width": operation.width, "height": operation.height}
    if isinstance(operation, wagtail.FillOperation):
        return {"crop": {**box, "mode": "ratio"}, "resize": {**box, "upscale": False}}
    mode = "box" if operation.method == "max" else "fill"
    return {"resize": {**box, "mode": mode, "upscale": False}}


# --- Formats and qualities --------------------------------------------------------------------


def _said(filter: Filter) -> dict[str, Any]:
    """What the operations say that are not about geometry, by the names under which Wagtail notes it."""
    said: dict[str, Any] = {}
    for operation in filter.filter_operations:
        if isinstance(operation, wagtail.BackgroundColorOperation):
            said["color"] = "{:02X}{:02X}{:02X}".format(*operation.color)
        elif isinstance(operation, _NOTING):
            operation.run(None, None, said)
        else:
            raise _impossible(operation)
    return said


def _format(said: Mapping[str, Any], source: str) -> str | None:
    """The format to render in, by rokka's name; ``None`` for the image's own."""
    conversions = {**_CONVERSIONS, **getattr(settings, "WAGTAILIMAGES_FORMAT_CONVERSIONS", {})}
    own = _NAMES.get(source, source)
    wanted = said.get("output-format", conversions.get(own, own))
    if wanted in _UNWRITABLE:
        raise InvalidFilterSpecError(
            f"rokka cannot render {wanted!r}; use avif, gif, jpeg, png or webp"
        )
    return None if wanted == own else _EXTENSIONS.get(wanted, wanted)


def _options(said: Mapping[str, Any], format: str) -> Options:
    """rokka's options for a format: only what makes a difference, so that one picture has one URL."""
    options: dict[str, str | int] = {}
    name = _NAMES.get(format, format)
    quality = _quality(said, name) if name in _QUALITIES else None
    if quality is not None:
        options[f"{format}.quality"] = max(quality, 1)
    if "color" in said:
        jpg = "jpg." if format == "jpg" else ""
        options[f"{jpg}transparency.color"] = said["color"]
    return options


def _quality(said: Mapping[str, Any], name: str) -> int | None:
    """What the filter says, or the site's settings. Without them rokka chooses by itself."""
    if "lossless" in said.get("output-format-options", ()):
        return _LOSSLESS
    default = getattr(settings, f"WAGTAILIMAGES_{name.upper()}_QUALITY", None)
    quality: int | None = said.get(f"{name}-quality", default)
    return quality


def _impossible(operation: Any, why: str = "") -> InvalidFilterSpecError:
    text = f"rokka cannot do the image operation {operation.method!r} {why}".strip()
    return InvalidFilterSpecError(f"{text}; take it out of the filter")
