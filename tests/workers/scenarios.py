"""Rows with pictures, tasks about them, and what must be true once the tasks are through.

A scenario is used once: make it, `start` it, let something happen, `check` it. `meanwhile` is what an
editor does while no worker is there.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from typing import Any, ClassVar

import requests
from django.core.files.base import ContentFile
from django.db import models, transaction

from django_rokka import tasks
from django_rokka.api import SubjectArea
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.storage import RokkaStorage
from django_rokka.testing import API_KEY
from tests.library.models import Article, Attachment, Page, Portrait, Snapshot
from tests.pictures import picture
from tests.workers.harness import Tally

AREA = {"x": 3, "y": 4, "width": 5, "height": 6}
SIZE = (20, 16)
#: The call that uploads.
UPLOAD = "POST /sourceimages/acme"
_COLUMNS: list[tuple[type[models.Model], str]] = [
    (Article, "photo"),
    (Portrait, "picture"),
    (Attachment, "file"),
    (Page, "hero"),
    (Page, "data"),
    (Page, "body"),
    (Snapshot, "photo"),
]
_numbers = itertools.count(1)


# --- Rokka, asked past django_rokka -----------------------------------------------------------


class Rokka:
    """The emulator, asked by plain requests."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.images = f"{emulator.api_url}/sourceimages/acme"
        self.renders = emulator.render_url.replace("{organization}", "acme")
        self._counted = 0
        self._session = requests.Session()
        self._session.headers["Api-Key"] = API_KEY

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def is_shown(self, hash: str) -> bool:
        """Whether an image is live and renders, if it is protected with a signature."""
        path = f"/dynamic/resize-width-10/{hash}/x.png"
        signed = f"{path}:{self.emulator.signing_key}".encode()
        render = f"{self.renders}{path}?sig={hashlib.sha256(signed).hexdigest()[:16]}"
        return self._session.get(render).status_code == 200 and self.image(hash) is not None

    def image(self, hash: str, organization: str = "acme") -> dict[str, Any] | None:
        """A live image, as the API shows it."""
        url = f"{self.emulator.api_url}/sourceimages/{organization}/{hash}"
        answer = self._session.get(url)
        return answer.json() if answer.status_code == 200 else None

    def variants(self, content: bytes) -> dict[str, dict[str, Any]]:
        """All live images with these bytes: hash → dynamic metadata."""
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        found = self._session.get(f"{self.images}/binaryhash/{digest}").json()["items"]
        return {image["hash"]: image.get("dynamic_metadata") or {} for image in found}

    def new_uploads(self) -> int:
        """How many uploads have succeeded since this was last asked, as far as they were answered."""
        calls = self.emulator.calls[self._counted :]
        self._counted += len(calls)
        return sum(
            f"{call.method} {call.path}" == UPLOAD and call.status in (200, 201) for call in calls
        )


# --- Rows -------------------------------------------------------------------------------------


def new_picture() -> bytes:
    """A file that nobody has uploaded yet."""
    number = next(_numbers)
    return picture(SIZE, "PNG", (number >> 16, number >> 8 & 255, number & 255))


def upload(content: bytes) -> str:
    """The hash of an uploaded file."""
    return RokkaStorage().save("picture.png", ContentFile(content)).partition("/")[0]


def fill_rows(hash: str, rokka: Rokka) -> Article:
    """Six rows of four models that show one picture in eight places; gives one of them."""
    first, _ = (Article.objects.create(photo=f"{hash}/{slug}.png") for slug in ("one", "two"))
    for hidden in (False, True):
        Portrait.objects.create(hidden=hidden, picture=f"{hash}/hidden-{hidden}.png".lower())
    Attachment.objects.create(file=f"{hash}/attached.png")
    Page.objects.create(
        hero=f"{hash}/hero.png",
        data={"blocks": [{"image": hash, "other": 1}]},
        body=f'<p><img src="{rokka.renders}/dynamic/{hash}/in-a-text.png"> and more</p>',
    )
    return first


def shown() -> dict[str, str]:
    """What every row of every model shows: label, column and key → the value, if there is one."""
    return {
        f"{model._meta.label}.{field} {pk}": value if isinstance(value, str) else json.dumps(value)
        for model, field in _COLUMNS
        for pk, value in models.QuerySet(model).values_list("pk", field)
        if value
    }


def key(row: Article | Snapshot) -> str:
    """How `shown` names a row."""
    return f"{row._meta.label}.photo {row.pk}"


def clear() -> None:
    """Delete all rows without a signal."""
    for model in {model for model, _ in _COLUMNS}:
        models.QuerySet(model)._raw_delete(models.QuerySet(model).db)


# --- Scenarios --------------------------------------------------------------------------------


class Scenario:
    """Six rows with one picture, and two rows with another that nobody touches."""

    name: ClassVar[str]
    #: So many calls, at least, a task makes.
    calls: ClassVar[int] = 3
    #: How many uploads there are from the beginning to the end.
    uploads: ClassVar[int] = 2
    #: Whether the old image may stay until ``delete_due`` runs, which is by schedule.
    leaves_the_rest: ClassVar[bool] = False

    def __init__(self, rokka: Rokka) -> None:
        self.rokka = rokka
        self.content = new_picture()
        others = set(shown())
        hash = upload(new_picture())
        Article.objects.create(photo=f"{hash}/other.png")
        Page.objects.create(hero=hash)
        self.arrange()
        #: What its rows should show if the task changed nothing.
        self.rows = {row: value for row, value in shown().items() if row not in others}

    def arrange(self) -> None:
        """Make the rows."""
        self.hash = upload(self.content)
        self.row = fill_rows(self.hash, self.rokka)

    def start(self) -> None:
        """Start the task."""
        raise NotImplementedError

    def finish(self) -> None:
        """Start what runs by schedule, if it is needed: without any task nothing has to be done."""
        if self.leaves_the_rest:
            tasks.delete_due.delay("default")

    def meanwhile(self) -> None:
        """An editor saves another row with the picture."""
        name = f"{self.hash}/late.png"
        self.rows[key(Article.objects.create(photo=name))] = name

    def outcome(self) -> tuple[dict[str, str], set[str]]:
        """What its rows should show now, and the images with these bytes that should be live."""
        raise NotImplementedError

    def variant(self, **dynamic_metadata: Any) -> str:
        """The one image with these bytes that has this dynamic metadata; empty for none."""
        found = self.rokka.variants(self.content).items()
        return next((hash for hash, metadata in found if metadata == dynamic_metadata), "")

    def check(self, tally: Tally) -> None:
        """Check every row and every image, and count what is broken."""
        rows, live = self.outcome()
        now = {row: value for row, value in shown().items() if row in rows}
        hashes = {hash for value in now.values() for hash in re.findall("[0-9a-f]{40}", value)}
        dark = {hash for hash in hashes if not self.rokka.is_shown(hash)}
        broken = [row for row, value in now.items() if any(hash in value for hash in dark)]
        tally.rows = max(tally.rows, len({re.sub(r"\.\w+ ", " ", row) for row in now}))
        tally.broken += len(broken)
        assert not broken
        assert now == rows
        assert set(self.rokka.variants(self.content)) == live


class Rehash(Scenario):
    """A picture gets a subject area; every row follows, and the old image goes."""

    name = "rehash"

    def start(self) -> None:
        tasks.set_dynamic_metadata.delay("default", self.hash, "subject_area", AREA)

    def outcome(self) -> tuple[dict[str, str], set[str]]:
        new = self.variant(subject_area=AREA)
        return {row: value.replace(self.hash, new) for row, value in self.rows.items()}, {new}


class RehashBack(Rehash):
    """The same, if the image that it becomes was there before, and was deleted."""

    name = "rehash to a former image"
    calls = 6

    def arrange(self) -> None:
        super().arrange()
        self.rokka.emulator.revives = False
        client = get_client()
        client.patch_user_metadata(self.hash, {"title": "kept"})
        former = client.set_dynamic_metadata(self.hash, SubjectArea(**AREA)).hash
        client.delete_user_metadata(former)
        client.delete_source_image(former)

    def outcome(self) -> tuple[dict[str, str], set[str]]:
        rows, live = super().outcome()
        for hash in live:
            assert get_client().get_source_image(hash).user_metadata == {"title": "kept"}
        return rows, live


class RehashOneRow(Scenario):
    """One of several rows gets a subject area; the others keep the old image."""

    name = "rehash of one row"

    def start(self) -> None:
        where = ("library.Article", self.row.pk, "photo")
        tasks.change_row.delay("default", self.hash, *where, "subject_area", AREA)

    def outcome(self) -> tuple[dict[str, str], set[str]]:
        new = self.variant(subject_area=AREA)
        rows = {**self.rows}
        rows[key(self.row)] = rows[key(self.row)].replace(self.hash, new)
        held = any(self.hash in value for value in rows.values())
        return rows, {new, self.hash} if held else {new}


class RehashLastRow(RehashOneRow):
    """The only row that shows the picture gets a subject area; the old image goes."""

    name = "rehash of the only row"

    def arrange(self) -> None:
        self.hash = upload(self.content)
        self.row = Article.objects.create(photo=f"{self.hash}/only.png")


class Release(Scenario):
    """The last row that shows a picture is deleted; the image goes, unless a row takes it again."""

    name = "delete a row"
    calls = 1
    uploads = 3

    def arrange(self) -> None:
        fill_rows(upload(new_picture()), self.rokka)
        self.hash = upload(self.content)
        self.row = Article.objects.create(photo=f"{self.hash}/last.png")

    def start(self) -> None:
        del self.rows[key(self.row)]
        self.let_go()

    def let_go(self) -> None:
        """Delete the row: that starts the task ``release``."""
        self.row.delete()

    def outcome(self) -> tuple[dict[str, str], set[str]]:
        held = any(self.hash in value for value in self.rows.values())
        return self.rows, {self.hash} if held else set()


class DeleteFile(Release):
    """The same for a row that clears its picture: that starts ``delete_unreferenced``."""

    name = "delete a picture"

    def let_go(self) -> None:
        self.row.photo.delete()


class ReleaseShared(Release):
    """One of several rows with a picture is deleted; the image stays."""

    name = "delete a row of several"
    uploads = 2

    def arrange(self) -> None:
        Scenario.arrange(self)


class Upload(Scenario):
    """A file waits in the spool, shown by seven rows of three models; one task uploads it."""

    name = "deferred upload"
    calls = 2

    def arrange(self) -> None:
        """Nothing yet: the rows start the task as soon as they are there."""

    def start(self) -> None:
        others = set(shown())
        with transaction.atomic():
            first = Snapshot.objects.create(photo=ContentFile(self.content, "waits.png"))
            self.waiting = str(first.photo.name)
            # Copies as a data migration makes them: no signal, so no task of their own.
            for model, field in ((Snapshot, "photo"), (Article, "photo"), (Portrait, "picture")):
                model._base_manager.bulk_create([model(**{field: self.waiting}) for _ in range(2)])
            self.rows |= {row: value for row, value in shown().items() if row not in others}

    def meanwhile(self) -> None:
        late = Snapshot.objects.create(photo=self.waiting)
        self.rows[key(late)] = self.waiting

    def outcome(self) -> tuple[dict[str, str], set[str]]:
        hash = self.variant()
        assert set(Snapshot.objects.values_list("width", "height")) == {SIZE}
        name = f"{hash}/waits.png"
        return {row: value.replace(self.waiting, name) for row, value in self.rows.items()}, {hash}


def check_uploads(
    rokka: Rokka, scenarios: list[Scenario], tallies: list[Tally], *, unanswered: int = 0
) -> None:
    """Check that every file was uploaded once. ``unanswered``: uploads that worked without an answer."""
    doubled = rokka.new_uploads() + unanswered - sum(scenario.uploads for scenario in scenarios)
    for tally in tallies:
        tally.doubled += max(doubled, 0)
    assert doubled == 0


#: One for each task.
CENTRAL: list[type[Scenario]] = [Rehash, RehashOneRow, Release, DeleteFile, Upload]
#: Those that have most of their lines in common are together; some differ in what other rows hold only.
EVERY_LINE: list[list[type[Scenario]]] = [
    [Rehash, RehashOneRow, RehashLastRow],
    [Release, DeleteFile, ReleaseShared],
    [Upload],
]
#: So many lines, at least, the tasks of each of these pass.
LINES = 100
#: Also those that make other calls.
EVERY_CALL: list[type[Scenario]] = [*CENTRAL, RehashBack]
