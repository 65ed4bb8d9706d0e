"""Moving many files side by side: threads read, send and compare, and this thread alone writes to the database."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Protocol, TypeVar

from django.db import DatabaseError, DataError, IntegrityError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import api
from .failures import Failure, read

logger = logging.getLogger("django_rokka.moves")

#: So many files that fail because rokka cannot be reached, and none that is done between, end the run.
_IN_A_ROW = 5
_TROUBLE = (api.ServerError, api.RokkaConnectionError)
#: What stands against every file.
_FINAL = (api.BadCredentials, api.NotAllowed, api.Refused)
#: Seconds to wait when rokka does not say how long, and the most to wait at a time.
_PAUSE, _LONGEST_PAUSE = 60.0, 3600.0

_Job = TypeVar("_Job")
_Carried = TypeVar("_Carried")


@dataclass
class Run:
    """How far a move is: in rows where they are counted beforehand, and in files."""

    total: int | None = None
    seen: int = 0
    #: Files that are done, and of these the ones for which no bytes had to be sent.
    done: int = 0
    reused: int = 0
    sent_bytes: int = 0
    #: Files whose rows showed something else by the time that they arrived.
    changed: int = 0
    failed: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Settled:
    """What became of a file: the rows that moved, the bytes that were sent."""

    rows: int
    sent: int = 0


class Mover(Protocol[_Job, _Carried]):
    """One kind of move. ``carry`` runs in a thread and must not use the database; the others run in one."""

    def total(self) -> int:
        """How many rows there are, before anything is begun."""
        ...

    def jobs(self) -> Iterator[_Job]:
        """What is to be done, each noted in the journal before it is given."""
        ...

    def carry(self, job: _Job) -> _Carried:
        """Bring the file to the other side, and compare it. Raises `Failure` and whatever storages raise."""
        ...

    def settle(self, job: _Job, carried: _Carried) -> Settled:
        """Let the rows show it, and note it as done."""
        ...

    def fail(self, job: _Job, failure: Failure) -> None:
        """Note what stands against it."""
        ...

    def rows(self, job: _Job) -> int:
        """How many rows were seen that want it."""
        ...


def move(mover: Mover[_Job, _Carried], *, workers: int) -> Generator[Run]:
    """Do all of it, ``workers`` files at a time, and give how far it is after each, and at the end.

    If it is closed, or ended by an error, the next run goes on. Rate limits are waited for. Raises the errors
    of `django_rokka.api.errors` that stand against every file.
    """
    run = Run(total=mover.total())
    yield run
    streak = 0
    with _carriers(workers) as pace:
        for job, carried in pace.side_by_side(mover.carry, mover.jobs()):
            rows = mover.rows(job)
            try:
                settled = mover.settle(job, carried.result())
            except Exception as error:
                if _stands_against_all(error):
                    raise
                # A file that is missing says nothing about rokka: it does not end the streak.
                streak += isinstance(error, _TROUBLE)
                _note_failure(mover, run, job, error)
                if streak == _IN_A_ROW:
                    raise
            else:
                streak, rows = 0, max(rows, settled.rows)
                _note(run, settled)
            run.seen += rows
            yield run
    yield run


def _stands_against_all(error: Exception) -> bool:
    if isinstance(error, DatabaseError):
        # A column may be unique, or have a constraint of its own, which one row breaks.
        return not isinstance(error, IntegrityError | DataError)
    return isinstance(error, _FINAL)


def _note(run: Run, settled: Settled) -> None:
    run.done += settled.rows > 0
    run.changed += not settled.rows
    run.reused += not settled.sent
    run.sent_bytes += settled.sent


def _note_failure(mover: Mover[_Job, _Carried], run: Run, job: _Job, error: Exception) -> None:
    failure = read(error)
    mover.fail(job, failure)
    run.failed[failure.reason] += 1


@contextmanager
def _carriers(workers: int) -> Iterator[_Pace]:
    """A pool of threads, which is empty when this ends: what has begun is finished, what waits is dropped."""
    used: list[BaseDatabaseWrapper] = []

    def begin() -> None:
        # A call asks the database who owns the organization; a thread's connection would outlive it.
        for connection in connections.all():
            connection.inc_thread_sharing()
            used.append(connection)

    with ThreadPoolExecutor(workers, "rokka-move", initializer=begin) as threads:
        pace = _Pace(threads, ahead=2 * workers)
        try:
            yield pace
        finally:
            pace.stopped.set()
            threads.shutdown(cancel_futures=True)
            for connection in used:
                connection.close()


class _Pace:
    """Threads that all wait while rokka asks one of them to."""

    def __init__(self, threads: ThreadPoolExecutor, *, ahead: int) -> None:
        self._threads = threads
        self._ahead = ahead
        self._until = 0.0
        self.stopped = threading.Event()

    def side_by_side(
        self, work: Callable[[_Job], _Carried], jobs: Iterable[_Job]
    ) -> Iterator[tuple[_Job, Future[_Carried]]]:
        """Work on the jobs, of which a few are taken ahead, and give each when it is done."""
        running: dict[Future[_Carried], _Job] = {}
        for job in jobs:
            running[self._threads.submit(self._at_pace, work, job)] = job
            if len(running) >= self._ahead:
                yield from _finished(running)
        while running:
            yield from _finished(running)

    def _at_pace(self, work: Callable[[_Job], _Carried], job: _Job) -> _Carried:
        while True:
            if self.stopped.wait(max(self._until - time.monotonic(), 0)):
                raise CancelledError
            try:
                return work(job)
            except api.RateLimited as error:
                self._pause(error.retry_at)

    def _pause(self, retry_at: datetime | None) -> None:
        asked = (retry_at - datetime.now(timezone.utc)).total_seconds() if retry_at else _PAUSE
        seconds = min(max(asked, 1.0), _LONGEST_PAUSE)
        logger.warning("rokka asks for fewer calls: going on in %.0f s.", seconds)
        self._until = max(self._until, time.monotonic() + seconds)


def _finished(
    running: dict[Future[_Carried], _Job],
) -> Iterator[tuple[_Job, Future[_Carried]]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        yield running.pop(future), future
