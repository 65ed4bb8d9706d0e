"""The form field and widgets of a picture at rokka.

rokka takes more than Pillow can open. Such a file is accepted if its extension and its first bytes say
the same; everything else must be a picture that Pillow can read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminFileWidget
from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.core.validators import FileExtensionValidator, get_available_image_extensions
from django.utils.translation import gettext_lazy as _

_HEAD = 64 * 1024


def _starts_with(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures)


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp"


def _is_svg(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") and b"<svg" in head


#: What rokka takes and Pillow may not open: the extension, and what the file must begin with.
PASSED_ON: Mapping[str, Callable[[bytes], bool]] = {
    "svg": _is_svg,
    "pdf": _starts_with(b"%PDF-"),
    "heic": _is_heif,
    "heif": _is_heif,
    "avif": _is_heif,
    "psd": _starts_with(b"8BPS"),
    "eps": _starts_with(b"%!PS", b"\xc5\xd0\xd3\xc6"),
    "jxl": _starts_with(b"\xff\x0a", b"\x00\x00\x00\x0cJXL "),
}


def validate_extension(value: File[Any]) -> None:
    """Refuse a file name whose extension neither Pillow nor rokka knows."""
    known = [*get_available_image_extensions(), *PASSED_ON]
    FileExtensionValidator(allowed_extensions=sorted(set(known)))(value)


class RokkaImageWidget(forms.ClearableFileInput):
    """A file input that shows the present picture, rendered small."""

    template_name = "django_rokka/widgets/image_input.html"

    class Media:
        css = {"all": ["django_rokka/widget.css"]}


class AdminRokkaImageWidget(RokkaImageWidget, AdminFileWidget):
    """The same in the admin."""


def widget_for(widget: Any) -> Any:
    """Our widget in place of the one that the admin puts on every file field; others stay."""
    if widget is None:
        return RokkaImageWidget
    cls = widget if isinstance(widget, type) else type(widget)
    return AdminRokkaImageWidget if cls is AdminFileWidget else widget


class RokkaImageField(forms.ImageField):
    """Takes a picture that rokka can read, and refuses anything else with a clear message."""

    widget = RokkaImageWidget
    default_validators = [validate_extension]
    default_error_messages = {
        "mismatch": _(
            "“%(name)s” ends in .%(extension)s, but it is no %(format)s file. "
            "Save it again as %(format)s, or choose another file."
        ),
        "unreadable": _(
            "“%(name)s” is not a picture that can be read; it may be damaged, or not a picture at "
            "all. Open it in an image program, save it again as JPEG or PNG, and upload that."
        ),
    }

    def to_python(self, data: Any) -> Any:
        """Check the upload; it is left at its start."""
        file = forms.FileField.to_python(self, data)
        if file is None:
            return None
        extension = PurePath(file.name or "").suffix.lower().lstrip(".")
        if extension in PASSED_ON:
            self._check_signature(file, extension)
            return file
        try:
            return super().to_python(data)
        except ValidationError as error:
            raise self._error("unreadable", file, extension) from error

    def _check_signature(self, file: File[Any], extension: str) -> None:
        file.seek(0)
        head = file.read(_HEAD)
        file.seek(0)
        if not PASSED_ON[extension](head):
            raise self._error("mismatch", file, extension)

    def _error(self, code: str, file: File[Any], extension: str) -> ValidationError:
        params = {"name": file.name, "extension": extension, "format": extension.upper()}
        return ValidationError(self.error_messages[code], code=code, params=params)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Let the browser offer all that is accepted, not only what it calls an image."""
        attrs = super().widget_attrs(widget)
        if attrs.get("accept") == "image/*":
            attrs["accept"] = ",".join(["image/*", *(f".{extension}" for extension in PASSED_ON)])
        return attrs
