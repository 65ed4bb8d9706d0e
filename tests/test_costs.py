"""The table of docs/deployment.md that says what each action costs, compared with what the emulator was asked."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.template import engines
from django.test import Client

from django_rokka import bulk, lifecycle, placeholders, tasks
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import BulkOperation, MovedFile, SourceImage
from django_rokka.storage import RokkaStorage
from django_rokka.sync import sync_image
from tests.library.models import Article, Captioned, Snapshot
from tests.pictures import picture
from tests.test_copy_command import image as image_at_rokka
from tests.test_copy_command import put

pytestmark = pytest.mark.django_db(transaction=True)

GUIDE = (Path(__file__).parents[1] / "docs" / "deployment.md").read_text()
ADMIN = "/admin/rokka/sourceimage/"
PHOTO = "library.Article.photo"
Costs = tuple[int, int]


def table() -> dict[str, Costs]:
    """What the guide says: action → API calls and renders."""
    section = GUIDE.split("## What costs a call")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (\d+) \| (\d+) \|$", section, re.MULTILINE)
    assert len(rows) == len(dict.fromkeys(name for name, *_ in rows))
    return {name: (int(calls), int(renders)) for name, calls, renders in rows}


@dataclass
class Site:
    """A site whose ``settings`` a test may change, and a ``staff`` member's browser."""

    emulator: Emulator
    settings: Any
    staff: Client
    costs: list[Costs] = field(default_factory=list)

    @contextmanager
    def counted(self, *, of: int = 1) -> Iterator[None]:
        """What happens inside is the action, done to so many things; what comes before prepares it."""
        before = self._asked()
        yield
        calls, renders = (now - then for now, then in zip(self._asked(), before, strict=True))
        assert calls % of == renders % of == 0, (calls, renders)
        self.costs.append((calls // of, renders // of))

    def deduct(self, others: int, *, of: int = 1) -> None:
        """Take calls out of the last count that the guide does not mean; the rest was for so many things."""
        calls, renders = self.costs.pop()
        assert (calls - others) % of == 0, calls
        self.costs.append(((calls - others) // of, renders))

    def _asked(self) -> Costs:
        return len(self.emulator.calls), len(self.emulator.renders)

    def set(self, **values: Any) -> None:
        """Change settings of the alias."""
        self.settings.ROKKA = {"default": {**self.settings.ROKKA["default"], **values}}

    def opened(self, path: str) -> None:
        assert self.staff.get(path).status_code == 200, path


@pytest.fixture
def site(rokka_emulator: Emulator, settings: Any, tmp_path: Path) -> Site:
    settings.MEDIA_ROOT = tmp_path
    staff = Client()
    staff.force_login(get_user_model().objects.create_superuser("admin"))
    return Site(rokka_emulator, settings, staff)


def file(color: str = "#3366cc") -> ContentFile[bytes]:
    return ContentFile(picture((300, 200), color=color), name="dog.jpg")


def article(color: str = "#3366cc") -> Article:
    return Article.objects.get(pk=Article.objects.create(title="A dog", photo=file(color)).pk)


def image() -> SourceImage:
    """An image that no row holds."""
    hash = RokkaStorage().save("dog.jpg", file())[:40]
    return SourceImage.objects.get(hash=hash)


def fill_rokka(emulator: Emulator, count: int) -> None:
    put(emulator, *map(image_at_rokka, range(count)))


def bulk_done(kind: str, **options: Any) -> None:
    count = SourceImage.objects.count()
    operation = bulk.create(kind, SourceImage.objects.all(), options=options)
    while bulk.work(operation, "me"):
        pass
    assert bulk.progress(operation).done == count > 1


def files_of_before(site: Site, count: int) -> None:
    """Rows that show files on the disk."""
    site.set(FALLBACK="default")
    for number in range(count):
        name = storages["default"].save("old.jpg", ContentFile(picture((60 + number, 40))))
        row = Article.objects.create()
        Article.objects.filter(pk=row.pk).update(photo=name)


def moved(command: str, *options: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", io.StringIO())
        call_command(command, PHOTO, *options)


# --- The actions: each prepares, and does one thing that is counted -----------------------------

Action = Callable[[Site], None]
ACTIONS: dict[str, Action] = {}


def costs_of(name: str) -> Callable[[Action], Action]:
    def register(action: Action) -> Action:
        assert name not in ACTIONS
        ACTIONS[name] = action
        return action

    return register


@costs_of("a row is saved with a new file")
def _(site: Site) -> None:
    with site.counted():
        Article.objects.create(photo=file())


@costs_of("a row is saved with a file that rokka has already")
def _(site: Site) -> None:
    Article.objects.create(photo=file())
    with site.counted():
        Article.objects.create(photo=file())


@costs_of("a row is saved with a picture from the picker")
def _(site: Site) -> None:
    name = image().file_name
    with site.counted():
        Article.objects.create(photo=name)


@costs_of("a row is saved, and its picture stays")
def _(site: Site) -> None:
    row = article()
    row.title = "Another dog"
    with site.counted():
        row.full_clean()
        row.save()


@costs_of("a row is saved whose texts are mapped to user metadata, and one has changed")
def _(site: Site) -> None:
    row = Captioned.objects.create(headline="A dog", photo=file())
    row = Captioned.objects.get(pk=row.pk)
    row.headline = "Another dog"
    with site.counted():
        row.save()


@costs_of("a row is saved with another file than before, which no other row holds")
def _(site: Site) -> None:
    row = article()
    row.photo = file("#ff0000")
    with site.counted():
        row.save()


@costs_of("a file is dropped in the admin, before the row is saved")
def _(site: Site) -> None:
    with site.counted():
        upload = SimpleUploadedFile("dog.jpg", picture(), "image/jpeg")
        path = f"{ADMIN}upload/library/article/photo/"
        assert site.staff.post(path, {"file": upload}).status_code == 200


@costs_of('a row is saved whose field has `upload="deferred"`')
def _(site: Site) -> None:
    site.set(CELERY=True)
    sent: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        # The broker: what is sent to it waits.
        patch.setattr(tasks.upload_deferred, "delay", lambda *args: sent.append(args))
        with site.counted():
            Snapshot.objects.create(photo=file())
    assert len(sent) == 1


@costs_of("a deferred file is uploaded by its task")
def _(site: Site) -> None:
    site.emulator.add_fault(Fault(status=500))
    row = Snapshot.objects.create(photo=file())
    row.refresh_from_db()
    assert row.photo.deferred
    with site.counted():
        tasks.upload_deferred("default", row.photo.name)
    row.refresh_from_db()
    assert not row.photo.deferred


@costs_of("rows are loaded, with width and height of their pictures")
def _(site: Site) -> None:
    article()
    with site.counted():
        assert [row.photo.width for row in Article.objects.all()] == [300]


@costs_of("a page is rendered with `rokka_img`, `rokka_picture`, `rokka_url` and placeholders")
def _(site: Site) -> None:
    row = article()
    text = (
        '{% load rokka %}{% rokka_img row.photo "hero" sizes="100vw" placeholder="blur" %}'
        "{% rokka_picture row.photo %}{% endrokka_picture %}{% rokka_url row.photo width=20 %}"
        "{% rokka_placeholder row.photo %}"
    )
    with site.counted():
        html = engines["django"].from_string(text).render({"row": row})
    assert row.photo.hash in html


@costs_of("a picture is answered by Django REST framework")
def _(site: Site) -> None:
    from tests.test_drf import ArticleSerializer

    row = article()
    with site.counted():
        assert row.photo.hash in str(ArticleSerializer(row).data)


@costs_of("the admin's list of images is opened")
def _(site: Site) -> None:
    article()
    with site.counted():
        site.opened(ADMIN)


@costs_of("the admin's page of an image is opened")
def _(site: Site) -> None:
    article()
    with site.counted():
        site.opened(f"{ADMIN}{SourceImage.objects.get().pk}/change/")


@costs_of("the picker is opened, or searched")
def _(site: Site) -> None:
    article()
    with site.counted():
        site.opened(f"{ADMIN}picker/library/article/photo/?q=dog")


@costs_of("the focal point of a picture is moved, and all its rows follow")
def _(site: Site) -> None:
    article()
    with site.counted():
        SourceImage.objects.get().set_subject_area(10, 10)


@costs_of("the focal point of one row's picture is moved, and another row keeps the old one")
def _(site: Site) -> None:
    row = article()
    article()
    with site.counted():
        row.photo.set_subject_area(10, 10)


@costs_of("user metadata of a picture are changed")
def _(site: Site) -> None:
    hash = image().hash
    with site.counted():
        get_client().patch_user_metadata(hash, {"title": "Dog"})


@costs_of("a row is deleted, and no other row holds its picture")
def _(site: Site) -> None:
    row = article()
    with site.counted():
        row.delete()


@costs_of("a row is deleted, and another row holds the same picture")
def _(site: Site) -> None:
    row = article()
    article()
    with site.counted():
        row.delete()


@costs_of('a row is deleted, with `UNREFERENCED` as `"keep"` or days')
def _(site: Site) -> None:
    site.set(UNREFERENCED=7)
    row = article()
    with site.counted():
        row.delete()


@costs_of("a deleted image is restored")
def _(site: Site) -> None:
    one = image()
    lifecycle.delete_unreferenced(one)
    one.refresh_from_db()
    with site.counted():
        lifecycle.restore(one)


@costs_of("an original is opened, `article.photo.open()`")
def _(site: Site) -> None:
    row = article()
    with site.counted(), row.photo.open() as original:
        assert original.read()


@costs_of("a storage is asked `exists()`")
def _(site: Site) -> None:
    row = article()
    with site.counted():
        assert RokkaStorage().exists(row.photo.name)


@costs_of("a storage is asked `size()` of an image that the mirror knows")
def _(site: Site) -> None:
    row = article()
    with site.counted():
        assert RokkaStorage().size(row.photo.name)


@costs_of("the placeholder of an image is made")
def _(site: Site) -> None:
    hash = image().hash
    with site.counted():
        assert placeholders.fill("default", hash)


@costs_of("100 images are copied, in the admin or by `rokka_copy`")
def _(site: Site) -> None:
    fill_rokka(site.emulator, 100)
    call_command("rokka_sync", "--alias=default")
    with site.counted():
        bulk_done(BulkOperation.Kind.COPY, destination="acme-stage")


@costs_of(
    "each image that is locked, deleted, restored, synced or purged from the CDN in the admin"
)
def _(site: Site) -> None:
    fill_rokka(site.emulator, 5)
    call_command("rokka_sync", "--alias=default")
    for kind in (Kind.LOCK, Kind.UNLOCK, Kind.DELETE, Kind.RESTORE, Kind.SYNC, Kind.PURGE):
        with site.counted(of=5):
            bulk_done(kind)


@costs_of("each image that is described in the admin")
def _(site: Site) -> None:
    fill_rokka(site.emulator, 5)
    call_command("rokka_sync", "--alias=default")
    with site.counted(of=5):
        bulk_done(Kind.DESCRIBE, languages=["en"])


@costs_of("each image that is protected in the admin, and all its rows follow")
def _(site: Site) -> None:
    for color in ("#ff0000", "#00ff00"):
        article(color)
    with site.counted(of=2):
        bulk_done(Kind.PROTECT)


@costs_of("`rokka_sync` finds nothing new")
def _(site: Site) -> None:
    call_command("rokka_sync", "--alias=default")
    with site.counted():
        call_command("rokka_sync", "--alias=default")


@costs_of("`rokka_sync --full` reads 2000 images")
def _(site: Site) -> None:
    fill_rokka(site.emulator, 2000)
    with site.counted():
        call_command("rokka_sync", "--full", "--alias=default")
    assert SourceImage.objects.count() == 2000
    with site.counted():
        call_command("rokka_sync", "--full", "--alias=default")


@costs_of("a sync misses an image: beside its pages")
def _(site: Site) -> None:
    hash = image().hash
    SourceImage.objects.update(fingerprint=None)
    call_command("rokka_sync", "--full", "--alias=default")
    get_client(mirrors=False).delete_source_image(hash)
    with site.counted():
        call_command("rokka_sync", "--full", "--alias=default")
    site.deduct(1)


@costs_of("one image is synced")
def _(site: Site) -> None:
    one = image()
    with site.counted():
        sync_image(one)


@costs_of("`rokka_stacks diff`, for all stacks of an alias")
def _(site: Site) -> None:
    steps = [{"name": "resize", "options": {"width": 1600}}]
    site.set(STACKS={"hero": {"operations": steps}, "card": {"operations": steps}})
    call_command("rokka_stacks", "push")
    with site.counted():
        call_command("rokka_stacks", "diff")


@costs_of("`rokka_stacks push`, beside one for each stack that is written")
def _(site: Site) -> None:
    steps = [{"name": "resize", "options": {"width": 1600}}]
    site.set(STACKS={"hero": {"operations": steps}, "card": {"operations": steps}})
    with site.counted():
        call_command("rokka_stacks", "push")
    site.deduct(2)
    with site.counted():
        call_command("rokka_stacks", "push")


@costs_of("each file that `rokka_import` moves")
def _(site: Site) -> None:
    files_of_before(site, 4)
    with site.counted(of=4):
        moved("rokka_import")
    assert MovedFile.objects.filter(state=MovedFile.State.DONE).count() == 4


@costs_of("each file that `rokka_import` moves after a run that failed or was killed")
def _(site: Site) -> None:
    files_of_before(site, 3)
    site.emulator.add_fault(Fault(status=500, times=3))
    with pytest.raises(SystemExit):
        moved("rokka_import")
    with site.counted(of=3):
        moved("rokka_import")


@costs_of("`rokka_import` and `rokka_export` find nothing to move")
def _(site: Site) -> None:
    files_of_before(site, 2)
    moved("rokka_import")
    with site.counted():
        moved("rokka_import")
    moved("rokka_export")
    with site.counted():
        moved("rokka_export")


@costs_of("`rokka_import --dry-run`, which measures how long a call takes")
def _(site: Site) -> None:
    files_of_before(site, 3)
    with site.counted():
        moved("rokka_import", "--dry-run")


@costs_of("`rokka_export --dry-run`")
def _(site: Site) -> None:
    site.set(FALLBACK="default")
    article()
    with site.counted():
        moved("rokka_export", "--dry-run")


@costs_of("each old file that `rokka_import --delete` compares and deletes")
def _(site: Site) -> None:
    files_of_before(site, 3)
    moved("rokka_import")
    with site.counted(of=3):
        moved("rokka_import", "--delete", "--days=0")
    assert not MovedFile.objects.filter(deleted=None)


@costs_of("each image that `rokka_export` moves")
def _(site: Site) -> None:
    site.set(FALLBACK="default")
    for color in ("#ff0000", "#00ff00"):
        article(color)
    with site.counted(of=2):
        moved("rokka_export")


@costs_of("`rokka_doctor`, for each alias")
def _(site: Site) -> None:
    article()
    with site.counted():
        call_command("rokka_doctor", "--alias=default")


@costs_of("each picture that `rokka_doctor --references` asks about, beside 2 for each alias")
def _(site: Site) -> None:
    for color in ("#ff0000", "#00ff00", "#0000ff"):
        article(color)
    with site.counted():
        call_command("rokka_doctor", "--references", "--alias=default")
    site.deduct(2, of=3)


@costs_of("`rokka_orphans`, `rokka_broken`, `rokka_pending` and `check` find nothing")
def _(site: Site) -> None:
    article()
    with site.counted():
        call_command("rokka_orphans")
        call_command("rokka_broken")
        call_command("rokka_pending")
        call_command("check")


@costs_of("`rokka_orphans` with an `ENVIRONMENT`, for each 2000 images that this site uploaded")
def _(site: Site) -> None:
    site.set(ENVIRONMENT="production")
    article()
    with site.counted():
        call_command("rokka_orphans")


Kind = BulkOperation.Kind


def test_the_guide_tells_of_every_action_and_of_no_other() -> None:
    assert sorted(table()) == sorted(ACTIONS)


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_costs_what_the_guide_says(name: str, site: Site) -> None:
    ACTIONS[name](site)

    assert site.costs
    assert site.costs == [table()[name]] * len(site.costs)
