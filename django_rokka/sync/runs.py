"""Runs as rows: one at a time for each organization, and the next one goes on where one was interrupted."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from ..models import SyncRun

#: A run that has said nothing for so long was killed.
LOST = timedelta(minutes=10)
#: An interrupted run is taken up for so long; after that it is better to begin anew.
RESUMABLE = timedelta(days=1)


class Busy(Exception):
    """Another run of the organization is under way."""


def begin(organization: str, kind: str) -> SyncRun:
    """A run of this kind: an interrupted one, or a new one. Raises `Busy`."""
    now = timezone.now()
    _let_go_of_the_dead(organization, now)
    unfinished = _rows().filter(organization=organization, kind=kind, finished=None)
    for old in unfinished.filter(started__lt=now - RESUMABLE):
        end(old, complete=False)
    run = unfinished.order_by("-started").first() or SyncRun(
        organization=organization, kind=kind, started=now
    )
    run.running, run.heartbeat = organization, now
    try:
        # The column is unique: only one of two that begin at the same time gets through.
        with transaction.atomic(using=_rows().db):
            run.save(using=_rows().db)
    except IntegrityError as error:
        raise Busy(f"A sync of {organization!r} has just begun.") from error
    return run


def _let_go_of_the_dead(organization: str, now: datetime) -> None:
    run = _rows().filter(running=organization).first()
    if run is None:
        return
    if run.heartbeat and run.heartbeat > now - LOST:
        raise Busy(
            f"A sync of {organization!r} is under way: {run.seen} images since {run.started:%H:%M}. "
            f"If it was killed, it can be taken up {LOST.seconds // 60} minutes after its last sign."
        )
    pause(run)


def proceed(run: SyncRun) -> None:
    """Note how far a run has come. Raises `Busy` if another process has taken it up."""
    values = {name: getattr(run, name) for name in (*SyncRun.COUNTS, "cursor", "position", "total")}
    now = timezone.now()
    if not _rows().filter(pk=run.pk, heartbeat=run.heartbeat).update(heartbeat=now, **values):
        raise Busy(f"The sync of {run.organization!r} was taken up by another process.")
    run.heartbeat = now


def pause(run: SyncRun) -> None:
    """An interrupted run can be taken up at once."""
    same = _rows().filter(pk=run.pk, heartbeat=run.heartbeat, finished=None)
    same.update(running=None, heartbeat=None)


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
    return SyncRun.objects.all()
