"""The mirror after anything that a second client may do, and after syncs that were interrupted anywhere."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from django.core.files.base import ContentFile
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    multiple,
    rule,
    run_state_machine_as_test,
)

from django_rokka import api, sync
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage, SyncRun
from django_rokka.sync import run as walk
from tests.library.models import Article
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)

_NUMBERS = st.integers(0, 30)


def _file(number: int) -> ContentFile[bytes]:
    content = picture((4, 4), "PNG", (number, 1, 2))
    return ContentFile(content, name=f"{number}.png")


class Organization(RuleBasedStateMachine):
    """Others work on an organization, this site syncs it, and in the end the mirror is true."""

    emulator: Emulator
    images = Bundle("images")
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.emulator.reset()
        for model in (Article, SyncRun, SourceImage):
            model.objects.all()._raw_delete("default")  # type: ignore[attr-defined]
        # A client that our mirror does not hear of.
        self.others = get_client(mirrors=False)

    @rule(target=images, number=_NUMBERS)
    def upload(self, number: int) -> str:
        return self.others.create_source_image(_file(number)).hash

    @rule(target=images, number=_NUMBERS)
    def upload_here(self, number: int) -> str:
        return Article.objects.create(title="ours", photo=_file(number)).photo.hash

    @rule(hash=images)
    def delete(self, hash: str) -> None:
        self._try(self.others.delete_source_image, hash)

    @rule(hash=images)
    def restore(self, hash: str) -> None:
        self._try(self.others.restore_source_image, hash)

    @rule(hash=images, title=st.text("ab", max_size=2))
    def describe(self, hash: str, title: str) -> None:
        self._try(self.others.replace_user_metadata, hash, {"title": title})

    @rule(hash=images, name=st.sampled_from(["a.png", "b.png"]))
    def rename(self, hash: str, name: str) -> None:
        self._try(self.others.rename_source_image, hash, name)

    @rule(target=images, hash=consumes(images), x=st.integers(0, 2))
    def rehash(self, hash: str, x: int) -> Any:
        area = api.SubjectArea(x, 0)
        found = self._try(self.others.set_dynamic_metadata, hash, area, delete_previous=True)
        return multiple() if found is None else found.hash

    @rule(hash=consumes(images))
    def purge(self, hash: str) -> None:
        with self.emulator.application.state.transaction() as db:
            db.execute("DELETE FROM images WHERE hash = ?", [hash])

    @rule(lag=st.sampled_from([0.0, 0.0, 5.0]))
    def lag(self, lag: float) -> None:
        self.emulator.listing_lag = lag

    @rule(kind=st.sampled_from(["full", "new", "deleted"]), pages=st.integers(0, 3))
    def sync_some_pages(self, kind: str, pages: int) -> None:
        runs = sync.run_sync("default", kind)
        for _ in range(pages):
            next(runs, None)
        runs.close()

    @rule(kind=st.sampled_from(["full", "new", "deleted"]), calls=st.integers(0, 5))
    def sync_with_trouble(self, kind: str, calls: int) -> None:
        if calls:
            self.emulator.add_fault(Fault(kind="slow", seconds=0, times=calls))
        self.emulator.add_fault(Fault(status=500))
        with contextlib.suppress(api.ServerError):
            sync.sync_organization("default", kind)
        self.emulator.clear_faults()

    def _try(self, function: Any, *args: Any, **options: Any) -> Any:
        """What others may do to an image that is there."""
        Organization.steps += 1
        try:
            return function(*args, **options)
        except api.NotFound:
            return None

    def teardown(self) -> None:
        """Whole runs, for the live images and for the deleted, make the mirror true.

        The first of a kind may be an interrupted one, which does not look at what lies behind it.
        """
        self.emulator.listing_lag = 0
        self.emulator.clear_faults()
        for kind in ("full", "full", "deleted", "deleted", "full"):
            sync.sync_organization("default", kind)
        self._compare({image.hash: image for image in self.others.iter_source_images()}, live=True)
        deleted = self.others.iter_source_images(deleted=True)
        self._compare({image.hash: image for image in deleted}, live=False)
        assert sync.sync_organization("default").changed == 0

    def _compare(self, images: dict[str, api.SourceImage], *, live: bool) -> None:
        rows = SourceImage.objects.filter(organization="acme", purged=None)
        found = {row.hash: row for row in (rows.live() if live else rows.deleted())}
        assert set(found) == set(images)
        for hash, image in images.items():
            for name in SourceImage.RECORDED_FIELDS:
                if name not in ("deleted", "synced"):
                    assert getattr(found[hash], name) == getattr(image, name), (hash, name)


def test_the_mirror_is_true_whatever_others_did(
    rokka_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(walk, "PAGE", 3)
    monkeypatch.setattr(walk, "_ROWS", 4)
    monkeypatch.setattr(Organization, "emulator", rokka_emulator, raising=False)

    run_state_machine_as_test(
        Organization,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            # The same examples each time; a failure is shown as it is, for shrinking takes minutes.
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )

    with capsys.disabled():
        print(f"\n{Organization.steps} operations of others")  # noqa: T201
    assert Organization.steps > 100
