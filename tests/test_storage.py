from __future__ import annotations

import hashlib
import io
from datetime import datetime, timedelta
from datetime import timezone as tz
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage, storages
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.db import transaction
from django.utils import timezone

from django_rokka import api, lifecycle
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage
from django_rokka.storage import RokkaStorage
from tests.library.models import Attachment
from tests.pictures import SVG, picture, rotated

pytestmark = pytest.mark.django_db


@pytest.fixture
def storage(rokka_emulator: Emulator) -> RokkaStorage:
    return RokkaStorage()


def saved(storage: RokkaStorage, name: str = "dog.jpg", content: bytes = b"") -> str:
    return storage.save(name, ContentFile(content or picture()))


def test_a_name_is_hash_slug_and_format(storage: RokkaStorage) -> None:
    name = saved(storage, "Zürich am Abend.JPEG")

    image = SourceImage.objects.get()
    assert name == f"{image.hash}/zurich-am-abend.jpg"
    assert image.name == "Zürich am Abend.JPEG"


def test_saving_is_one_call(storage: RokkaStorage, rokka_emulator: Emulator) -> None:
    saved(storage)

    assert [(call.method, call.status) for call in rokka_emulator.calls] == [("POST", 201)]


def test_the_callers_file_is_read_from_its_start_and_stays_open(storage: RokkaStorage) -> None:
    raw = io.BytesIO(picture())
    raw.read(50)

    name = storage.save("dog.jpg", File(raw))

    assert storage.size(name) == len(picture())
    assert not raw.closed
    assert raw.tell() == 0


def test_every_kind_of_content_is_taken(storage: RokkaStorage) -> None:
    temporary = TemporaryUploadedFile("dog.jpg", "image/jpeg", len(picture()), None)
    temporary.write(picture())
    with temporary:
        names = [
            storage.save("dog.jpg", SimpleUploadedFile("dog.jpg", picture())),
            storage.save("dog.jpg", temporary),
            storage.save("dog.jpg", io.BytesIO(picture())),
            storage.save(None, ContentFile(picture(), name="dog.jpg")),
        ]

    assert len(set(names)) == 1
    assert storage.save("logo.svg", ContentFile(SVG.decode())).endswith("/logo.svg")


def test_an_opened_file_is_the_original_streamed_and_seekable(
    storage: RokkaStorage, rokka_emulator: Emulator
) -> None:
    name = saved(storage)

    with storage.open(name) as file:
        assert file.size == len(picture())
        assert not [call for call in rokka_emulator.calls if call.path.endswith("/download")]
        assert file.read(10) == picture()[:10]
        file.seek(-5, io.SEEK_END)
        assert file.read() == picture()[-5:]
        assert b"".join(file.chunks(100)) == picture()
    assert file.closed
    file.open()
    assert file.read() == picture()
    file.close()


def test_an_opened_file_can_be_wrapped_and_is_never_written(storage: RokkaStorage) -> None:
    """As `csv`, `zipfile` and the like do, which ask first what can be done with a file."""
    file = storage.open(saved(storage, "logo.svg", SVG))

    assert not file.closed
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
    with pytest.raises(io.UnsupportedOperation, match="never change"):
        file.write(b"lost")
    with io.TextIOWrapper(file) as text:  # type: ignore[type-var]
        assert text.read() == SVG.decode()
    assert file.closed
    assert not file.readable()
    with pytest.raises(ValueError, match="closed"):
        file.read()


def test_a_name_that_rokka_cannot_have_is_no_file(
    storage: RokkaStorage, rokka_emulator: Emulator
) -> None:
    """Such as that of a row that was saved before its site came to rokka."""
    for ask in (storage.open, storage.size, storage.get_modified_time, storage.source_image):
        with pytest.raises(FileNotFoundError, match="is not the name of a rokka image"):
            ask("photos/dog.jpg")
    assert not storage.exists("photos/dog.jpg")
    storage.delete("photos/dog.jpg")
    assert rokka_emulator.calls == []


def test_times_are_in_the_sites_time_zone_whatever_that_of_the_user(
    storage: RokkaStorage, settings: Any
) -> None:
    settings.USE_TZ = False
    with timezone.override(tz(timedelta(hours=-5))):
        created = storage.get_created_time(saved(storage))

    here = datetime.now(ZoneInfo(settings.TIME_ZONE)).replace(tzinfo=None)
    assert abs(here - created) < timedelta(minutes=1)


def test_large_files_are_spooled_to_disk(rokka_emulator: Emulator) -> None:
    storage = RokkaStorage(max_memory_size=100)
    with storage.open(saved(storage)) as file:
        file.read(1)
        assert file.file._rolled  # type: ignore[attr-defined]


def test_a_file_can_be_opened_again_and_is_downloaded_only_to_be_read(
    storage: RokkaStorage, rokka_emulator: Emulator
) -> None:
    name = saved(storage)
    rokka_emulator.application.calls.clear()

    file = storage.open(name)
    file.close()
    assert rokka_emulator.calls == []

    with storage.open(name) as file:
        start = file.read(10)
        assert file.open().read(10) == start
        assert len(rokka_emulator.calls) == 1


def test_a_download_that_breaks_off_is_an_error_and_begins_anew(
    storage: RokkaStorage, rokka_emulator: Emulator
) -> None:
    name = saved(storage)
    rokka_emulator.add_fault(Fault(kind="truncate", path="/download"))

    with storage.open(name) as file:
        with pytest.raises(api.RokkaConnectionError):
            file.read()
        assert file.read() == picture()


def test_an_image_that_is_gone_is_a_missing_file(storage: RokkaStorage) -> None:
    gone = "f" * 40 + "/gone.jpg"

    assert not storage.exists(gone)
    for use in (lambda: storage.open(gone).read(), lambda: storage.size(gone)):
        with pytest.raises(FileNotFoundError, match="has no image"):
            use()


def test_nothing_can_be_opened_for_writing(storage: RokkaStorage) -> None:
    with pytest.raises(ValueError, match="'wb' is not possible"):
        storage.open(saved(storage), "wb")


def test_url_needs_neither_http_nor_key(settings: Any, rokka_emulator: Emulator) -> None:
    name = saved(RokkaStorage())
    rokka_emulator.application.calls.clear()
    settings.ROKKA = {"default": {"ORGANIZATION": "acme"}}

    assert RokkaStorage().url(name) == f"https://acme.rokka.io/dynamic/noop/{name}"
    assert RokkaStorage(stack="hero").url(name) == f"https://acme.rokka.io/hero/{name}"
    assert rokka_emulator.calls == []
    with pytest.raises(ValueError, match="no URL"):
        RokkaStorage().url("")
    with pytest.raises(ImproperlyConfigured, match="has no API_KEY"):
        saved(RokkaStorage())


@pytest.mark.django_db(transaction=True)
def test_exists_is_truthful(storage: RokkaStorage) -> None:
    name = saved(storage)

    assert storage.exists(name)
    storage.delete(name)
    assert not storage.exists(name)
    assert not storage.exists("dog.jpg")
    assert SourceImage.objects.get().deleted is not None


def test_facts_come_from_the_mirror_or_from_rokka(
    storage: RokkaStorage, rokka_emulator: Emulator
) -> None:
    name = saved(storage)
    rokka_emulator.application.calls.clear()

    created = storage.get_created_time(name)
    assert created.tzinfo is not None
    assert storage.get_modified_time(name) == created
    assert rokka_emulator.calls == []

    SourceImage.objects.all().delete()
    assert storage.size(name) == len(picture())
    assert len(rokka_emulator.calls) == 1
    assert SourceImage.objects.count() == 1


def test_what_rokka_did_not_tell_is_not_guessed(storage: RokkaStorage) -> None:
    image = SourceImage.objects.create(organization="acme", hash="a" * 40)

    with pytest.raises(FileNotFoundError, match="does not say"):
        storage.get_created_time(image.file_name)


def test_without_use_tz_times_are_naive(storage: RokkaStorage, settings: Any) -> None:
    settings.USE_TZ = False

    assert storage.get_created_time(saved(storage)).tzinfo is None


def test_names_can_be_walked_like_directories(storage: RokkaStorage) -> None:
    name = saved(storage)
    hash = name.partition("/")[0]

    assert storage.listdir("") == ([hash], [])
    assert storage.listdir(hash) == ([], ["dog.jpg"])
    assert storage.exists(f"{hash}/dog.jpg")


def test_there_is_no_path(storage: RokkaStorage) -> None:
    with pytest.raises(NotImplementedError):
        storage.path(saved(storage))
    with pytest.raises(NotImplementedError):
        storage.get_accessed_time("x")


def test_deleting_what_is_gone_is_no_error(storage: RokkaStorage) -> None:
    name = saved(storage)
    storage.delete(name)
    storage.delete(name)
    storage.delete("f" * 40 + "/never.jpg")
    with pytest.raises(ValueError, match="name must be given"):
        storage.delete("")


def test_a_picture_that_two_rows_hold_is_not_deleted(storage: RokkaStorage) -> None:
    first = Attachment.objects.create(file=ContentFile(picture(), name="a.jpg"))
    second = Attachment.objects.create(file=ContentFile(picture(), name="b.jpg"))

    name = second.file.name
    first.file.delete()
    assert storage.exists(name)
    # Django asks for it before it saves the row, so the picture goes with the next sweep.
    second.file.delete()
    assert storage.exists(name)
    assert lifecycle.delete_due("default") == 1
    assert not storage.exists(name)


def test_a_picture_that_one_other_row_holds_is_not_deleted(storage: RokkaStorage) -> None:
    """As an app does it that cleans up after a row is gone."""
    first = Attachment.objects.create(file=ContentFile(picture(), name="a.jpg"))
    second = Attachment.objects.create(file=ContentFile(picture(), name="b.jpg"))
    first.delete()

    storage.delete(first.file.name)

    assert storage.exists(second.file.name)
    assert lifecycle.delete_due("default") == 0
    assert storage.exists(second.file.name)


@pytest.mark.django_db(transaction=True)
def test_in_a_transaction_a_plain_file_goes_with_the_commit(storage: RokkaStorage) -> None:
    row = Attachment.objects.create(file=ContentFile(picture(), name="a.jpg"))
    name = row.file.name

    with transaction.atomic():
        row.file.delete()
        assert storage.exists(name)

    assert not storage.exists(name)


def test_djangos_own_fields_work_on_it(storage: RokkaStorage) -> None:
    attachment = Attachment.objects.create(
        file=ContentFile(picture((80, 60)), name="x" * 200 + ".jpg"),
        image=ContentFile(picture((40, 30)), name="dog.png"),
    )

    attachment.refresh_from_db()
    assert len(attachment.file.name) <= 100
    assert (attachment.image.width, attachment.image.height) == (40, 30)
    assert attachment.file.read() == picture((80, 60))
    assert "/thumbnail/" in attachment.image.url
    attachment.file.close()
    attachment.image.close()


def test_it_can_be_the_default_storage(settings: Any, rokka_emulator: Emulator) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django_rokka.storage.RokkaStorage",
            "OPTIONS": {"alias": "stage", "stack": "thumbnail"},
        },
    }

    name = default_storage.save("dog.jpg", ContentFile(picture()))

    assert storages["default"].alias == "stage"  # type: ignore[attr-defined]
    assert SourceImage.objects.get().organization == "acme-stage"
    assert "/acme-stage/thumbnail/" in default_storage.url(name)
    attachment = Attachment.objects.create(file="", plain=ContentFile(picture(), name="b.jpg"))
    assert attachment.plain.name.startswith(name[:40])


def test_unknown_options_are_named_with_the_known_ones() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"'location'.*known options: alias, stack"):
        RokkaStorage(location="media")


def test_it_deconstructs_without_secrets() -> None:
    storage = RokkaStorage(alias="stage")

    assert storage.deconstruct() == ("django_rokka.storage.RokkaStorage", (), {"alias": "stage"})


@pytest.mark.parametrize("name", ["../dog.jpg", "a/../../dog.jpg", "..", "/etc/dog.jpg", ""])
def test_names_that_leave_the_storage_are_refused(
    storage: RokkaStorage, rokka_emulator: Emulator, name: str
) -> None:
    with pytest.raises(SuspiciousFileOperation):
        saved(storage, name)
    assert rokka_emulator.calls == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/.."])
def test_a_file_needs_a_name(storage: RokkaStorage, name: str) -> None:
    with pytest.raises(SuspiciousFileOperation, match="Could not derive file name"):
        storage.generate_filename(name)


def test_a_name_of_500_characters_with_emoji_is_cut(storage: RokkaStorage) -> None:
    name = storage.save("🌄" * 200 + "x" * 300 + ".jpg", ContentFile(picture()), max_length=60)

    assert len(name) <= 60
    assert storage.exists(name)
    with pytest.raises(SuspiciousFileOperation, match="at least 47"):
        storage.save("dog.jpg", ContentFile(picture()), max_length=40)


def test_bad_files_and_bad_hosts_are_clear_errors(
    storage: RokkaStorage, settings: Any, rokka_emulator: Emulator
) -> None:
    with pytest.raises(api.InvalidArgument, match=r"'dog\.jpg' is empty"):
        storage.save("dog.jpg", ContentFile(b"", name="dog.jpg"))
    with pytest.raises(api.InvalidRequest, match="not an image"):
        saved(storage, content=b"text")
    default = settings.ROKKA["default"]
    settings.ROKKA = {"default": {**default, "API_KEY": "wrong"}}
    with pytest.raises(api.BadCredentials):
        saved(storage)
    settings.ROKKA = {"default": {**default, "BASE_URL": "http://127.0.0.1:9", "ATTEMPTS": 1}}
    with pytest.raises(api.RokkaConnectionError, match="refused"):
        saved(storage)
    assert SourceImage.objects.count() == 0


def test_the_mirror_knows_what_the_answer_said(storage: RokkaStorage) -> None:
    name = storage.save("Wide.jpg", ContentFile(rotated((80, 60))))

    image = storage.source_image(name)
    assert (image.width, image.height) == (60, 80)
    assert image.binary_hash == hashlib.sha1(rotated((80, 60))).hexdigest()  # noqa: S324
    assert image.created is not None
    assert image.created.tzinfo == tz.utc
    assert str(image) == "Wide.jpg"
