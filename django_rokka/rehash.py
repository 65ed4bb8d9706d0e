"""Changes that give a picture another hash, made so that every row shows a picture at every moment.

The order is what makes it safe. rokka makes the new image and keeps the old one; the new one is read back
and gets the user metadata it lacks; one transaction notes the replacement and moves every row; after the
commit, rows that were written late are moved too; and only then the old image is let go of. Whatever
stops in between leaves rows that show either image, and doing it again arrives at the same end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace as replaced
from typing import Any

from django.db import models, router, transaction

from . import api, lifecycle, placeholders, references
from .api import ImageName
from .changes import Change
from .later import call_after_commit
from .lifecycle import client_of
from .locks import locked
from .models import SourceImage, mirror_database
from .signals import source_image_broken, source_image_rehashed

logger = logging.getLogger("django_rokka.rehash")


class PictureReplaced(api.RokkaError):
    """The row shows another picture by now, so nothing was changed."""


def change_image(image: SourceImage, change: Change, *, keep_hash: bool = False) -> SourceImage:
    """Change a picture; every row that shows it follows. Gives the image that has the change.

    Raises `NotFound` for a picture that is gone, and the other errors of `django_rokka.api.errors`.
    """
    with locked(_key(image)):
        # More than one, if an earlier run stopped half-way or the caller's copy is old.
        chain = _fresh(image).replacements
        new = _changed(chain[0].current, change, keep_hash=keep_hash)
        for stale in chain:
            if stale != new:
                _replace(stale, new)
    return _fresh(new)


def change_row(
    row: models.Model,
    field: models.Field[Any, Any],
    change: Change,
    *,
    organization: str,
    hash: str,
    keep_hash: bool,
) -> SourceImage:
    """Change a picture for one row alone (copy on write), in the database; the instance stays as it is.

    ``hash`` is the picture the change is meant for. Raises `PictureReplaced` if the row shows another one
    by now, and what `change_image` raises.
    """
    start = lifecycle.find(organization, hash)
    # Not where the row was read: that may have been a replica.
    using = router.db_for_write(type(row), instance=row)
    stored: models.QuerySet[Any] = models.QuerySet(type(row), using=using).filter(pk=row.pk)
    with locked(_key(start)):
        name = stored.values_list(field.attname, flat=True).first() or ""
        shown = next((image for image in start.replacements if _is_name_of(name, image)), None)
        old = shown or start
        new = _changed(old, change, keep_hash=keep_hash)
        if new == old and shown:
            if start != old:
                # An earlier run, which was killed, moved the row; what it left is let go of.
                call_after_commit(mirror_database(), lifecycle.release, start)
            return new
        if not _is_name_of(name, new):
            _move_row(stored, field, name, old, new)
        _tell_after_commit(source_image_rehashed, old=old, new=new, row=row)
        # What fails from here on is logged: the rows are right, and `delete_due` finds what is left.
        call_after_commit(mirror_database(), lifecycle.release, old, successor=new)
    return new


def _move_row(
    stored: models.QuerySet[Any],
    field: models.Field[Any, Any],
    name: str,
    old: SourceImage,
    new: SourceImage,
) -> None:
    with transaction.atomic(using=mirror_database()):
        lifecycle.restore(new)
        moved = _is_name_of(name, old) and stored.filter(**{field.name: name}).update(
            **{str(field.name): str(replaced(ImageName.parse(name), hash=new.hash))}
        )
        if not moved:
            raise PictureReplaced(f"the row shows {name or 'nothing'!r} by now, and not {old.hash}")


def _is_name_of(name: str, image: SourceImage) -> bool:
    return name.partition("/")[0] in image.prefixes


# --- At rokka ---------------------------------------------------------------------------------


def _changed(old: SourceImage, change: Change, *, keep_hash: bool) -> SourceImage:
    """Make the change at rokka; the image that has it now, read back. ``old`` itself if nothing changed."""
    client = client_of(old)
    before = client.get_source_image(old.hash)
    outcome = change.send(client, old.hash, keep_hash=keep_hash)
    if keep_hash:
        logger.warning(
            "%s was changed in place: caches go on showing its old renders for up to a year.",
            old.hash,
        )
    after = _read_back(client, outcome.hash)
    if after.hash != before.hash:
        _keep_user_metadata(client, before, after)
    new = SourceImage.objects.get(organization=old.organization, hash=after.hash)
    if old.uploaded and not new.uploaded:
        SourceImage.objects.filter(pk=new.pk).update(uploaded=old.uploaded)
    if new != old:
        placeholders.carry_over(old, new)
    return new


def _read_back(client: api.RokkaClient, hash: str) -> api.SourceImage:
    try:
        return client.get_source_image(hash)
    except api.NotFound:
        # An image that had this hash before, and was deleted.
        return client.restore_source_image(hash)


def _keep_user_metadata(
    client: api.RokkaClient, before: api.SourceImage, after: api.SourceImage
) -> None:
    """Apply again what the new image lacks: rokka takes an image that exists as it is."""
    lacking = {
        key: value for key, value in before.user_metadata.items() if key not in after.user_metadata
    }
    if not lacking:
        return
    try:
        client.patch_user_metadata(after.hash, lacking)
    except api.Conflict:
        logger.warning("%s is locked, so it lacks the user metadata %s.", after.hash, [*lacking])


# --- In the database --------------------------------------------------------------------------


def _replace(old: SourceImage, new: SourceImage) -> None:
    """Note the replacement and move every row, together; after the commit see to what is left."""
    with transaction.atomic(using=mirror_database()):
        rows = SourceImage.objects
        # Waits for the transactions that are saving rows with the old image.
        rows.filter(pk=old.pk).lock()
        lifecycle.restore(new)
        rows.filter(pk=old.pk, replaced_by=None).update(replaced_by=new)
        rows.filter(pk=old.pk).update(broken="")
        moved = references.repoint(old, new)
        logger.info("%s is %s now; %d rows moved.", old.hash, new.hash, moved)
        _tell_after_commit(source_image_rehashed, old=old, new=new, row=None)
        call_after_commit(mirror_database(), _finish, old, new)


def _finish(old: SourceImage, new: SourceImage) -> None:
    # Rows that a stale copy wrote back meanwhile. A new upload of the old picture undoes the replacement.
    if _fresh(old).replaced_by_id is not None:
        references.repoint(old, new)
    lifecycle.release(old)


def _tell_after_commit(signal: Any, **values: Any) -> None:
    call_after_commit(mirror_database(), signal.send_robust, sender=SourceImage, **values)


def _key(image: SourceImage) -> str:
    # One at a time for all variants of a picture: they turn into each other.
    return f"{image.organization}/{image.binary_hash or image.hash}"


def _fresh(image: SourceImage) -> SourceImage:
    rows = SourceImage.objects.select_related("replaced_by")
    return rows.get(organization=image.organization, hash=image.hash)


# --- Rehashed by others -----------------------------------------------------------------------


def resolve(image: SourceImage) -> SourceImage | None:
    """Find what became of an image that may be gone, and move the rows that show it.

    Gives the image itself if it is there, or the one that took its place: what this site replaced it by,
    or the one live image with the same bytes; of several the one whose metadata fits, if it is one.
    Otherwise ``None``: if rows show the image it is flagged as broken, and `source_image_broken` is sent.
    """
    try:
        client_of(image).get_source_image(image.hash)
    except api.NotFound:
        return follow(image)
    return _fresh(image)


def follow(image: SourceImage) -> SourceImage | None:
    """Move the rows of an image that is gone to what took its place, as `resolve` says."""
    with locked(_key(image)):
        image = _fresh(image)
        found = _successors(client_of(image), image)
        if len(found) != 1:
            _flag(image, SourceImage.Broken.AMBIGUOUS if found else SourceImage.Broken.GONE)
            return None
        (successor,) = found
        placeholders.carry_over(image, successor)
        for stale in image.replacements:
            if stale != successor:
                _replace(stale, successor)
    return successor


def _successors(client: api.RokkaClient, image: SourceImage) -> list[SourceImage]:
    """What may stand for a lost image: several, if nothing tells which."""
    if image.current != image:
        return [image.current]
    found = _variants(client, image)
    return _narrowed(found, image) if len(found) > 1 else found


def _variants(client: api.RokkaClient, image: SourceImage) -> list[SourceImage]:
    """What else has the same bytes. Another site's image may go when that site lets go of it."""
    if not image.binary_hash:
        return []
    live = [other.hash for other in client.list_source_images_by_binary_hash(image.binary_hash)]
    rows = SourceImage.objects.filter(organization=image.organization, hash__in=live)
    return [row for row in rows.exclude(hash=image.hash) if not lifecycle.is_anothers(row)]


def _narrowed(found: list[SourceImage], image: SourceImage) -> list[SourceImage]:
    """Those that say the same as the lost image where it said something: version, texts, name."""
    criteria: list[Callable[[Any], Any]] = [
        lambda item: item.dynamic_metadata.get("version"),
        lambda item: dict(item.user_metadata),
        lambda item: item.name,
    ]
    for said in criteria:
        same = [other for other in found if said(image) and said(other) == said(image)]
        if len(same) == 1:
            logger.warning("Of several images, %s fits %s.", same[0].hash, image.hash)
            return same
        found = same or found
    return found


def _flag(image: SourceImage, reason: str) -> None:
    if not references.count(image, limit=1):
        return
    SourceImage.objects.filter(pk=image.pk).update(broken=reason)
    image.broken = reason
    logger.error("Rows show %s, which is gone: %s.", image.hash, image.get_broken_display())
    _tell_after_commit(source_image_broken, image=image)
