"""`OldFiles` and `OldImages`: deleting what was moved, where it was before, once nothing shows it any more.

Only what the journal has as done for some days: pages in caches, and copies of rows in other processes, may
name the old one for a while. Both sides are compared again before anything is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from django.utils import timezone

from .. import api, lifecycle, references
from ..api import ImageName
from ..conf import get_client
from ..models import MovedFile
from .columns import Column
from .failures import Failure, Reason
from .files import digest_of
from .running import Settled

_PORTION = 500


@dataclass
class _Old:
    """What both have in common: the journal's rows that are due, without those that a row shows again."""

    column: Column
    older_than: timedelta
    direction: ClassVar[MovedFile.Direction]

    def __post_init__(self) -> None:
        self._client = get_client(self.column.storage.alias, mirrors=False)

    def total(self) -> int:
        """How many are due."""
        total: int = self._due().count()
        return total

    def jobs(self) -> Iterator[MovedFile]:
        """Those that are due and that nothing shows."""
        last = 0
        while portion := list(self._due().filter(pk__gt=last).order_by("pk")[:_PORTION]):
            last = portion[-1].pk
            shown = self._shown({moved.source for moved in portion})
            yield from (moved for moved in portion if moved.source not in shown)

    def rows(self, job: MovedFile) -> int:
        """One file."""
        return 1

    def fail(self, job: MovedFile, failure: Failure) -> None:
        """It is kept; the run counts and logs why."""

    def _due(self) -> Any:
        before = timezone.now() - self.older_than
        done = self.column.journal(self.direction).filter(state=MovedFile.State.DONE)
        return done.filter(deleted=None, changed__lte=before)

    def _shown(self, names: set[str]) -> set[str]:
        """The names that rows of any column have, whatever its storage."""
        found: set[str] = set()
        for place in references.all_file_columns(self.column.storage.organization):
            rows = place.rows().filter(**{f"{place.lookup}__in": names})
            found.update(rows.values_list(place.lookup, flat=True))
        return found

    def _compare(self, name: str, job: MovedFile) -> None:
        """Raise `Failure` if the file has other bytes than the journal says, and what its storage raises."""
        if digest_of(self.column.fallback, name)[0] != job.binary_hash:
            raise Failure(Reason.DIFFERENT, f"{name!r} was changed since it was moved")

    def _settled(self, job: MovedFile, *, deleted: bool) -> Settled:
        """Note that it is gone, also if it was somebody else who deleted it, or a run that was killed then."""
        self.column.journal(self.direction).filter(pk=job.pk).update(deleted=timezone.now())
        return Settled(int(deleted))


class OldFiles(_Old):
    """A `Mover` that deletes files which are at rokka."""

    direction = MovedFile.Direction.IMPORT

    def carry(self, job: MovedFile) -> bool:
        """Compare the file with the journal, and ask rokka for its bytes; tells if it is there still."""
        try:
            self._compare(job.source, job)
        except FileNotFoundError:
            return False
        # Not by its hash: a focal point gives an image another one.
        if not list(self._client.list_source_images_by_binary_hash(job.binary_hash)):
            raise Failure(Reason.MISSING, f"rokka does not have the bytes of {job.target} any more")
        return True

    def settle(self, job: MovedFile, carried: bool) -> Settled:
        """Delete the file, and note it."""
        if self._shown({job.source}):
            raise Failure(Reason.TROUBLE, "a row shows it again")
        if carried:
            self.column.fallback.delete(job.source)
        return self._settled(job, deleted=carried)


class OldImages(_Old):
    """A `Mover` that deletes images at rokka which are files again; they can be restored for 30 days."""

    direction = MovedFile.Direction.EXPORT

    def carry(self, job: MovedFile) -> None:
        """Compare the file with the journal."""
        self._compare(job.target, job)

    def settle(self, job: MovedFile, carried: None) -> Settled:
        """Delete the image, unless a row holds it."""
        hash = ImageName.parse(job.source).hash
        try:
            image = lifecycle.find(self.column.storage.organization, hash)
        except api.NotFound:
            return self._settled(job, deleted=False)
        if image.deleted is not None:
            return self._settled(job, deleted=False)
        if lifecycle.is_anothers(image):
            raise Failure(Reason.TROUBLE, f"another site has uploaded {hash}")
        if not lifecycle.delete_unreferenced(image):
            raise Failure(Reason.TROUBLE, "a row shows it again")
        return self._settled(job, deleted=True)
