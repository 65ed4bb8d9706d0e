"""Retries, timeouts, redirects and odd answers."""

from __future__ import annotations

import gzip
import io
import json
import logging
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import responses

from django_rokka import api
from django_rokka.api import RetryPolicy, RokkaClient, transport
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


def test_a_drip_comes_to_an_end_though_each_read_is_in_time(emulator: Emulator) -> None:
    emulator.add_fault(Fault(kind="slow", seconds=3, times=9))
    client = make_client(emulator, timeout=(1, 0.3), retry=RetryPolicy(attempts=1))

    started = time.monotonic()
    with client, pytest.raises(api.RokkaTimeout, match="came too slowly"):
        client.get_organization()
    assert time.monotonic() - started < 2


def test_what_the_reader_of_a_download_takes_is_not_the_hosts_slowness(emulator: Emulator) -> None:
    noise = random.Random(1).randbytes(300_000)  # noqa: S311
    content = picture(format="PNG") + noise  # more than one piece
    with make_client(emulator, timeout=(1, 0.3)) as client:
        image = client.create_source_image(io.BytesIO(content), name="dog.png")
        with client.download_source_image(image.hash) as pieces:
            read = [next(pieces)]
            time.sleep(0.4)
            read += pieces

    assert len(read) > 2
    assert b"".join(read) == content


def test_an_answer_without_end_is_not_kept(
    client: RokkaClient, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_MAX_ANSWER_BYTES", 1000)
    emulator.add_fault(Fault("replace", body="[" + "1," * 5000 + "1]"))

    with pytest.raises(api.UnexpectedAnswer, match="more than 1000 bytes"):
        client.list_source_images()


@pytest.fixture
def compressed() -> Iterator[ThreadingHTTPServer]:
    """A host that compresses its answers and sends them in chunks, as CDNs do; on ``/stacks`` it breaks off."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            body = gzip.compress(json.dumps({"items": [{"x": "y" * 1000}] * 1000}).encode())
            for start in range(0, len(body), 500):
                chunk = body[start : start + 500]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                if self.path.startswith("/stacks"):
                    self.close_connection = True
                    return
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_compressed_answer_in_chunks_is_read_whole_or_not_at_all(
    compressed: ThreadingHTTPServer,
) -> None:
    with remote(base_url=f"http://127.0.0.1:{compressed.server_port}") as client:
        (page,) = client.iter_raw_pages()
        assert len(page) == 1000
        with pytest.raises(api.RokkaConnectionError):
            client.list_stacks()


def test_an_error_tells_whether_the_work_may_have_been_done(
    client: RokkaClient, emulator: Emulator
) -> None:
    def maybe_done(*faults: Fault) -> bool:
        emulator.clear_faults()
        for fault in faults:
            emulator.add_fault(fault)
        with pytest.raises(api.RokkaError) as caught:
            client.get_source_image(HASH)
        return caught.value.maybe_done

    assert not maybe_done()
    assert not maybe_done(Fault(status=429, times=9))
    assert not maybe_done(Fault(status=429))
    assert maybe_done(Fault(status=500))
    assert maybe_done(Fault("cut"))
    assert maybe_done(Fault("cut"), Fault(status=429, times=9))


def test_what_a_lost_try_has_deleted_is_deleted_and_what_was_not_there_is_not_found(
    client: RokkaClient, emulator: Emulator
) -> None:
    image = client.create_source_image(io.BytesIO(picture()), name="dog.jpg")
    emulator.add_fault(Fault("cut", after_work=True))

    client.delete_source_image(image.hash)

    with pytest.raises(api.NotFound):
        client.delete_source_image(image.hash)


def test_connections_are_used_again(
    client: RokkaClient, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="urllib3")
    image = client.create_source_image(io.BytesIO(picture()), name="dog.jpg")
    with pytest.raises(api.NotFound):
        client.get_source_image(HASH)
    client.rename_source_image(image.hash, "cat.jpg")
    with client.download_source_image(image.hash) as pieces:
        list(pieces)
    client.list_source_images()

    assert sum("connection" in message.lower() for message in caplog.messages) == 1


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
        ("[" * 50_000, "Bad Request"),
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
    "body",
    [
        "<html>",
        "",
        "[]",
        "null",
        '{"items": [{"x": 1}]}',
        '{"hash": "no"}',
        "[" * 50_000,
    ],
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
        body="" if location else json.dumps({"hash": expected, "organization": "acme"}),
        headers={"Location": location} if location else {},
    )

    with remote() as client:
        assert client.set_dynamic_metadata(HASH, api.SubjectArea(1, 1)).hash == expected
    assert len(mocked.calls) == 1


def test_a_location_that_says_another_hash_than_the_body_is_an_error(
    mocked: responses.RequestsMock,
) -> None:
    mocked.put(
        f"{URL}/{HASH}/options/protected",
        status=201,
        json={"hash": "c" * 40, "organization": "acme"},
        headers={"Location": "https://elsewhere.example/sourceimages/acme/" + "b" * 40},
    )

    with remote() as client, pytest.raises(api.UnexpectedAnswer, match="Location says bbb"):
        client.set_protected(HASH, True)


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
