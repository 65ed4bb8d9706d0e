"""How images come and go: rows take them and let go of them, and nobody's picture is deleted.

The protocol, which holds whatever stops in between:

* who deletes marks the image in the mirror, locks that row against everybody, counts the rows that hold
  the image, and only then deletes it at rokka;
* who saves a row holds the mirror's row (see `SourceImageQuerySet.held`) until the row is committed, so
  that it is counted; an image found marked is restored before the row shows it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from . import api, references
from .api import ImageName
from .conf import Config, config_of, get_client, get_config
from .mirror import MirroringClient
from .models import SourceImage

logger = logging.getLogger("django_rokka.lifecycle")

#: The user metadata field that says which environment uploaded an image.
UPLOADED_BY = "uploaded_by"
#: What stands against a deletion for good: trying again changes nothing.
_FINAL = (api.Refused, api.Conflict, api.NotAllowed, api.BadCredentials)


def client_of(image: SourceImage) -> MirroringClient:
    """The client to work on an image with."""
    return get_client(config_of(image.organization).alias)


def find(organization: str, hash: str) -> SourceImage:
    """The mirror's row of an image; one that it lacks is fetched. Raises `NotFound`."""
    rows = SourceImage.objects.of_hash(organization, hash)
    image = rows.select_related("replaced_by").first()
    if image is None:
        get_client(config_of(organization).alias).get_source_image(hash)
        image = rows.get()
    return image


def is_anothers(image: SourceImage) -> bool:
    """Whether another site of the organization uploaded it, whose rows cannot be seen here.

    Only with ``ISOLATE``: else sites share images, and the last upload leaves its mark.
    """
    config = config_of(image.organization)
    if not config.isolate or image.uploaded:
        return False
    return bool(image.user_metadata.get(UPLOADED_BY, config.environment) != config.environment)


# --- Taking -----------------------------------------------------------------------------------


def hold(
    organization: str, name: str, *, taken: bool, is_stored: Callable[[], bool] = lambda: False
) -> str:
    """Keep an image for a row that is being saved; gives the name that the row should have.

    ``taken`` says that the row did not have this name before: an image that was deleted is restored then.
    A row that had it, in a stale copy, follows to what replaced the image, or else brings it back, unless
    it ``is_stored``: the database has the name still, so the picture was deleted though the row shows it.
    A picture that is gone for good does not keep an editor from saving the rest; trouble at rokka is raised.
    """
    try:
        parsed = ImageName.parse(name)
    except api.InvalidArgument:
        return name  # a column may hold names from before it was rokka's
    image = SourceImage.objects.held(organization, parsed.hash)
    if image is None or (image.deleted is None and image.replaced_by_id is None):
        return name
    if taken and _is_back(image):
        return name
    current = image.current
    if current == image:
        if not taken and not is_stored():
            _is_back(image)
        return name
    SourceImage.objects.held(organization, current.hash)
    return str(replace(parsed, hash=current.hash))


def confirm(organization: str, name: str) -> None:
    """Look again after a row was saved that did not hold its image until then: somebody may have deleted it.

    A row does not where it is saved without a transaction, or in another database than that of the mirror.
    """
    image = SourceImage.objects.of_hash(organization, name.partition("/")[0]).first()
    if image is not None and image.deleted is not None:
        _is_back(image)


def _is_back(image: SourceImage) -> bool:
    try:
        restore(image)
    except (api.NotFound, *_FINAL) as error:
        logger.error("A row takes %s, which is deleted and could not be restored: %s", image, error)
        return False
    return True


def restore(image: SourceImage) -> SourceImage:
    """Bring an image back if it is deleted, as itself and not as what replaced it: a row is to show it.

    Nobody deletes it until the transaction ends. Raises `NotFound` if it is purged.
    """
    rows = _rows(image)
    with transaction.atomic(using=rows.db):
        # Waits for a deletion that is under way, and not for those that hold the image: they want the same.
        was_deleted = rows.lock(holders_too=False).values_list("deleted", flat=True).first()
        rows.update(replaced_by=None, unreferenced=None, broken="")
        if was_deleted:
            client_of(image).restore_source_image(image.hash)
    restored: SourceImage = rows.get()
    return restored


def copy(alias: str, hash: str, destination: str, *, overwrite: bool = True) -> bool:
    """Copy an image to another organization; tells if it is new or overwritten there.

    Raises `Refused` if that would overwrite images of another environment.
    """
    try:
        get_client(alias).copy_source_image(hash, destination, overwrite=overwrite)
    except api.Conflict as error:
        if overwrite:
            raise
        return error.maybe_done
    return True


# --- Letting go -------------------------------------------------------------------------------


def release(image: SourceImage, *, successor: SourceImage | None = None) -> None:
    """Let go of an image that a row does not show any more: what happens then is ``UNREFERENCED``.

    ``successor`` is what stands for it if it is looked up. Call it after the commit. A refusal is logged;
    trouble at rokka is raised, and `delete_due` sees to what it left.
    """
    if references.count(image, limit=1):
        _rows(image).update(unreferenced=None)
        return
    known: dict[str, Any] = {"replaced_by": successor} if successor else {}
    _rows(image).update(unreferenced=timezone.now(), **known)
    if config_of(image.organization).unreferenced != "delete":
        return
    with _refusals_logged(image):
        _delete(image)


@contextmanager
def _refusals_logged(image: SourceImage) -> Iterator[None]:
    try:
        yield
    except _FINAL as error:
        logger.warning("Kept %s, which no row holds: %s", image.hash, error)


def delete_unreferenced(image: SourceImage) -> bool:
    """Delete an image at rokka, unless a row holds it; tells if it is gone.

    It can be restored for 30 days. Raises `Conflict` for a locked image, `Refused` for one of another site
    and in a copy of another site's database, and what else the API says; the image is kept then.
    """
    return not references.count(image, limit=1) and _delete(image)


def delete_used(image: SourceImage) -> None:
    """Delete an image at rokka though rows show it: they are broken until it is restored.

    Raises what `delete_unreferenced` raises.
    """
    if _delete(image, used=True) and references.count(image, limit=1):
        _rows(image).update(broken=SourceImage.Broken.GONE)


def _delete(image: SourceImage, *, used: bool = False) -> bool:
    if is_anothers(image):
        uploader = image.user_metadata[UPLOADED_BY]
        raise api.Refused(
            f"the picture {image.hash} was uploaded by the environment {uploader!r}, and with ISOLATE "
            "only that one deletes it"
        )
    rows = _rows(image)
    # Whoever takes the image from here on finds it marked, and restores it. If this stops half-way,
    # `delete_due` does it again.
    now = timezone.now()
    rows.update(deleted=now, broken="", unreferenced=Coalesce(F("unreferenced"), now))
    try:
        with transaction.atomic(using=rows.db):
            # Waits for the transactions that hold the image, so that their rows are counted.
            marked = rows.lock().filter(deleted__isnull=False).exists()
            if marked and (used or not references.count(image, limit=1)):
                client_of(image).delete_source_image(image.hash)
                rows.update(unreferenced=None)
                return True
            rows.update(deleted=None)
    except api.NotFound:
        logger.debug("%s was deleted at rokka already.", image.hash)
        rows.update(unreferenced=None)
        return True
    except (api.ServerError, api.RokkaConnectionError):
        # The work may have been done: the mark stays, so that a row that takes the image restores it.
        raise
    except Exception:
        rows.update(deleted=None)
        raise
    logger.info("Kept %s: a row has taken it.", image.hash)
    return False


def look_again(image: SourceImage) -> None:
    """Let `delete_due` look whether a row still holds the image."""
    _rows(image).update(unreferenced=timezone.now())


def delete_due(alias: str) -> int:
    """Delete what no row has held for the days of ``UNREFERENCED``; gives how many were deleted."""
    config = get_config(alias)
    if config.unreferenced == "keep":
        return 0
    days = 0 if config.unreferenced == "delete" else int(config.unreferenced)
    # Also those that are marked as deleted: a deletion that stopped half-way has left them so.
    due = SourceImage.objects.filter(
        organization=config.organization, unreferenced__lte=timezone.now() - timedelta(days=days)
    )
    return sum(_is_deleted(image) for image in due.one_by_one())


def _is_deleted(image: SourceImage) -> bool:
    with _refusals_logged(image):
        if delete_unreferenced(image):
            return True
        _rows(image).update(unreferenced=None)
    return False


# --- Orphans ----------------------------------------------------------------------------------


def orphans(alias: str, *, older_than: timedelta) -> Iterator[SourceImage]:
    """Live images that this site uploaded longer ago than ``older_than`` and that no row holds.

    Uploads whose transaction was rolled back are not in the mirror; with an ``ENVIRONMENT`` they are
    found at rokka, by the mark that an upload leaves.
    """
    config = get_config(alias)
    if config.environment:
        _adopt_uploads(config)
    candidates = SourceImage.objects.live().filter(
        organization=config.organization, uploaded__lte=timezone.now() - older_than
    )
    for image in candidates.one_by_one():
        marked = image.user_metadata.get(UPLOADED_BY, config.environment)
        if marked == config.environment and not references.count(image, limit=1):
            yield image


def _adopt_uploads(config: Config) -> None:
    """Note in the mirror what rokka says this site uploaded."""
    search = {f"user:str:{UPLOADED_BY}": config.environment}
    for page in get_client(config.alias).iter_pages(filters=search):
        unknown = SourceImage.objects.filter(
            organization=config.organization,
            hash__in=[image.hash for image in page],
            uploaded=None,
        )
        for image in unknown:
            _rows(image).update(uploaded=image.created or timezone.now())


def _rows(image: SourceImage) -> Any:
    return SourceImage.objects.filter(organization=image.organization, hash=image.hash)
