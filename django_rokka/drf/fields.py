"""The serializer field: pictures as JSON, and uploads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.files.base import File
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Model
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.fields import empty, get_error_detail

from .. import forms, html, stacks
from ..api import ImageName, InvalidArgument
from ..api.names import HASH
from ..fields import RokkaFieldFile
from ..fields import RokkaImageField as ModelField
from ..models import SourceImage
from ..pictures import Look, alt_text, show
from ..prefetch import prefetch_source_images
from ..renders import Renderable
from ..storage import RokkaStorage

_OPTIONS = [field.name for field in fields(Look)]


class RokkaImageField(serializers.ImageField):  # type: ignore[misc]
    """A picture as an object, or ``null``; takes a file, or the hash of a picture that this site has.

    It is shown in the look that ``stack``, ``widths``, ``sizes``, ``width``, ``height``, ``area`` and
    ``format`` describe (see `Look`), or in several: ``looks={"hero": Look(stack="hero"), …}``. With
    ``placeholder=False`` the object has none, and nobody asks the mirror for one. The other options are
    Django REST framework's. Raises `InvalidArgument` for a look that cannot be, and, when a serializer
    is made, `UnknownStack` for a stack that ``STACKS`` does not declare.
    """

    default_error_messages = {
        "unknown": _(
            "“{value}” is neither a file nor the hash of a picture that can be shown here. "
            "Send a file as multipart/form-data, or another hash."
        )
    }

    def __init__(
        self, *, looks: Mapping[str, Look] | None = None, placeholder: bool = True, **options: Any
    ) -> None:
        own = {name: options.pop(name) for name in _OPTIONS if name in options}
        if looks and own:
            raise InvalidArgument(f"{', '.join(own)} describe one look; put them into looks={{…}}")
        self.look = Look(**own)
        self.looks = dict(looks or {})
        self.placeholder = placeholder
        super().__init__(**options)

    def bind(self, field_name: str, parent: Any) -> None:
        """Called when a serializer is made. Not before that: a class must not read the settings."""
        super().bind(field_name, parent)
        for look in self._all_looks:
            if look.stack:
                stacks.check_known(look.stack)

    @property
    def _all_looks(self) -> list[Look]:
        return list(self.looks.values()) or [self.look]

    # --- Out ------------------------------------------------------------------------------------

    def to_representation(self, value: Any) -> dict[str, Any] | None:
        """The object. No HTTP; one query at most, and none after `prefetch_source_images`."""
        # An upload is in the data of a serializer that is valid, but not saved yet.
        if not value or isinstance(value, UploadedFile):
            return None
        if self.placeholder:
            _ask_mirror(value)
        return {
            "url": self._absolute(html.url(value)),
            **({"looks": self._shown_in_looks(value)} if self.looks else self._shown(value)),
            "alt": alt_text(value),
            **(_placeholders(value) if self.placeholder else {}),
            "hash": None if value.waiting_url else ImageName.parse(value.file_name).hash,
            "format": value.format,
        }

    def _shown_in_looks(self, image: Renderable) -> dict[str, dict[str, Any]]:
        return {name: self._shown(image, look) for name, look in self.looks.items()}

    def _shown(self, image: Renderable, look: Look | None = None) -> dict[str, Any]:
        shown = show(image, look or self.look)
        return {
            "src": self._absolute(shown.src),
            "srcset": shown.srcset,
            "sizes": shown.sizes,
            "width": shown.width,
            "height": shown.height,
        }

    def _absolute(self, url: str) -> str:
        """With its host: the URL of a file that waits to be uploaded is the spool's, and may have none."""
        request = self.context.get("request")
        return request.build_absolute_uri(url) if request and url.startswith("/") else url

    # --- In -------------------------------------------------------------------------------------

    def run_validation(self, data: Any = empty) -> Any:
        """As Django REST framework does it; the empty text clears, as ``null`` does."""
        return super().run_validation(None if data == "" else data)

    def to_internal_value(self, data: Any) -> Any:
        """A file that rokka can read, left at its start; or what a row holds, for a hash or a name.

        An object counts as its hash, so that what was read can be written back.
        """
        if not isinstance(data, File):
            name = data.get("hash") if isinstance(data, Mapping) else data
            known = self._named(name) if isinstance(name, str) else None
            return known or self.fail("unknown", value=str(data)[:80])
        try:
            return forms.RokkaImageField(max_length=self.max_length).clean(data)
        except DjangoValidationError as error:
            raise serializers.ValidationError(get_error_detail(error)) from error

    def _named(self, text: str) -> RokkaFieldFile | None:
        """The picture that ``<hash>`` or ``<hash>/<slug>.<format>`` means: the row's own, or the mirror's."""
        hash, column = text.partition("/")[0], self._column()
        if column is None or not HASH.fullmatch(hash):
            return None
        row = getattr(self.parent, "instance", None)
        own = getattr(row, column.attname) if isinstance(row, Model) else None
        return own if own and own.name.startswith(f"{hash}/") else _from_mirror(column, hash)

    def _column(self) -> ModelField | None:
        """The model's field, where the serializer has a model and its field is at rokka."""
        model = getattr(getattr(self.parent, "Meta", None), "model", None)
        try:
            column = model._meta.get_field(self.source) if model else None
        except FieldDoesNotExist:
            return None
        is_ours = isinstance(column, ModelField) and isinstance(column.storage, RokkaStorage)
        return column if is_ours else None


def _ask_mirror(value: Any) -> None:
    """Fetch the mirror's row of a row's picture, unless somebody has: one query for all that it tells."""
    if isinstance(value, RokkaFieldFile) and value.at_rokka:
        prefetch_source_images([value.instance], value.field.attname)


def _placeholders(image: Renderable) -> dict[str, str | None]:
    known = image.known
    names = ("placeholder", "color", "blurhash")
    return {name: (getattr(known, name) or None) if known else None for name in names}


def _from_mirror(column: ModelField, hash: str) -> RokkaFieldFile | None:
    """What a row holds that shows the image with a hash, or what replaced it; if anybody may show it.

    A protected one is not to be had for its hash: its URLs are signed for those who may see its row.
    """
    images = SourceImage.objects.select_related("replaced_by")
    found = images.of_hash(column.storage.organization, hash).first()
    image = found.current if found else None
    if image is None or image.deleted is not None or image.protected:
        return None
    name = ImageName.parse(image.file_name).fit(column.max_length or 255)
    # A row of its own, until the serializer's takes it over.
    return RokkaFieldFile(column.model(), column, str(name))
