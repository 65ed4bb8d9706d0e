"""The form fields of a picture at rokka; their widgets are in `django_rokka.widgets`.

rokka takes more than Pillow can open. Such a file is accepted if its extension and its first bytes say
the same; everything else must be a picture that Pillow can read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.files.base import File
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import FileExtensionValidator, get_available_image_extensions
from django.utils.translation import gettext_lazy as _
from PIL import Image

from . import api
from .api import ImageName
from .chosen import Chosen
from .explain import explain
from .models import SourceImage
from .spool import DIRECT
from .storage import RokkaStorage
from .widgets import AdminRokkaImageWidget, Pending, Picture, RokkaImageWidget

if TYPE_CHECKING:
    from .fields import RokkaFieldFile
    from .fields import RokkaImageField as ModelField

logger = logging.getLogger("django_rokka.forms")

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


def _is_too_large(file: File[Any]) -> bool:
    """Whether a picture has more pixels than Pillow's limit, by its header; Pillow itself allows twice as many."""
    file.seek(0)
    try:
        with Image.open(file) as picture:
            width, height = picture.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return True
    except Exception:
        return False  # it is opened once more, and refused
    finally:
        file.seek(0)
    return Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS


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
        "too_large": _(
            "“%(name)s” has more pixels than the %(limit)d million that are accepted. "
            "Scale it down in an image program, and upload that."
        ),
    }

    def clean(self, data: Any, initial: Any = None) -> Any:
        """As Django does it; the picture of a disabled field is not read again."""
        return initial if self.disabled and initial else super().clean(data, initial)

    def to_python(self, data: Any) -> Any:
        """Check the upload; it is left at its start."""
        file = forms.FileField.to_python(self, data)
        if file is None:
            return None
        extension = PurePath(file.name or "").suffix.lower().lstrip(".")
        if extension in PASSED_ON:
            self._check_signature(file, extension)
            return file
        if _is_too_large(file):
            raise self._error("too_large", file, extension)
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
        params = {
            "name": file.name,
            "extension": extension,
            "format": extension.upper(),
            "limit": (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000,
        }
        return ValidationError(self.error_messages[code], code=code, params=params)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Let the browser offer all that is accepted, not only what it calls an image."""
        attrs = super().widget_attrs(widget)
        if attrs.get("accept") == "image/*":
            attrs["accept"] = ",".join(["image/*", *(f".{extension}" for extension in PASSED_ON)])
        return attrs


class AdminRokkaImageField(RokkaImageField):
    """In the admin: a file goes to rokka while the form is checked, so that trouble there is a message.

    The cleaned value is what a row holds then, a committed `RokkaFieldFile`. The form may also name a
    picture by the token of a `Chosen`: one that was picked, or uploaded before. Where a file must not be
    uploaded before its row is saved (``upload="deferred"``, a callable ``upload_to``), it is passed on.
    """

    widget = AdminRokkaImageWidget
    default_error_messages = {
        "upload": _("The picture could not be uploaded, so nothing was saved. %(reason)s"),
        "unknown": _(
            "The form names a picture that was not offered here. Choose the picture again, or another one."
        ),
        "gone": _(
            "The chosen picture “%(name)s” is not at rokka any more. Choose another one, or upload it again."
        ),
    }

    def __init__(self, *, model_field: ModelField, **options: Any) -> None:
        super().__init__(**options)
        self.model_field = model_field
        # A token that was refused is not shown as chosen when the form comes back.
        self._refused = ""
        if isinstance(self.widget, AdminRokkaImageWidget):
            self.widget.model_field = model_field
            self.widget.uploads_at_once = self.uploads_at_once

    @property
    def uploads_at_once(self) -> bool:
        """Whether a file may go to rokka before its row is saved."""
        field = self.model_field
        return (
            field.upload == DIRECT
            and isinstance(field.storage, RokkaStorage)
            and not callable(field.upload_to)
        )

    def clean(self, data: Any, initial: Any = None) -> Any:
        """The file at rokka, the row's own picture (``initial``), ``False`` to clear it, or ``None``."""
        if not self.disabled and (token := _token(data)):
            return self._taken(token, initial)
        file = super().clean(data, initial)
        uploads = isinstance(file, UploadedFile) and self.uploads_at_once
        return self._uploaded(file) if uploads else file

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether there is another picture; the row's own one, picked again, is no change."""
        if self.disabled or not _token(data):
            return super().has_changed(initial, data)
        chosen = Chosen.read(_token(data))
        return chosen is None or not _shows(initial, chosen)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What the widget shows when the form comes back: a picture that was chosen stays so."""
        token = _token(data)
        chosen = Chosen.read(token)
        if chosen is None or token == self._refused or _shows(initial, chosen):
            return initial
        size = (chosen.width, chosen.height)
        return Pending(Picture.of(self._held(chosen.name), size=size, token=token), initial)

    def _uploaded(self, file: UploadedFile[Any]) -> Any:
        self._check_as_model(file)
        try:
            name = self.model_field.storage.save(
                file.name, file, max_length=self.model_field.max_length
            )
        except (api.RokkaError, ImproperlyConfigured) as error:
            logger.warning("%s could not be uploaded: %s", file.name, error)
            raise ValidationError(
                self.error_messages["upload"], code="upload", params={"reason": explain(error)}
            ) from error
        held: Any = self._held(name)
        size = held.mirrored_dimensions()
        # The form may be checked again, or come back: the file is at rokka once.
        file.rokka_token = Chosen(self._organization, name, *size).token  # type: ignore[attr-defined]
        # Who reads it in this request, such as a validator, needs no download.
        held._file = file
        return held

    def _check_as_model(self, file: UploadedFile[Any]) -> None:
        """Let the model's validators speak before anything is uploaded."""
        value = self._held(str(file.name))
        value.file, value._committed = file, False
        self.model_field.run_validators(value)

    def _taken(self, token: str, initial: Any) -> Any:
        chosen = Chosen.read(token)
        self._refused = token
        if chosen is None or chosen.organization != self._organization:
            raise ValidationError(self.error_messages["unknown"], code="unknown")
        if not _shows(initial, chosen):
            initial = self._held(self._current(chosen))
        self._refused = ""
        return initial

    def _current(self, chosen: Chosen) -> str:
        """The name to store: the image's, or that of what took its place meanwhile."""
        name = ImageName.parse(chosen.name)
        images = SourceImage.objects.select_related("replaced_by")
        image = images.of_hash(chosen.organization, name.hash).first()
        if image is None or image.current.deleted is not None:
            params = {"name": f"{name.slug}.{name.format}"}
            raise ValidationError(self.error_messages["gone"], code="gone", params=params)
        name = replace(name, hash=image.current.hash)
        length = self.model_field.max_length
        return str(name if length is None else name.fit(length))

    def _held(self, name: str) -> RokkaFieldFile:
        """What a row holds: a row of its own, until the form's takes it over."""
        return self.model_field.attr_class(self.model_field.model(), self.model_field, name)

    @property
    def _organization(self) -> str:
        return getattr(self.model_field.storage, "organization", "")


def _token(data: Any) -> str:
    """The token that a form sent, or that a file got when it was uploaded."""
    return data if isinstance(data, str) else getattr(data, "rokka_token", "")


def _shows(initial: Any, chosen: Chosen) -> bool:
    """Whether a row shows the chosen image already."""
    return str(initial or "").partition("/")[0] == ImageName.parse(chosen.name).hash


__all__ = [
    "PASSED_ON",
    "AdminRokkaImageField",
    "AdminRokkaImageWidget",
    "RokkaImageField",
    "RokkaImageWidget",
    "validate_extension",
]
