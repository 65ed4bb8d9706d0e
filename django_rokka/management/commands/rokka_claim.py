"""``manage.py rokka_claim``: say that an organization's images belong to this site."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_rokka import environment
from django_rokka.conf import DEFAULT_ALIAS, get_config


class Command(BaseCommand):
    """Parses, calls `django_rokka.environment`, and reports."""

    help = (
        "Claim an organization for this site's ENVIRONMENT, whoever had it. Do not run it in a copy "
        "of another site's database: this site could delete that one's pictures then."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The alias whose organization is claimed."""
        parser.add_argument("alias", nargs="?", default=DEFAULT_ALIAS)

    def handle(self, *args: Any, alias: str, **options: Any) -> None:
        """Claim, and tell whose it was."""
        config = get_config(alias)
        former = environment.claim(config)
        own = config.environment or "nobody"
        self.stdout.write(
            f"{config.organization} belongs to {own}; it belonged to {former or 'nobody'}."
        )
