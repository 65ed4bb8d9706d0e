"""How a command that takes a while shows how far it is, and how it ends before its end."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Protocol, TypeVar

from django.core.management.base import CommandError, OutputWrapper
from tqdm import tqdm

from django_rokka import api

_INTERRUPTED = 130
_GOES_ON = "The next run goes on from here."
#: Seconds between two lines where there is no terminal to draw on.
_EVERY = 5


class Run(Protocol):
    """How far a run is, in images; ``total`` is ``None`` as long as nobody knows."""

    @property
    def seen(self) -> int: ...
    @property
    def total(self) -> int | None: ...


_Run = TypeVar("_Run", bound=Run)


def follow(runs: Generator[_Run, None, None], stderr: OutputWrapper) -> _Run:
    """Go through a run that can go on where it stopped, show how far it is, and give its end.

    Raises `CommandError` for what rokka says against it, and with the exit code 130 for Ctrl-C.
    """
    try:
        with closing(runs):
            (run,) = deque(_drawn(runs, stderr), maxlen=1)
    except api.RokkaError as error:
        raise CommandError(f"{error} {_GOES_ON}") from error
    except KeyboardInterrupt:
        raise CommandError(f"Interrupted. {_GOES_ON}", returncode=_INTERRUPTED) from None
    return run


def _drawn(runs: Iterator[_Run], stderr: OutputWrapper) -> Iterator[_Run]:
    """The same, and a bar on a terminal, or a line now and then."""
    if sys.stderr.isatty():
        yield from _with_bar(runs)
        return
    said = time.monotonic()
    for run in runs:
        yield run
        if time.monotonic() - said > _EVERY:
            said = time.monotonic()
            stderr.write(f"{run.seen:,} of {run.total or run.seen:,}")


def _with_bar(runs: Iterator[_Run]) -> Iterator[_Run]:
    with tqdm(unit=" images", unit_scale=True, dynamic_ncols=True) as bar:
        for run in runs:
            bar.total = run.total
            bar.update(run.seen - bar.n)
            yield run
