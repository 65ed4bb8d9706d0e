"""``manage.py rokka_import``: move the files of columns to rokka."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_rokka.management import progress
from django_rokka.management.moving import MovingCommand, duration
from django_rokka.models import MovedFile
from django_rokka.moves import Column, Import, OldFiles, estimate


class Command(MovingCommand):
    """Parses, calls `django_rokka.moves`, and reports."""

    help = (
        "Upload the files of columns to rokka, and let the rows show them there. Rows show their old file "
        "until then. A run that is interrupted goes on with the next one; nothing is uploaded twice. Exit "
        "code 1 if files could not be moved."
    )
    direction = MovedFile.Direction.IMPORT
    mover = Import
    cleaner = OldFiles
    old = "old files"

    def add_arguments(self, parser: CommandParser) -> None:
        """The options that both ways have, and what an estimate goes by."""
        super().add_arguments(parser)
        parser.add_argument(
            "--mbits",
            type=float,
            default=50,
            help="million bits a second that go up, for the estimate of --dry-run (default: 50)",
        )

    def preview(self, column: Column, **options: Any) -> None:
        """Counts, sizes and an estimate."""
        workers, mbits = options["workers"], options["mbits"]
        if not mbits > 0:
            raise CommandError(f"--mbits must be more than 0, got {mbits:g}.")
        looking = estimate(column, workers=workers)
        found = progress.follow(looking, self.stderr, unit="rows", goes_on="Nothing was changed.")
        wrong = sum(found.failed.values())
        seconds = found.seconds(workers=workers, mbits=mbits)
        self.stdout.write(
            f"{column.label}: {found.files:,} files of {found.rows:,} rows, {self.bytes(found.size)} "
            f"(the largest {self.bytes(found.largest)}); {wrong:,} cannot be moved."
        )
        self.say_reasons(found.failed)
        self.stdout.write(
            f"About {duration(timedelta(seconds=seconds))} with {workers} at a time, at {mbits:g} Mbit/s and "
            f"{1000 * found.latency:.0f} ms for a call. Nothing was changed."
        )
