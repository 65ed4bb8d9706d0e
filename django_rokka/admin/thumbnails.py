"""Small pictures for lists and forms: an ``<img>`` that is loaded when it comes into view.

Each is rendered twice as large as it is shown, for dense screens. What cannot be rendered has a box in
its place that says why. Neither needs a stylesheet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from ..api import ImageName, InvalidArgument
from ..api.render import DYNAMIC
from ..conf import configs_of
from ..fields import RokkaFieldFile
from ..models import SourceImage
from ..widgets import SHOWN, shown_format


def image_thumbnail(image: SourceImage, size: int = 80, *, alt: str = "") -> SafeString:
    """An image of the mirror, in a square of ``size`` CSS pixels; give a link with nothing else an ``alt``."""
    if (reason := unseen(image)) is not None:
        return _box(reason, size)
    return _render(image.render_url, image.format, size, alt)


def unseen(image: SourceImage) -> str | None:
    """Why an image cannot be shown; ``None`` if it can."""
    if image.deleted is not None:
        return pgettext("image", "deleted")
    if image.protected:
        return _("protected")
    return None if configs_of(image.organization) else _("not configured")


def rokka_thumbnail(field: str, *, size: int = 60, description: Any = None) -> Callable[..., Any]:
    """A column for ``list_display`` that shows the picture of a `RokkaImageField`, without a query.

    ``list_display = [rokka_thumbnail("photo"), "title"]``. ``size`` is in CSS pixels. ``field`` may follow
    relations, as in ``"author__portrait"``; ``list_select_related = ["author"]`` spares a query for each
    row then. Raises `AttributeError` for a name that a row does not have, and `TypeError` for another
    kind of field.
    """

    @admin.display(description=description or field.rpartition("__")[2].replace("_", " "))
    def column(row: models.Model) -> SafeString:
        return file_thumbnail(_follow(row, field), size)

    column.__name__ = f"rokka_thumbnail_{field}"
    return column


def file_thumbnail(file: RokkaFieldFile | None, size: int = 60) -> SafeString:
    """What a row holds in a `RokkaImageField`, in a square of ``size`` CSS pixels."""
    if not file:
        return _box(_("no picture"), size)
    if not file.at_rokka:
        return _waiting(file, size)
    try:
        name = ImageName.parse(str(file.name))
    except InvalidArgument:  # from before the column was rokka's
        return _box(_("not at rokka"), size)
    return _render(file.render_url, name.format, size, name.slug.replace("-", " "))


def _follow(row: models.Model, field: str) -> RokkaFieldFile | None:
    value: Any = row
    for name in field.split("__"):
        if value is None:
            return None
        try:
            value = getattr(value, name)
        except ObjectDoesNotExist:
            return None
    if value is None or isinstance(value, RokkaFieldFile):
        return value
    raise TypeError(f"{field!r} holds a {type(value).__name__}; expected a RokkaImageField")


def _render(render_url: Callable[..., str], format: str, size: int, alt: str) -> SafeString:
    try:
        url = render_url(DYNAMIC, width=2 * size, height=2 * size, format=shown_format(format))
    except InvalidArgument:  # one odd row must not hide all others
        return _box(_("no picture"), size)
    return _img(url, size, size, alt)


def _waiting(file: RokkaFieldFile, size: int) -> SafeString:
    """The file itself, which no one can cut: as much of the square as its form takes."""
    try:
        url = file.url if file.format in SHOWN else None
    except (NotImplementedError, ValueError):  # a spool that browsers cannot read
        url = None
    if url is None:
        return _box(_("waiting to be uploaded"), size)
    width, height = file.field.row_dimensions(file.instance)
    if not (width and height):
        return _img(url, "", size, "")
    longer = max(width, height)
    return _img(url, max(1, size * width // longer), max(1, size * height // longer), "")


def _img(url: str, width: int | str, height: int, alt: str) -> SafeString:
    return format_html(
        '<img class="rokka-thumbnail" src="{}"{} height="{}" alt="{}" loading="lazy" decoding="async">',
        url, format_html(' width="{}"', width) if width else "", height, alt,
    )  # fmt: skip


def _box(reason: str, size: int) -> SafeString:
    return format_html(
        '<svg class="rokka-thumbnail rokka-thumbnail--none" role="img" aria-label="{}" width="{}" height="{}"'
        ' viewBox="0 0 24 24"><title>{}</title>'
        '<path d="M3 5h18v14H3zM3 19 21 5" fill="none" stroke="currentColor" stroke-width="1"/></svg>',
        reason, size, size, reason,
    )  # fmt: skip
