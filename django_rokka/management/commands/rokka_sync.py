"""``manage.py rokka_sync``: let the mirror say what rokka says."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from django_rokka import api
from django_rokka.conf import one_alias_each
from django_rokka.models import SyncRun
from django_rokka.sync import Busy, run_sync

_BUSY, _INTERRUPTED = 3, 130
#: Seconds between two lines where there is no terminal to draw on.
_EVERY = 5


class Command(BaseCommand):
    """Parses, calls `django_rokka.sync`, and draws how far it is."""

    help = (
        "Read what is new at rokka into the mirror; with --full all images, and look after those that "
        "are gone or have another hash. An interrupted run goes on where it was. Exit code 1 if "
        "something could not be read, 3 if another run is under way."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What to read, and whether to write."""
        parser.add_argument(
            "--alias",
            action="append",
            help="a key of the ROKKA setting; may be given several times (default: all organizations)",
        )
        parser.add_argument("--full", action="store_true", help="all images, not only new ones")
        parser.add_argument(
            "--deleted", action="store_true", help="the deleted images too, and what was purged"
        )
        parser.add_argument("--dry-run", action="store_true", help="change nothing, only count")

    def handle(
        self,
        *args: Any,
        alias: list[str] | None,
        full: bool,
        deleted: bool,
        dry_run: bool,
        **options: Any,
    ) -> None:
        """One run for each organization and kind, each with its summary."""
        kinds = [SyncRun.Kind.FULL if full else SyncRun.Kind.NEW]
        kinds += [SyncRun.Kind.DELETED] if deleted else []
        chosen = alias or one_alias_each()
        malformed = sum(self._run(name, kind, dry_run) for name in chosen for kind in kinds)
        if malformed:
            sys.exit(1)

    def _run(self, alias: str, kind: str, dry_run: bool) -> int:
        try:
            with closing(run_sync(alias, kind, dry_run=dry_run)) as runs:
                *_, run = self._drawn(runs)
        except Busy as error:
            raise CommandError(str(error), returncode=_BUSY) from error
        except api.RokkaError as error:
            raise CommandError(f"{error} The next run goes on from here.") from error
        except KeyboardInterrupt:
            message = "Interrupted. The next run goes on from here."
            raise CommandError(message, returncode=_INTERRUPTED) from None
        counts = ", ".join(f"{getattr(run, name):,} {name}" for name in run.COUNTS)
        dry = " (nothing was written)" if dry_run else ""
        what = f"{run.organization}, {run.get_kind_display()}"
        self.stdout.write(f"{what}: {counts}, in {run.seconds:.1f} s{dry}.")
        return run.malformed

    def _drawn(self, runs: Iterator[SyncRun]) -> Iterator[SyncRun]:
        """The same, and a bar on a terminal, or a line now and then."""
        if sys.stderr.isatty():
            yield from self._with_bar(runs)
            return
        said = time.monotonic()
        for run in runs:
            yield run
            if time.monotonic() - said > _EVERY:
                said = time.monotonic()
                self.stderr.write(f"{run.seen:,} of {run.total or run.seen:,}")

    def _with_bar(self, runs: Iterator[SyncRun]) -> Iterator[SyncRun]:
        with tqdm(unit=" images", unit_scale=True, dynamic_ncols=True) as bar:
            for run in runs:
                bar.total = run.total
                bar.update(run.seen - bar.n)
                yield run
