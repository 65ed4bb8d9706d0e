"""``manage.py rokka_broken``: the pictures that rows show and rokka does not have."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_rokka import references
from django_rokka.conf import DEFAULT_ALIAS, get_config
from django_rokka.models import SourceImage


class Command(BaseCommand):
    """Parses, asks the mirror, and reports."""

    help = "List the pictures that are gone, and the rows that show them. Exit code 1 if there are any."

    def add_arguments(self, parser: CommandParser) -> None:
        """The alias whose organization is looked at."""
        parser.add_argument("--alias", default=DEFAULT_ALIAS, help="a key of the ROKKA setting")

    def handle(self, *args: Any, alias: str, **options: Any) -> None:
        """One line for each image, and below it one for each row."""
        images = SourceImage.objects.broken().filter(organization=get_config(alias).organization)
        count = 0
        for image in images.one_by_one():
            count += 1
            self.stdout.write(f"{image.hash}  {image.name}: {image.get_broken_display()}")
            for reference in references.of(image):
                row = reference.row
                self.stdout.write(f"    {row._meta.label} {row.pk}, {reference.field}: {row}")
        self.stdout.write(f"{count} pictures are gone.")
        if count:
            self.stdout.write(
                "Restore what was deleted within 30 days, or give the rows another picture."
            )
            sys.exit(1)
