"""``manage.py rokka_orphans``: images that this site uploaded and no row holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from django_rokka import api, lifecycle
from django_rokka.conf import DEFAULT_ALIAS


class Command(BaseCommand):
    """Parses, calls `django_rokka.lifecycle`, and reports."""

    help = (
        "List images that this site uploaded and that no row of any database holds; with --delete, "
        "delete them. They can be restored at rokka for 30 days."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The options; without --delete nothing is changed."""
        parser.add_argument("--alias", default=DEFAULT_ALIAS, help="a key of the ROKKA setting")
        parser.add_argument(
            "--days", type=float, default=7, help="leave alone what was uploaded since (default: 7)"
        )
        parser.add_argument("--delete", action="store_true", help="delete what is found")

    def handle(self, *args: Any, alias: str, days: float, delete: bool, **options: Any) -> None:
        """List, or delete, and count."""
        if days < 0:
            raise CommandError(f"--days must be 0 or more, got {days:g}.")
        count = size = 0
        for image in lifecycle.orphans(alias, older_than=timedelta(days=days)):
            outcome = self._delete(image) if delete else ""
            self.stdout.write(f"{image.hash}  {image.uploaded:%Y-%m-%d}  {image.name}{outcome}")
            count, size = count + 1, size + (image.size or 0)
        self.stdout.write(f"{count} orphans, {filesizeformat(size)}.")
        if count and not delete:
            self.stdout.write("Nothing was deleted; run this again with --delete to do so.")

    def _delete(self, image: Any) -> str:
        try:
            return (
                "  deleted" if lifecycle.delete_unreferenced(image) else "  kept: a row has it now"
            )
        except api.Refused as error:
            raise CommandError(error.message) from error
        except api.RokkaError as error:
            return f"  kept: {error.message}"
