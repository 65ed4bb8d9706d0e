"""What `rokka_import` and `rokka_export` share: arguments, progress and the report."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from django_rokka.management import progress
from django_rokka.models import MovedFile
from django_rokka.moves import CannotMove, Column, Run, columns, journal, move

#: Failures that are shown; the others are in the report.
_SHOWN = 20
#: A hundred years: what a date can be counted back by.
_MOST_DAYS = 36_500


class MovingCommand(BaseCommand):
    """Moves the files of columns one way, and deletes them where they were."""

    direction: ClassVar[MovedFile.Direction]
    mover: ClassVar[Any]
    cleaner: ClassVar[Any]
    #: What ``--delete`` deletes.
    old: ClassVar[str]

    def add_arguments(self, parser: CommandParser) -> None:
        """Which columns, and how."""
        parser.add_argument("columns", nargs="+", metavar="app.Model.field")
        parser.add_argument(
            "--dry-run", action="store_true", help="change nothing, only count and estimate"
        )
        parser.add_argument(
            "--workers",
            type=int,
            help="files at a time, up to the alias's POOL_SIZE (default: its CONCURRENCY)",
        )
        keeping = parser.add_mutually_exclusive_group()
        keeping.add_argument(
            "--keep", action="store_true", help=f"leave the {self.old} (the default)"
        )
        keeping.add_argument(
            "--delete", action="store_true", help=f"delete the {self.old}, compared once more"
        )
        parser.add_argument(
            "--days",
            type=float,
            default=1,
            help="with --delete: only what was moved so long ago, since pages in caches show it (default: 1)",
        )
        parser.add_argument(
            "--report", metavar="FILE.csv", help="write what could not be moved, and why"
        )

    def handle(self, *labels: str, **options: Any) -> None:
        """Each column by itself, then the report."""
        found = [column for label in options["columns"] for column in self._columns(label)]
        if not 0 <= options["days"] <= _MOST_DAYS:
            raise CommandError(
                f"--days must be 0 or more, up to {_MOST_DAYS}, got {options['days']:g}."
            )
        for column in found:
            self._check_storage(column, delete=options["delete"])
        if options["report"]:
            _write([], options["report"])
        for column in found:
            self._see_to(column, {**options, "workers": _workers(column, options["workers"])})
        if not options["dry_run"]:
            self._report(found, options["report"])

    def preview(self, column: Column, **options: Any) -> None:
        """Say what would be done."""
        raise NotImplementedError

    def _columns(self, label: str) -> list[Column]:
        try:
            return columns(label)
        except CannotMove as error:
            raise CommandError(str(error)) from error

    def _check_storage(self, column: Column, *, delete: bool) -> None:
        if not column.reads_only:
            return
        name = type(column.fallback).__name__
        if self.direction == MovedFile.Direction.EXPORT:
            raise CommandError(
                f"{column.label}: nothing can be written to a {name}; set another FALLBACK."
            )
        if delete:
            raise CommandError(
                f"{column.label}: a {name} only reads, so its files cannot be deleted; leave out --delete, and "
                "delete them where they are."
            )

    def _see_to(self, column: Column, options: dict[str, Any]) -> None:
        if options["dry_run"]:
            self.preview(column, **options)
            return
        self._say(column, self._follow(self.mover(column), options["workers"]))
        if options["delete"]:
            cleaner = self.cleaner(column, timedelta(days=options["days"]))
            run = self._follow(cleaner, options["workers"])
            self.stdout.write(f"{column.label}: {run.done:,} {self.old} deleted.")
            self.say_reasons(run.failed)

    def _follow(self, mover: Any, workers: int) -> Run:
        return progress.follow(move(mover, workers=workers), self.stderr, unit="rows")

    def _say(self, column: Column, run: Run) -> None:
        self.stdout.write(
            f"{column.label}: {run.done:,} files moved, {self.bytes(run.sent_bytes)} sent "
            f"({run.reused:,} were there already), {run.changed:,} had changed meanwhile, "
            f"{sum(run.failed.values()):,} failed."
        )

    def say_reasons(self, failed: Counter[str]) -> None:
        """How many failed for which reason."""
        for reason, count in failed.most_common():
            self.stdout.write(f"    {count:,}: {MovedFile.Reason(reason).label}")

    def bytes(self, size: int) -> str:
        """A size for people."""
        return filesizeformat(size).replace("\xa0", " ")

    def _report(self, found: Sequence[Column], path: str | None) -> None:
        journal.forget(found, self.direction)
        failed = journal.failed(found, self.direction)
        if path:
            rows = failed.values_list("column", "source", "reason", "message")
            _write(rows.iterator(), path)
        count = failed.count()
        if not count:
            return
        self.stdout.write(f"{count:,} could not be moved; their rows show what they did before:")
        for moved in failed[:_SHOWN]:
            said = f"{moved.get_reason_display()}. {moved.message}".rstrip()
            self.stdout.write(f"    {moved.source}: {said}")
        if count > _SHOWN and not path:
            self.stdout.write("    … all of them with --report FILE.csv")
        self.stdout.write("Mend what can be mended, and run this again.")
        sys.exit(1)


def _workers(column: Column, wanted: int | None) -> int:
    config = column.storage.config
    workers = config.concurrency if wanted is None else wanted
    if not 1 <= workers <= config.pool_size:
        raise CommandError(
            f"--workers must be from 1 to {config.pool_size}, got {workers}; "
            f"for more, raise ROKKA[{config.alias!r}]['POOL_SIZE']."
        )
    return workers


def _write(failed: Iterable[Sequence[str]], path: str) -> None:
    try:
        with open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["column", "name", "reason", "message"])
            table.writerows(failed)
    except OSError as error:
        raise CommandError(f"The report cannot be written: {error}") from error


def duration(span: timedelta) -> str:
    """Hours and minutes, or seconds, for people."""
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"
