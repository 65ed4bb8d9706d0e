"""A `ModelSerializer` for models with pictures, and what it answers when rokka is in trouble."""

from __future__ import annotations

import logging
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.settings import api_settings

from .. import api
from ..explain import explain
from ..fields import RokkaImageField as ModelField
from ..forms import AdminRokkaImageField
from .fields import RokkaImageField

logger = logging.getLogger("django_rokka.drf")


class RokkaUnavailable(APIException):  # type: ignore[misc]
    """A picture could not be uploaded, which is not the client's fault: 503, and perhaps ``Retry-After``."""

    status_code = 503
    default_code = "rokka_unavailable"

    def __init__(self, error: api.RokkaError) -> None:
        super().__init__(_told(error))
        retry_at = getattr(error, "retry_at", None)
        #: Seconds, or ``None``: Django REST framework makes a header of it.
        self.wait = max(1, round((retry_at - timezone.now()).total_seconds())) if retry_at else None


class RokkaModelSerializer(serializers.ModelSerializer):  # type: ignore[misc]
    """A `ModelSerializer` whose pictures are `RokkaImageField`s; put it before another base if you have one.

    Trouble at rokka while it saves is a `RokkaUnavailable`. If rokka finds fault with the file, it is a
    `ValidationError` of the field.
    """

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        ModelField: RokkaImageField,
    }

    def build_standard_field(self, field_name: str, model_field: Any) -> tuple[Any, dict[str, Any]]:
        """As Django REST framework does it; a picture that may be missing can be cleared with ``null``."""
        field_class, options = super().build_standard_field(field_name, model_field)
        if isinstance(model_field, ModelField) and model_field.blank:
            options["allow_null"] = True
        return field_class, options

    def save(self, **values: Any) -> Any:
        """Save the row, with an upload if there is one. Raises `RokkaUnavailable` and `ValidationError`."""
        try:
            return super().save(**values)
        except api.InvalidRequest as error:
            raise serializers.ValidationError(self._blamed(error)) from error
        except api.RokkaError as error:
            logger.warning("A picture could not be uploaded: %s", error)
            raise RokkaUnavailable(error) from error

    def _blamed(self, error: api.RokkaError) -> dict[str, list[str]]:
        sent = self.validated_data
        uploads = [
            name
            for name, field in self.fields.items()
            if isinstance(sent.get(field.source), UploadedFile)
        ]
        return {name: [_told(error)] for name in uploads or [api_settings.NON_FIELD_ERRORS_KEY]}


def _told(error: Exception) -> str:
    return str(AdminRokkaImageField.default_error_messages["upload"]) % {"reason": explain(error)}
