"""Pictures in the APIs of Django REST framework: ``django-rokka[drf]``.

`RokkaImageField` is the serializer's field, `RokkaModelSerializer` a `ModelSerializer` that has it for every
`django_rokka.fields.RokkaImageField` of its model. With drf-spectacular installed, both have a schema.
"""

from __future__ import annotations

from importlib.util import find_spec

from ..pictures import Look
from .fields import RokkaImageField
from .serializers import RokkaModelSerializer, RokkaUnavailable

if find_spec("drf_spectacular"):
    from . import schema as schema

__all__ = ["Look", "RokkaImageField", "RokkaModelSerializer", "RokkaUnavailable"]
