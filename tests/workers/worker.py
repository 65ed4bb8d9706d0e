"""What a worker process runs: ``celery -A tests.workers.worker worker``.

It works on the test's database and for the test's emulator, kills itself where a plan says, and leaves a
file for each task that has ended.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import celery
import django
from celery.concurrency.asynpool import AsynPool
from celery.signals import task_postrun, task_prerun
from django.conf import settings

import django_rokka
from tests.workers.app import make_app
from tests.workers.wiring import Wiring

wiring = Wiring.from_environment()


def _prepare_django() -> None:
    for alias, name in wiring.databases.items():
        settings.DATABASES[alias]["NAME"] = name
    settings.ROKKA = wiring.rokka
    settings.MEDIA_ROOT = wiring.media_root
    _shorten_pauses()
    django.setup()


def _shorten_pauses() -> None:
    """Limit the pause between two tries. All other options of the tasks stay as they are."""
    shared_task = celery.shared_task

    def with_limit(**options: Any) -> Any:
        return shared_task(**{**options, "retry_backoff_max": wiring.longest_pause})

    celery.shared_task = with_limit


def _notice_deaths_soon() -> None:
    """Look after dead children all the time: every second death is noticed by this timer, of 5 seconds."""
    AsynPool.timers = property(lambda pool: {pool.maintain_pool: 0.02})


_prepare_django()
_notice_deaths_soon()
app = make_app(wiring.broker, wiring.queue, visibility_timeout=wiring.visibility_timeout)
app.set_default()
app.autodiscover_tasks(["django_rokka"], force=True)


# --- Killing ----------------------------------------------------------------------------------

_MODULES = """
    bulk/operations bulk/actions deferred later lifecycle locks mirror models/images models/bulk
    references rehash rich_text storage tasks
"""
_PACKAGE = Path(django_rokka.__file__).parent
_WATCHED = {str(_PACKAGE / f"{name}.py") for name in _MODULES.split()}


class LineKiller:
    """A trace function: kills this process at the first run of the ``nth`` line it has not seen yet."""

    def __init__(self, nth: int) -> None:
        self.nth = nth
        self.seen: set[tuple[str, int]] = set()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        """See a call: only the lines of the watched files are worth a look."""
        return self._on_line if frame.f_code.co_filename in _WATCHED else None

    def _on_line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.seen.add((frame.f_code.co_filename, frame.f_lineno))
            if len(self.seen) == self.nth:
                _die(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        return self._on_line


def _die(place: str) -> None:
    # The plan is gone before the process is: the task that is delivered again runs through.
    wiring.plan.unlink()
    wiring.struck.write_text(place)
    os.kill(os.getpid(), signal.SIGKILL)


@task_prerun.connect
def _begin(**kwargs: Any) -> None:
    if wiring.plan.exists():
        sys.settrace(LineKiller(int(wiring.plan.read_text())))


@task_postrun.connect
def _end(task_id: str, state: str, **kwargs: Any) -> None:
    sys.settrace(None)
    if state in ("SUCCESS", "FAILURE"):
        wiring.ended(task_id, state).touch()
