"""Retries, timeouts, redirects and odd answers."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import responses
import tenacity.nap

from django_rokka import api
from django_rokka.api import RenderClient, RetryPolicy, RokkaClient, transport
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


@pytest.mark.parametrize(("seconds", "in_time"), [(8.5, True), (8.50001, False)])
def test_a_body_must_keep_its_pace_once_the_read_timeout_is_over(
    mocked: responses.RequestsMock,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    in_time: bool,
) -> None:
    """Two pieces of 64 KiB at 8 KiB a second, and a timeout of one second, make 17 seconds."""
    content = b"x" * 128 * 1024
    moments = itertools.count(0, seconds)
    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    mocked.get(f"{URL}/{HASH}/download", body=content)

    with remote(timeout=(1, 1)) as client, client.download_source_image(HASH) as pieces:
        if in_time:
            assert b"".join(pieces) == content
        else:
            with pytest.raises(api.RokkaTimeout) as caught:
                list(pieces)
            said = f"GET /sourceimages/acme/{HASH}/download: the answer came too slowly"
            assert str(caught.value) == said


def test_an_answer_without_end_is_not_kept(
    client: RokkaClient, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_MAX_ANSWER_BYTES", 1000)
    emulator.add_fault(Fault("replace", body="[" + "1," * 5000 + "1]"))

    with pytest.raises(api.UnexpectedAnswer) as caught:
        client.list_source_images()
    assert str(caught.value) == "GET /sourceimages/acme → 200: more than 1000 bytes came"


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


def test_a_no_counts_though_its_body_breaks_off(client: RokkaClient, emulator: Emulator) -> None:
    emulator.add_fault(Fault("truncate"))

    with pytest.raises(api.NotFound):
        client.get_source_image(HASH)
    assert len(emulator.calls) == 1


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


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between tries, which are noted and not slept."""
    pauses: list[float] = []
    monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=pauses.append))
    return pauses


@pytest.mark.parametrize(
    ("options", "drawn", "pauses"),
    [
        ({}, max, [2, 4, 8, 8, 8]),
        ({}, min, [1, 1, 1, 1, 1]),
        ({"attempts": 3}, max, [2, 4]),
        ({"budget": 14}, max, [2, 4, 8]),
        ({"budget": 13.9}, max, [2, 4]),
    ],
)
def test_pauses_grow_within_their_bounds(
    emulator: Emulator,
    slept: list[float],
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    drawn: Callable[..., float],
    pauses: list[float],
) -> None:
    monkeypatch.setattr(random, "uniform", drawn)
    policy = RetryPolicy(**{"first_pause": 2, "longest_pause": 8, "budget": 100, **options})
    emulator.add_fault(Fault(status=503, times=9))

    with make_client(emulator, retry=policy) as client, pytest.raises(api.ServerError):
        client.list_source_images()

    assert slept == pauses
    assert len(emulator.calls) == len(pauses) + 1


@pytest.mark.parametrize(("seconds", "pause"), [(10, 10), (-10, 0)])
def test_a_pause_comes_on_top_of_the_time_to_come_back(
    emulator: Emulator, slept: list[float], seconds: int, pause: int
) -> None:
    retry_at = str(time.time() + seconds)
    emulator.add_fault(Fault(status=429, headers={"X-RateLimit-Retry-After": retry_at}))

    with make_client(emulator, retry=RetryPolicy(first_pause=0.5, longest_pause=0.5)) as client:
        client.list_source_images()

    assert slept == [pytest.approx(pause + 0.375, abs=0.2)]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (requests.ConnectionError("cut"), "no answer: cut"),
        (requests.ConnectionError(), "no answer: ConnectionError"),
        (requests.ReadTimeout("of a socket"), "no answer in time"),
    ],
)
def test_why_no_answer_came_is_said(
    mocked: responses.RequestsMock, error: Exception, said: str
) -> None:
    mocked.get(URL, body=error)

    with (
        remote(retry=RetryPolicy(attempts=1)) as client,
        pytest.raises(api.RokkaConnectionError) as caught,
    ):
        client.list_source_images()
    assert caught.value.message == said


def test_what_the_caller_handles_is_not_the_cause_and_keeps_its_frames() -> None:
    with remote(base_url="http://127.0.0.1:9", retry=RetryPolicy(attempts=1)) as client:
        try:
            raise KeyError("of the caller")
        except KeyError as error:
            handled = error
            with pytest.raises(api.RokkaConnectionError, match="no answer: Connection refused"):
                client.get_source_image(HASH)
    assert handled.__traceback__ is not None


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
        ('{"message": "no good"}'.ljust(64 * 1024), "no good"),
        (" " * 64 * 1024 + '{"message": "no good"}', "Bad Request"),
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
    ("status", "body", "kind"),
    [
        (400, {"message": "no"}, api.InvalidRequest),
        (401, {"message": "no"}, api.BadCredentials),
        (403, {"message": "no"}, api.NotAllowed),
        (403, {"message": "no", "invalid_authentication": True}, api.BadCredentials),
        (404, {"message": "no"}, api.NotFound),
        (409, {"message": "no"}, api.Conflict),
        (412, {"message": "no"}, api.Conflict),
        (423, {"message": "no"}, api.Conflict),
        (429, {"message": "no"}, api.RateLimited),
        (499, {}, api.InvalidRequest),
        (500, {"message": "no"}, api.ServerError),
        (599, {}, api.ServerError),
    ],
)
def test_an_answer_that_says_no_is_an_error_with_its_call_and_status(
    mocked: responses.RequestsMock, status: int, body: Any, kind: type[Exception]
) -> None:
    mocked.get(URL, status=status, json=body)

    with remote(retry=RetryPolicy(attempts=1)) as client, pytest.raises(kind) as caught:
        client.list_source_images()
    said = body.get("message", "no reason given")
    assert type(caught.value) is kind
    assert str(caught.value) == f"GET /sourceimages/acme → {status}: {said}"


@pytest.mark.parametrize("credentials", [{"api_key": "s3cret"}, {"token": "s3cret"}])
def test_a_message_is_cut_and_does_not_repeat_the_key(
    mocked: responses.RequestsMock, credentials: dict[str, str]
) -> None:
    mocked.get(URL, status=400, json={"message": "s3cret and s3cret" + 600 * "x"})

    client = RokkaClient("acme", **credentials)  # type: ignore[arg-type]
    with client, pytest.raises(api.InvalidRequest) as caught:
        client.list_source_images()
    assert caught.value.message == "… and …" + 493 * "x"


@pytest.mark.parametrize(
    ("header", "retry_at"),
    [
        ("4102444800", datetime(2100, 1, 1, tzinfo=timezone.utc)),
        ("4102444800.5", datetime(2100, 1, 1, 0, 0, 0, 500_000, tzinfo=timezone.utc)),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("1e300", None),
    ],
)
def test_the_time_to_come_back_is_a_timestamp_or_none(
    mocked: responses.RequestsMock, header: str, retry_at: datetime | None
) -> None:
    mocked.get(URL, status=429, headers={"X-RateLimit-Retry-After": header})

    with (
        remote(retry=RetryPolicy(attempts=1)) as client,
        pytest.raises(api.RateLimited) as caught,
    ):
        client.list_source_images()
    assert caught.value.retry_at == retry_at


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
    ("call", "answer", "said"),
    [
        (
            lambda client: client.create_source_images([api.Upload(file=io.BytesIO(b"x"))] * 2),
            {"status": 201, "json": {"items": [{"hash": HASH, "organization": "acme"}]}},
            "POST /sourceimages/acme → 201: 2 files were sent, 1 images came back",
        ),
        (
            lambda client: client.list_operations(),
            {"json": [1]},
            "GET /operations → 200: expected an object, got list",
        ),
        (
            lambda client: client.list_operations(),
            {"body": "x", "content_type": "text/plain"},
            "GET /operations → 200: expected JSON, got text/plain",
        ),
        (
            lambda client: client.list_operations(),
            {"body": "", "content_type": None},
            "GET /operations → 200: expected JSON, got no content type",
        ),
        (
            lambda client: client.list_operations(),
            {"body": "<p>", "content_type": "Text/HTML"},
            "GET /operations → 200: a web page came",
        ),
        (
            lambda client: client.list_operations(),
            {"status": 300, "headers": {"Location": "/elsewhere"}},
            "GET /operations → 300: refused to follow a redirect to another path",
        ),
        (
            lambda client: client.get_stack("hero"),
            {"json": []},
            "GET /stacks/acme/hero → 200: expected a Stack, got list",
        ),
        (
            lambda client: client.get_alias("logo"),
            {"json": {}},
            "GET /sourceimages/acme/alias/logo → 200: "
            "'' is not a rokka hash; expected 6 to 40 characters of 0-9a-f",
        ),
        (
            lambda client: client.set_protected(HASH, True),
            {
                "status": 201,
                "json": {"hash": "c" * 40, "organization": "acme"},
                "headers": {"Location": "https://elsewhere.example/" + "b" * 40},
            },
            f"PUT /sourceimages/acme/{HASH}/options/protected → 201: "
            f"Location says {'b' * 40}, and the body {'c' * 40}",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_odd_about_an_answer_is_said_with_its_call(
    mocked: responses.RequestsMock,
    call: Callable[[RokkaClient], object],
    answer: dict[str, Any],
    said: str,
) -> None:
    mocked.add(said.partition(" ")[0], re.compile(".*"), **answer)

    with remote() as client, pytest.raises(api.UnexpectedAnswer) as caught:
        call(client)
    assert str(caught.value) == said


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


def test_a_short_hash_in_location_is_completed_by_the_body(mocked: responses.RequestsMock) -> None:
    mocked.put(
        f"{URL}/{HASH}/options/protected",
        status=201,
        json={"hash": "c" * 40, "organization": "acme"},
        headers={"Location": "/sourceimages/acme/" + "c" * 6},
    )

    with remote() as client:
        assert client.set_protected(HASH, True).hash == "c" * 40


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


def test_an_error_loses_its_frames_and_so_does_all_that_led_to_it() -> None:
    def raised(error: Exception, cause: Exception | None = None) -> Exception:
        try:
            raise error from cause
        except Exception as caught:
            return caught

    cause = raised(ValueError(), raised(KeyError()))
    error = raised(OSError(), cause)
    error.__context__ = raised(TypeError(), raised(IndexError()))
    errors = [error, cause, cause.__cause__, error.__context__, error.__context__.__cause__]
    assert all(each is not None and each.__traceback__ is not None for each in errors)

    transport._drop_frames(error, None)

    assert all(each is not None and each.__traceback__ is None for each in errors)


def test_a_cookie_is_not_kept(mocked: responses.RequestsMock) -> None:
    mocked.get(URL, json={"items": []}, headers={"Set-Cookie": "a=b"})

    with remote() as client:
        client.list_source_images()
        client.list_source_images()

    assert "Cookie" not in mocked.calls[1].request.headers


def test_the_key_is_in_no_log(
    client: RokkaClient, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    emulator.add_fault(Fault(status=503))

    client.create_source_image(io.BytesIO(picture()), name="dog.jpg")

    said = [record.getMessage() for record in caplog.records if record.name == "django_rokka.api"]
    assert said == [
        "POST /sourceimages/acme → 503: This fault was asked for.; trying again in 0.0 s",
        "POST /sourceimages/acme → 201",
    ]
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


@pytest.mark.parametrize(
    "make",
    [
        lambda **options: RokkaClient("acme", **options),
        lambda **options: RenderClient(**{"base_url": "https://acme.rokka.io", **options}),
    ],
    ids=["api", "renders"],
)
def test_both_clients_send_as_they_are_told(make: Callable[..., Any]) -> None:
    def told(**options: Any) -> Any:
        transport = make(**options)._transport
        adapter = transport._session.get_adapter(transport.base_url)
        return transport.timeout, transport.retry, adapter._pool_maxsize

    assert told() == ((5.0, 60.0), RetryPolicy(), 10)
    for base_url in ("https://rokka.example", "http://rokka.example"):
        expected = ((1, 2), QUICK, 3)
        assert told(base_url=base_url, timeout=(1, 2), retry=QUICK, pool_size=3) == expected
