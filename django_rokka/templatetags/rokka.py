"""``{% load rokka %}``: pictures in templates, built from the row alone.

No tag calls rokka. ``rokka_img`` asks the mirror (one query) for the dimensions of a row that has no
columns for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

from .. import renders
from ..api.render import DYNAMIC, candidate_widths, fitting
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
    sizes: str = "",
    width: int | None = None,
    height: int | None = None,
    format: str | None = None,
    alt: str = "",
    loading: str = "lazy",
    **attributes: Any,
) -> SafeString:
    """A responsive ``<img>``; nothing if there is no picture.

    ``widths`` are the candidates of ``srcset`` in pixels (the stack's, or the alias's ``WIDTHS``), never
    wider than the picture itself; ``sizes`` is the stack's, or the page's width. ``width`` and ``height``
    crop to their ratio; with a named ``stack`` they only tell the browser the ratio that the stack gives.
    Other attributes are passed on (``class="…"``; ``data_id`` becomes ``data-id``).
    """
    if not image:
        return mark_safe("")
    stack = stack or image.storage.default_stack
    declared = image.storage.config.stacks.get(stack)
    box = (_pixels(width), _pixels(height))
    candidates = _widths(widths) or (declared and declared.widths) or image.storage.config.widths
    src, srcset = _sources(image, stack, candidates, box, format or None)
    shown_width, shown_height = _displayed(box, image)
    given = {
        "src": src,
        "srcset": srcset,
        "sizes": (sizes or (declared and declared.sizes) or "100vw") if srcset else "",
        "width": shown_width,
        "height": shown_height,
        "loading": loading,
    }
    shown = {key: value for key, value in given.items() if value}
    extra = {key.replace("_", "-"): value for key, value in attributes.items()}
    return _img({**shown, "alt": alt, **extra})


def _img(attributes: Mapping[str, Any]) -> SafeString:
    """The tag. ``True`` is an attribute without a value, ``False`` and ``None`` are none.

    As Django's ``flatatt`` writes it, but for the order, and in about half of its time.
    """
    parts = ["img"]
    for key, value in attributes.items():
        if value is True:
            parts.append(conditional_escape(key))
        elif value is not False and value is not None:
            parts.append(f'{conditional_escape(key)}="{conditional_escape(value)}"')
    return mark_safe(f"<{' '.join(parts)}>")  # noqa: S308 - every part is escaped


def _sources(
    image: RokkaFieldFile,
    stack: str,
    widths: Sequence[int],
    box: tuple[int | None, int | None],
    format: str | None,
) -> tuple[str, str]:
    """``src`` and ``srcset``; the latter is empty where the browser scales one file by itself."""
    if image.deferred:
        return image.url, ""
    operations = fitting(*box) if stack == DYNAMIC else {}
    if image.format in _VECTORS and format is None:
        if "crop" not in operations:
            return image.render_url(stack), ""
        format = "png"  # a drawing that is cropped becomes a picture
    candidates = candidate_widths(widths, _largest(image, box))
    srcset = renders.srcset(
        image.storage.config,
        stack,
        str(image.name),
        candidates,
        protected=image.protected,
        operations=operations,
        format=format,
    )
    # The last candidate without its " 1280w": the widest, for browsers that know no srcset.
    return srcset.rpartition(", ")[2].rpartition(" ")[0], srcset


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


def _widths(widths: str | Iterable[int]) -> list[int]:
    given = widths.replace(",", " ").split() if isinstance(widths, str) else widths
    return [_whole(item) for item in given]


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
