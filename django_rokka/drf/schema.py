"""The OpenAPI schema of the field, for drf-spectacular: it finds this by itself.

It tells responses and requests apart only with ``"COMPONENT_SPLIT_REQUEST": True``, which it wants for every
upload; without that the schema is the response's.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import (
    ResolvedComponent,
    append_meta,
    build_basic_type,
    build_object_type,
)
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import Direction

from .fields import RokkaImageField

_Schema = dict[str, Any]

_NULLABLE = {"nullable": True}

_BY_HASH = "The hash of a picture that the site has, or `<hash>/<slug>.<format>`"


class RokkaImageFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """The object in responses; in requests a file, or a text where nobody parses multipart."""

    target_class = "django_rokka.drf.fields.RokkaImageField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> _Schema:
        """The schema, without what the field's options say; drf-spectacular adds that."""
        field = self.target
        if direction == "request" and spectacular_settings.COMPONENT_SPLIT_REQUEST:
            return _request(auto_schema)
        # A row may have no picture, whatever a client must send. ``allow_null`` is one of the options.
        is_nullable = not field.required and not field.allow_null
        return append_meta(_response(auto_schema, field), _NULLABLE if is_nullable else {})


def _response(auto_schema: AutoSchema, field: RokkaImageField) -> _Schema:
    if field.looks:
        look = _component(auto_schema, "RokkaLook", _shown())
        looks = _object(dict.fromkeys(field.looks, look))
        return _object({"looks": looks, **_said(field.placeholder)})
    properties = {**_shown(), **_said(field.placeholder)}
    if field.placeholder:
        return _component(auto_schema, "RokkaImage", properties)
    return _object(properties)


def _request(auto_schema: AutoSchema) -> _Schema:
    if any(media_type.startswith("multipart/") for media_type in auto_schema.map_parsers()):
        return {
            **_type(OpenApiTypes.BINARY),
            "description": f"A file in multipart/form-data. {_BY_HASH} in JSON.",
        }
    return {**_type(OpenApiTypes.STR), "description": f"{_BY_HASH}."}


def _component(auto_schema: AutoSchema, name: str, properties: _Schema) -> _Schema:
    component = ResolvedComponent(  # type: ignore[no-untyped-call]
        name=name, type=ResolvedComponent.SCHEMA, schema=_object(properties), object=name
    )
    auto_schema.registry.register_on_missing(component)
    return component.ref


def _object(properties: _Schema) -> _Schema:
    return build_object_type(properties=properties, required=list(properties))


def _shown() -> _Schema:
    return {
        "src": _type(OpenApiTypes.URI),
        "srcset": _type(OpenApiTypes.STR),
        "sizes": _type(OpenApiTypes.STR),
        "width": _or_null(OpenApiTypes.INT),
        "height": _or_null(OpenApiTypes.INT),
    }


def _said(placeholder: bool) -> _Schema:
    until_then = {
        "placeholder": _or_null(OpenApiTypes.URI),
        "color": _or_null(OpenApiTypes.STR),
        "blurhash": _or_null(OpenApiTypes.STR),
    }
    return {
        "url": _type(OpenApiTypes.URI),
        "alt": _type(OpenApiTypes.STR),
        **(until_then if placeholder else {}),
        "hash": _or_null(OpenApiTypes.STR),
        "format": _type(OpenApiTypes.STR),
    }


def _or_null(type: OpenApiTypes) -> _Schema:
    return append_meta(_type(type), _NULLABLE)


def _type(type: OpenApiTypes) -> _Schema:
    return dict(build_basic_type(type) or {})
