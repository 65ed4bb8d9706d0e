"""What a check finds: every outcome that there is, with its level and what to do about it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

#: The form of the JSON document; another number means other keys.
VERSION = 1


class Level(enum.Enum):
    """How bad it is."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    ERROR = "error"


class Outcome(NamedTuple):
    """A level, and the advice; ``{alias}`` and other names in braces are filled in."""

    level: Level
    advice: str = ""


_OK, _SKIPPED, _WARNING, _ERROR = Level.OK, Level.SKIPPED, Level.WARNING, Level.ERROR

#: What is looked at, in this order.
CHECKS: Mapping[str, str] = {
    "settings": "The system checks of django_rokka.",
    "schema": "The tables of django_rokka, and its migrations.",
    "key": "Whether rokka takes the key or token, and what its user may do, as far as rokka says.",
    "organization": "Whether the organization exists, and its limits.",
    "environment": "Which environment the images belong to.",
    "stacks": "The stacks of the setting against those at rokka.",
    "signing": "Whether what is protected can be signed with a key that the organization has.",
    "render": "A render, fetched as a browser does.",
    "clock": "Our clock against rokka's.",
    "broker": "Whether Celery's broker can be reached.",
    "worker": "Whether workers answer, know our tasks and take them from their queues.",
    "schedule": "What beat or cron sees to: syncs, bulk operations, uploads and deletions that wait.",
    "references": "Rows whose picture is gone.",
}

#: Every outcome by its code, which begins with the check. `*` stands for any check.
OUTCOMES: Mapping[str, Outcome] = {
    "*.skipped": Outcome(_SKIPPED, "See to what is wrong above, and run this again."),
    "*.failed": Outcome(
        _ERROR, "Run this again in a minute; if it stays so, the sentence says what to look for."
    ),
    "settings.ok": Outcome(_OK),
    "settings.warning": Outcome(_WARNING, "{hint}"),
    "settings.error": Outcome(_ERROR, "{hint}"),
    "schema.ok": Outcome(_OK),
    "schema.unapplied": Outcome(_ERROR, "Run: manage.py migrate --database={database}"),
    "schema.tables": Outcome(
        _ERROR,
        "Their migrations are noted as applied: restore the database, or apply what "
        "manage.py sqlmigrate shows of the migrations that make them.",
    ),
    "key.ok": Outcome(_OK),
    "key.missing": Outcome(
        _WARNING,
        "Read it from the environment: ROKKA['{alias}']['API_KEY'] = os.environ['ROKKA_API_KEY'].",
    ),
    "key.refused": Outcome(
        _ERROR,
        "Put a valid key into ROKKA['{alias}']['API_KEY']; rokka's dashboard shows and makes keys. "
        "A token may have expired.",
    ),
    "key.forbidden": Outcome(
        _ERROR,
        "Give the key's user a membership of '{organization}' in rokka's dashboard, or correct "
        "ORGANIZATION.",
    ),
    "key.read_only": Outcome(
        _WARNING,
        "Give its user the role 'write' in rokka's dashboard, or set READ_ONLY for this alias.",
    ),
    "key.unreachable": Outcome(
        _ERROR, "Check BASE_URL, and from this machine: curl -sS -o /dev/null {base_url}"
    ),
    "organization.ok": Outcome(_OK),
    "organization.unknown": Outcome(_ERROR, "Correct ROKKA['{alias}']['ORGANIZATION']."),
    "organization.hidden": Outcome(
        _WARNING, "Nothing needs it but this check; a key with more rights shows more."
    ),
    "environment.ok": Outcome(_OK),
    "environment.foreign": Outcome(
        _WARNING,
        "Give this site an organization of its own, or set READ_ONLY; if the images do belong here, "
        "run: manage.py rokka_claim {alias}",
    ),
    "stacks.ok": Outcome(_OK),
    "stacks.missing": Outcome(_ERROR, "Run: manage.py rokka_stacks push --alias={alias}"),
    "stacks.changed": Outcome(_WARNING, "See: manage.py rokka_stacks diff --alias={alias}"),
    "stacks.mistaken": Outcome(_ERROR, "Correct it in ROKKA['{alias}']['STACKS']."),
    "stacks.obsolete": Outcome(_WARNING, "Run: manage.py rokka_stacks prune --alias={alias}"),
    "stacks.default": Outcome(
        _ERROR, "Correct ROKKA['{alias}']['STACK'], or declare the stack in STACKS and push it."
    ),
    "signing.ok": Outcome(_OK),
    "signing.missing": Outcome(
        _ERROR,
        "Put a signing key of '{organization}', which rokka gives on request, into "
        "ROKKA['{alias}']['SIGNING_KEY'].",
    ),
    "signing.wrong": Outcome(
        _ERROR,
        "Put one of the signing keys that rokka gave '{organization}' into ROKKA['{alias}']['SIGNING_KEY'].",
    ),
    "signing.unknown": Outcome(
        _WARNING,
        "Compare SIGNING_KEY with what rokka gave you, or use an API key with more rights.",
    ),
    "signing.undeclared": Outcome(
        _ERROR,
        "Its URLs are not signed: declare it in STACKS, with the option 'protected'; see "
        "manage.py rokka_stacks pull --alias={alias}",
    ),
    "render.ok": Outcome(_OK),
    "render.nothing": Outcome(_SKIPPED, "Upload a picture, and run this again."),
    "render.missing": Outcome(
        _ERROR, "Check that the stack '{stack}' exists at rokka, and that RENDER_URL is right."
    ),
    "render.refused": Outcome(
        _ERROR, "It needs a signed URL: see the check 'signing', and SIGNING_KEY."
    ),
    "render.broken": Outcome(
        _ERROR, "Check that RENDER_URL is rokka's own, and look at what comes: curl -sSI {url}"
    ),
    "render.unreachable": Outcome(
        _ERROR, "Check RENDER_URL, and from this machine: curl -sS -o /dev/null {base}"
    ),
    "clock.ok": Outcome(_OK),
    "clock.off": Outcome(
        _WARNING, "Let this machine set its clock by NTP: timedatectl set-ntp true"
    ),
    "clock.wrong": Outcome(
        _ERROR,
        "Tokens and signed URLs with a time limit fail by this: timedatectl set-ntp true",
    ),
    "broker.ok": Outcome(_OK),
    "broker.unused": Outcome(_SKIPPED),
    "broker.missing": Outcome(
        _ERROR,
        "Install django-rokka[celery] and what your broker needs, such as celery[redis], or correct "
        "CELERY_BROKER_URL.",
    ),
    "broker.no_app": Outcome(
        _ERROR,
        "Make a Celery app and import it in your project's __init__.py; see Celery's first steps "
        "with Django.",
    ),
    "broker.unreachable": Outcome(
        _ERROR, "Start the broker, or correct CELERY_BROKER_URL; what waits meanwhile is not lost."
    ),
    "worker.ok": Outcome(_OK),
    "worker.unused": Outcome(_SKIPPED),
    "worker.unasked": Outcome(
        _SKIPPED, "Look at the worker's own log; only with remote control can it be asked."
    ),
    "worker.none": Outcome(_ERROR, "Start one: celery -A {app} worker"),
    "worker.tasks": Outcome(
        _ERROR,
        "Call app.autodiscover_tasks() in your Celery app, install the same version everywhere, and "
        "restart the workers.",
    ),
    "worker.queues": Outcome(
        _ERROR, "Let a worker take from it: celery -A {app} worker -Q {queues}"
    ),
    "schedule.ok": Outcome(_OK),
    "schedule.sync": Outcome(
        _WARNING, "See that beat or cron runs: manage.py rokka_sync --alias={alias}"
    ),
    "schedule.bulk": Outcome(
        _WARNING, "Let beat run resume_bulk_operations, or open the operation in the admin."
    ),
    "schedule.uploads": Outcome(
        _WARNING, "Let beat or cron run: manage.py rokka_pending --alias={alias}"
    ),
    "schedule.lost": Outcome(
        _ERROR,
        "Web and workers must share the spool; see SPOOL. Give these rows their files again.",
    ),
    "schedule.deletions": Outcome(
        _WARNING, "Let beat or cron run: manage.py rokka_pending --alias={alias}"
    ),
    "references.ok": Outcome(_OK),
    "references.gone": Outcome(
        _ERROR,
        "See which rows, and what can be done: manage.py rokka_doctor --references --alias={alias}",
    ),
    "references.unknown": Outcome(
        _WARNING, "Ask rokka about them: manage.py rokka_doctor --references --alias={alias}"
    ),
    "references.limited": Outcome(
        _WARNING, "Ask about all: manage.py rokka_doctor --references --limit=0 --alias={alias}"
    ),
    "references.repairable": Outcome(
        _ERROR, "Run: manage.py rokka_doctor --repair --alias={alias}"
    ),
    "references.repaired": Outcome(_OK),
    "references.left": Outcome(
        _ERROR,
        "Give these rows another picture, or say where the files are: "
        "manage.py rokka_doctor --repair --files=DIR --alias={alias}",
    ),
}


@dataclass(frozen=True)
class Finding:
    """What was seen, and what to do about it. ``alias`` is empty for what concerns the whole site."""

    code: str
    level: Level
    seen: str
    advice: str = ""
    alias: str = ""

    @property
    def check(self) -> str:
        """The check that found it."""
        return self.code.partition(".")[0]

    def as_json(self) -> dict[str, str]:
        """Its part of the JSON document."""
        return {
            "check": self.check,
            "code": self.code,
            "alias": self.alias,
            "level": self.level.value,
            "seen": self.seen,
            "advice": self.advice,
        }


def found(code: str, seen: str, *, alias: str = "", **values: Any) -> Finding:
    """A finding of `OUTCOMES`; ``values`` are what its advice names."""
    outcome = OUTCOMES.get(code) or OUTCOMES[f"*.{code.partition('.')[2]}"]
    # One that is about the whole site has no alias to name.
    advice = outcome.advice.format(alias=alias, **values)
    return Finding(code, outcome.level, seen, advice, alias)


def without(secrets: Iterable[str], finding: Finding) -> Finding:
    """The finding with ``…`` where a secret would show."""
    return replace(
        finding, seen=hidden(secrets, finding.seen), advice=hidden(secrets, finding.advice)
    )


def hidden(secrets: Iterable[str], text: str) -> str:
    """A text with ``…`` for each secret in it."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(str(secret), "…")
    return text


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many there are of each level."""
    total = dict.fromkeys((level.value for level in Level), 0)
    for finding in findings:
        total[finding.level.value] += 1
    return total
