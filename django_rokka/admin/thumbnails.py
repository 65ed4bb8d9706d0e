"""Small pictures for lists and forms: an ``<img>`` that is loaded when it comes into view.

Each is rendered twice as large as it is shown, for dense screens. What cannot be rendered has a box in
its place that says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db import models
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ..api.render import DYNAMIC
from ..conf import configs_of
from ..models import SourceImage


def image_thumbnail(image: SourceImage, size: int = 80) -> SafeString:
    """An image of the mirror, in a square of ``size`` CSS pixels."""
    if (reason := unseen(image)) is not None:
        return _box(reason, size)
    url = image.render_url(DYNAMIC, width=2 * size, height=2 * size, format=_format(image.format))
    return _img(url, size)


def unseen(image: SourceImage) -> str | None:
    """Why an image cannot be shown; ``None`` if it can."""
    if image.deleted is not None:
        return _("deleted")
    if image.protected:
        return _("protected")
    return None if configs_of(image.organization) else _("not configured")


def rokka_thumbnail(field: str, *, size: int = 60, description: Any = None) -> Callable[..., Any]:
    """A column for ``list_display`` that shows the picture of a `RokkaImageField`, without a query.

    ``list_display = [rokka_thumbnail("photo"), "title"]``. ``field`` may follow relations, as in
    ``"author__portrait"``; ``size`` is in CSS pixels.
    """

    @admin.display(description=description or field.rpartition("__")[2].replace("_", " "))
    def column(row: models.Model) -> SafeString:
        file: Any = row
        for name in field.split("__"):
            file = getattr(file, name, None)
        if not file:
            return _box(_("no picture"), size)
        if file.deferred:
            return _img(file.url, size)
        return _img(
            file.render_url(DYNAMIC, width=2 * size, height=2 * size, format=_format(file.format)),
            size,
        )

    column.__name__ = f"rokka_thumbnail_{field}"
    return column


def _format(format: str) -> str | None:
    """The format of a thumbnail: what a browser may not show becomes a JPEG, a drawing a PNG."""
    if format in ("svg", "pdf"):
        return "png"
    return None if format in ("jpg", "png", "gif", "webp") else "jpg"


def _img(url: str, size: int) -> SafeString:
    return format_html(
        '<img class="rokka-thumbnail" src="{}" width="{}" height="{}" alt="" loading="lazy" decoding="async">',
        url, size, size,
    )  # fmt: skip


def _box(reason: str, size: int) -> SafeString:
    return format_html(
        '<span class="rokka-thumbnail rokka-thumbnail--none" title="{}">'
        '<svg width="{}" height="{}" viewBox="0 0 24 24" aria-hidden="true">'
        '<path d="M3 5h18v14H3zM3 19 21 5" fill="none" stroke="currentColor" stroke-width="1"/></svg>'
        '<span class="visually-hidden">{}</span></span>',
        reason, size, size, reason,
    )  # fmt: skip
