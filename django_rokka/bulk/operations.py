"""Bulk operations as rows, worked on by any number of tasks: each takes a hundred images at a time.

An image is *taken* by a task, marked as *running* before rokka is called, and closed after it. So a task
that is delivered again, under the same id, goes on with what it had taken, and knows which image's call
may have been made. Images that a lost task holds are given to others when nothing has happened for
`LOST`. Without Celery the page that shows the progress does the work, a few seconds at a time.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, models, transaction
from django.db.models import Q
from django.utils import timezone

from .. import api
from ..conf import Config, config_of
from ..explain import explain
from ..later import call_after_commit, start_after_commit
from ..models import BulkItem, BulkOperation, SourceImage, mirror_database
from .actions import Job, Skipped, act, copy_many

logger = logging.getLogger("django_rokka.bulk")

#: Images that a task takes at a time, and that one batch copy sends.
CHUNK = api.COPY_LIMIT
#: A task that has done nothing for so long is lost.
LOST = timedelta(minutes=5)
#: Seconds that a web request works, where there is no Celery.
STEP = 5.0
#: So many images in a row that fail for one of these reasons stop the work: the next would fail as well.
_IN_A_ROW = 3
_TROUBLE = (api.ServerError, api.RokkaConnectionError, api.BadCredentials)
#: A pause that rokka asks for, and that is longer than this, is a failure of the image.
_LONG = timedelta(minutes=10)

_State = BulkItem.State
_HELD = (_State.TAKEN, _State.RUNNING)
#: What a task may take: images that wait, and those whose task was interrupted.
_FREE = Q(state=_State.WAITING) | Q(state=_State.RUNNING, holder="")
_Outcome = tuple[int, str]


# --- Beginning, stopping, taking up -----------------------------------------------------------


def create(
    kind: str,
    images: models.QuerySet[SourceImage],
    *,
    options: Mapping[str, Any] | None = None,
    user: Any = None,
) -> BulkOperation:
    """Note what is to be done to these images, as they are selected now, in one statement; then `start` it."""
    using = mirror_database()
    name = "" if user is None else user.get_username()
    with transaction.atomic(using=using):
        operation = BulkOperation.objects.create(
            kind=kind,
            options=dict(options or {}),
            user_pk="" if user is None else str(user.pk),
            user_name=name[:150],
        )
        operation.total = _select(operation, images)
        operation.save(update_fields=["total"])
    return operation


def _select(operation: BulkOperation, images: models.QuerySet[SourceImage]) -> int:
    """Write an item for each image, without reading them: there may be hundreds of thousands."""
    using = mirror_database()
    # By organization: a batch copy is for one.
    chosen = images.using(using).order_by("organization", "id").values("id")
    sql, params = chosen.query.get_compiler(using=using).as_sql()
    table = connections[using].ops.quote_name(BulkItem._meta.db_table)
    key = connections[using].ops.quote_name("id")
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (operation_id, image_id, state, holder, reason)"  # noqa: S608 - no input  # nosec B608
            f" SELECT {int(operation.pk)}, chosen.{key}, {int(_State.WAITING)}, '', ''"
            f" FROM ({sql}) chosen",
            params,
        )
        return int(cursor.rowcount)


def start(operation: BulkOperation) -> None:
    """After the commit, let tasks begin; without Celery, work for a few seconds here."""
    config = _config(operation)
    if config is None or not config.celery:
        call_after_commit(mirror_database(), _step, operation)
        return
    free = _items(operation).filter(_FREE).count()
    for _number in range(min(config.concurrency, -(-free // CHUNK) or 1)):
        go_on(operation)


def by_tasks(operation: BulkOperation) -> bool:
    """Whether tasks work on it, with Celery; else whoever follows it has to call `work`."""
    config = _config(operation)
    return config is not None and config.celery


def go_on(operation: BulkOperation) -> None:
    """After the commit, let one more task work, where there is Celery."""
    if (config := _config(operation)) is not None and config.celery:
        start_after_commit(mirror_database(), "work_on_bulk_operation", config.alias, operation.pk)


def _step(operation: BulkOperation) -> None:
    try:
        work(operation, uuid.uuid4().hex, seconds=STEP)
    except api.RokkaError as error:
        logger.info("Bulk operation %s pauses: %s", operation.pk, error)


def stop(operation: BulkOperation) -> None:
    """Stop after the image that is being worked on; the others stay as they are."""
    _rows(operation).filter(state=BulkOperation.State.RUNNING).update(
        state=BulkOperation.State.STOPPED, finished=timezone.now(), error=""
    )


def take_up(operation: BulkOperation) -> None:
    """Go on with what was stopped or lost, and try again what failed."""
    with transaction.atomic(using=mirror_database()):
        reopen(operation)
        start(operation)


def reopen(operation: BulkOperation) -> None:
    """The same, for whoever works on it himself: nothing is started."""
    with transaction.atomic(using=mirror_database()):
        _lock(operation)
        items = _items(operation)
        # As if they were running: what failed may have been done all the same.
        items.filter(state=_State.FAILED).update(state=_State.RUNNING, reason="", holder="")
        _give_back(items)
        now = timezone.now()
        _rows(operation).update(
            state=BulkOperation.State.RUNNING,
            started=now,
            heartbeat=now,
            finished=None,
            error="",
            closed_before=items.exclude(state__in=BulkItem.OPEN).count(),
        )


def resume_lost(alias: str) -> int:
    """Take up what nobody works on, though it is not finished; gives how many."""
    lost = BulkOperation.objects.filter(
        state=BulkOperation.State.RUNNING, heartbeat__lt=timezone.now() - LOST
    )
    total = 0
    for operation in lost:
        config = _config(operation)
        if config is not None and config.alias == alias and _is_mine(operation):
            _give_back(_items(operation))
            start(operation)
            total += 1
    return total


def _is_mine(operation: BulkOperation) -> bool:
    """Whether nobody else takes it up at the same time."""
    unchanged = _rows(operation).filter(heartbeat=operation.heartbeat)
    return bool(unchanged.update(heartbeat=timezone.now()))


# --- How far it is ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How many images there are of each outcome, and when the rest will be done, in seconds, if known."""

    total: int
    done: int
    skipped: int
    failed: int
    seconds_left: float | None
    #: Nobody seems to work on it.
    lost: bool

    @property
    def closed(self) -> int:
        """Images of which the outcome is known."""
        return self.done + self.skipped + self.failed

    @property
    def waiting(self) -> int:
        """Images that are still to be worked on."""
        return self.total - self.closed


def progress(operation: BulkOperation) -> Progress:
    """Count: one query."""
    counted = _items(operation).order_by().values_list("state").annotate(models.Count("pk"))
    counts = Counter(dict(counted))
    running = operation.state == BulkOperation.State.RUNNING
    closed = counts[_State.DONE] + counts[_State.SKIPPED] + counts[_State.FAILED]
    total = sum(counts.values())
    return Progress(
        total=total,
        done=counts[_State.DONE],
        skipped=counts[_State.SKIPPED],
        failed=counts[_State.FAILED],
        seconds_left=_seconds_left(operation, closed, total) if running else None,
        lost=running and operation.heartbeat < timezone.now() - LOST,
    )


def _seconds_left(operation: BulkOperation, closed: int, total: int) -> float | None:
    worked = closed - operation.closed_before
    elapsed = (timezone.now() - operation.started).total_seconds()
    return elapsed / worked * (total - closed) if worked > 0 else None


# --- Working ----------------------------------------------------------------------------------


def work(operation: BulkOperation, holder: str, *, seconds: float | None = None) -> bool:
    """Work on the next images, as the task ``holder``, or on any for ``seconds``; tells if others wait.

    Raises `RateLimited`, `ServerError` or `RokkaConnectionError` if it is better to pause; `BadCredentials`
    stops the operation. The images that are left are for anybody, after an error without ``seconds`` for this
    holder, who is expected again.
    """
    shift = _Shift(operation, holder, None if seconds is None else time.monotonic() + seconds)
    taken = keeps = False
    try:
        while items := _take(operation, holder):
            taken = True
            shift.work_on_all(items)
            if seconds is None or not shift.goes_on():
                break
    except api.RokkaError as error:
        _note_trouble(operation, error)
        keeps = seconds is None
        raise
    finally:
        if not keeps:
            _give_back(_items(operation).filter(holder=holder))
    # Who got nothing is one too many: the others do the rest, and start who comes after them.
    return not _is_finished(operation) and taken


def _take(operation: BulkOperation, holder: str) -> list[BulkItem]:
    """What the holder has already, or else the next images; nothing if enough tasks are at work."""
    held = _items(operation).filter(state__in=_HELD)
    own = held.filter(holder=holder)
    if not own.exists():
        others = held.exclude(holder="").values("holder").distinct().count()
        if others < _concurrency(operation):
            _take_next(operation, holder)
    return list(own.select_related("image__replaced_by").order_by("pk"))


def _take_next(operation: BulkOperation, holder: str) -> None:
    items = _items(operation)
    using, connection = items.db, connections[items.db]
    skip = connection.features.has_select_for_update_skip_locked
    with transaction.atomic(using=using):
        # First those whose task was interrupted.
        for free in (
            items.filter(state=_State.RUNNING, holder=""),
            items.filter(state=_State.WAITING),
        ):
            chosen = free.order_by("pk").select_for_update(skip_locked=skip)[:CHUNK]
            keys = list(chosen.values_list("pk", flat=True))
            if keys:
                # Asked again, for where there is no FOR UPDATE.
                mine = free.filter(pk__in=keys)
                mine.filter(state=_State.RUNNING).update(holder=holder)
                mine.filter(state=_State.WAITING).update(holder=holder, state=_State.TAKEN)
                return


def _give_back(items: models.QuerySet[BulkItem]) -> None:
    skip = connections[items.db].features.has_select_for_update_skip_locked
    with transaction.atomic(using=items.db):
        # A row that is locked is being written by its task, so it is not lost.
        held = items.filter(state__in=_HELD).select_for_update(skip_locked=skip)
        found = items.filter(pk__in=list(held.values_list("pk", flat=True)))
        found.filter(state=_State.TAKEN).update(state=_State.WAITING, holder="")
        # Those that were running stay so, for whoever takes them: their call may have been made.
        found.filter(state=_State.RUNNING).update(holder="")


def _note_trouble(operation: BulkOperation, error: api.RokkaError) -> None:
    values: dict[str, Any] = {"error": explain(error), "heartbeat": timezone.now()}
    if isinstance(error, api.BadCredentials):
        values |= {"state": BulkOperation.State.STOPPED, "finished": timezone.now()}
    _rows(operation).filter(state=BulkOperation.State.RUNNING).update(**values)


def _is_finished(operation: BulkOperation) -> bool:
    """Whether nothing waits for another task; the last one notes the end."""
    with transaction.atomic(using=mirror_database()):
        # Nobody takes it up between the look and the note.
        if _lock(operation) != BulkOperation.State.RUNNING:
            return True
        if not _items(operation).filter(state__in=BulkItem.OPEN).exists():
            now, finished = timezone.now(), BulkOperation.State.FINISHED
            _rows(operation).update(state=finished, finished=now, heartbeat=now, error="")
            return True
    return not _items(operation).filter(_FREE).exists()


class _Shift:
    """A task at work on the images that it has taken."""

    def __init__(self, operation: BulkOperation, holder: str, deadline: float | None) -> None:
        self.operation, self.holder, self.deadline = operation, holder, deadline
        self.kind, self.options = operation.kind, operation.options
        self.told = 0.0
        #: What failed lately because rokka is in trouble, with the error: it may be more than these images.
        self.doubtful: list[tuple[list[BulkItem], Exception]] = []

    def work_on_all(self, items: Sequence[BulkItem]) -> None:
        """Work on one portion after the other, until time is up or the operation is stopped."""
        for portion in _portions(self.kind, items):
            if not self.goes_on():
                break
            self._work_on(self._begun(portion))
        self._give_up_doubtful()

    def goes_on(self) -> bool:
        """Whether there is time, and nobody has stopped the operation. Tells others that we are alive."""
        now = time.monotonic()
        if self.deadline is not None and now > self.deadline:
            return False
        running = _rows(self.operation).filter(state=BulkOperation.State.RUNNING)
        if now - self.told < 1:
            return running.exists()
        self.told = now
        return bool(running.update(heartbeat=timezone.now(), error=""))

    def _begun(self, portion: Sequence[BulkItem]) -> list[BulkItem]:
        """Mark a portion as running; without what was given to another task, because this one seemed lost."""
        held = _items(self.operation).filter(
            pk__in=[item.pk for item in portion], holder=self.holder, state__in=_HELD
        )
        if held.update(state=_State.RUNNING) == len(portion):
            return list(portion)
        still = set(held.values_list("pk", flat=True))
        return [item for item in portion if item.pk in still]

    def _work_on(self, items: list[BulkItem]) -> None:
        if not items:
            return
        try:
            outcomes = _outcomes(self.kind, items, self.options)
        except api.RateLimited:
            # rokka has not begun; an earlier try may have.
            self._close_as([item for item in items if not _is_again(item)], _State.TAKEN)
            raise
        except Exception as error:
            if len(items) > 1:
                self._work_on_each(items, again=isinstance(error, _TROUBLE))
                return
            self.doubtful.append((items, error))
            if len(self.doubtful) == _IN_A_ROW:
                raise
            return
        if any(state == _State.DONE for state, _ in outcomes.values()):
            self._give_up_doubtful()
        for outcome, same in groupby(
            sorted(items, key=lambda item: outcomes[item.pk]), key=lambda item: outcomes[item.pk]
        ):
            self._close_as(list(same), *outcome)

    def _work_on_each(self, items: Sequence[BulkItem], *, again: bool) -> None:
        """A call for all has failed: one of them is at fault, or the next calls fail as well."""
        for item in items:
            if not self.goes_on():
                break
            if again:
                item.state = _State.RUNNING
            self._work_on([item])

    def _give_up_doubtful(self) -> None:
        """What came after them went well, or they are few: these images failed by themselves."""
        for items, error in self.doubtful:
            self._close_as(items, _State.FAILED, explain(error))
        self.doubtful.clear()

    def _close_as(self, items: Sequence[BulkItem], state: int, reason: str = "") -> None:
        running = _items(self.operation).filter(state=_State.RUNNING, holder=self.holder)
        running.filter(pk__in=[item.pk for item in items]).update(state=state, reason=reason)


def _portions(kind: str, items: Sequence[BulkItem]) -> Iterator[list[BulkItem]]:
    """What one call is for: a single image, or for a copy all images of one organization."""
    if kind != BulkOperation.Kind.COPY:
        yield from ([item] for item in items)
        return
    for _, group in groupby(items, key=lambda item: item.image.organization):
        yield list(group)


def _outcomes(kind: str, items: list[BulkItem], options: Mapping[str, Any]) -> dict[int, _Outcome]:
    """Do it; what became of each, by key. Raises what concerns more than these images."""
    jobs = [Job(item.image, again=_is_again(item)) for item in items]
    if len(jobs) == 1:
        return {items[0].pk: _outcome(kind, jobs[0], options)}
    errors = copy_many(jobs, options)
    return {item.pk: _outcome_of(errors.get(item.image.pk)) for item in items}


def _is_again(item: BulkItem) -> bool:
    """Whether an earlier try may have done it: the state is what it was when the image was taken."""
    return item.state == _State.RUNNING


def _outcome(kind: str, job: Job, options: Mapping[str, Any]) -> _Outcome:
    try:
        act(kind, job, options)
    except _TROUBLE:
        raise
    except api.RateLimited as error:
        # A batch copy of many images waits as well.
        if kind == BulkOperation.Kind.COPY or not _is_long(error):
            raise
        return _outcome_of(error)
    except (Skipped, api.RokkaError, ImproperlyConfigured) as error:
        return _outcome_of(error)
    except Exception as error:
        logger.exception("%s of %s failed.", kind, job.image.hash)
        return _outcome_of(error)
    return _outcome_of(None)


def _outcome_of(error: Exception | None) -> _Outcome:
    if error is None:
        return _State.DONE, ""
    if isinstance(error, Skipped):
        return _State.SKIPPED, str(error)
    return _State.FAILED, explain(error)


def _is_long(error: api.RateLimited) -> bool:
    return error.retry_at is not None and error.retry_at > timezone.now() + _LONG


# --- Rows -------------------------------------------------------------------------------------


def _lock(operation: BulkOperation) -> str | None:
    """The state, which nobody else changes before the transaction ends."""
    return _rows(operation).select_for_update().values_list("state", flat=True).first()


def _rows(operation: BulkOperation) -> models.QuerySet[BulkOperation]:
    return BulkOperation.objects.filter(pk=operation.pk)


def _items(operation: BulkOperation) -> models.QuerySet[BulkItem]:
    return BulkItem.objects.filter(operation=operation.pk)


def _config(operation: BulkOperation) -> Config | None:
    """The alias that an operation's tasks are started with; ``None`` for one without images."""
    first = _items(operation).order_by("pk").values_list("image__organization", flat=True).first()
    return None if first is None else config_of(first)


def _concurrency(operation: BulkOperation) -> int:
    config = _config(operation)
    return 1 if config is None else config.concurrency


__all__ = [
    "Progress",
    "by_tasks",
    "create",
    "go_on",
    "progress",
    "resume_lost",
    "start",
    "stop",
    "take_up",
    "work",
]
