"""``{% load rokka %}``: pictures in templates, built from the row alone.

No tag calls rokka. ``rokka_img`` asks the mirror (one query) for the dimensions of a row that has no
columns for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import template
from django.forms.utils import flatatt
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from .. import renders
from ..api.render import DYNAMIC, candidate_widths, fitting, with_width
from ..fields import RokkaFieldFile

register = template.Library()

#: Scaled by the browser: one file serves every size.
_VECTORS = ("svg",)


@register.simple_tag
def rokka_url(
    image: RokkaFieldFile | None,
    stack: str = "",
    *,
    width: int | None = None,
    height: int | None = None,
    format: str | None = None,
) -> str:
    """The URL of a render; empty if there is no picture.

    ``{% rokka_url article.photo "hero" format="webp" %}``; with ``width`` or ``height`` (pixels) the
    picture is resized, with both it is cropped to their ratio first.
    """
    if not image:
        return ""
    return image.render_url(
        stack or None, width=_pixels(width), height=_pixels(height), format=format or None
    )


@register.simple_tag
def rokka_img(
    image: RokkaFieldFile | None,
    stack: str = "",
    *,
    widths: str | Iterable[int] = "",
    sizes: str = "100vw",
    width: int | None = None,
    height: int | None = None,
    format: str | None = None,
    alt: str = "",
    loading: str = "lazy",
    **attributes: Any,
) -> SafeString:
    """A responsive ``<img>``; nothing if there is no picture.

    ``widths`` are the candidates of ``srcset`` in pixels (the alias's ``WIDTHS``), never wider than the
    picture itself. ``width`` and ``height`` crop to their ratio; with a named ``stack`` they only tell
    the browser the ratio that the stack gives. Other attributes are passed on (``class="…"``;
    ``data_id`` becomes ``data-id``).
    """
    if not image:
        return mark_safe("")
    box = (_pixels(width), _pixels(height))
    found = _sources(image, stack, _widths(widths, image), box, format or None)
    size = _displayed(box, image)
    given = {
        "src": found[-1][0] if found else image.render_url(stack or None),
        "srcset": ", ".join(f"{url} {candidate}w" for url, candidate in found if candidate),
        "sizes": sizes if found and found[0][1] else "",
        "width": size[0],
        "height": size[1],
        "loading": loading,
    }
    shown = {key: str(value) for key, value in given.items() if value}
    extra = {key.replace("_", "-"): value for key, value in attributes.items()}
    return format_html("<img{}>", flatatt({**shown, "alt": alt, **extra}))


def _sources(
    image: RokkaFieldFile,
    stack: str,
    widths: list[int],
    box: tuple[int | None, int | None],
    format: str | None,
) -> list[tuple[str, int]]:
    """URLs with their widths; one without a width where the browser scales by itself."""
    if image.deferred:
        return [(image.url, 0)]
    config = image.storage.config
    stack = stack or image.storage.stack or config.stack
    operations = fitting(*box) if stack == DYNAMIC else {}
    if image.format in _VECTORS and format is None and "crop" not in operations:
        return [(image.render_url(stack), 0)]
    if image.format in _VECTORS and format is None:
        format = "png"  # a drawing that is cropped becomes a picture
    largest = _largest(image, box)
    return [
        (
            renders.render_url(
                config,
                stack,
                str(image.name),
                protected=image.protected,
                operations=with_width(operations, width),
                format=format,
            ),
            width,
        )
        for width in candidate_widths(widths, largest)
    ]


def _largest(image: RokkaFieldFile, box: tuple[int | None, int | None]) -> int | None:
    """The width that the picture has, after a crop to the ratio of ``box``."""
    if image.format in _VECTORS or not (image.width and image.height):
        return None
    if not all(box):
        return image.width
    width, height = box
    return min(image.width, int(image.height * (width or 1) / (height or 1)))


def _displayed(
    box: tuple[int | None, int | None], image: RokkaFieldFile
) -> tuple[int | None, int | None]:
    """The ``width`` and ``height`` attributes: the box, its missing side by the picture's ratio."""
    width, height = box
    own = (image.width, image.height)
    if not (own[0] and own[1]):
        return box
    if width and not height:
        return width, round(width * own[1] / own[0])
    if height and not width:
        return round(height * own[0] / own[1]), height
    return (width, height) if width else own


def _widths(widths: str | Iterable[int], image: RokkaFieldFile) -> list[int]:
    given = widths.replace(",", " ").split() if isinstance(widths, str) else list(widths)
    return [_whole(item) for item in given or image.storage.config.widths]


def _pixels(value: Any) -> int | None:
    return None if value in (None, "") else _whole(value)


def _whole(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise template.TemplateSyntaxError(f"{value!r} is no width or height in pixels")
    return number
