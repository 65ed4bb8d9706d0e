"""Copying an organization's images to another one: a bulk operation that one process works on, batch after batch.

What is to be copied is noted first, and what became of each image after each batch of a hundred. So an
interruption costs one batch at most, and `resume` goes on with what is left. The process works itself, also
where there is Celery: batches that follow each other meet rokka's limits last. One that is killed leaves an
operation like any other, which tasks take up after `LOST`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from .. import api, references
from ..conf import Config, destinations, get_client, get_config
from ..environment import check_call, check_destination
from ..explain import explain
from ..models import BulkItem, BulkOperation, SourceImage
from .operations import CHUNK, Progress, create, progress, reopen, stop, work

#: Seconds between two looks at how far it is: they count all images.
_LOOK = 1.0
#: The pause where rokka asks for one and does not say until when.
_PAUSE = timedelta(minutes=1)
#: Seconds between two looks, in a pause or while others work, whether it was stopped.
_NAP = 1.0

_State = BulkItem.State


class Unfinished(Exception):
    """An earlier copy to the same organization was not finished. ``operation`` is that copy."""

    def __init__(self, operation: BulkOperation) -> None:
        left = progress(operation).waiting
        super().__init__(
            f"The copy to {operation.options['destination']!r} of {operation.created:%Y-%m-%d %H:%M} is not "
            f"finished: {left:,} of {operation.total:,} images are left."
        )
        self.operation = operation


@dataclass(frozen=True)
class CopyRun:
    """How far a copy is, in images. ``paused_until`` is when rokka lets it go on, while it has to wait."""

    seen: int
    total: int
    paused_until: datetime | None = None


@dataclass(frozen=True)
class Outcome:
    """How many images were copied, were there ``already``, were ``gone`` at rokka, ``failed`` or are ``left``.

    ``reasons`` are those of the failures, with how often, the most frequent one first.
    """

    copied: int
    already: int
    gone: int
    failed: int
    left: int
    reasons: tuple[tuple[str, int], ...]


# --- What, and whereto --------------------------------------------------------------------------


def check(alias: str, destination: str, *, overwrite: bool = False) -> Config:
    """The settings of an alias whose images may be copied there.

    Raises `InvalidArgument` for an organization that is not among `conf.destinations`, `Refused` if this site
    must not, and `ImproperlyConfigured` for an alias that is not there or has no key.
    """
    config = get_config(alias)
    own = config.organization
    if destination == own:
        raise api.InvalidArgument(f"{destination!r} is the organization of ROKKA[{alias!r}] itself")
    if destination not in (allowed := destinations(own)):
        raise api.InvalidArgument(
            f"images of {own!r} may not be copied to {destination!r}, only to: "
            f"{', '.join(map(repr, allowed)) or 'nowhere'}; see DESTINATIONS of ROKKA[{alias!r}]"
        )
    check_call(config, "POST", f"/sourceimages/{own}/copy")
    if overwrite:
        check_destination(config, destination)
    get_client(alias)
    return config


def images_of(config: Config, *, unused: bool = False) -> models.QuerySet[SourceImage]:
    """The live images that rows hold, with ``unused`` all live ones, as the mirror knows them."""
    rows = SourceImage.objects.filter(organization=config.organization)
    return rows.live() if unused else references.used(rows.live())


# --- Beginning and resuming ---------------------------------------------------------------------


def check_finished(config: Config, destination: str) -> None:
    """Raise `Unfinished` if the last copy there did not come to its end."""
    if (former := unfinished(config, destination)) is not None:
        raise Unfinished(former)


def begin(
    config: Config, destination: str, *, unused: bool = False, overwrite: bool = False
) -> BulkOperation:
    """Note what is to be copied; `run` does it. An earlier copy that is not finished is dropped."""
    if (former := unfinished(config, destination)) is not None:
        stop(former)
    options = {
        "organization": config.organization,
        "destination": destination,
        "overwrite": overwrite,
        "unused": unused,
    }
    images = images_of(config, unused=unused)
    return create(BulkOperation.Kind.COPY, images, options=options)


def unfinished(config: Config, destination: str) -> BulkOperation | None:
    """The last copy of the organization to this one, if it did not come to its end."""
    copies = BulkOperation.objects.filter(
        kind=BulkOperation.Kind.COPY,
        # An editor's copy of some images does not name it.
        options__organization=config.organization,
        options__destination=destination,
    )
    last = copies.order_by("-pk").first()
    return None if last is None or last.state == BulkOperation.State.FINISHED else last


def resume(config: Config, destination: str) -> BulkOperation | None:
    """The unfinished copy, ready to `run` on, also with what failed; ``None`` if there is none."""
    operation = unfinished(config, destination)
    if operation is not None:
        reopen(operation)
    return operation


# --- Working ------------------------------------------------------------------------------------


def run(operation: BulkOperation) -> Generator[CopyRun]:
    """Work to the end, and tell now and then how far it is.

    If it is closed, or interrupted by an error, the operation is stopped: nobody goes on but by `resume`. Raises the
    errors of `django_rokka.api.errors`, but for `RateLimited`: the pause that rokka asks for is waited for. Whoever
    finds that the first hundred images all fail stops as well.
    """
    holder = uuid.uuid4().hex
    looked, seen = 0.0, 0
    try:
        while _is_running(operation):
            # Each time at first: to see soon whether all fail.
            if seen <= CHUNK or time.monotonic() - looked > _LOOK:
                yield (now := _look(operation))
                looked, seen = time.monotonic(), now.seen
            try:
                if not work(operation, holder):
                    _wait_for_others(operation)
            except api.RateLimited as error:
                yield from _pause(operation, error)
    except BaseException:
        stop(operation)
        raise
    yield _look(operation)


def _look(operation: BulkOperation) -> CopyRun:
    found = progress(operation)
    if _is_hopeless(operation, found):
        stop(operation)
    return CopyRun(found.closed, found.total)


def _is_hopeless(operation: BulkOperation, found: Progress) -> bool:
    """Whether no image could be copied so far, and it is not for want of the images."""
    if found.done or found.skipped or found.failed < CHUNK:
        return False
    return found.failed - _gone(operation) >= CHUNK


def _wait_for_others(operation: BulkOperation) -> None:
    """Tasks may be at work, on as much as may be worked on at a time."""
    if _is_running(operation):
        time.sleep(_NAP)


def _pause(operation: BulkOperation, error: api.RateLimited) -> Generator[CopyRun]:
    soonest = timezone.now() + timedelta(seconds=_NAP)
    until = max(error.retry_at or timezone.now() + _PAUSE, soonest)
    yield replace(_look(operation), paused_until=until)
    # Nobody shall take us for lost meanwhile.
    while timezone.now() < until and _is_running(operation, heartbeat=timezone.now()):
        time.sleep(min(_NAP, max((until - timezone.now()).total_seconds(), 0)))


def _is_running(operation: BulkOperation, **said: datetime) -> bool:
    """Whether it is neither finished nor stopped; what is ``said`` of it is written down."""
    rows = BulkOperation.objects.filter(pk=operation.pk, state=BulkOperation.State.RUNNING)
    return bool(rows.update(**said)) if said else rows.exists()


# --- What came of it ----------------------------------------------------------------------------


def outcome(operation: BulkOperation) -> Outcome:
    """Count what became of the images."""
    found, gone = progress(operation), _gone(operation)
    failures = _failures(operation).exclude(reason=_gone_reason()).order_by()
    reasons = failures.values_list("reason").annotate(count=models.Count("pk"))
    return Outcome(
        copied=found.done,
        already=found.skipped,
        gone=gone,
        failed=found.failed - gone,
        left=found.waiting,
        reasons=tuple(reasons.order_by("-count", "reason")),
    )


def _gone(operation: BulkOperation) -> int:
    return _failures(operation).filter(reason=_gone_reason()).count()


def _failures(operation: BulkOperation) -> models.QuerySet[BulkItem]:
    items = BulkItem.objects
    return items.filter(operation=operation.pk, state=_State.FAILED)


def _gone_reason() -> str:
    return explain(api.NotFound(""))
