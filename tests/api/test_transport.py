"""Retries, timeouts, redirects and odd answers."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import responses

from django_rokka import api
from django_rokka.api import RetryPolicy, RokkaClient
from django_rokka.emulator import Emulator, Fault
from tests.pictures import picture

from .conftest import QUICK, make_client

HASH = "a" * 40
URL = "https://api.rokka.io/sourceimages/acme"


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    """For answers that the emulator never gives."""
    with responses.RequestsMock() as mock:
        yield mock


def remote(**options: Any) -> RokkaClient:
    return RokkaClient("acme", api_key="s3cret-key", **{"retry": QUICK, **options})


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_tried_again(client: RokkaClient, emulator: Emulator, status: int) -> None:
    emulator.add_fault(Fault(status=status, times=2))

    assert client.list_source_images().total == 0
    assert [call.status for call in emulator.calls] == [status, status, 200]


@pytest.mark.parametrize("kind", ["cut", "truncate"])
def test_a_broken_connection_is_tried_again(
    client: RokkaClient, emulator: Emulator, kind: Any
) -> None:
    emulator.add_fault(Fault(kind=kind, times=2))

    assert client.list_source_images().total == 0


@pytest.mark.parametrize("fault", [Fault(status=503, times=2), Fault(kind="cut", times=2)])
def test_an_upload_is_built_again_for_each_try(
    client: RokkaClient, emulator: Emulator, fault: Fault
) -> None:
    emulator.add_fault(fault)

    image = client.create_source_image(io.BytesIO(picture()), name="dog.jpg")

    with client.download_source_image(image.hash) as chunks:
        assert b"".join(chunks) == picture()


def test_work_that_was_done_before_the_connection_broke_is_not_doubled(
    client: RokkaClient, emulator: Emulator
) -> None:
    emulator.add_fault(Fault(kind="cut", method="POST", after_work=True))

    client.create_source_image(io.BytesIO(picture()), name="dog.jpg")

    assert client.list_source_images().total == 1


def test_tries_come_to_an_end(client: RokkaClient, emulator: Emulator) -> None:
    emulator.add_fault(Fault(status=503, times=10))

    with pytest.raises(api.ServerError) as caught:
        client.list_source_images()
    assert (caught.value.status, len(emulator.calls)) == (503, 3)


@pytest.mark.parametrize("status", [400, 403, 404, 412, 500])
def test_what_will_not_pass_is_not_tried_again(
    client: RokkaClient, emulator: Emulator, status: int
) -> None:
    emulator.add_fault(Fault(status=status, times=10))

    with pytest.raises(api.RokkaAPIError):
        client.list_source_images()
    assert len(emulator.calls) == 1


def test_a_timeout_is_an_error_of_its_own(emulator: Emulator) -> None:
    emulator.add_fault(Fault(kind="hang", seconds=3))
    client = make_client(emulator, timeout=(1, 0.2), retry=RetryPolicy(attempts=1))

    started = time.monotonic()
    with client, pytest.raises(api.RokkaTimeout, match="no answer in time"):
        client.list_source_images()
    assert time.monotonic() - started < 2


def test_a_dead_host_is_named_in_few_words() -> None:
    client = remote(base_url="http://127.0.0.1:9", retry=RetryPolicy(attempts=2, first_pause=0.01))

    with client, pytest.raises(api.RokkaConnectionError) as caught:
        client.get_source_image(HASH)
    assert str(caught.value) == f"GET /sourceimages/acme/{HASH}: no answer: Connection refused"


def test_the_time_to_come_back_is_respected(client: RokkaClient, emulator: Emulator) -> None:
    wanted = time.time() + 1
    emulator.add_fault(Fault(status=429, headers={"X-RateLimit-Retry-After": str(wanted)}))

    client.list_source_images()

    assert time.time() >= wanted


def test_a_pause_beyond_the_budget_is_not_waited_for(
    client: RokkaClient, emulator: Emulator
) -> None:
    later = str(int(time.time()) + 3600)
    emulator.add_fault(Fault(status=429, headers={"X-RateLimit-Retry-After": later}))

    started = time.monotonic()
    with pytest.raises(api.RateLimited) as caught:
        client.list_source_images()

    assert time.monotonic() - started < 1
    assert caught.value.retry_at is not None
    assert caught.value.retry_at.timestamp() == int(later)


def test_redirects_are_refused_and_the_key_stays(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{URL}/{HASH}", status=302, headers={"Location": "https://elsewhere.example/x"})

    with (
        remote() as client,
        pytest.raises(api.UnexpectedAnswer, match=r"redirect to elsewhere\.example"),
    ):
        client.get_source_image(HASH)
    assert len(mocked.calls) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"code": 400, "message": "no good"}', "no good"),
        ('{"error": {"code": 400, "message": "nested"}}', "nested"),
        ('{"error": "plain"}', "plain"),
        ("<html>oops</html>", "Bad Request"),
        ("", "Bad Request"),
        ("[]", "Bad Request"),
        ("x" * 10_000_000, "Bad Request"),
    ],
)
def test_any_error_body_gives_a_message(
    mocked: responses.RequestsMock, body: str, message: str
) -> None:
    mocked.get(f"{URL}/{HASH}", status=400, body=body)

    with remote() as client, pytest.raises(api.InvalidRequest) as caught:
        client.get_source_image(HASH)
    assert caught.value.message == message


@pytest.mark.parametrize(
    "body", ["<html>", "", "[]", "null", '{"items": [{"x": 1}]}', '{"hash": "no"}']
)
def test_answers_that_are_not_as_promised_are_errors(
    mocked: responses.RequestsMock, body: str
) -> None:
    mocked.get(f"{URL}/{HASH}", body=body)

    with remote() as client, pytest.raises(api.UnexpectedAnswer) as caught:
        client.get_source_image(HASH)
    assert caught.value.call == f"GET /sourceimages/acme/{HASH}"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/sourceimages/acme/" + "b" * 40, "b" * 40),
        ("https://elsewhere.example/sourceimages/acme/" + "b" * 40 + "/?x=1", "b" * 40),
        ("", "c" * 40),
    ],
)
def test_the_new_hash_is_read_from_location_or_body(
    mocked: responses.RequestsMock, location: str, expected: str
) -> None:
    mocked.put(
        f"{URL}/{HASH}/meta/dynamic/subject_area",
        status=201,
        json={"hash": "c" * 40, "organization": "acme"},
        headers={"Location": location} if location else {},
    )

    with remote() as client:
        assert client.set_dynamic_metadata(HASH, api.SubjectArea(1, 1)).hash == expected
    assert len(mocked.calls) == 1


def test_a_location_that_is_no_hash_is_an_error(mocked: responses.RequestsMock) -> None:
    url = f"{URL}/{HASH}/meta/dynamic/subject_area"
    mocked.delete(url, status=201, headers={"Location": "/sourceimages/acme/latest"})

    with (
        remote() as client,
        pytest.raises(api.UnexpectedAnswer, match="'latest' is not a rokka hash"),
    ):
        client.delete_dynamic_metadata(HASH, "subject_area")


def test_a_walk_ends_even_if_the_last_page_points_at_itself(mocked: responses.RequestsMock) -> None:
    item = {"hash": HASH, "organization": "acme"}
    links = {"next": {"href": "/sourceimages/acme?offset=again"}}
    mocked.get(URL, json={"items": [item], "links": links})

    with remote() as client:
        assert len(list(client.iter_source_images())) == 2


def test_every_call_carries_version_and_key_and_no_netrc(
    mocked: responses.RequestsMock, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine api.rokka.io login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    mocked.get(URL, json={"items": []})

    with remote() as client:
        client.list_source_images()

    headers = mocked.calls[0].request.headers
    assert (headers["Api-Version"], headers["Api-Key"]) == ("1", "s3cret-key")
    assert "Authorization" not in headers


def test_the_key_is_in_no_log(
    client: RokkaClient, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    emulator.add_fault(Fault(status=503))

    client.create_source_image(io.BytesIO(picture()), name="dog.jpg")

    assert "trying again" in caplog.text
    assert "test-key" not in caplog.text


def test_threads_share_a_client(client: RokkaClient, emulator: Emulator) -> None:
    colors = [f"#{number:06x}" for number in range(0, 40 * 1000, 1000)]

    def work(color: str) -> str:
        image = client.create_source_image(
            io.BytesIO(picture(color=color)), name=f"{color[1:]}.jpg"
        )
        assert client.get_source_image(image.hash).name == f"{color[1:]}.jpg"
        return image.hash

    with ThreadPoolExecutor(16) as pool:
        hashes = set(pool.map(work, colors))

    assert hashes == {image.hash for image in client.iter_source_images()}
    assert threading.active_count() < 60


@pytest.mark.parametrize("url", ["", "api.rokka.io", "ftp://api.rokka.io", "https://"])
def test_a_base_url_must_be_one(url: str) -> None:
    with pytest.raises(api.InvalidArgument, match="is no base URL"):
        RokkaClient("acme", base_url=url)
