"""``manage.py rokka_doctor``: whether the installation is well, and what to do where it is not."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_rokka import conf, doctor
from django_rokka.doctor import Case, Finding, Level
from django_rokka.doctor.drift import LIMIT
from django_rokka.doctor.examine import configs_of_aliases, one_each
from django_rokka.doctor.files import Files
from django_rokka.doctor.probe import SECONDS

_BAD = {"error": {Level.ERROR}, "warning": {Level.ERROR, Level.WARNING}}


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= 600:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no directory")
    return Path(text)


class Command(BaseCommand):
    """Parses, calls `django_rokka.doctor`, and reports."""

    help = (
        "Check the installation: settings, tables, keys, stacks, renders, clock, workers, schedule, and rows "
        "whose picture is gone. Nothing is changed without --repair. Exit code 1 if there is an error."
    )
    # It reports them itself.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """What to look at, how long, and how to say it."""
        parser.add_argument(
            "--alias",
            action="append",
            help="a key of the ROKKA setting; may be given several times (default: all)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")
        parser.add_argument(
            "--fail-on", choices=_BAD, default="error", help="what makes the exit code 1"
        )
        parser.add_argument(
            "--timeout",
            type=_seconds,
            default=SECONDS,
            help=f"seconds for each connection, and each part of an answer (default: {SECONDS:g})",
        )
        self._add_reference_arguments(parser)

    def _add_reference_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            *("--references", "--drift"),
            action="store_true",
            help="only the pictures that are gone, with their rows and what can be done; rokka is asked",
        )
        parser.add_argument(
            "--offline",
            action="store_true",
            help="with --references: ask the mirror, and not rokka",
        )
        parser.add_argument(
            "--limit",
            type=_count,
            default=LIMIT,
            help=f"ask rokka about so many pictures; 0 for all (default: {LIMIT})",
        )
        parser.add_argument(
            "--repair", action="store_true", help="restore, repoint or upload again what is gone"
        )
        parser.add_argument(
            "--files", type=_folder, help="a directory in which files are looked for by their bytes"
        )

    def handle(self, *args: Any, alias: list[str] | None, **options: Any) -> None:
        """Look, tell, and end with 1 if it is bad."""
        for name in alias or ():
            if name not in conf.aliases():
                known = ", ".join(conf.aliases()) or "none"
                raise CommandError(f"There is no alias {name!r}; known: {known}.")
        self._secrets = set(doctor.secrets())
        found = self._found(alias or [], options)
        findings = self._print_json(found) if options["json"] else self._print(found)
        if _BAD[options["fail_on"]] & {finding.level for finding in findings}:
            sys.exit(1)

    def _found(self, aliases: list[str], options: Any) -> Iterator[Case | Finding]:
        if not (options["references"] or options["repair"]):
            yield from doctor.examine(aliases, seconds=options["timeout"])
            return
        files = Files(options["files"])
        for config in one_each(configs_of_aliases(aliases)):
            yield from doctor.references_of(
                config,
                ask=not options["offline"],
                limit=options["limit"] or None,
                mend=options["repair"],
                files=files,
                seconds=options["timeout"],
            )

    # --- Output -------------------------------------------------------------------------------

    def _print_json(self, found: Iterator[Case | Finding]) -> list[Finding]:
        items = list(found)
        findings = [item for item in items if isinstance(item, Finding)]
        document = {
            "version": doctor.VERSION,
            "counts": doctor.counts(findings),
            "findings": [finding.as_json() for finding in findings],
            "references": [item.as_json() for item in items if isinstance(item, Case)],
        }
        self._write(json.dumps(document, indent=2, ensure_ascii=False))
        return findings

    def _print(self, found: Iterator[Case | Finding]) -> list[Finding]:
        findings = []
        for item in found:
            if isinstance(item, Finding):
                findings.append(item)
                self._print_finding(item)
            else:
                self._print_case(item)
        counts = doctor.counts(findings)
        said = ", ".join(f"{count} {level}" for level, count in counts.items() if count)
        self._write(f"{said}.")
        return findings

    def _print_finding(self, finding: Finding) -> None:
        style = {
            Level.OK: self.style.SUCCESS,
            Level.WARNING: self.style.WARNING,
            Level.ERROR: self.style.ERROR,
        }
        level = style.get(finding.level, str)(f"{finding.level.value:8}")
        where = f"{finding.check} ({finding.alias})" if finding.alias else finding.check
        self._write(f"{level} {where}: {finding.seen}")
        if finding.advice:
            self._write(f"         → {finding.advice}")

    def _print_case(self, case: Case) -> None:
        done = "done" if case.done else "possible"
        way = case.remedy.way.value if case.remedy.way.value != "none" else "nothing"
        self._write(f"{case.hash}  {case.name}".rstrip())
        self._write(f"    {way} {done}: {case.remedy.text}")
        for row in case.rows:
            self._write(f"    {row.model} {row.pk}, {row.field}")
        if case.more_rows:
            self._write("    and more rows")

    def _write(self, text: str) -> None:
        # Once more, whatever an error may have said.
        self.stdout.write(doctor.hidden(self._secrets, text))
