"""Deferred uploads: files that a row shows from the spool until a task has uploaded them.

The column is the only record: a name that begins with ``deferred/`` waits. So a lost task loses nothing,
`upload_pending` finds every file that waits. A file stays in the spool for a day after its upload, for
copies of rows that still name it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from . import lifecycle, references, user_metadata
from .api import ImageName
from .api.upload import digest
from .conf import get_config
from .fields import RokkaImageField
from .later import start_after_commit
from .locks import locked
from .models import SourceImage
from .references import Place, Reference
from .spool import PREFIX, own_name, spool_of

logger = logging.getLogger("django_rokka.deferred")

#: How long an uploaded file stays in the spool.
KEPT = timedelta(days=1)


def upload(alias: str, name: str) -> bool:
    """Upload one file of the spool and give its rows the new name; tells if there was anything to do.

    Doing it twice, at once or after a crash, uploads once: an image that is there already is taken.
    Raises the errors of `django_rokka.api.errors`; the rows show the file from the spool then.
    """
    with locked(f"upload {name}"):
        first = next(_rows_of(alias, name), None)
        if first is None:
            return False
        image = _uploaded(alias, name, first)
        lifecycle.hold(image.organization, f"{image.hash}/x.{image.format}", taken=True)
        for place, field in _places(alias):
            _rename(place, field, name, image)
    logger.info("%s is uploaded: %s.", name, image.hash)
    return True


def _uploaded(alias: str, name: str, first: Reference) -> SourceImage:
    field = first.row._meta.get_field(first.field)
    assert isinstance(field, RokkaImageField)  # noqa: S101 - only these have deferred names  # nosec B101
    storage = field.storage.describing(user_metadata.collect(first.row, field.user_metadata))
    with spool_of(get_config(alias)).open(name) as file:
        # An earlier try may have uploaded it.
        found = storage.uploaded(digest(file)[0], client=storage.client)
        if found is None:
            return storage.source_image(storage.save(own_name(name), file))
    image = lifecycle.find(found.organization, found.hash)
    said = user_metadata.missing(storage.described, image)
    if said:
        storage.client.patch_user_metadata(image.hash, said)
    return image


def _rename(place: Place, field: RokkaImageField, name: str, image: SourceImage) -> int:
    new = ImageName.build(image.hash, own_name(name), image.format)
    sizes = {field.width_field: image.width, field.height_field: image.height}
    values = {column: size for column, size in sizes.items() if column}
    return place.rename(name, str(new.fit(field.max_length or 255)), **values)


def _places(alias: str) -> Iterator[tuple[Place, RokkaImageField]]:
    """The columns that may name files of the spool."""
    for place in references.places(get_config(alias).organization):
        if isinstance(place.field, RokkaImageField):
            yield place, place.field


def _rows_of(alias: str, name: str) -> Iterator[Reference]:
    for place, _ in _places(alias):
        for row in place.rows().filter(**{place.lookup: name}):
            yield Reference(row, place.lookup)


def pending(alias: str) -> set[str]:
    """The names of all files that rows show from the spool."""
    return {
        name
        for place, _ in _places(alias)
        for name in place.rows()
        .filter(**{f"{place.lookup}__startswith": PREFIX})
        .values_list(place.lookup, flat=True)
    }


def upload_pending(alias: str) -> int:
    """See to every file that waits, each for itself, and clear the spool; gives how many waited."""
    waiting = sorted(pending(alias))
    for name in waiting:
        start_after_commit(DEFAULT_DB_ALIAS, "upload_deferred", alias, name)
    clear_spool(alias)
    return len(waiting)


def clear_spool(alias: str) -> int:
    """Delete what has been in the spool for a day and is not shown by a row; gives how many files."""
    spool, waiting, total = spool_of(get_config(alias)), pending(alias), 0
    before = timezone.now() - KEPT
    folders, _ = spool.listdir(PREFIX) if spool.exists(PREFIX) else ([], [])
    for folder in folders:
        for name in spool.listdir(f"{PREFIX}{folder}")[1]:
            path = f"{PREFIX}{folder}/{name}"
            if path not in waiting and _aware(spool.get_modified_time(path)) < before:
                spool.delete(path)
                total += 1
    return total


def _aware(moment: Any) -> Any:
    if timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment, timezone.get_default_timezone())
