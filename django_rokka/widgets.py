"""The widgets of a picture at rokka: a preview without a query, and in the admin all that a script adds.

In the admin a file is uploaded as soon as it is chosen or dropped, and a picture that is at rokka already
can be picked. Both put a `Chosen` into a hidden input. Without JavaScript it is a file input.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminFileWidget
from django.db.models.fields.files import FieldFile
from django.forms.widgets import Script
from django.urls import NoReverseMatch, reverse

from .api import ImageName
from .api.render import DYNAMIC
from .storage import RokkaStorage

#: The width of a preview's render in pixels: twice what it is shown with, for dense screens.
_PREVIEW_WIDTH = 320
#: Whose file widgets give way to ours: those that an admin puts on every file field.
_ADMINS = ("django.contrib.admin.widgets", "unfold.widgets")
#: What every browser shows as it is.
SHOWN = ("jpg", "jpeg", "png", "gif", "webp")


def shown_format(format: str) -> str | None:
    """The format of a small render: a drawing becomes a PNG, what a browser may not show a JPEG."""
    if format in ("svg", "pdf"):
        return "png"
    return None if format in SHOWN else "jpg"


@dataclass(frozen=True)
class Picture:
    """What a widget shows of a picture: sizes in pixels, ``None`` or empty where there is nothing to say."""

    name: str
    url: str = ""
    thumbnail: str = ""
    width: int | None = None
    height: int | None = None
    focus: str = ""
    token: str = ""

    @classmethod
    def of(
        cls, file: Any, *, size: tuple[int | None, int | None] | None = None, token: str = ""
    ) -> Picture:
        """The picture that a column holds. No query: the size is ``size``, or what the row says itself."""
        width, height = size or _row_size(file)
        url, thumbnail = _addresses(file)
        name = str(file.name).rpartition("/")[2]
        return cls(name, url, thumbnail, width, height, _focus(file) if url else "", token)

    @property
    def json(self) -> str:
        """For the script."""
        return json.dumps(asdict(self))


def _row_size(file: Any) -> tuple[int | None, int | None]:
    row = file.instance
    # In a form that came back the row has the other picture already.
    if not hasattr(file.field, "row_dimensions") or getattr(row, file.field.attname) != file:
        return None, None
    size: tuple[int | None, int | None] = file.field.row_dimensions(row)
    return size


def _addresses(file: Any) -> tuple[str, str]:
    """The picture in its own size, and small."""
    try:
        url = str(file.url)
        if not hasattr(file, "render_url") or not file.at_rokka:
            return url, url
        format = shown_format(ImageName.parse(file.name).format)
        return url, file.render_url(DYNAMIC, width=_PREVIEW_WIDTH, format=format)
    except (ValueError, AttributeError):
        return "", ""  # a name from before the column was rokka's


def _focus(file: Any) -> str:
    if not isinstance(file.storage, RokkaStorage) or file.storage.elsewhere(file.name):
        return ""
    return address("focus", file.storage.organization, ImageName.parse(file.name).hash)


def address(view: str, *args: str) -> str:
    """The path of one of our views in the admin; empty where the admin does not have them."""
    try:
        return reverse(f"admin:rokka_sourceimage_{view}", args=args)
    except NoReverseMatch:
        return ""


@dataclass(frozen=True)
class Pending:
    """What a form that came back shows: the picture chosen before, while the row still has ``initial``."""

    picture: Picture
    initial: Any


class RokkaImageWidget(forms.ClearableFileInput):
    """A file input that shows the present picture, rendered small."""

    template_name = "django_rokka/widgets/image_input.html"

    class Media:
        css = {"all": ["django_rokka/widget.css"]}

    def is_initial(self, value: Any) -> bool:
        """Whether there is a picture already."""
        return isinstance(value, FieldFile) and bool(value)

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Django's context, and ``widget.picture``, the `Picture` to show."""
        context = super().get_context(name, value, attrs)
        context["widget"]["picture"] = Picture.of(value) if self.is_initial(value) else None
        return context


class AdminRokkaImageWidget(RokkaImageWidget, AdminFileWidget):
    """The same in the admin, with upload at once, a picker over the mirror, and the way to the focal point.

    What it offers depends on ``model_field``, which its form field sets.
    """

    template_name = "django_rokka/widgets/admin_image_input.html"
    #: The model's `RokkaImageField`, and whether a file may be uploaded before the row is saved.
    model_field: Any = None
    uploads_at_once = False

    class Media:
        js = [Script("django_rokka/widget.js", type="module")]

    def token_name(self, name: str) -> str:
        """The name of the hidden input."""
        return f"{name}-chosen"

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Any:
        """A file, the token of a chosen picture (a ``str``), ``False`` to clear, or ``None``."""
        value = super().value_from_datadict(data, files, name)
        return (data.get(self.token_name(name)) or None) if value is None else value

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        """Whether the form says nothing of this field."""
        omitted = super().value_omitted_from_data(data, files, name)
        return omitted and self.token_name(name) not in data

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Beside ``widget.picture``: the row's own picture, and where the script finds the server."""
        pending = value if isinstance(value, Pending) else None
        context = super().get_context(name, pending.initial if pending else value, attrs)
        widget = context["widget"]
        widget |= {"initial": widget["picture"], "token_name": self.token_name(name)}
        widget |= self._addresses()
        if pending:
            widget |= {"picture": pending.picture, "pending": True}
            # It is the file input's, which stays empty.
            widget["attrs"].pop("required", None)
        return context

    def _addresses(self) -> dict[str, str]:
        if self.model_field is None:
            return {}
        options = self.model_field.model._meta
        place = (options.app_label, options.model_name, self.model_field.name)
        upload = address("upload", *place) if self.uploads_at_once else ""
        return {
            "upload": upload,
            "picker": address("picker", *place),
            "abilities": address("abilities", *place),
        }


def widget_for(widget: Any) -> Any:
    """Our widget in place of the one that the admin puts on every file field; others stay."""
    if widget is None:
        return RokkaImageWidget
    cls = widget if isinstance(widget, type) else type(widget)
    if cls.__module__ in _ADMINS and issubclass(cls, AdminFileWidget):
        return AdminRokkaImageWidget
    return widget


def is_admins(widget: Any) -> bool:
    """Whether a widget, or its class, is the admin's."""
    cls = widget if isinstance(widget, type) else type(widget)
    return issubclass(cls, AdminRokkaImageWidget)
