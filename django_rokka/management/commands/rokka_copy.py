"""``manage.py rokka_copy``: copy an organization's images to another one."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import closing
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from django_rokka import api
from django_rokka.bulk import copies
from django_rokka.conf import DEFAULT_ALIAS, Config
from django_rokka.management import progress
from django_rokka.models import BulkOperation, SyncRun
from django_rokka.sync import Busy, run_sync

_BUSY = 3
_GOES_ON = "What was copied is noted; --resume goes on from here."


class Command(BaseCommand):
    """Parses, calls `django_rokka.bulk.copies`, and reports."""

    help = (
        "Copy the pictures that rows of this site hold to another organization, a hundred with each call; "
        "with --unused all pictures of the organization. What is there already stays as it is. Exit code 1 if "
        "a picture could not be copied, 3 if a sync is under way, 130 after Ctrl-C."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Whereto, what, and how to begin."""
        parser.add_argument("--to", required=True, help="the organization to copy to")
        parser.add_argument("--alias", default=DEFAULT_ALIAS, help="a key of the ROKKA setting")
        parser.add_argument(
            "--unused", action="store_true", help="also the pictures that no row holds"
        )
        parser.add_argument(
            "--overwrite", action="store_true", help="write over what is there already"
        )
        parser.add_argument(
            "--no-sync", action="store_true", help="take the mirror as it is, without a sync first"
        )
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--resume", action="store_true", help="go on with the last copy that was not finished"
        )
        how.add_argument(
            "--anew", action="store_true", help="begin, though an earlier copy was not finished"
        )
        how.add_argument(
            "--dry-run", action="store_true", help="only count, by the mirror as it is"
        )

    def handle(self, *args: Any, to: str, alias: str, **options: Any) -> None:
        """Check, sync, copy, and say what became of the pictures."""
        try:
            config = copies.check(alias, to, overwrite=options["overwrite"])
        except (api.RokkaError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        if options["dry_run"]:
            count = copies.images_of(config, unused=options["unused"]).count()
            text = f"{count:,} pictures would be copied (nothing was written)"
            self.stdout.write(f"{config.organization} → {to}: {text}.")
            return
        operation = self._resumed(config, to, **options) or self._begun(config, to, **options)
        self._run(config, to, operation)

    def _resumed(
        self,
        config: Config,
        to: str,
        *,
        resume: bool,
        unused: bool,
        overwrite: bool,
        **options: Any,
    ) -> BulkOperation | None:
        if not resume:
            return None
        if unused or overwrite:
            raise CommandError(
                "--resume goes on with the options of the unfinished copy; leave --unused and --overwrite out."
            )
        operation = copies.resume(config, to)
        if operation is None:
            raise CommandError(f"No copy to {to!r} is unfinished; leave --resume out.")
        return operation

    def _begun(
        self,
        config: Config,
        to: str,
        *,
        unused: bool,
        overwrite: bool,
        anew: bool,
        no_sync: bool,
        **options: Any,
    ) -> BulkOperation:
        try:
            if not anew:
                copies.check_finished(config, to)
            if not no_sync:
                progress.follow(run_sync(config.alias, SyncRun.Kind.NEW), self.stderr)
            return copies.begin(config, to, unused=unused, overwrite=overwrite)
        except Busy as error:
            raise CommandError(str(error), returncode=_BUSY) from error
        except copies.Unfinished as error:
            advice = "--resume goes on with it, --anew begins from the start"
            raise CommandError(f"{error} {advice}.") from error

    def _run(self, config: Config, to: str, operation: BulkOperation) -> None:
        started = time.monotonic()
        progress.follow(self._told(copies.run(operation)), self.stderr, goes_on=_GOES_ON)
        found = copies.outcome(operation)
        self.stdout.write(
            f"{config.organization} → {to}: {found.copied:,} copied, {found.already:,} there already, "
            f"{found.gone:,} gone, {found.failed:,} failed, in {time.monotonic() - started:.1f} s."
        )
        for reason, count in found.reasons:
            self.stderr.write(f"{count:,} failed: {reason}")
        if found.left:
            self.stderr.write(f"Stopped; {found.left:,} are left. {_GOES_ON}")
        if found.failed or found.left:
            sys.exit(1)

    def _told(
        self, runs: Generator[copies.CopyRun, None, None]
    ) -> Generator[copies.CopyRun, None, None]:
        """The same, with a line for each pause."""
        with closing(runs):
            for run in runs:
                if run.paused_until:
                    moment = timezone.localtime(run.paused_until)
                    self.stderr.write(f"rokka asks for a pause until {moment:%Y-%m-%d %H:%M:%S}.")
                yield run
