"""`estimate` and `weigh`: what an import, or an export, would do, without doing it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from ..api.names import names_image
from ..conf import get_client
from ..models import MovedFile, SourceImage
from .columns import Column
from .exports import Export
from .failures import Reason, read
from .imports import Import, ambiguous, is_old

logger = logging.getLogger("django_rokka.moves")


@dataclass
class Estimate:
    """Files of a column that are to be moved: how many, how large, and what is wrong with some."""

    #: All rows that show them, and those that were looked at.
    total: int | None = None
    rows: int = 0
    files: int = 0
    size: int = 0
    largest: int = 0
    #: Files that were noted by an earlier run: rokka is asked for them before they are sent.
    begun: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    #: Seconds that rokka takes to answer a call.
    latency: float = 0.0

    @property
    def seen(self) -> int:
        """How far it is, in rows."""
        return self.rows

    def seconds(self, *, workers: int, mbits: float) -> float:
        """How long an import takes, with so many files at a time and so many million bits a second."""
        calls = self.latency * (self.files + self.begun) / workers
        return max(calls, 0.0) + self.size * 8 / (mbits * 1e6)


def estimate(column: Column, *, workers: int) -> Generator[Estimate]:
    """Ask the storage for the size of every file, ``workers`` at a time; gives the sum so far, and at the end."""
    found = Estimate(Import(column).total(), latency=_latency(column))
    with ThreadPoolExecutor(workers, thread_name_prefix="rokka-sizes") as threads:
        for portion in column.together():
            old = {name: rows for name, rows in portion.items() if is_old(name)}
            noted = column.journal(MovedFile.Direction.IMPORT).filter(source__in=old)
            found.begun += noted.count()
            found.failed.update([Reason.AMBIGUOUS] * len(ambiguous(column, portion)))
            sizes = threads.map(partial(_size, column), old)
            for rows, size in zip(old.values(), sizes, strict=True):
                _add(found, rows, size)
                yield found
    yield found


def weigh(column: Column) -> Generator[Estimate]:
    """Sum up what the mirror says of the images that are shown; gives the sum so far, and at the end."""
    found = Estimate(Export(column).total())
    for portion in column.together():
        shown = {name: rows for name, rows in portion.items() if names_image(name)}
        sizes = _mirrored(column, {name.partition("/")[0] for name in shown})
        for name, rows in shown.items():
            _add(found, rows, sizes.get(name.partition("/")[0], 0))
        yield found
    yield found


def _mirrored(column: Column, hashes: Iterable[str]) -> dict[str, int]:
    """The bytes of images; what the mirror does not know is left out."""
    images = SourceImage.objects.filter(organization=column.storage.organization, hash__in=hashes)
    return {hash: size or 0 for hash, size in images.values_list("hash", "size")}


def _add(found: Estimate, rows: int, size: int | Reason) -> None:
    found.files += 1
    found.rows += rows
    if isinstance(size, Reason):
        found.failed[size] += 1
        return
    found.size += size
    found.largest = max(found.largest, size)


def _size(column: Column, name: str) -> int | Reason:
    try:
        return column.fallback.size(name) or Reason.EMPTY
    except Exception as error:
        failure = read(error)
        logger.info("%s %r: %s", column.label, name, failure.message)
        return failure.reason


def _latency(column: Column) -> float:
    """Of the second of two calls: the first one opens the connection."""
    client = get_client(column.storage.alias, mirrors=False)
    client.list_source_images(limit=0)
    began = time.monotonic()
    client.list_source_images(limit=0)
    return time.monotonic() - began
