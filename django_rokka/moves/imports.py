"""`Import`: the files of a column, from the storage that it falls back to, become images at rokka."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from django.db import models, transaction

from .. import api, lifecycle, user_metadata
from ..api import ImageName
from ..api.names import names_image
from ..api.types import JSON
from ..api.upload import digest
from ..conf import get_client
from ..models import MovedFile, SourceImage, mirror_database
from ..spool import WAITING, is_deferred
from . import journal
from .columns import Column
from .failures import Failure, Reason, refused
from .files import opened
from .running import Settled

_EXPORT, _IMPORT = MovedFile.Direction.EXPORT, MovedFile.Direction.IMPORT


@dataclass(frozen=True)
class _Job:
    """A file to upload; ``again`` if rokka may have it: by an earlier run, or because it came from there.

    ``said`` is the user metadata to send, or what stands against the file already.
    """

    source: str
    rows: int
    again: bool
    said: Mapping[str, JSON] | Failure


@dataclass(frozen=True)
class _Uploaded:
    """What rokka has now, how the file was called, and whether it had to be sent."""

    image: api.SourceImage
    file_name: str
    size: int
    sent: bool


@dataclass
class Import:
    """A `Mover`. Each file is uploaded once, compared by its binary hash, and then shown by its rows."""

    column: Column
    _client: api.RokkaClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._client = get_client(self.column.storage.alias, mirrors=False)

    def total(self) -> int:
        """How many rows show files that are not at rokka."""
        return sum(is_old(name) for name in self.column.names())

    def jobs(self) -> Iterator[_Job]:
        """Every file once; one that was moved meanwhile is not there any more."""
        for portion in self.column.together():
            old = {name: rows for name, rows in portion.items() if is_old(name)}
            wrong = {name: Failure(Reason.AMBIGUOUS) for name in ambiguous(self.column, portion)}
            known = journal.begin(self.column, _IMPORT, dict.fromkeys([*old, *wrong], ""))
            known |= self._came_back(old)
            for name, said in {**self._said(old), **wrong}.items():
                yield _Job(name, old.get(name, 0), name in known, said)

    def rows(self, job: _Job) -> int:
        """The rows that have its name."""
        return job.rows

    def carry(self, job: _Job) -> _Uploaded:
        """Upload it, unless an earlier run has."""
        if isinstance(job.said, Failure):
            raise job.said
        with opened(self.column.fallback, job.source) as file:
            binary_hash, size = digest(file)
            if not size:
                raise Failure(Reason.EMPTY)
            storage = self.column.storage
            # A storage of URLs may know a better name than the end of the URL.
            file_name = PurePosixPath(file.name or job.source).name
            image = storage.uploaded(binary_hash, client=self._client) if job.again else None
            if image is not None:
                return _Uploaded(image, file_name, size, sent=False)
            try:
                image = self._client.create_source_image(
                    file,
                    name=file_name,
                    user_metadata=job.said,
                    dynamic_metadata=storage.isolation,
                )
            except api.InvalidRequest as error:
                raise refused(error, file, job.source) from error
        if image.binary_hash != binary_hash:
            raise Failure(Reason.DIFFERENT, f"sent {binary_hash}, rokka has {image.binary_hash}")
        return _Uploaded(image, file_name, size, sent=True)

    def settle(self, job: _Job, carried: _Uploaded) -> Settled:
        """Record the image, hold it, and let the rows that still show the file show it."""
        image = carried.image
        named = ImageName.build(image.hash, carried.file_name, image.format)
        name = named.fit(self.column.max_length)
        with ExitStack() as transactions:
            # The mirror's ends last: it holds the image until the rows that show it are committed.
            for using in dict.fromkeys([mirror_database(), self.column.place.using]):
                transactions.enter_context(transaction.atomic(using=using))
            self.column.storage.client.record_uploads([image])
            lifecycle.hold(image.organization, str(name), taken=True)
            rows = self.column.rename(job.source, str(name), image)
            facts = {"binary_hash": image.binary_hash or "", "size": carried.size}
            journal.finish(self.column, _IMPORT, job.source, str(name), **facts)
        if not rows:
            lifecycle.look_again(SourceImage.from_api(image))
        return Settled(rows, carried.size if carried.sent else 0)

    def fail(self, job: _Job, failure: Failure) -> None:
        """Note what stands against it; its rows go on showing the file."""
        journal.fail(self.column, _IMPORT, job.source, failure)

    def _came_back(self, names: Collection[str]) -> set[str]:
        """Those of the names that an export has written: rokka may have them still."""
        written = self.column.journal(_EXPORT).filter(target__in=names)
        return set(written.values_list("target", flat=True))

    def _said(self, names: Collection[str]) -> dict[str, Mapping[str, JSON] | Failure]:
        """The user metadata of each file, by a row that shows it."""
        mapping = getattr(self.column.field, "user_metadata", None)
        rows = self.column.rows_of(names) if mapping else {}
        return {name: self._told(rows.get(name), mapping) for name in names}

    def _told(
        self, row: models.Model | None, mapping: Mapping[str, str] | None
    ) -> Mapping[str, JSON] | Failure:
        if row is None or not mapping:
            return self.column.storage.described
        try:
            said = user_metadata.collect(row, mapping)
        except Exception as error:
            # A method of the model, which may raise whatever it likes, does not keep others from moving.
            return Failure(Reason.TROUBLE, f"user_metadata: {type(error).__name__}: {error}")
        return self.column.storage.describing(said).described


def is_old(name: str) -> bool:
    """Whether it is the name of a file that is neither at rokka nor waits to be uploaded."""
    return not (names_image(name) or is_deferred(name))


def ambiguous(column: Column, names: Collection[str]) -> list[str]:
    """Files of before whose names are such as rokka's, or the spool's, so that rows show what is not there."""
    unknown = _unknown(column, [name for name in names if names_image(name)])
    others = [name for name in names if is_deferred(name) and not WAITING.fullmatch(name)]
    return [name for name in (*unknown, *others) if column.fallback.exists(name)]


def _unknown(column: Column, names: Collection[str]) -> list[str]:
    """Those of the names whose images the mirror does not have."""
    hashes = {name: name.partition("/")[0] for name in names}
    mirrored = SourceImage.objects.filter(
        organization=column.storage.organization, hash__in=set(hashes.values())
    )
    known = set(mirrored.values_list("hash", flat=True))
    return [name for name in names if hashes[name] not in known]
