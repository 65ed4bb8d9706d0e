"""What a worker process runs: ``celery -A tests.workers.worker worker``.

It works on the test's database and for the test's emulator, kills itself where a plan says, and leaves a
file for each task that has ended.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import celery
import django
from celery.concurrency.asynpool import AsynPool
from celery.signals import after_task_publish, before_task_publish, task_postrun, task_prerun
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
    if wiring.chunk:
        from django_rokka.bulk import operations

        operations.CHUNK = wiring.chunk


def _shorten_pauses() -> None:
    """Limit the pause between two tries. All other options of the tasks stay as they are."""
    shared_task = celery.shared_task

    def with_limit(**options: Any) -> Any:
        return shared_task(**{**options, "retry_backoff_max": wiring.longest_pause})

    celery.shared_task = with_limit


def _notice_deaths_soon() -> None:
    """Look after dead children all the time: every second death is noticed by this timer, of 5 seconds."""
    AsynPool.timers = property(lambda pool: {pool.maintain_pool: 0.02})


def _spare_the_children() -> None:
    """Load here what every child would load again, and leave it out of the collection before each fork."""
    from billiard.util import set_pdeathsig
    from PIL import Image

    # Every child calls it; where cffi is installed, the first call loads a parser of C. Linux only.
    with contextlib.suppress(OSError):
        set_pdeathsig(0)
    Image.init()
    gc.collect()
    gc.freeze()


_prepare_django()
_notice_deaths_soon()
app = make_app(wiring.broker, wiring.queue, visibility_timeout=wiring.visibility_timeout)
app.set_default()
app.autodiscover_tasks(["django_rokka"], force=True)
_spare_the_children()


# --- Killing ----------------------------------------------------------------------------------

_MODULES = """
    bulk/operations bulk/actions deferred later lifecycle locks mirror models/images models/bulk
    references rehash rich_text storage tasks
"""
_PACKAGE = Path(django_rokka.__file__).parent
_WATCHED = {str(_PACKAGE / f"{name}.py") for name in _MODULES.split()}


class LineKiller:
    """A trace function: kills this process at a line at which none was killed yet.

    ``rest``: only at lines that leave this when divided by ``divisor``. ``files``: only in these; all if it is empty.
    ``once``: no more than this process.
    """

    def __init__(self, rest: int, divisor: int, files: list[str], *, once: bool) -> None:
        self.rest, self.divisor, self.files, self.once = rest, divisor, files, once
        self.seen: set[tuple[str, int]] = set()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        """See a call: only the lines of the watched files are worth a look."""
        return self._on_line if frame.f_code.co_filename in _WATCHED else None

    def _on_line(self, frame: FrameType, event: str, argument: Any) -> Any:
        line = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and line not in self.seen:
            self.seen.add(line)
            self._reach(Path(frame.f_code.co_filename).name, frame.f_lineno)
        return self._on_line

    def _reach(self, file: str, line: int) -> None:
        """Be at a line for the first time; whoever makes its file is killed."""
        if line % self.divisor == self.rest and (not self.files or file in self.files):
            with contextlib.suppress(FileExistsError):
                Path(wiring.places, f"{file}:{line}").touch(exist_ok=False)
                if self.once:
                    # Before the process is gone: the task that is delivered again runs through.
                    wiring.plan.unlink()
                _die()


def _die() -> None:
    wiring.runs(os.getpid()).unlink()
    os.kill(os.getpid(), signal.SIGKILL)


@task_prerun.connect
def _begin(**kwargs: Any) -> None:
    wiring.runs(os.getpid()).touch()
    with contextlib.suppress(FileNotFoundError):
        sys.settrace(LineKiller(**json.loads(wiring.plan.read_text())))


@before_task_publish.connect
def _note_sent(headers: dict[str, Any], **kwargs: Any) -> None:
    wiring.sent(headers["id"]).touch()


@after_task_publish.connect
def _note_published(headers: dict[str, Any], **kwargs: Any) -> None:
    wiring.sent(headers["id"]).write_text("published")


@task_postrun.connect
def _end(task_id: str, state: str, **kwargs: Any) -> None:
    sys.settrace(None)
    if state in ("SUCCESS", "FAILURE"):
        wiring.ended(task_id, state).touch()
    wiring.runs(os.getpid()).unlink()
