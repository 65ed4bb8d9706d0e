"""The mirror's rows of many pictures with one query.

``prefetch_source_images(Article.objects.all())`` is for a list whose pictures need what only the mirror
knows: dimensions without columns, protection, placeholders, user metadata. It is Django's own
``prefetch_related("photo")``, which works too, and across relations: ``prefetch_related("author__portrait")``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from django.db import connections
from django.db.models import Model, Q, QuerySet, prefetch_related_objects
from django.db.models.fields.files import FieldFile, ImageFileDescriptor

from .models import SourceImage, mirror_database

_Rows = TypeVar("_Rows", QuerySet[Any], list[Any])


def prefetch_source_images(rows: _Rows, *fields: str) -> _Rows:
    """The same rows, whose pictures know their mirror's row: one query for each field, none for a picture.

    ``rows`` is a queryset, or a list of rows of one model. ``fields`` are names of `RokkaImageField`s, also
    across relations (``"author__portrait"``); without any, all of the model. Then ``photo.source_image`` and
    whatever the tags ask for come without a query.
    """
    if isinstance(rows, QuerySet):
        return rows.prefetch_related(*(fields or _fields_of(rows.model)))
    if rows:
        prefetch_related_objects(rows, *(fields or _fields_of(type(rows[0]))))
    return rows


def _fields_of(model: type[Model]) -> list[str]:
    columns = [field.attname for field in model._meta.concrete_fields]
    return [name for name in columns if isinstance(getattr(model, name, None), Prefetching)]


def prefetched(file: FieldFile) -> SourceImage | None:
    """The mirror's row that was fetched for a file, if it is still the file's."""
    image = file.instance._state.fields_cache.get(_key(file.field.attname))
    return image if image is not None and image.means(_hash(file.name)) else None


class Prefetching(ImageFileDescriptor):
    """What ``prefetch_related()`` asks of a field's attribute."""

    def is_cached(self, instance: Model) -> bool:
        """Whether the mirror's row was fetched."""
        return _key(self.field.attname) in instance._state.fields_cache

    def get_prefetch_querysets(
        self, instances: Sequence[Model], querysets: Sequence[QuerySet[Any]] | None = None
    ) -> tuple[Any, ...]:
        """As Django's related descriptors. A queryset for ``Prefetch()`` narrows what is fetched."""
        files = [getattr(instance, self.field.attname) for instance in instances]
        hashes = sorted({_hash(file.name) for file in files if file})
        images = SourceImage.objects.all() if not querysets else querysets[0]
        storage: Any = self.field.storage
        found = list(_images_of(images, storage.organization, hashes))
        by_prefix = {prefix: image.pk for image in found for prefix in image.prefixes}

        def row_key(row: Model) -> int | None:
            return by_prefix.get(_hash(getattr(row, self.field.attname).name))

        return found, lambda image: image.pk, row_key, True, _key(self.field.attname), False

    def __set__(self, instance: Model, value: Any) -> None:
        instance._state.fields_cache.pop(_key(self.field.attname), None)
        super().__set__(instance, value)


def _images_of(
    images: QuerySet[SourceImage], organization: str, hashes: list[str]
) -> Iterator[SourceImage]:
    images = images.using(mirror_database()).filter(organization=organization)
    limit = connections[images.db].features.max_query_params or 20_000
    portion = (limit - 1) // 2
    for start in range(0, len(hashes), portion):
        some = hashes[start : start + portion]
        yield from images.filter(Q(hash__in=some) | Q(short_hash__in=some))


def _key(attname: str) -> str:
    return f"rokka:{attname}"


def _hash(name: str | None) -> str:
    return (name or "").partition("/")[0]
