"""Celery tasks: each calls a service of the same meaning and holds no logic of its own.

All may be delivered twice and end the same; a task whose worker dies is delivered again. Rate limits and
trouble at rokka are tried again later, with growing pauses and jitter; other errors are final. Arguments
are ids: an alias of the ``ROKKA`` setting, a hash, a model's label and a key. Nothing here needs Celery
to be imported: without it these are plain functions.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.apps import apps
from django.db import models, router

from . import bulk, lifecycle, placeholders, rehash, sync
from . import deferred as uploads
from .api import RateLimited, RokkaConnectionError, ServerError
from .api.types import JSON
from .changes import Change
from .conf import get_client, get_config
from .models import BulkOperation

try:
    from celery import current_task, shared_task
except ImportError:
    current_task = None  # type: ignore[assignment]

    def shared_task(  # type: ignore[no-redef]
        **options: Any,
    ) -> Callable[[Callable[..., Any]], Any]:
        """Leave a function as it is."""
        return lambda function: function


logger = logging.getLogger("django_rokka.tasks")

_task = shared_task(
    acks_late=True,
    reject_on_worker_lost=True,
    autoretry_for=(RateLimited, ServerError, RokkaConnectionError),
    retry_backoff=2,
    retry_backoff_max=600,
    retry_jitter=True,
    max_retries=20,
)


# --- Changes that give another hash -----------------------------------------------------------


@_task
def set_dynamic_metadata(
    alias: str, hash: str, name: str, values: JSON, keep_hash: bool = False
) -> str:
    """Set one kind of dynamic metadata of a picture; every row follows. Gives the hash it has now."""
    return _changed(alias, hash, Change(name, values), keep_hash)


@_task
def delete_dynamic_metadata(alias: str, hash: str, name: str, keep_hash: bool = False) -> str:
    """Remove one kind of dynamic metadata of a picture; every row follows."""
    return _changed(alias, hash, Change(name, None), keep_hash)


@_task
def set_protected(alias: str, hash: str, protected: bool) -> str:
    """Protect or unprotect a picture; every row follows."""
    return _changed(alias, hash, Change("protected", protected), False)


def _changed(alias: str, hash: str, change: Change, keep_hash: bool) -> str:
    image = lifecycle.find(get_config(alias).organization, hash)
    return rehash.change_image(image, change, keep_hash=keep_hash).hash


@_task
def change_row(
    alias: str,
    hash: str,
    model: str,
    pk: Any,
    field: str,
    name: str,
    values: JSON,
    keep_hash: bool = False,
) -> str | None:
    """Change the picture ``hash`` for one row of ``model`` (``"app.Model"``) alone.

    ``name`` is a kind of dynamic metadata, with ``values`` (``None`` removes it), or ``"protected"``.
    Gives the new hash, or ``None`` if the row is gone or shows another picture by now.
    """
    kind = apps.get_model(model)
    row = models.QuerySet(kind, using=router.db_for_write(kind)).filter(pk=pk).first()
    if row is None:
        return None
    column: Any = row._meta.get_field(field)
    try:
        image = rehash.change_row(
            row,
            column,
            Change(name, values),
            organization=get_config(alias).organization,
            hash=hash,
            keep_hash=keep_hash,
        )
    except rehash.PictureReplaced as error:
        logger.info("%s %s was not changed: %s", model, pk, error)
        return None
    return image.hash


# --- Deleting, restoring, copying -------------------------------------------------------------


@_task
def release(alias: str, hash: str) -> None:
    """A row has let go of an image: do what ``UNREFERENCED`` says if no other row holds it."""
    lifecycle.release(lifecycle.find(get_config(alias).organization, hash))


@_task
def delete_unreferenced(alias: str, hash: str) -> bool:
    """Delete an image if no row holds it, whatever ``UNREFERENCED`` says; tells if it is gone."""
    image = lifecycle.find(get_config(alias).organization, hash)
    return lifecycle.delete_unreferenced(image)


@_task
def delete_due(alias: str) -> int:
    """By schedule: delete what no row has held for as long as ``UNREFERENCED`` says."""
    return lifecycle.delete_due(alias)


@_task
def restore(alias: str, hash: str) -> None:
    """Bring a deleted image back."""
    lifecycle.restore(lifecycle.find(get_config(alias).organization, hash))


@_task
def copy(alias: str, hash: str, destination: str, overwrite: bool = True) -> None:
    """Copy an image to another organization; without ``overwrite`` one that is there stays as it is."""
    lifecycle.copy(alias, hash, destination, overwrite=overwrite)


# --- The mirror -------------------------------------------------------------------------------


@_task
def sync_source_image(alias: str, hash: str) -> str | None:
    """Ask rokka about one image. Gives the hash of what stands for it, or ``None``."""
    image = sync.sync_image(lifecycle.find(get_config(alias).organization, hash))
    return None if image is None else image.hash


@_task
def sync_organization(alias: str, kind: str = "full") -> dict[str, int] | None:
    """By schedule: read a listing: ``"full"``, ``"new"`` or ``"deleted"``; gives the counts.

    ``None`` if another run is under way.
    """
    try:
        run = sync.sync_organization(alias, kind)
    except sync.Busy as error:
        logger.info("%s", error)
        return None
    return {name: getattr(run, name) for name in run.COUNTS}


@_task
def resolve_rehash(alias: str, hash: str) -> str | None:
    """Find what became of an image that is gone, and move the rows that show it."""
    image = rehash.resolve(lifecycle.find(get_config(alias).organization, hash))
    return None if image is None else image.hash


@_task
def patch_user_metadata(alias: str, hash: str, metadata: Mapping[str, JSON]) -> None:
    """Set some user metadata of an image; ``None`` deletes a field, others stay."""
    image = lifecycle.find(get_config(alias).organization, hash).current
    get_client(alias).patch_user_metadata(image.hash, metadata)


# --- Placeholders -----------------------------------------------------------------------------


@_task
def fill_placeholder(alias: str, hash: str) -> bool:
    """Make the placeholder of an image that is new; tells if nothing is left to do."""
    return placeholders.fill(alias, hash)


@_task
def fill_placeholders(alias: str) -> int:
    """By schedule: make the next portion of placeholders that are missing; gives how many still are."""
    return placeholders.fill_portion(alias)


# --- Bulk operations --------------------------------------------------------------------------


@_task
def work_on_bulk_operation(alias: str, operation: int) -> bool:
    """Work on the next hundred images of a bulk operation; the next task does the rest. Tells if there is one."""
    found = BulkOperation.objects.filter(pk=operation).first()
    if found is None or not bulk.work(found, _own_id()):
        return False
    bulk.go_on(found)
    return True


def _own_id() -> str:
    """The id of the task that runs, which is the same when it is delivered again."""
    return str(current_task.request.id) if current_task else uuid.uuid4().hex


@_task
def resume_bulk_operations(alias: str) -> int:
    """By schedule: take up bulk operations that nobody works on; gives how many."""
    return bulk.resume_lost(alias)


# --- Deferred uploads -------------------------------------------------------------------------


@_task
def upload_deferred(alias: str, name: str) -> bool:
    """Upload one file of the spool; tells if there was anything to do."""
    return uploads.upload(alias, name)


@_task
def upload_pending(alias: str) -> int:
    """By schedule: see to every file that waits in the spool, and clear it; gives how many waited."""
    return uploads.upload_pending(alias)
