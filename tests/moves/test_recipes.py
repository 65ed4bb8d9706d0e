"""The recipes of `docs/importing.md`: old code writes rows, the command moves them, pages go on showing them.

The old code is a model of its own on the same table, as the processes have it that were started before.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
import requests
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import models
from django.template import engines
from django.test.utils import isolate_apps
from moto.server import ThreadedMotoServer

from django_rokka import tasks
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.models import MovedFile
from tests.conftest import missing
from tests.doc_blocks.page import ROOT, blocks_of
from tests.library.models import Article, Attachment
from tests.pictures import PDF, picture

from .serving import Host, serving
from .test_migration_operation import Table

pytestmark = pytest.mark.django_db(transaction=True)

COLUMN = "library.Article.photo"
DOCS = ROOT / "docs/importing.md"
UUID = "c0f3b7a2-1d4e-4f6a-9b8c-0123456789ab"
COLORS = ("#3366cc", "#cc3333", "#33cc66")
DOG, CAT, COW = (picture((90, 60), color=color) for color in COLORS)

Configure = Callable[..., None]


@pytest.fixture
def configure(rokka_emulator: Emulator, settings: Any) -> Configure:
    """Make a storage the one of before."""

    def configure(backend: str, fallback: str = "before", **options: Any) -> None:
        before = {"BACKEND": backend, "OPTIONS": options}
        settings.STORAGES = {**settings.STORAGES, fallback: before}
        settings.ROKKA = {"default": {**settings.ROKKA["default"], "FALLBACK": fallback}}

    return configure


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as host:
        yield host


@isolate_apps("tests.library")
def old_article(photo: models.Field[Any, Any]) -> Any:
    """The model as it was, with the same table."""

    class Article(models.Model):  # noqa: DJ008
        title = models.CharField(max_length=100)
        width = models.PositiveIntegerField(null=True)
        height = models.PositiveIntegerField(null=True)

        class Meta:
            app_label = "library"

    photo.contribute_to_class(Article, "photo")
    return Article


def old_image_field(**options: Any) -> models.ImageField:
    return models.ImageField(
        storage=lambda: storages["before"],
        upload_to="photos",
        width_field="width",
        height_field="height",
        **options,
    )


def move(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, COLUMN, *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def shown(title: str) -> str:
    """The address that a page has for a picture."""
    template = engines["django"].from_string("{% load rokka %}{% rokka_url row.photo %}")
    return template.render({"row": Article.objects.get(title=title)}).replace("&amp;", "&")


def read(file: Any) -> bytes:
    with file.open() as opened:
        content: bytes = opened.read()
    return content


def is_at_rokka(title: str, content: bytes) -> bool:
    """Whether a row shows these bytes from rokka, with a render that is there."""
    row = Article.objects.get(title=title)
    assert requests.get(row.photo.render_url("dynamic", width=10), timeout=30).status_code == 200
    return bool(row.photo.at_rokka and read(row.photo) == content)


def uploads(emulator: Emulator) -> int:
    return sum(call.method == "POST" and call.status == 201 for call in emulator.calls)


# --- An ImageField on disk ----------------------------------------------------------------------


@pytest.fixture
def media(configure: Configure, tmp_path: Path) -> Path:
    backend = "django.core.files.storage.FileSystemStorage"
    configure(backend, location=str(tmp_path / "media"), base_url="/media/")
    return tmp_path / "media" / "photos"


def test_pictures_on_disk(media: Path, rokka_emulator: Emulator) -> None:
    old = old_article(old_image_field())
    for title, content in {"dog": DOG, "cat": CAT, "no picture": None}.items():
        file = ContentFile(content, f"{title}.jpg") if content else ""
        old.objects.create(title=title, photo=file)
    assert shown("dog") == "/media/photos/dog.jpg"
    assert Article.objects.get(title="dog").photo.width == 90

    assert "2 files of 2 rows" in move("rokka_import", "--dry-run")
    assert uploads(rokka_emulator) == 0
    assert "2 files moved" in move("rokka_import")

    assert is_at_rokka("dog", DOG)
    assert is_at_rokka("cat", CAT)
    assert shown("dog").startswith(rokka_emulator.render_url.format(organization="acme"))
    assert shown("no picture") == ""
    row = Article.objects.get(title="dog")
    assert (row.photo.name.partition("/")[2], row.width, row.height) == ("dog.jpg", 90, 60)
    assert sorted(path.name for path in media.iterdir()) == ["cat.jpg", "dog.jpg"]
    move("rokka_import", "--delete", "--days=0")
    assert list(media.iterdir()) == []
    assert uploads(rokka_emulator) == 2


def test_old_files_can_be_deleted_when_their_pictures_have_another_hash(media: Path) -> None:
    old = old_article(old_image_field())
    old.objects.create(title="dog", photo=ContentFile(DOG, "dog.jpg"))
    move("rokka_import")
    Article.objects.get().photo.source_image.set_subject_area(30, 20)
    tasks.delete_due("default")

    assert "1 old files deleted" in move("rokka_import", "--delete", "--days=0")

    assert list(media.iterdir()) == []
    assert is_at_rokka("dog", DOG)


def test_a_file_that_rokka_does_not_have_any_more_is_kept(media: Path) -> None:
    old = old_article(old_image_field())
    old.objects.create(title="dog", photo=ContentFile(DOG, "dog.jpg"))
    move("rokka_import")
    Article.objects.get().photo.delete()

    assert "0 old files deleted" in move("rokka_import", "--delete", "--days=0")

    assert [path.name for path in media.iterdir()] == ["dog.jpg"]


def test_a_failure_is_forgotten_when_its_row_is_cleared(media: Path) -> None:
    Article.objects.create(title="dog", photo="photos/dog.jpg")
    Article.objects.create(title="cat", photo="photos/cat.jpg")
    with pytest.raises(SystemExit):
        move("rokka_import")
    assert MovedFile.objects.count() == 2

    Article.objects.filter(title="dog").update(photo="")
    with pytest.raises(SystemExit):
        move("rokka_import")
    assert [moved.source for moved in MovedFile.objects.all()] == ["photos/cat.jpg"]

    Article.objects.all().delete()
    assert "0 failed" in move("rokka_import")


def test_files_that_are_no_pictures(
    configure: Configure, tmp_path: Path, rokka_emulator: Emulator
) -> None:
    configure("django.core.files.storage.FileSystemStorage", location=str(tmp_path))
    (tmp_path / "attachments").mkdir()
    (tmp_path / "attachments/paper.pdf").write_bytes(PDF)
    row = Attachment.objects.create(file="attachments/paper.pdf")
    out = io.StringIO()

    call_command("rokka_import", "library.Attachment.file", stdout=out, stderr=io.StringIO())

    row.refresh_from_db()
    assert re.fullmatch(r"[0-9a-f]{40}/paper\.pdf", row.file.name)
    assert read(row.file) == PDF


# --- Both codes at a time -------------------------------------------------------------------------


def test_pictures_of_old_processes_are_found_by_the_next_run(
    media: Path, rokka_emulator: Emulator
) -> None:
    old = old_article(old_image_field())
    old.objects.create(title="dog", photo=ContentFile(DOG, "dog.jpg"))
    move("rokka_import")

    old.objects.create(title="cat", photo=ContentFile(CAT, "cat.jpg"))
    row = old.objects.get(title="dog")
    row.photo = ContentFile(COW, "cow.jpg")
    row.save()

    assert shown("cat") == "/media/photos/cat.jpg"
    assert shown("dog") == "/media/photos/cow.jpg"
    move("rokka_import")
    assert is_at_rokka("cat", CAT)
    assert is_at_rokka("dog", COW)


def test_a_row_that_old_code_saves_keeps_the_name_of_its_image(media: Path) -> None:
    old = old_article(old_image_field())
    old.objects.create(title="dog", photo=ContentFile(DOG, "dog.jpg"))
    move("rokka_import")

    row = old.objects.get()
    row.title = "the dog"
    row.save()

    assert is_at_rokka("the dog", DOG)


def test_a_row_that_was_read_before_its_move_and_saved_after_it_stays_at_rokka(
    media: Path,
) -> None:
    old = old_article(old_image_field())
    old.objects.create(title="dog", photo=ContentFile(DOG, "dog.jpg"))
    new_code = Article.objects.get()
    old_code = old.objects.get()
    move("rokka_import")

    new_code.save()
    assert is_at_rokka("dog", DOG)

    # Old code knows nothing of the move. The row shows its file, and the next run moves it again.
    old_code.save()
    assert shown("dog") == "/media/photos/dog.jpg"
    move("rokka_import")
    assert is_at_rokka("dog", DOG)


def test_old_processes_show_new_pictures_that_wait_in_the_old_storage(
    media: Path, settings: Any, celery_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No worker yet: it is started when all processes have the new code.
    celery_app.conf.update(task_always_eager=False, broker_url="memory://")
    values = {**settings.ROKKA["default"], "SPOOL": "before", "CELERY": True}
    settings.ROKKA = {"default": values}
    monkeypatch.setattr(Article._meta.get_field("photo"), "upload", "deferred")
    old = old_article(old_image_field())

    Article.objects.create(title="dog", photo=ContentFile(DOG, "dog.jpg"))

    row = old.objects.get()
    assert read(row.photo) == DOG
    assert row.photo.url == shown("dog")
    row.save()
    celery_app.conf.update(task_always_eager=True)
    tasks.upload_pending("default")
    assert is_at_rokka("dog", DOG)


# --- S3 -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of an S3 service."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, configure: Configure) -> Any:
    """An empty bucket, which is the storage of before."""
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    service = boto3.resource("s3", endpoint_url=s3, region_name="eu-central-1", **keys)
    bucket = service.create_bucket(
        Bucket="media", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    configure(
        "storages.backends.s3.S3Storage",
        bucket_name="media",
        endpoint_url=s3,
        region_name="eu-central-1",
        access_key="key",
        secret_key="secret",
        addressing_style="path",
        file_overwrite=False,
    )
    yield bucket
    bucket.objects.all().delete()
    bucket.delete()


def keys_of(bucket: Any) -> set[str]:
    return {item.key for item in bucket.objects.all()}


def test_pictures_on_s3_there_and_back(bucket: Any, rokka_emulator: Emulator) -> None:
    old = old_article(old_image_field())
    for title, content in {"dog": DOG, "cat": CAT}.items():
        old.objects.create(title=title, photo=ContentFile(content, f"{title}.jpg"))
    assert requests.get(shown("dog"), timeout=30).content == DOG

    move("rokka_import")

    assert is_at_rokka("dog", DOG)
    assert is_at_rokka("cat", CAT)
    assert keys_of(bucket) == {"photos/dog.jpg", "photos/cat.jpg"}

    move("rokka_export")

    # The files are still there, so nothing is written.
    assert keys_of(bucket) == {"photos/dog.jpg", "photos/cat.jpg"}
    assert read(old.objects.get(title="dog").photo) == DOG
    assert requests.get(shown("cat"), timeout=30).content == CAT


def test_pictures_on_s3_that_are_deleted_there_come_back_from_rokka(
    bucket: Any, rokka_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Article._meta.get_field("photo"), "upload_to", "photos")
    old = old_article(old_image_field())
    old.objects.create(title="dog", photo=ContentFile(DOG, "dog.jpg"))
    move("rokka_import", "--delete", "--days=0")
    assert keys_of(bucket) == set()
    image = Article.objects.get().photo.hash

    move("rokka_export", "--delete", "--days=0")

    assert keys_of(bucket) == {"photos/dog.jpg"}
    row = old.objects.get()
    assert row.photo.name == "photos/dog.jpg"
    assert read(row.photo) == DOG
    assert image not in {found.hash for found in get_client().iter_source_images()}


def test_another_file_on_s3_is_not_written_over(
    bucket: Any, rokka_emulator: Emulator, settings: Any
) -> None:
    before = settings.STORAGES["before"]
    options = {**before["OPTIONS"], "file_overwrite": True}
    settings.STORAGES = {**settings.STORAGES, "before": {**before, "OPTIONS": options}}
    old = old_article(old_image_field())
    for title, content in {"dog": DOG, "cat": CAT}.items():
        old.objects.create(title=title, photo=ContentFile(content, f"{title}.jpg"))
    move("rokka_import")
    bucket.put_object(Key="photos/dog.jpg", Body=COW)
    bucket.Object("photos/cat.jpg").delete()

    with pytest.raises(SystemExit):
        move("rokka_export")

    assert bucket.Object("photos/dog.jpg").get()["Body"].read() == COW
    assert is_at_rokka("dog", DOG)
    assert "write over" in MovedFile.objects.get(direction="export", state=2).message
    assert requests.get(shown("cat"), timeout=30).content == CAT


# --- CloudinaryField ------------------------------------------------------------------------------


@pytest.fixture
def cloudinary(host: Host, configure: Configure) -> Any:
    """The package's field, and the cloud's delivery."""
    if find_spec("cloudinary") is None:
        missing("cloudinary")
    import cloudinary
    import cloudinary.models

    configure("django_rokka.url_storage.URLStorage", base_url=f"{host.url}acme/")
    return cloudinary


def test_values_of_a_cloudinary_field(
    cloudinary: Any, host: Host, rokka_emulator: Emulator
) -> None:
    old = old_article(cloudinary.models.CloudinaryField("image", blank=True))
    resource = cloudinary.CloudinaryResource
    named = {"type": "upload", "resource_type": "image"}
    old.objects.create(
        title="dog", photo=resource("farm/a dog", version=1571218039, format="jpg", **named)
    )
    old.objects.create(title="cat", photo=resource("zoë", **named))
    host.put("acme/image/upload/v1571218039/farm/a dog.jpg", DOG)
    host.put("acme/image/upload/zoë", CAT)
    assert Article.objects.get(title="dog").photo.name == (
        "image/upload/v1571218039/farm/a dog.jpg"
    )
    assert requests.get(shown("dog"), timeout=30).content == DOG
    assert requests.get(shown("cat"), timeout=30).content == CAT

    move("rokka_import")

    assert is_at_rokka("dog", DOG)
    assert is_at_rokka("cat", CAT)
    assert Article.objects.get(title="dog").photo.name.endswith("/a-dog.jpg")
    assert Article.objects.get(title="cat").photo.name.endswith("/zoe.jpg")


def test_the_column_of_a_cloudinary_field_becomes_one_of_rokkas(cloudinary: Any) -> None:
    becomes_rokkas(cloudinary.models.CloudinaryField("image"), "image/upload/v1/farm/dog.jpg")


def becomes_rokkas(old: models.Field[Any, Any], name: str) -> None:
    """Alter the column there and back, with a name, and with one that just fits."""
    table = Table(old)
    table.create()
    try:
        table.put(name)
        table.forwards()
        assert table.names() == [name]
        table.backwards()
        table.put(name + (255 - len(name)) * "x")
        table.forwards()
        assert table.names()[0] == name
    finally:
        table.drop()


def test_what_cloudinary_does_not_deliver_is_reported_and_kept(
    cloudinary: Any, host: Host, rokka_emulator: Emulator
) -> None:
    name = "image/authenticated/v1/secret.jpg"
    host.put(f"acme/{name}", b"", status=401)
    Article.objects.create(title="dog", photo=name)

    with pytest.raises(SystemExit):
        move("rokka_import")

    failed = MovedFile.objects.get(source=name)
    assert failed.reason == MovedFile.Reason.UNREADABLE
    assert f"{name} answered 401" in failed.message
    assert shown("dog") == f"{host.url}acme/{name}"


# --- pyuploadcare's ImageField --------------------------------------------------------------------


@pytest.fixture
def uploadcare(
    host: Host, configure: Configure, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """The package's field, and the project's delivery."""
    if find_spec("pyuploadcare") is None:
        missing("pyuploadcare")
    settings.UPLOADCARE = {"pub_key": "key", "secret": "secret"}
    from pyuploadcare.dj import conf, models

    monkeypatch.setitem(conf.config, "cdn_base", host.url)
    pattern = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/"
    configure("django_rokka.url_storage.URLStorage", base_url=host.url, path_pattern=pattern)
    return models


@pytest.fixture
def crops(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The functions of the page's block, where ``blog.models`` has our article."""
    models = ModuleType("blog.models")
    models.Article = Article  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "blog", ModuleType("blog"))
    monkeypatch.setitem(sys.modules, "blog.models", models)
    (block,) = (found for found in blocks_of(DOCS) if "blog/crops.py" in found.text)
    names: dict[str, Any] = {}
    exec(block.text, names)  # noqa: S102 - the documentation's code
    return names


def test_values_of_pyuploadcares_image_field(
    uploadcare: Any, host: Host, crops: dict[str, Any], tmp_path: Path
) -> None:
    old = old_article(uploadcare.ImageField(manual_crop=""))
    crop = "-/crop/40x30/20,10/-/preview/"
    old.objects.create(title="dog", photo=UUID)
    old.objects.create(title="cropped", photo=f"{host.url}{UUID}/{crop}")
    # What was written when the project had another address.
    Article.objects.create(title="older", photo=f"https://ucarecdn.com/{UUID}/")
    said = {"Content-Disposition": 'inline; filename="Dog in snow.jpg"'}
    host.put(f"{UUID}/", DOG, headers=said)
    assert shown("dog") == f"{host.url}{UUID}/"
    assert shown("cropped") == f"{host.url}{UUID}/{crop}"
    assert shown("older") == f"https://ucarecdn.com/{UUID}/"
    crops["note"](tmp_path / "crops.json")

    move("rokka_import")

    assert all(is_at_rokka(title, DOG) for title in ("dog", "cropped", "older"))
    names = set(Article.objects.values_list("photo", flat=True))
    assert [name.partition("/")[2] for name in names] == ["dog-in-snow.jpg"]
    crops["apply"](tmp_path / "crops.json")
    image = Article.objects.get(title="cropped").photo.source_image
    assert image.dynamic_metadata == {"crop_area": {"x": 20, "y": 10, "width": 40, "height": 30}}
    assert Article.objects.get(title="dog").photo.source_image.dynamic_metadata == {}


def test_the_column_of_pyuploadcares_field_becomes_one_of_rokkas(uploadcare: Any) -> None:
    becomes_rokkas(
        uploadcare.ImageField(manual_crop=""), f"https://ucarecdn.com/{UUID}/-/crop/4x3/2,1/"
    )


def test_a_file_that_uploadcare_has_deleted_is_reported(
    uploadcare: Any, host: Host, rokka_emulator: Emulator
) -> None:
    Article.objects.create(title="dog", photo=f"{host.url}{UUID}/")

    with pytest.raises(SystemExit):
        move("rokka_import")

    assert MovedFile.objects.get().reason == MovedFile.Reason.MISSING
