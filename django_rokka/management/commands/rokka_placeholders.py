"""``manage.py rokka_placeholders``: make the placeholders that are missing."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_rokka import placeholders
from django_rokka.conf import one_alias_each
from django_rokka.management import progress


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return number


class Command(BaseCommand):
    """Parses, calls `django_rokka.placeholders`, and reports."""

    help = (
        "Make the placeholders that are missing: a tiny picture and the dominant colour, from two renders "
        "of each image. An interrupted run goes on where it was. Exit code 1 if some images failed: the "
        f"next runs try them again, {placeholders.TRIES} times in all."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """For whom, and how many."""
        parser.add_argument(
            "--alias",
            action="append",
            help="a key of the ROKKA setting; may be given several times (default: all organizations)",
        )
        parser.add_argument(
            "--limit", type=_count, help="at most so many images for each (default: all)"
        )
        parser.add_argument(
            "--again",
            action="store_true",
            help="also the images that have no placeholder though they were seen to: transparent ones, "
            "and those given up",
        )

    def handle(
        self, *args: Any, alias: list[str] | None, limit: int | None, again: bool, **options: Any
    ) -> None:
        """One run for each organization, each with its summary."""
        chosen = alias or one_alias_each()
        failed = sum([self._run(name, limit, again) for name in chosen])
        if failed:
            sys.exit(1)

    def _run(self, alias: str, limit: int | None, again: bool) -> int:
        if again:
            placeholders.try_again(alias)
        started = time.monotonic()
        run = progress.follow(placeholders.fill_missing(alias, limit=limit), self.stderr)
        self.stdout.write(
            f"{alias}: {run.filled:,} placeholders made, {run.plain:,} images cannot have one, "
            f"{run.failed:,} failed, {run.given_up:,} given up, {placeholders.count_missing(alias):,} "
            f"still to do, in {time.monotonic() - started:.1f} s."
        )
        return run.failed + run.given_up
