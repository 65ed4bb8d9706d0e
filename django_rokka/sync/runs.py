"""Runs as rows: one at a time for each organization, and the next one goes on where one was interrupted."""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, models, router, transaction
from django.utils import timezone

from ..models import SyncRun

#: A run that has said nothing for so long was interrupted.
LOST = timedelta(minutes=10)


class Busy(Exception):
    """Another run of the organization is under way."""


def begin(organization: str, kind: str) -> SyncRun:
    """A run of this kind: an interrupted one, or a new one. Raises `Busy`.

    An interrupted run of another kind is ended: what it did stays true.
    """
    rows = _rows().filter(running=organization)
    run = rows.first()
    if run is not None and run.heartbeat and run.heartbeat > timezone.now() - LOST:
        raise Busy(
            f"A sync of {organization!r} is under way: {run.seen} images since {run.started:%H:%M}. "
            f"If it was killed, it can be taken up {LOST.seconds // 60} minutes after its last sign."
        )
    if run is not None and run.kind != kind:
        end(run, complete=False)
        run = None
    try:
        return _new(organization, kind) if run is None else _taken_up(run)
    except IntegrityError as error:
        raise Busy(f"A sync of {organization!r} has just begun.") from error


def _new(organization: str, kind: str) -> SyncRun:
    now = timezone.now()
    with transaction.atomic(using=_rows().db):
        return _rows().create(
            organization=organization, running=organization, kind=kind, started=now, heartbeat=now
        )


def _taken_up(run: SyncRun) -> SyncRun:
    now = timezone.now()
    # Only one of two that find it is the first to change it.
    if (
        not _rows()
        .filter(pk=run.pk, heartbeat=run.heartbeat, running=run.running)
        .update(heartbeat=now)
    ):
        raise Busy(f"A sync of {run.organization!r} has just been taken up.")
    run.heartbeat = now
    return run


def proceed(run: SyncRun) -> None:
    """Note how far a run has come. Raises `Busy` if another process has taken it up."""
    values = {name: getattr(run, name) for name in (*SyncRun.COUNTS, "cursor", "position", "total")}
    now = timezone.now()
    if not _rows().filter(pk=run.pk, heartbeat=run.heartbeat).update(heartbeat=now, **values):
        raise Busy(f"The sync of {run.organization!r} was taken up by another process.")
    run.heartbeat = now


def pause(run: SyncRun) -> None:
    """An interrupted run can be taken up at once."""
    _rows().filter(pk=run.pk, heartbeat=run.heartbeat, finished=None).update(heartbeat=None)


def end(run: SyncRun, *, complete: bool) -> None:
    """The run is over; another one may begin."""
    run.finished, run.running, run.complete = timezone.now(), None, complete
    run.save(using=_rows().db)


def last_start(organization: str) -> SyncRun | None:
    """The last run after which the mirror knew all images there were when it started."""
    kinds = (SyncRun.Kind.FULL, SyncRun.Kind.NEW)
    done = _rows().filter(organization=organization, kind__in=kinds, complete=True)
    return done.order_by("-started").first()


def _rows() -> models.QuerySet[SyncRun]:
    return SyncRun.objects.using(router.db_for_write(SyncRun))
