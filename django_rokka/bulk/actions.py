"""What is done to an image, one function for each kind of `BulkOperation`.

All may be done twice: a second try after an interruption finds the work done, and says so as the first
one would have. A function returns when the image is as it was wanted, raises `Skipped` if there was
nothing to do, or an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import api, lifecycle, references, rehash, sync, user_metadata
from ..changes import PROTECTED, Change
from ..models import BulkOperation, SourceImage

Kind = BulkOperation.Kind
Options = Mapping[str, Any]


class Skipped(Exception):
    """There was nothing to do, or it must not be done; the message says why."""


@dataclass(frozen=True)
class Job:
    """An image to work on; ``again`` if an earlier try was interrupted, and may have done the work."""

    image: SourceImage
    again: bool = False


def act(kind: str, job: Job, options: Options) -> None:
    """Do it to one image. Raises `Skipped`, and the errors of `django_rokka.api.errors`."""
    _ACTIONS[Kind(kind)](job, options)


def copy_many(jobs: Sequence[Job], options: Options) -> dict[int, Exception]:
    """Copy images of one organization in one call; gives what `act` would have raised for some, by key."""
    client = lifecycle.client_of(jobs[0].image)
    hashes = [job.image.hash for job in jobs]
    overwrite = bool(options.get("overwrite"))
    result = client.copy_source_images(hashes, options["destination"], overwrite=overwrite)
    there, gone = set(result.existing), set(result.not_found)
    errors: dict[int, Exception] = {}
    for job in jobs:
        if job.image.hash in gone:
            errors[job.image.pk] = api.NotFound(job.image.hash, status=404)
        # A second try finds what the first one copied.
        elif job.image.hash in there and not overwrite and not job.again:
            errors[job.image.pk] = Skipped(_exists())
    return errors


def _copy(job: Job, options: Options) -> None:
    alias, overwrite = job.image.config.alias, bool(options.get("overwrite"))
    new = lifecycle.copy(alias, job.image.hash, options["destination"], overwrite=overwrite)
    if not (new or job.again):
        raise Skipped(_exists())


def _exists() -> str:
    return _("is there already")


def _delete(job: Job, options: Options) -> None:
    image = job.image
    if image.deleted and not job.again:
        raise Skipped(_("is deleted already"))
    if options.get("used"):
        lifecycle.delete_used(image)
    elif not lifecycle.delete_unreferenced(image):
        count = references.count(image, limit=1000)
        text = ngettext("%(count)s row shows it", "%(count)s rows show it", count)
        raise Skipped(text % {"count": count})


def _restore(job: Job, options: Options) -> None:
    if job.image.deleted is None and not job.again:
        raise Skipped(_("is not deleted"))
    lifecycle.restore(job.image)


def _sync(job: Job, options: Options) -> None:
    if sync.sync_image(job.image) is None:
        raise Skipped(_("is gone at rokka"))


def _set_locked(locked: bool) -> Callable[[Job, Options], None]:
    def act(job: Job, options: Options) -> None:
        if job.image.locked == locked and not job.again:
            raise Skipped(_("is locked already") if locked else _("is not locked"))
        lifecycle.client_of(job.image).set_locked(job.image.hash, locked)

    return act


def _set_protected(protected: bool) -> Callable[[Job, Options], None]:
    def act(job: Job, options: Options) -> None:
        if job.image.current.protected == protected and not job.again:
            raise Skipped(_("is protected already") if protected else _("is not protected"))
        rehash.change_image(job.image, Change(PROTECTED, protected))

    return act


def _set_user_metadata(job: Job, options: Options) -> None:
    image = job.image.current
    said = user_metadata.missing(options["metadata"], image)
    if said:
        lifecycle.client_of(image).patch_user_metadata(image.hash, said)
    elif not job.again:
        raise Skipped(_("says so already"))


def _describe(job: Job, options: Options) -> None:
    image = job.image.current
    client, force = lifecycle.client_of(image), bool(options.get("force"))
    client.autodescribe_source_image(image.hash, options["languages"], force=force)
    # The answer need not hold the texts.
    client.get_source_image(image.hash)


def _purge(job: Job, options: Options) -> None:
    lifecycle.client_of(job.image).purge_source_image_cache(job.image.hash)


_ACTIONS: Mapping[Kind, Callable[[Job, Options], None]] = {
    Kind.COPY: _copy,
    Kind.DELETE: _delete,
    Kind.RESTORE: _restore,
    Kind.SYNC: _sync,
    Kind.LOCK: _set_locked(True),
    Kind.UNLOCK: _set_locked(False),
    Kind.PROTECT: _set_protected(True),
    Kind.UNPROTECT: _set_protected(False),
    Kind.USER_METADATA: _set_user_metadata,
    Kind.DESCRIBE: _describe,
    Kind.PURGE: _purge,
}
