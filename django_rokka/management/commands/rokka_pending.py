"""``manage.py rokka_pending``: what Celery beat would run, for cron."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_rokka import deferred, lifecycle
from django_rokka.conf import DEFAULT_ALIAS


class Command(BaseCommand):
    """Parses, calls the services, and reports."""

    help = (
        "Upload the files that wait in the spool, and delete the images that no row has held for as "
        "long as UNREFERENCED says."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The alias that is looked after."""
        parser.add_argument("--alias", default=DEFAULT_ALIAS, help="a key of the ROKKA setting")

    def handle(self, *args: Any, alias: str, **options: Any) -> None:
        """Do both, and count."""
        uploads = deferred.upload_pending(alias)
        self.stdout.write(f"{uploads} uploads waited, {len(deferred.pending(alias))} still wait.")
        self.stdout.write(f"{lifecycle.delete_due(alias)} images deleted.")
