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
    """How far a run is; ``total`` is ``None`` as long as nobody knows."""

    @property
    def seen(self) -> int: ...
    @property
    def total(self) -> int | None: ...


_Run = TypeVar("_Run", bound=Run)


def follow(
    runs: Generator[_Run, None, None],
    stderr: OutputWrapper,
    *,
    unit: str = "images",
    goes_on: str = _GOES_ON,
) -> _Run:
    """Go through a run that can go on where it stopped, show how far it is in ``unit``, and give its end.

    Raises `CommandError` for what rokka says against it, and with the exit code 130 for Ctrl-C; it ends with
    ``goes_on``, which tells how to go on.
    """
    try:
        with closing(runs):
            (run,) = deque(_drawn(runs, stderr, unit), maxlen=1)
    except api.RokkaError as error:
        raise CommandError(f"{error} {goes_on}") from error
    except KeyboardInterrupt:
        raise CommandError(f"Interrupted. {goes_on}", returncode=_INTERRUPTED) from None
    return run


def _drawn(runs: Iterator[_Run], stderr: OutputWrapper, unit: str) -> Iterator[_Run]:
    """The same, and a bar on a terminal, or a line now and then."""
    if sys.stderr.isatty():
        yield from _with_bar(runs, unit)
        return
    began = said = time.monotonic()
    for run in runs:
        yield run
        if time.monotonic() - said > _EVERY:
            said = time.monotonic()
            stderr.write(_line(run, said - began, unit))


def _line(run: Run, elapsed: float, unit: str) -> str:
    """Such as ``1,200 of 5,000 rows, 75.3/s, 00:50 left``."""
    rate = run.seen / elapsed
    left = (run.total - run.seen) / rate if run.total and run.seen else None
    ends = f", {tqdm.format_interval(max(left, 0))} left" if left is not None else ""
    return f"{run.seen:,} of {run.total or run.seen:,} {unit}, {rate:.1f}/s{ends}"


def _with_bar(runs: Iterator[_Run], unit: str) -> Iterator[_Run]:
    with tqdm(unit=f" {unit}", unit_scale=True, dynamic_ncols=True) as bar:
        for run in runs:
            bar.total = run.total
            bar.update(run.seen - bar.n)
            yield run
