"""`Export`: the images of a column become files of the storage that it falls back to."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO

from django.core.files.base import File
from django.db import DatabaseError, transaction

from .. import api, lifecycle
from ..api.names import names_image
from ..api.upload import digest
from ..conf import get_client
from ..models import MovedFile, SourceImage
from . import journal
from .columns import Column
from .failures import Failure, Reason
from .files import digest_of
from .running import Settled

_EXPORT, _IMPORT = MovedFile.Direction.EXPORT, MovedFile.Direction.IMPORT
#: Characters of the hash that tell files of the same name apart.
_TAIL = 10


@dataclass(frozen=True)
class _Plan:
    """An image to download, and the name that its file is to have."""

    image: SourceImage
    target: str


@dataclass(frozen=True)
class _Job:
    """What rows show, and what is to be done: or what stands against it already."""

    source: str
    rows: int
    plan: _Plan | Failure
    #: Whether a file of that name may be what a run that was killed has left.
    again: bool


@dataclass(frozen=True)
class _Written:
    """The file, and whether it had to be written."""

    target: str
    binary_hash: str
    size: int
    sent: bool


@dataclass
class Export:
    """A `Mover`, the way back: each original is downloaded once, compared, written, and read again."""

    column: Column
    _client: api.RokkaClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._client = get_client(self.column.storage.alias, mirrors=False)

    def total(self) -> int:
        """How many rows show images."""
        return sum(names_image(name) for name in self.column.names())

    def jobs(self) -> Iterator[_Job]:
        """Every name of an image once."""
        for portion in self.column.together():
            plans = dict(self._planned([name for name in portion if names_image(name)]))
            targets = {
                name: "" if isinstance(plan, Failure) else plan.target
                for name, plan in plans.items()
            }
            known = journal.begin(self.column, _EXPORT, targets)
            for name, plan in plans.items():
                yield _Job(name, portion[name], plan, name in known)

    def rows(self, job: _Job) -> int:
        """The rows that have its name."""
        return job.rows

    def carry(self, job: _Job) -> _Written:
        """Download it and write it, unless the file is there with these very bytes."""
        if isinstance(job.plan, Failure):
            raise job.plan
        target, wanted = job.plan.target, job.plan.image.binary_hash
        if size := self._present(target, wanted):
            return _Written(target, wanted, size, sent=False)
        with tempfile.SpooledTemporaryFile(self.column.storage.config.max_memory_size) as spool:
            size = self._download(job.plan.image, spool)
            if job.again:
                self._remove_beginning(target, spool)
            self._refuse_to_write_over(target)
            file, length = File(spool, target), self.column.max_length
            target = self.column.fallback.save(target, file, max_length=length)
        if not self._present(target, wanted):
            raise Failure(Reason.DIFFERENT, f"{target!r} is not what was written")
        return _Written(target, wanted, size, sent=True)

    def _download(self, image: SourceImage, spool: IO[bytes]) -> int:
        """Get the original, and compare it; gives how many bytes it has."""
        try:
            with self._client.download_source_image(image.hash) as pieces:
                spool.writelines(pieces)
        except api.NotFound as error:
            raise Failure(Reason.MISSING, str(error)) from error
        found, size = digest(spool)
        if found != image.binary_hash:
            raise Failure(Reason.DIFFERENT, f"rokka says {image.binary_hash}, and sent {found}")
        return size

    def settle(self, job: _Job, carried: _Written) -> Settled:
        """Let the rows that still show the image show the file."""
        with transaction.atomic(using=self.column.place.using):
            rows = self.column.rename(job.source, carried.target)
            facts = {"binary_hash": carried.binary_hash, "size": carried.size}
            journal.finish(self.column, _EXPORT, job.source, carried.target, **facts)
        # Another run may have moved the rows to this very file.
        if not rows and carried.sent and not self.column.having([carried.target]):
            self.column.fallback.delete(carried.target)
        return Settled(rows, carried.size if carried.sent else 0)

    def fail(self, job: _Job, failure: Failure) -> None:
        """Note what stands against it; its rows go on showing the image."""
        journal.fail(self.column, _EXPORT, job.source, failure)

    # --- Images and names ---------------------------------------------------------------------

    def _planned(self, names: Collection[str]) -> Iterator[tuple[str, _Plan | Failure]]:
        """The image and the file's name for each, or why there is none."""
        found = {name: self._found(name) for name in names}
        images = {name: image for name, image in found.items() if isinstance(image, SourceImage)}
        noted = self._noted(images)
        rows = self.column.rows_of(names) if callable(self.column.field.upload_to) else {}
        taken = set(noted.values())
        for name, image in found.items():
            if isinstance(image, Failure):
                yield name, image
                continue
            plan = self._plan(name, image, noted.get(name), rows.get(name), taken)
            if isinstance(plan, _Plan):
                taken.add(plan.target)
            yield name, plan

    def _found(self, name: str) -> SourceImage | Failure:
        try:
            hash = name.partition("/")[0]
            return lifecycle.find(self.column.storage.organization, hash).current
        except api.NotFound as error:
            return Failure(Reason.MISSING, str(error))

    def _plan(
        self,
        name: str,
        image: SourceImage,
        target: str | None,
        row: object,
        taken: Collection[str],
    ) -> _Plan | Failure:
        try:
            return _Plan(image, target or self._new_name(name, image, row, taken))
        except (api.RokkaError, DatabaseError):
            raise
        except Exception as error:
            # An ``upload_to`` may raise whatever it likes: it does not keep others from moving.
            return Failure(Reason.TROUBLE, f"no name: {type(error).__name__}: {error}")

    def _noted(self, images: Mapping[str, SourceImage]) -> dict[str, str]:
        """The names of files that a run before has noted, or that have these bytes since before rokka."""
        begun = self.column.journal(_EXPORT).filter(source__in=images).exclude(target="")
        # Not by the image: its hash may have changed.
        hashes = {image.binary_hash for image in images.values() if image.binary_hash}
        before = self.column.journal(_IMPORT).filter(binary_hash__in=hashes, deleted=None)
        files = dict(before.values_list("binary_hash", "source"))
        return {
            **{
                name: files[image.binary_hash]
                for name, image in images.items()
                if image.binary_hash in files
            },
            **dict(begun.values_list("source", "target")),
        }

    def _new_name(self, name: str, image: SourceImage, row: object, taken: Collection[str]) -> str:
        """A name that no file has, or is to have, with the file's own name and its format."""
        own = PurePosixPath(image.name or name)
        stem = own.stem or "image"
        for tail in ("", f"_{image.hash[:_TAIL]}"):
            wanted = f"{stem}{tail}.{image.format}"
            full = self.column.field.generate_filename(row, wanted)  # type: ignore[arg-type]
            full = self.column.fallback.generate_filename(full)
            if len(full) > self.column.max_length:
                continue
            if not (full in taken or self._is_noted(full) or self.column.fallback.exists(full)):
                return full
        return self.column.fallback.get_available_name(full, self.column.max_length)

    def _is_noted(self, target: str) -> bool:
        """Whether the file of another image has the name, or is being written."""
        return bool(self.column.journal(_EXPORT).filter(target=target).exists())

    # --- Files of before ------------------------------------------------------------------------

    def _present(self, target: str, wanted: str) -> int:
        """How many bytes the file has, if it has those of the image; else 0."""
        if not self.column.fallback.exists(target):
            return 0
        found, size = digest_of(self.column.fallback, target)
        return size if found == wanted else 0

    def _refuse_to_write_over(self, target: str) -> None:
        """Raise `Failure` for the file of somebody else, unless the storage gives ours another name."""
        fallback = self.column.fallback
        if fallback.exists(target) and fallback.get_available_name(target) == target:
            raise Failure(
                Reason.DIFFERENT,
                f"{target!r} is another file by now, and its storage would write over it; rename that file",
            )

    def _remove_beginning(self, target: str, whole: IO[bytes]) -> None:
        """Delete what a run that was killed has written of the file: a beginning of it, and nothing else."""
        if not self.column.fallback.exists(target):
            return
        written, size = digest_of(self.column.fallback, target)
        if digest(whole, size)[0] == written:
            self.column.fallback.delete(target)
