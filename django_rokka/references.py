"""Which rows hold an image: asked before anything is deleted at rokka.

rokka is content-addressed, so two rows with the same picture share one hash, and deleting the file of
one must never take the other's picture.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.db import models


def file_fields(organization: str) -> Iterator[models.FileField]:
    """Every file field whose storage keeps its files in this organization."""
    for model in apps.get_models(include_auto_created=True):
        if model._meta.proxy:
            continue
        # Local fields only: a field that is inherited belongs to the parent's table.
        for field in model._meta.local_concrete_fields:
            if not isinstance(field, models.FileField):
                continue
            # A storage that has no organization is not ours.
            if getattr(field.storage, "organization", None) == organization:
                yield field


def count(organization: str, hash: str) -> int:
    """How many rows hold this image, also rows that a default manager hides."""
    return sum(
        field.model._base_manager.filter(**{f"{field.name}__startswith": f"{hash}/"}).count()
        for field in file_fields(organization)
    )
