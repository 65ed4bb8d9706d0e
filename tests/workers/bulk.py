"""Bulk operations on few images each, and what must be true once they are through.

A scenario is used once: make it, `start` it, let something happen, `check` it. `meanwhile` is what an
editor does while no worker is there.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django.utils import timezone

from django_rokka import bulk, tasks
from django_rokka.bulk import operations
from django_rokka.conf import get_client
from django_rokka.emulator import Fault
from django_rokka.models import BulkItem, BulkOperation, SourceImage
from tests.library.models import Article, Page, Portrait
from tests.workers.harness import Tally
from tests.workers.scenarios import Rokka, fill_rows, new_picture, shown, upload

Kind, State = BulkOperation.Kind, BulkItem.State
_Wanted = frozenset[State]

DONE, SKIPPED, FAILED = (frozenset({state}) for state in (State.DONE, State.SKIPPED, State.FAILED))
#: There is nothing to do. Who was killed before it looked takes it for its own work.
NOTHING = DONE | SKIPPED


class BulkScenario:
    """One operation. What is checked at rokka is asked past django_rokka."""

    name: ClassVar[str]
    kind: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, rokka: Rokka) -> None:
        self.rokka = rokka
        self.client, self.stage = get_client(), get_client("stage", mirrors=False)
        #: By the hash that an image has at first: its file, and what may become of it.
        self.files: dict[str, bytes] = {}
        self.wanted: dict[str, _Wanted] = {}
        self.arrange()

    def add(self, wanted: _Wanted = DONE) -> str:
        """Upload another image for the operation; gives its hash."""
        content = new_picture()
        hash = upload(content)
        self.files[hash], self.wanted[hash] = content, wanted
        return hash

    def arrange(self) -> None:
        """Make the images and the rows."""
        raise NotImplementedError

    def start(self) -> None:
        """Create the operation, and start its tasks."""
        images = SourceImage.objects.filter(organization="acme", hash__in=self.files)
        self.operation = bulk.create(self.kind, images, options=self.options)
        bulk.start(self.operation)

    def finish(self) -> None:
        """Do what an editor or the schedule does when the tasks are through: mostly nothing."""

    def meanwhile(self) -> None:
        """An editor takes a picture that was just worked on, and one that waits."""
        items = self.operation.items.filter(state__in=BulkItem.OPEN).order_by("state", "pk")
        for item in {items[0], items.reverse()[0]}:
            self.take(item.image.hash)

    def take(self, hash: str) -> None:
        """Save a row with a picture."""
        Article.objects.create(photo=f"{hash}/late.png")

    def check(self, tally: Tally) -> None:
        """Check what is counted, what rokka and the mirror have, and that every row is shown."""
        self._check_counts()
        rows = shown()
        hashes = {hash for value in rows.values() for hash in re.findall("[0-9a-f]{40}", value)}
        dark = {hash for hash in hashes if not self.rokka.is_shown(hash)}
        broken = [row for row, value in rows.items() if any(hash in value for hash in dark)]
        doubled = sum(max(len(self.live(hash)) - 1, 0) for hash in self.files)
        tally.rows = max(tally.rows, len(rows))
        tally.broken += len(broken)
        tally.doubled += doubled
        assert not broken
        assert not doubled
        for hash in self.files:
            self.check_image(hash)
            self.check_mirror(hash)

    def _check_counts(self) -> None:
        self.operation.refresh_from_db()
        found = bulk.progress(self.operation)
        assert self.operation.state == BulkOperation.State.FINISHED
        assert found.closed == found.total == self.operation.total == len(self.files)
        outcomes = list(self.operation.items.values_list("image__hash", "state", "reason"))
        assert not [outcome for outcome in outcomes if outcome[1] not in self.wanted[outcome[0]]]

    def live(self, hash: str) -> set[str]:
        """The live images at rokka with the bytes of one of ours."""
        return set(self.rokka.variants(self.files[hash]))

    def check_mirror(self, hash: str) -> None:
        """Check that the mirror has the same images."""
        known = SourceImage.objects.filter(organization="acme")
        variants = known.live().filter(binary_hash=known.get(hash=hash).binary_hash)
        assert set(variants.values_list("hash", flat=True)) == self.live(hash)

    def check_image(self, hash: str) -> None:
        """Check that it is done at rokka."""
        raise NotImplementedError


# --- Operations of several tasks --------------------------------------------------------------


class Delete(BulkScenario):
    """One is shown by a row, one is deleted already, one is locked."""

    name = "bulk delete"
    kind = Kind.DELETE

    def arrange(self) -> None:
        self.add()
        self.held = {self.add(SKIPPED)}
        Page.objects.create(hero=f"{min(self.held)}/hero.png")
        self.add()
        self.client.delete_source_image(self.add(NOTHING))
        self.locked = self.add(FAILED)
        self.client.set_locked(self.locked, True)
        for _ in range(3):
            self.add()

    def take(self, hash: str) -> None:
        """Whether it was deleted before or not, it has to be there now."""
        super().take(hash)
        self.held.add(hash)
        self.wanted[hash] |= SKIPPED

    def check_image(self, hash: str) -> None:
        assert bool(self.live(hash)) == (hash in self.held or hash == self.locked)


class Copy(BulkScenario):
    """Two are at the destination already and say something else there; one is gone from rokka."""

    name = "bulk copy"
    kind = Kind.COPY
    options = {"destination": "acme-stage", "overwrite": True}
    of_those_there = DONE

    def arrange(self) -> None:
        self.there = [self.add(self.of_those_there) for _ in range(2)]
        self.gone = self.add(FAILED)
        for _ in range(5):
            self.add()
        for hash in self.files:
            self.client.patch_user_metadata(hash, {"title": "ours"})
        for hash in self.there:
            self.client.copy_source_image(hash, "acme-stage")
            self.stage.patch_user_metadata(hash, {"title": "theirs"})
        # The mirror does not know of it.
        get_client(mirrors=False).delete_source_image(self.gone)

    def take(self, hash: str) -> None:
        """The one that is gone would be a broken row, whatever the operation does."""
        if hash != self.gone:
            super().take(hash)

    def check_mirror(self, hash: str) -> None:
        """A copy tells the mirror nothing."""

    def check_image(self, hash: str) -> None:
        image = self.rokka.image(hash, "acme-stage")
        title = image and image["user_metadata"]["title"]
        kept = hash in self.there and not self.options["overwrite"]
        assert title == (None if hash == self.gone else "theirs" if kept else "ours")


class CopyNew(Copy):
    """Those that are there stay as they are."""

    name = "bulk copy of new ones"
    options = {"destination": "acme-stage", "overwrite": False}
    of_those_there = NOTHING


class Protect(BulkScenario):
    """Rows show most of them, and follow; one is protected already."""

    name = "bulk protect"
    kind = Kind.PROTECT

    def arrange(self) -> None:
        fill_rows(self.add(), self.rokka)
        self.add()
        hash = self.add_protected(NOTHING)
        Portrait.objects.create(hidden=True, picture=f"{hash}/protected-already.png")
        for number in range(5):
            Article.objects.create(photo=f"{self.add()}/number-{number}.png")

    def add_protected(self, wanted: _Wanted) -> str:
        """The same as `add`, for an image that is protected."""
        content = new_picture()
        unprotected = upload(content)
        hash = self.client.set_protected(unprotected, True).hash
        self.client.get_source_image(hash)
        self.client.delete_source_image(unprotected)
        self.files[hash], self.wanted[hash] = content, wanted
        return hash

    def check_image(self, hash: str) -> None:
        (live,) = self.live(hash)
        image = self.rokka.image(live)
        assert image
        assert image.get("protected", False) == (self.kind == Kind.PROTECT)
        assert hash == live or not [value for value in shown().values() if hash in value]


# --- Small ones, for what differs -------------------------------------------------------------


class DeleteUsed(BulkScenario):
    """Also what rows show; here no row does."""

    name = "bulk delete, used too"
    kind = Kind.DELETE
    options = {"used": True}

    def arrange(self) -> None:
        self.add()

    def check_image(self, hash: str) -> None:
        assert not self.live(hash)


class Restore(BulkScenario):
    """One was never deleted."""

    name = "bulk restore"
    kind = Kind.RESTORE

    def arrange(self) -> None:
        self.add(NOTHING)
        for _ in range(2):
            self.client.delete_source_image(self.add())

    def check_image(self, hash: str) -> None:
        assert self.live(hash) == {hash}


class Sync(Restore):
    """One is renamed at rokka, and one is gone."""

    name = "bulk sync"
    kind = Kind.SYNC

    def arrange(self) -> None:
        self.gone, self.renamed = self.add(SKIPPED), self.add()
        client = get_client(mirrors=False)
        client.rename_source_image(self.renamed, "renamed.png")
        client.delete_source_image(self.gone)

    def check_image(self, hash: str) -> None:
        assert bool(self.live(hash)) == (hash != self.gone)
        assert (SourceImage.objects.get(hash=hash).name == "renamed.png") == (hash == self.renamed)


class Lock(BulkScenario):
    """One is locked already."""

    name = "bulk lock"
    kind = Kind.LOCK
    locked = True

    def arrange(self) -> None:
        for wanted in (DONE, NOTHING):
            self.client.set_locked(self.add(wanted), self.locked == (wanted is NOTHING))

    def check_image(self, hash: str) -> None:
        image = self.rokka.image(hash)
        assert image
        assert image.get("locked", False) == self.locked


class Unlock(Lock):
    """One is not locked."""

    name = "bulk unlock"
    kind = Kind.UNLOCK
    locked = False


class Trouble(Lock):
    """rokka asks for pauses, and then fails; an editor tries what failed again."""

    name = "bulk lock, with trouble"

    def arrange(self) -> None:
        for _ in range(3):
            self.add()

    def start(self) -> None:
        first, *_ = self.files
        self.rokka.emulator.add_fault(Fault(status=429, times=10, path=first))
        for hash in self.files:
            self.rokka.emulator.add_fault(Fault(status=500, times=5, path=hash))
        super().start()

    def finish(self) -> None:
        self.rokka.emulator.clear_faults()
        bulk.take_up(self.operation)


class CopyEach(CopyNew):
    """Calls for several images fail."""

    name = "bulk copy, one by one"

    def start(self) -> None:
        self.rokka.emulator.add_fault(Fault(times=1000, path="/acme/copy$"))
        super().start()

    def finish(self) -> None:
        self.rokka.emulator.clear_faults()


class Resume(Lock):
    """The task that had taken the images is lost, with its message."""

    name = "bulk lock, resumed"

    def arrange(self) -> None:
        for _ in range(4):
            self.add()

    def start(self) -> None:
        images = SourceImage.objects.filter(hash__in=self.files)
        self.operation = bulk.create(self.kind, images)
        items = self.operation.items.order_by("pk").values_list("pk", flat=True)
        for state, keys in [(State.RUNNING, items[:1]), (State.TAKEN, items[1:3])]:
            self.operation.items.filter(pk__in=list(keys)).update(holder="lost", state=state)
        self.finish()

    def finish(self) -> None:
        """The schedule comes round, after the time for which an operation may be silent."""
        long_ago = timezone.now() - 2 * operations.LOST
        running = BulkOperation.objects.filter(state=BulkOperation.State.RUNNING)
        running.filter(pk=self.operation.pk).update(heartbeat=long_ago)
        tasks.resume_bulk_operations.delay("default")


class Unprotect(Protect):
    """One is not protected."""

    name = "bulk unprotect"
    kind = Kind.UNPROTECT

    def arrange(self) -> None:
        self.add(NOTHING)
        Article.objects.create(photo=f"{self.add_protected(DONE)}/protected.png")


class Metadata(BulkScenario):
    """One says so already."""

    name = "bulk user metadata"
    kind = Kind.USER_METADATA
    options = {"metadata": {"title": "Dog"}}
    field = "title"

    def arrange(self) -> None:
        self.add()
        self.client.patch_user_metadata(self.add(NOTHING), {"title": "Dog"})

    def check_image(self, hash: str) -> None:
        image = self.rokka.image(hash)
        assert image
        assert self.field in image["user_metadata"]


class Describe(Metadata):
    """Any image will do."""

    name = "bulk describe"
    kind = Kind.DESCRIBE
    options = {"languages": ["en"]}
    field = "text:auto_description_en"

    def arrange(self) -> None:
        self.add()


class Purge(Restore):
    """One image: rokka allows few such calls."""

    name = "bulk purge"
    kind = Kind.PURGE

    def arrange(self) -> None:
        self.add()


#: Every kind there is.
EVERY: list[type[BulkScenario]] = [
    Delete,
    Protect,
    Copy,
    DeleteUsed,
    Restore,
    Sync,
    Lock,
    Unlock,
    Unprotect,
    Metadata,
    Describe,
    Purge,
    Trouble,
    CopyEach,
    Resume,
    CopyNew,
]
