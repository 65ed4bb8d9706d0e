"""A run through a listing: what is new is written, what is missing is asked for, each page for itself.

The listing is read in the order of the hashes, which is also the mirror's order, so that a page stands
for a stretch of the mirror: rows of that stretch that are not on the page are missing at rokka. A listing
lags and can change while it is read, so each of them is asked for by its hash before anything is
concluded.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from .. import api, rehash, user_metadata
from ..api.types import JSON
from ..conf import Config, get_client, get_config
from ..lifecycle import client_of
from ..models import SourceImage, SyncRun, mirror_database
from . import items, runs, store
from .pages import ahead

logger = logging.getLogger("django_rokka.sync")

#: Images on a page: the most that rokka gives.
PAGE = 2000
#: How far an incremental run looks back behind the start of the last one: a listing lags by some 10 s.
MARGIN = timedelta(minutes=10)
#: The cursor behind the last page; no cursor of rokka's has brackets.
_END = "(end)"
#: Rows of the mirror that are looked at together.
_ROWS = 2 * PAGE


def sync_image(image: SourceImage) -> SourceImage | None:
    """Ask rokka about one image. Gives what stands for it now, or ``None`` if nothing does."""
    before = image.user_metadata
    try:
        client_of(image).get_source_image(image.hash)
    except api.NotFound:
        return rehash.resolve(image)
    image.refresh_from_db()
    user_metadata.take_over(image, before)
    return image


def sync_organization(alias: str, kind: str = SyncRun.Kind.FULL) -> SyncRun:
    """Run to the end. Raises `Busy` if another run is under way."""
    *_, run = run_sync(alias, kind)
    return run


def run_sync(
    alias: str, kind: str = SyncRun.Kind.FULL, *, dry_run: bool = False
) -> Generator[SyncRun]:
    """Walk through a listing, and give the run, with its counts, after each page and at the end.

    If it is closed, or interrupted by an error, the next call goes on behind the last page. With
    ``dry_run`` nothing is written, and nothing is taken up. Raises `Busy`, and the errors of
    `django_rokka.api.errors`.
    """
    config = get_config(alias)
    since = _since(config, kind)
    kind = SyncRun.Kind.FULL if kind == SyncRun.Kind.NEW and since is None else kind
    if dry_run:
        run = SyncRun(organization=config.organization, kind=kind, heartbeat=timezone.now())
    else:
        run = runs.begin(config.organization, kind)
    walk = _Walk(config, run, _search(kind, since), dry_run=dry_run)
    try:
        for page in walk.pages():
            walk.take(page)
            yield run
        walk.finish()
    except BaseException:
        if not dry_run:
            runs.pause(run)
        raise
    yield run


def _since(config: Config, kind: str) -> Any:
    last = runs.last_start(config.organization) if kind == SyncRun.Kind.NEW else None
    return last and last.started - MARGIN


def _search(kind: str, since: Any) -> dict[str, Any]:
    if kind == SyncRun.Kind.NEW:
        return {"filters": {"created": f"['{since:%Y-%m-%dT%H:%M:%SZ}',}}"}}
    return {"deleted": True} if kind == SyncRun.Kind.DELETED else {}


@dataclass
class _Known:
    """What the mirror says of an image."""

    hash: str
    pk: int
    fingerprint: int | None
    deleted: Any
    purged: Any
    synced: Any


@dataclass
class _Walk:
    """One run's way through the pages."""

    config: Config
    run: SyncRun
    search: dict[str, Any]
    dry_run: bool = False
    #: Whether the listing is what was asked for, so that what it lacks can be found.
    trusted: bool = field(default=True, init=False)

    def pages(self) -> Iterator[api.RawPage]:
        """The pages that are left. A cursor that rokka does not take any more begins anew."""
        if self.run.cursor == _END:
            return
        try:
            yield from self._fetched(self.run.cursor)
        except api.InvalidRequest:
            if not self.run.cursor:
                raise
            logger.warning(
                "The cursor of an interrupted sync is not valid any more; beginning anew."
            )
            self.run.cursor = self.run.position = ""
            for name in SyncRun.COUNTS:
                setattr(self.run, name, 0)
            yield from self._fetched("")

    def _fetched(self, cursor: str) -> Iterator[api.RawPage]:
        client = get_client(self.config.alias, mirrors=False)
        return ahead(
            client.iter_raw_pages(limit=PAGE, offset=cursor or 0, sort="hash asc", **self.search)
        )

    def take(self, page: api.RawPage) -> None:
        """Work on one page, and note that it is done."""
        found = self._found(page)
        last = max([self.run.position, *found])
        self.run.total = page.total
        self.run.seen += len(page.items)
        self._merge(found, last)
        self.run.position = last
        self.run.cursor = page.next or _END
        self._note()

    def _found(self, page: api.RawPage) -> dict[str, JSON]:
        """The items of a page by their hashes, but for those of earlier pages.

        An image that is added while the listing is read moves others to the next page once more.
        """
        found: dict[str, JSON] = {}
        for item in page.items:
            if hash := items.hash_of(item):
                found[hash] = item
            else:
                self._report(f"an item without a hash: {str(item)[:80]}")
        if list(found) != sorted(found):
            self._distrust("it is not in the order of the hashes")
        elif not page.items and (page.total or 0) > self.run.seen:
            self._distrust(f"it ends after {self.run.seen} of {page.total} images")
        if not self.trusted:
            return found
        return {hash: item for hash, item in found.items() if hash > self.run.position}

    def _note(self) -> None:
        """Say how far the run is, and that it is alive."""
        if not self.dry_run:
            runs.proceed(self.run)

    def finish(self) -> None:
        """Look at the rest of the mirror, behind the last hash of the listing."""
        self._merge({}, "g")  # after all hashes
        if not self.dry_run:
            runs.end(self.run, complete=True)

    def _distrust(self, reason: str) -> None:
        self.trusted = False
        logger.error(
            "The listing of %s cannot be trusted, %s; this run does not look for what is missing.",
            self.config.organization,
            reason,
        )

    def _report(self, problem: str) -> None:
        self.run.malformed += 1
        logger.warning("Skipped %s.", problem)

    # --- Comparing ----------------------------------------------------------------------------

    def _merge(self, found: dict[str, JSON], last: str) -> None:
        """Compare what was found with the mirror's rows up to ``last``; write, and ask for the rest."""
        new: list[store.Row] = []
        for known in self._known(found, last):
            missing = [row for row in known if row.hash not in found and self._is_expected(row)]
            for row in known:
                if row.hash in found:
                    new += self._compared(found.pop(row.hash), row)
            self._look_for(missing)
        for item in found.values():
            new += self._compared(item, None)
        if not self.dry_run:
            self._write(new)

    def _known(self, found: dict[str, JSON], last: str) -> Iterator[list[_Known]]:
        """The mirror's rows of a stretch, in portions; of an incremental run only those on the page."""
        rows = self._rows()
        if self.run.kind == SyncRun.Kind.NEW or not self.trusted:
            yield self._read(rows.filter(hash__in=list(found)))
            return
        if self.run.kind == SyncRun.Kind.DELETED:
            # Live rows lie between deleted ones, and are of no interest unless they are on the page.
            yield self._read(rows.filter(hash__in=list(found), deleted=None))
            rows = rows.exclude(deleted=None)
        position = self.run.position
        while True:
            portion = self._read(rows.filter(hash__gt=position, hash__lte=last)[:_ROWS])
            yield portion
            if len(portion) < _ROWS:
                return
            position = portion[-1].hash

    def _rows(self) -> models.QuerySet[SourceImage]:
        rows = SourceImage.objects
        return rows.filter(organization=self.config.organization).order_by("hash")

    def _read(self, rows: models.QuerySet[SourceImage]) -> list[_Known]:
        names = ("hash", "pk", "fingerprint", "deleted", "purged", "synced")
        return [_Known(*values) for values in rows.values_list(*names)]

    def _is_expected(self, row: _Known) -> bool:
        """Whether a row that is not on the page should be there."""
        if self.run.kind == SyncRun.Kind.DELETED:
            return row.deleted is not None and row.purged is None
        # What was written since the run began need not be in a listing yet.
        return row.deleted is None and row.synced < self.run.started

    def _compared(self, item: JSON, row: _Known | None) -> list[store.Row]:
        """What has to be written for an item: one row, or none."""
        number = items.fingerprint(item)
        is_live = self.run.kind != SyncRun.Kind.DELETED
        if row and row.fingerprint == number and (row.deleted is None) == is_live:
            self.run.unchanged += 1
            return []
        try:
            image = items.read(self.config.organization, item)
        except api.UnexpectedAnswer as error:
            self._report(error.message)
            return []
        self._count(row, is_live)
        return [{**SourceImage.values_from_api(image), "fingerprint": number}]

    def _count(self, row: _Known | None, is_live: bool) -> None:
        if row is None:
            self.run.created += 1
        elif is_live and row.deleted is not None:
            self.run.restored += 1
        elif not is_live and row.deleted is None:
            self.run.deleted += 1
        else:
            self.run.changed += 1

    def _write(self, new: Sequence[store.Row]) -> None:
        mirrored = self._rows().filter(hash__in=[row["hash"] for row in new])
        with transaction.atomic(using=mirror_database()):
            said: dict[str, Any] = {}
            if new and user_metadata.is_mapped(self.config.organization):
                said = dict(mirrored.values_list("hash", "user_metadata"))
            store.write(new)
            for image in mirrored if said else ():
                if said.get(image.hash, image.user_metadata) != image.user_metadata:
                    user_metadata.take_over(image, said[image.hash])

    # --- Missing ------------------------------------------------------------------------------

    def _look_for(self, missing: Sequence[_Known]) -> None:
        """Ask for each, some side by side, and see to those that are not there."""
        if not missing:
            return
        there: list[api.SourceImage] = []
        with ThreadPoolExecutor(self.config.pool_size) as threads:
            for row, image in zip(missing, threads.map(self._ask, missing), strict=True):
                if image is None:
                    self._lose(row)
                elif isinstance(image, api.SourceImage):
                    there.append(image)
                else:
                    self._report(str(image))
        if not self.dry_run:
            SourceImage.objects.record(there)
        self._note()

    def _ask(self, row: _Known) -> api.SourceImage | api.UnexpectedAnswer | None:
        client = get_client(self.config.alias, mirrors=False)
        try:
            deleted = self.run.kind == SyncRun.Kind.DELETED
            return client.get_source_image(row.hash, deleted=deleted)
        except api.NotFound:
            return None
        except api.UnexpectedAnswer as error:
            return error

    def _lose(self, row: _Known) -> None:
        purged = self.run.kind == SyncRun.Kind.DELETED
        name = "purged" if purged else "deleted"
        setattr(self.run, name, getattr(self.run, name) + 1)
        if self.dry_run:
            return
        # Unless somebody has written it since it was asked for.
        rows = self._rows().filter(pk=row.pk, synced=row.synced)
        if not rows.update(fingerprint=None, **{name: timezone.now()}) or purged:
            return
        if rehash.follow(self._rows().get(pk=row.pk)) is not None:
            self.run.rehashed += 1
