"""What a mover notes: a file before anything is sent for it, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections
from django.db.models import Q
from django.utils import timezone

from ..models import MovedFile
from .columns import Column
from .failures import Failure

State = MovedFile.State
_PORTION = 500


def begin(column: Column, direction: str, targets: Mapping[str, str]) -> set[str]:
    """Note names, with the ones that they are to have if that is known; gives those noted by earlier runs."""
    noted = column.journal(direction).filter(source__in=targets)
    known = set(noted.values_list("source", flat=True))
    rows = [
        MovedFile(column=column.label, direction=direction, source=source, target=target)
        for source, target in targets.items()
    ]
    unique = connections[noted.db].features.supports_update_conflicts_with_target
    MovedFile.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["column", "direction", "source"] if unique else None,
        update_fields=["target", "state", "reason", "message", "deleted", "changed"],
    )
    return known


def finish(column: Column, direction: str, source: str, target: str, **facts: Any) -> None:
    """Note a file as moved and verified. What is noted of the opposite move is not true any more.

    But for what was deleted where it was before: a copy of a row that is saved late finds it by the note.
    """
    column.journal(direction).filter(source=source).update(
        target=target, state=State.DONE, changed=timezone.now(), **facts
    )
    others = [value for value in MovedFile.Direction if value != direction]
    back = Q(source=target) | Q(target=source, deleted=None)
    column.journal(others[0]).filter(back).delete()


def fail(column: Column, direction: str, source: str, failure: Failure) -> None:
    """Note what stands against a file."""
    column.journal(direction).filter(source=source).update(
        state=State.FAILED,
        reason=failure.reason,
        message=_storable(failure.message),
        changed=timezone.now(),
    )


def _storable(message: str) -> str:
    """What a database takes: libraries may quote bytes that are no text."""
    return message[:1000].replace("\0", "").encode(errors="replace").decode()


def failed(columns: Sequence[Column], direction: str) -> Any:
    """The rows of the files that could not be moved, as long as they are noted so."""
    labels = {column.label for column in columns}
    rows = MovedFile.objects
    return rows.filter(column__in=labels, direction=direction, state=State.FAILED).order_by("pk")


def forget(columns: Sequence[Column], direction: str) -> None:
    """Forget failures of names that no row has any more: there is nothing left to mend."""
    for label in {column.label for column in columns}:
        own = [column for column in columns if column.label == label]
        noted, last = own[0].journal(direction), 0
        failures = noted.filter(state=State.FAILED).order_by("pk")
        while portion := list(failures.filter(pk__gt=last).values_list("pk", "source")[:_PORTION]):
            last = portion[-1][0]
            had = set().union(*(column.having({name for _, name in portion}) for column in own))
            noted.filter(pk__in=[pk for pk, name in portion if name not in had]).delete()
