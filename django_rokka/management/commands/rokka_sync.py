"""``manage.py rokka_sync``: let the mirror say what rokka says."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_rokka.conf import one_alias_each
from django_rokka.management import progress
from django_rokka.models import SyncRun
from django_rokka.sync import Busy, run_sync

_BUSY = 3


class Command(BaseCommand):
    """Parses, calls `django_rokka.sync`, and reports."""

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
            run = progress.follow(run_sync(alias, kind, dry_run=dry_run), self.stderr)
        except Busy as error:
            raise CommandError(str(error), returncode=_BUSY) from error
        counts = ", ".join(f"{getattr(run, name):,} {name}" for name in run.COUNTS)
        dry = " (nothing was written)" if dry_run else ""
        what = f"{run.organization}, {run.get_kind_display()}"
        self.stdout.write(f"{what}: {counts}, in {run.seconds:.1f} s{dry}.")
        return run.malformed
