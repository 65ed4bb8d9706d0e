"""``manage.py rokka_export``: move the files of columns back from rokka."""

from __future__ import annotations

from typing import Any

from django_rokka.management import progress
from django_rokka.management.moving import MovingCommand
from django_rokka.models import MovedFile
from django_rokka.moves import Column, Export, OldImages, weigh


class Command(MovingCommand):
    """Parses, calls `django_rokka.moves`, and reports."""

    help = (
        "Download the images of columns into the storage that they fall back to, and let the rows show them "
        "there. A run that is interrupted goes on with the next one; nothing is downloaded twice. Exit code 1 "
        "if images could not be moved."
    )
    direction = MovedFile.Direction.EXPORT
    mover = Export
    cleaner = OldImages
    old = "images at rokka"

    def preview(self, column: Column, **options: Any) -> None:
        """Counts, and the sizes that the mirror has."""
        weighing = weigh(column)
        found = progress.follow(weighing, self.stderr, unit="rows", goes_on="Nothing was changed.")
        self.stdout.write(
            f"{column.label}: {found.rows:,} rows show images, {found.files:,} files of "
            f"{self.bytes(found.size)} (the largest {self.bytes(found.largest)}). Nothing was changed."
        )
