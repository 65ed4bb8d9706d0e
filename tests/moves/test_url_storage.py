"""Files that are shown by URL: what is read, and what is never asked."""

from __future__ import annotations

from collections.abc import Iterator
from io import UnsupportedOperation
from typing import Any

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db.migrations.writer import MigrationWriter

from django_rokka.url_storage import URLStorage
from tests.pictures import picture

from .serving import Host, Served, serving

DOG = picture()
UUID = "c0f3b7a2-1d4e-4f6a-9b8c-0123456789ab"


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as host:
        yield host


@pytest.fixture
def storage(host: Host) -> URLStorage:
    return URLStorage(f"{host.url}media/")


def read(storage: URLStorage, name: str) -> bytes:
    with storage.open(name) as file:
        content: bytes = file.read()
    return content


# --- Reading ------------------------------------------------------------------------------------


def test_a_name_is_a_path_below_the_base(host: Host, storage: URLStorage) -> None:
    host.put("media/dogs/Zoë & co (2).jpg", DOG)

    assert read(storage, "dogs/Zoë & co (2).jpg") == DOG
    assert host.asked == ["GET /media/dogs/Zo%C3%AB%20%26%20co%20(2).jpg"]
    assert storage.url("dogs/Zoë.jpg") == f"{host.url}media/dogs/Zo%C3%AB.jpg"


def test_a_name_is_a_url_with_the_quoting_that_it_has(host: Host, storage: URLStorage) -> None:
    host.put("media/a dog.jpg", DOG)
    url = f"{host.url}media/a%20dog.jpg"

    assert read(storage, url) == DOG
    assert storage.url(url) == url


def test_a_file_can_be_read_again_and_knows_its_size(host: Host, storage: URLStorage) -> None:
    large = DOG + bytes(6 * 1024 * 1024)
    host.put("media/large.jpg", large)

    with storage.open("large.jpg") as file:
        assert file.size == len(large)
        assert file.read(3) == DOG[:3]
        file.seek(0)
        assert b"".join(file.chunks()) == large
    assert len(host.asked) == 1


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ('inline; filename="Dog in snow.jpg"', "Dog in snow.jpg"),
        ("attachment; filename*=UTF-8''Zo%C3%AB.jpg", "Zoë.jpg"),
        (r'inline; filename="..\..\dog.jpg"', "dog.jpg"),
        ("inline", "b"),
        (None, "b"),
    ],
)
def test_a_file_is_called_as_the_server_says_or_as_its_path(
    said: str | None, name: str, host: Host, storage: URLStorage
) -> None:
    host.put("media/a/b/", DOG, headers={"Content-Disposition": said} if said else {})

    with storage.open("a/b/") as file:
        assert file.name == name


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_gone_is_missing(status: int, host: Host, storage: URLStorage) -> None:
    host.files["media/dog.jpg"] = Served(status=status)

    assert not storage.exists("dog.jpg")
    for call in (storage.open, storage.size):
        with pytest.raises(FileNotFoundError, match=rf"/media/dog\.jpg answered {status}"):
            call("dog.jpg")


@pytest.mark.parametrize("status", [204, 304, 401, 403, 500])
def test_another_answer_says_nothing_about_the_file(
    status: int, host: Host, storage: URLStorage
) -> None:
    host.files["media/dog.jpg"] = Served(status=status)

    for call in (storage.open, storage.size, storage.exists):
        with pytest.raises(requests.HTTPError, match=f"answered {status}"):
            call("dog.jpg")


def test_the_head_tells_the_size_and_that_a_file_exists(host: Host, storage: URLStorage) -> None:
    host.put("media/dog.jpg", DOG)

    assert storage.size("dog.jpg") == len(DOG)
    assert storage.exists("dog.jpg")
    assert host.asked == ["HEAD /media/dog.jpg"] * 2


def test_a_head_without_a_length_means_reading_the_file(host: Host, storage: URLStorage) -> None:
    host.put("media/dog.jpg", DOG, says_length=False)

    assert storage.size("dog.jpg") == len(DOG)


def test_an_answer_that_breaks_off_is_an_error(host: Host, storage: URLStorage) -> None:
    host.put("media/dog.jpg", DOG, cut=10)

    with pytest.raises(requests.RequestException):
        storage.open("dog.jpg")


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(status: int, host: Host, storage: URLStorage) -> None:
    host.put("media/dog.jpg", DOG)
    busy = [Served(status=status, headers={"Retry-After": "0"})]
    answer = host.answer
    host.answer = lambda *call: busy.pop() if busy else answer(*call)  # type: ignore[method-assign]

    assert read(storage, "dog.jpg") == DOG


# --- What is never asked ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "{url}private/key",
        "{url}mediaprivate/key",
        "{url}media/../private/key",
        "{url}media/%2e%2e/private/key",
        "{url}media/..\\private/key",
        "../private/key",
        "a/../../private/key",
        "http://127.0.0.1:9/media/key",
        "http://127.0.0.1:9@example.com/media/key",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, host: Host, storage: URLStorage) -> None:
    host.put("private/key", b"secret")

    for call in (storage.open, storage.size, storage.exists):
        with pytest.raises(SuspiciousFileOperation, match="is not below http"):
            call(name.format(url=host.url))
    assert host.asked == []


@pytest.mark.parametrize("name", ["//example.com/key", "file:///etc/passwd", "@example.com/key"])
def test_other_names_are_paths_whatever_they_look_like(
    name: str, host: Host, storage: URLStorage
) -> None:
    assert not storage.exists(name)
    assert [call[: len("HEAD /media/")] for call in host.asked] == ["HEAD /media/"]
    assert storage.url(name).startswith(f"{host.url}media/")


def test_an_answer_may_lead_to_another_address_below_the_base(
    host: Host, storage: URLStorage
) -> None:
    host.put("media/new/dog.jpg", DOG)
    host.files["media/dog.jpg"] = Served(status=301, headers={"Location": "new/dog.jpg"})

    assert read(storage, "dog.jpg") == DOG
    assert storage.size("dog.jpg") == len(DOG)


@pytest.mark.parametrize(
    "location", ["/private/key", "../private/key", "http://127.0.0.1:9/key", "//localhost/key"]
)
def test_an_answer_that_leads_elsewhere_is_not_followed(
    location: str, host: Host, storage: URLStorage
) -> None:
    host.put("private/key", b"secret")
    host.files["media/dog.jpg"] = Served(status=302, headers={"Location": location})

    with pytest.raises(SuspiciousFileOperation):
        storage.open("dog.jpg")
    assert host.asked == ["GET /media/dog.jpg"]


def test_answers_that_lead_round_in_circles_end(host: Host, storage: URLStorage) -> None:
    host.files["media/dog.jpg"] = Served(status=302, headers={"Location": "/media/dog.jpg"})

    with pytest.raises(requests.TooManyRedirects):
        storage.open("dog.jpg")
    assert len(host.asked) == 6


def test_cookies_are_not_kept(host: Host, storage: URLStorage) -> None:
    host.put("media/dog.jpg", DOG, headers={"Set-Cookie": "who=me"})
    seen: list[Any] = []

    read(storage, "dog.jpg")
    with storage._found("GET", "dog.jpg") as response:
        seen.append(response.request.headers.get("Cookie"))

    assert seen == [None]


# --- Names that say more than a path ------------------------------------------------------------


def test_the_path_is_what_a_pattern_finds_in_the_name(host: Host) -> None:
    storage = URLStorage(host.url, path_pattern=r"[0-9a-f-]{36}/")
    host.put(f"{UUID}/", DOG)
    shown = f"https://images.example.com/{UUID}/-/crop/10x10/1,2/"

    assert read(storage, shown) == DOG
    assert storage.exists(shown)
    assert storage.url(shown) == shown
    assert host.asked == [f"GET /{UUID}/", f"HEAD /{UUID}/"]


def test_a_name_without_the_pattern_is_of_no_file(host: Host) -> None:
    storage = URLStorage(host.url, path_pattern=r"[0-9a-f-]{36}/")

    assert not storage.exists("dog.jpg")
    with pytest.raises(FileNotFoundError, match=r"'dog\.jpg' has nothing in it that looks like"):
        storage.open("dog.jpg")
    assert host.asked == []


# --- As a storage of Django ---------------------------------------------------------------------


def test_it_only_reads(host: Host, storage: URLStorage) -> None:
    calls: list[Any] = [
        lambda: storage.save("dog.jpg", ContentFile(DOG)),
        lambda: storage.delete("dog.jpg"),
        lambda: storage.open("dog.jpg", "wb"),
    ]
    for call in calls:
        with pytest.raises(UnsupportedOperation, match="only reads"):
            call()
    assert host.asked == []


def test_it_is_an_entry_of_storages_and_of_migrations(settings: Any) -> None:
    options = {"base_url": "https://example.com/media", "timeout": 5}
    backend = "django_rokka.url_storage.URLStorage"
    settings.STORAGES = {**settings.STORAGES, "before": {"BACKEND": backend, "OPTIONS": options}}

    storage = storages["before"]

    assert storage.url("dog.jpg") == "https://example.com/media/dog.jpg"
    assert isinstance(storage, URLStorage)
    text, imports = MigrationWriter.serialize(storage)
    again = eval(text, {"django_rokka": __import__("django_rokka.url_storage")})  # noqa: S307
    assert again.deconstruct() == storage.deconstruct()
    assert imports == {"import django_rokka.url_storage"}


@pytest.mark.parametrize(
    ("base_url", "problem"),
    [
        ("example.com", "http or https"),
        ("ftp://example.com/", "http or https"),
        ("https://me:secret@example.com/", "credentials"),
    ],
)
def test_a_base_that_cannot_be_is_a_mistake_in_the_settings(base_url: str, problem: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=problem) as caught:
        URLStorage(base_url)
    assert "secret" not in str(caught.value)
