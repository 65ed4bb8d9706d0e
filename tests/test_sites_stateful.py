"""Two sites share an organization, and whatever both do, every row of either shows its picture, always.

Each site has a database, an ``ENVIRONMENT`` and ``ISOLATE``, as `docs/deleting.md` asks of sites that
share an organization. What stays outside, because the documentation says that it breaks rows: giving a
row the name of a picture that the other site uploaded, insisting on deleting a picture that rows show, and a
``version`` in place of the one that isolates a site. What the dashboard changes or deletes breaks rows until
the site has synced, so that is one step together with the sync, and with restoring what cannot be followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.files.base import ContentFile
from django.db import models, transaction
from django.db.models import F
from django.test import override_settings
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from django_rokka import api, bulk, deferred, lifecycle, sync
from django_rokka.api import ImageName, RenderClient
from django_rokka.conf import get_client, get_config
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import BulkItem, BulkOperation, Claim, SourceImage, SyncRun
from django_rokka.spool import is_deferred, spool_of
from django_rokka.storage import RokkaStorage
from tests.library.models import Article, Snapshot
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

#: With ``ROKKA_EXAMPLES`` it is run by hand: so many examples, chosen anew, and a failure is shrunk.
BY_HAND = os.environ.get("ROKKA_EXAMPLES", "")
EXAMPLES = int(BY_HAND or 25)
STEPS = 25


@cache
def content(number: int) -> bytes:
    """A picture of its own for each number, of its own width too."""
    return picture((4 + number, 4), "PNG", (number * 40, 1, 2))


def file(number: int) -> ContentFile[bytes]:
    """An upload. The slug of its name tells which picture a row should show."""
    return ContentFile(content(number), name=f"{number}.png")


# --- What a site does -------------------------------------------------------------------------


class Step(NamedTuple):
    """Something to do to some row, with some number."""

    work: str
    row: int
    number: int


def chosen(rows: models.QuerySet[Any], index: int) -> Iterator[Any]:
    """One of the rows, or none if there are none."""
    found = list(rows.order_by("pk"))
    if found:
        yield found[index % len(found)]


def own_images() -> models.QuerySet[SourceImage]:
    return SourceImage.objects.exclude(uploaded=None)


def create(step: Step) -> None:
    Article.objects.create(title="new", photo=file(step.number))


def create_deferred(step: Step) -> None:
    Snapshot.objects.create(photo=file(step.number))


def share(step: Step) -> None:
    for article in chosen(Article.objects.exclude(photo=""), step.row):
        Article.objects.create(title="shares", photo=article.photo.name)


def take(step: Step) -> None:
    """A picture that was there before, and may be deleted."""
    for image in chosen(own_images(), step.number):
        Article.objects.create(title="takes", photo=image.file_name)


def replace(step: Step) -> None:
    for article in chosen(Article.objects.all(), step.row):
        article.photo = file(step.number)
        article.save()


def replace_by_name(step: Step) -> None:
    for article in chosen(Article.objects.all(), step.row):
        for image in chosen(own_images(), step.number):
            article.photo = image.file_name
            article.save()


def replace_deferred(step: Step) -> None:
    for snapshot in chosen(Snapshot.objects.all(), step.row):
        snapshot.photo = file(step.number)
        snapshot.save()


def clear(step: Step) -> None:
    for article in chosen(Article.objects.all(), step.row):
        article.photo.delete()


def delete(step: Step) -> None:
    for row in chosen([Article, Snapshot][step.number % 2].objects.all(), step.row):
        row.delete()


def delete_and_save(step: Step) -> None:
    for article in chosen(Article.objects.all(), step.row):
        article.delete()
        article.save()


def save_stale_copy(step: Step) -> None:
    """Somebody has read a row, another one changes it, and the first one saves what he has."""
    for stale in chosen(Article.objects.all(), step.row):
        [replace, replace_by_name, clear, delete, change_picture, change_row][step.number](step)
        stale.title = "stale"
        stale.save()


def delete_many(step: Step) -> None:
    Article.objects.filter(photo__endswith=f"/{step.number}.png").delete()


def delete_file(step: Step) -> None:
    for image in chosen(own_images(), step.row):
        RokkaStorage().delete(image.file_name)


def change_picture(step: Step) -> None:
    _rehash(step, lambda picture: picture.set_subject_area(step.number % 3, 0))


def reset_picture(step: Step) -> None:
    _rehash(step, lambda picture: picture.delete_dynamic_metadata("subject_area"))


def protect(step: Step) -> None:
    _rehash(step, lambda picture: picture.set_protected(step.number < 3))


def _rehash(step: Step, change: Callable[[SourceImage], SourceImage]) -> None:
    """Change a picture for all rows: none is left that shows the old one."""
    for article in chosen(Article.objects.exclude(photo=""), step.row):
        old, new = article.photo.hash, change(article.photo.source_image).hash
        shown = [row.photo.hash for row in Article.objects.exclude(photo="")]
        assert new in shown
        assert old == new or old not in shown


def change_row(step: Step) -> None:
    for article in chosen(Article.objects.exclude(photo=""), step.row):
        others = Article.objects.exclude(pk=article.pk).order_by("pk").values_list("photo")
        before = list(others)
        if step.number < 3:
            image = article.photo.set_subject_area(step.number, 0)
        else:
            image = article.photo.set_protected(step.number == 3)
        assert Article.objects.get(pk=article.pk).photo.hash == image.hash
        assert list(others) == before


#: What may be part of a transaction.
WORK: dict[str, Callable[[Step], None]] = {
    function.__name__: function
    for function in (
        create, create_deferred, share, take, replace, replace_by_name, replace_deferred, clear, delete,
        delete_and_save, save_stale_copy, delete_many, delete_file, change_picture, reset_picture, protect, change_row,
    )
}  # fmt: skip


def delete_due(step: Step) -> None:
    lifecycle.delete_due("default")


def sweep(step: Step) -> None:
    """What `rokka_orphans --delete` does, for images of any age."""
    for image in lifecycle.orphans("default", older_than=timedelta(0)):
        lifecycle.delete_unreferenced(image)


def sync_images(step: Step) -> None:
    kinds = (SyncRun.Kind.FULL, SyncRun.Kind.FULL, SyncRun.Kind.NEW, SyncRun.Kind.DELETED)
    sync.sync_organization("default", kinds[step.number % 4])


def upload_pending(step: Step) -> None:
    deferred.upload_pending("default")


def _in_bulk(kind: str, images: models.QuerySet[SourceImage]) -> None:
    bulk.start(bulk.create(kind, images))


def delete_in_bulk(step: Step) -> None:
    """All that the admin lists as unused."""
    _in_bulk(BulkOperation.Kind.DELETE, SourceImage.objects.live().unreferenced())


def restore_in_bulk(step: Step) -> None:
    _in_bulk(BulkOperation.Kind.RESTORE, SourceImage.objects.deleted())


def protect_in_bulk(step: Step) -> None:
    kind = [BulkOperation.Kind.PROTECT, BulkOperation.Kind.UNPROTECT][step.number % 2]
    _in_bulk(kind, SourceImage.objects.live())


#: What is done by schedule, or in the admin to many pictures.
CHORES: dict[str, Callable[[Step], None]] = {
    function.__name__: function
    for function in (
        delete_due, sweep, sync_images, upload_pending, delete_in_bulk, restore_in_bulk, protect_in_bulk,
    )
}  # fmt: skip


# --- Two sites --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Site:
    """A site, its name at the same time its ``ENVIRONMENT``."""

    name: str
    database: str

    def rows(self) -> Iterator[Any]:
        """All rows that show a picture."""
        for model in (Article, Snapshot):
            yield from model._base_manager.using(self.database).exclude(photo="")

    def forget(self) -> None:
        """Empty the tables."""
        for model in (Article, Snapshot, BulkItem, BulkOperation, SyncRun, SourceImage, Claim):
            model._base_manager.using(self.database)._raw_delete(self.database)  # type: ignore[attr-defined]


SITES = (Site("press", "default"), Site("shop", "other"))


class Router:
    """All models are in the database of the site that is at work."""

    database = "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return self.database

    db_for_write = db_for_read


SITE = st.sampled_from(SITES)
NUMBERS = st.integers(0, 5)
STEP = st.builds(Step, st.sampled_from(sorted(WORK)), NUMBERS, NUMBERS)
CHORE = st.builds(Step, st.sampled_from(sorted(CHORES)), NUMBERS, NUMBERS)
SOME_STEPS = st.lists(STEP, min_size=1, max_size=3)
TROUBLE = st.builds(
    Fault,
    kind=st.sampled_from(["status", "cut", "truncate"]),
    status=st.sampled_from([500, 503, 429]),
    method=st.sampled_from([None, "POST", "PUT", "GET", "DELETE"]),
    after_work=st.booleans(),
)


class Sites(RuleBasedStateMachine):
    """Two sites at work on one organization."""

    emulator: Emulator
    router: Router
    options: dict[str, Any]
    done: Counter[str] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.emulator.reset()
        self.policies: dict[str, str | int] = {site.name: "delete" for site in SITES}
        for site in SITES:
            site.forget()
            with self.at(site):
                self._begin()

    def _begin(self) -> None:
        """The same pictures on both sites: one of two rows, one of one, and one that was let go of."""
        for step in (
            Step("create", 0, 0),
            Step("share", 0, 0),
            *(Step("create", 0, n) for n in (1, 2)),
        ):
            self.do(step)
        Article.objects.latest("pk").delete()

    @contextmanager
    def at(self, site: Site) -> Iterator[None]:
        """In the process of a site: its settings, its database."""
        own = {
            "ENVIRONMENT": site.name,
            "DATABASES": [site.database],
            "UNREFERENCED": self.policies[site.name],
        }
        self.router.database = site.database
        with override_settings(ROKKA={"default": {**self.options, **own}}):
            yield

    def do(self, step: Step) -> None:
        self.done[step.work] += 1
        (WORK | CHORES)[step.work](step)

    @rule(site=SITE, step=STEP)
    def work(self, site: Site, step: Step) -> None:
        with self.at(site):
            self.do(step)

    @rule(site=SITE, step=CHORE)
    def chore(self, site: Site, step: Step) -> None:
        with self.at(site):
            self.do(step)

    @rule(site=SITE, steps=SOME_STEPS)
    def roll_back(self, site: Site, steps: list[Step]) -> None:
        with self.at(site), transaction.atomic(using=site.database):
            for step in steps:
                self.do(step)
            transaction.set_rollback(True, using=site.database)
        self.done["roll back"] += 1

    @rule(site=SITE, steps=SOME_STEPS, undone=SOME_STEPS)
    def commit(self, site: Site, steps: list[Step], undone: list[Step]) -> None:
        """Steps in a transaction, then others up to a savepoint that is gone back to."""
        with self.at(site), transaction.atomic(using=site.database):
            for step in steps:
                self.do(step)
            with transaction.atomic(using=site.database):
                for step in undone:
                    self.do(step)
                transaction.set_rollback(True, using=site.database)
        self.done["commit"] += 1

    @rule(
        site=SITE, step=STEP | CHORE, calls=st.integers(0, 3), fault=TROUBLE, atomic=st.booleans()
    )
    def trouble(self, site: Site, step: Step, calls: int, fault: Fault, atomic: bool) -> None:
        """After some calls that go well, one goes wrong."""
        if calls:
            self.emulator.add_fault(Fault(kind="slow", seconds=0, times=calls))
        self.emulator.add_fault(fault)
        with self.at(site), contextlib.suppress(api.RokkaError, FileNotFoundError):
            if atomic and step.work in WORK:
                with transaction.atomic(using=site.database):
                    self.do(step)
            else:
                self.do(step)
        self.emulator.clear_faults()
        self.done["trouble"] += 1

    @rule(site=SITE, index=NUMBERS, x=st.integers(0, 2))
    def dashboard_changes(self, site: Site, index: int, x: int) -> None:
        """Somebody else changes a picture and deletes the old one; the site syncs."""
        self._at_dashboard(
            site,
            index,
            lambda client, hash: client.set_dynamic_metadata(
                hash, api.SubjectArea(x, 0), delete_previous=True
            ),
        )

    @rule(site=SITE, index=NUMBERS)
    def dashboard_deletes(self, site: Site, index: int) -> None:
        self._at_dashboard(site, index, lambda client, hash: client.delete_source_image(hash))

    def _at_dashboard(
        self, site: Site, index: int, change: Callable[[api.RokkaClient, str], Any]
    ) -> None:
        with self.at(site):
            for article in chosen(Article.objects.exclude(photo=""), index):
                image = article.photo.source_image
                change(get_client(mirrors=False), image.hash)
                if sync.sync_image(image) is None:
                    lifecycle.restore(image)
                self.done["dashboard"] += 1

    @rule(site=SITE, policy=st.sampled_from(["delete", "keep", 2]))
    def choose_policy(self, site: Site, policy: str | int) -> None:
        self.policies[site.name] = policy

    @rule()
    def three_days_go_by(self) -> None:
        for site in SITES:
            rows = SourceImage.objects.using(site.database)
            rows.update(unreferenced=F("unreferenced") - timedelta(days=3))

    @rule(lag=st.sampled_from([0.0, 5.0]), revives=st.booleans())
    def rokka_behaves(self, lag: float, revives: bool) -> None:
        self.emulator.listing_lag = lag
        self.emulator.application.revives = revives

    # --- What always holds ------------------------------------------------------------------------

    @invariant()
    def every_row_shows_its_picture(self) -> None:
        """Its image is at rokka, made of the bytes it was given, and the mirror knows that too."""
        live = self._live()
        for site in SITES:
            mirror = {row.hash: row for row in SourceImage.objects.using(site.database)}
            for row in site.rows():
                if is_deferred(row.photo.name):
                    continue
                name = ImageName.parse(row.photo.name)
                shown = f"{row!r} of {site.name}: {name}"
                assert name.hash in live, f"{shown} is gone"
                sha = hashlib.sha1(content(int(name.slug)), usedforsecurity=False).hexdigest()
                assert live[name.hash] == sha, f"{shown} is another picture"
                image = mirror[name.hash]
                assert image.deleted is None, f"{shown} is deleted, says the mirror"
                assert (row.width, row.height) == (image.width, image.height), shown

    def _live(self) -> dict[str, str]:
        with self.emulator.application.state.reading() as db:
            rows = db.execute("SELECT hash, binary_hash FROM images WHERE deleted IS NULL")
            return {row["hash"]: row["binary_hash"] for row in rows}

    @rule(site=SITE)
    def visit(self, site: Site) -> None:
        """A browser gets every picture of a site."""
        with self.at(site), RenderClient(get_config().render_base) as browser:
            for row in site.rows():
                if is_deferred(row.photo.name):
                    with spool_of(get_config()).open(row.photo.name) as waiting:
                        shown = waiting.read()
                else:
                    shown = browser.fetch(row.photo.url, limit=100_000)
                    self.done["render"] += 1
                assert shown.startswith(b"\x89PNG"), row.photo.name

    def teardown(self) -> None:
        """Nothing is missing, and after the sweeps nothing is left over."""
        self.every_row_shows_its_picture()
        self.emulator.listing_lag = 0
        for site in SITES:
            self.visit(site)
            with self.at(site):
                deferred.upload_pending("default")
                sync.sync_organization("default")
                sweep(Step("sweep", 0, 0))
        self.every_row_shows_its_picture()
        held = {row.photo.hash for site in SITES for row in site.rows()}
        assert set(self._live()) == held


def test_every_row_of_two_sites_shows_its_picture_always(
    rokka_emulator: Emulator, settings: Any, tmp_path: Path, capsys: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    router = Router()
    settings.DATABASE_ROUTERS = [router]
    Sites.emulator, Sites.router = rokka_emulator, router
    Sites.options = {
        **settings.ROKKA["default"],
        "ISOLATE": True,
        "ATTEMPTS": 1,
        "SIGNING_KEY": rokka_emulator.signing_key,
        "REFERENCES": [],
        "RICH_TEXT": [],
    }

    run_state_machine_as_test(
        Sites,
        settings=hypothesis_settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            # Else the same examples each time, and a failure as it is, for shrinking takes minutes.
            derandomize=not BY_HAND,
            phases=[Phase.generate, Phase.shrink] if BY_HAND else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )

    with capsys.disabled():
        print(f"\n{EXAMPLES} examples: {dict(Sites.done.most_common())}")  # noqa: T201
    assert Sites.done.total() > EXAMPLES * STEPS / 2
