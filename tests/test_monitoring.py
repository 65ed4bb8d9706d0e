"""What logs and traces say of calls, and that neither says a key; the guide's snippets are run as they are written."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from django_rokka import api
from django_rokka.api import RenderClient, RetryPolicy, RokkaClient, sign_url
from django_rokka.emulator import Emulator, Fault
from django_rokka.testing import API_KEY
from tests.pictures import picture

GUIDE = (Path(__file__).parents[1] / "docs" / "monitoring.md").read_text()
LOGGER = "django_rokka.api"
QUICK = RetryPolicy(attempts=3, first_pause=0.01, budget=1)
HASH = "0" * 40


@pytest.fixture
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[RokkaClient]:
    with RokkaClient("acme", api_key=API_KEY, base_url=emulator.api_url, retry=QUICK) as client:
        yield client


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """The lines of calls since the last look: level, message and fields."""
    caplog.set_level(logging.DEBUG)

    def lines() -> list[dict[str, Any]]:
        records = [record for record in caplog.records if record.name == LOGGER]
        found = [
            {
                "level": record.levelname,
                "message": record.getMessage(),
                **{name: vars(record)[name] for name in vars(record) if name.startswith("rokka_")},
            }
            for record in records
        ]
        caplog.clear()
        return found

    return lines


def upload(client: RokkaClient, content: bytes = b"") -> api.SourceImage:
    return client.create_source_image(io.BytesIO(content or picture()), name="dog.jpg")


# --- Lines --------------------------------------------------------------------------------------


def test_a_call_is_a_line_with_its_numbers(client: RokkaClient, lines: Lines) -> None:
    content = picture()

    upload(client, content)

    (line,) = lines()
    assert 0 < line.pop("rokka_seconds") < 10
    assert len(content) < line.pop("rokka_sent") < len(content) + 1000
    assert 300 < line.pop("rokka_bytes") < 2000
    assert line == {
        "level": "INFO",
        "message": "POST /sourceimages/acme → 201",
        "rokka_method": "POST",
        "rokka_host": "127.0.0.1",
        "rokka_path": "/sourceimages/acme",
        "rokka_status": 201,
        "rokka_attempt": 1,
    }


def test_the_bytes_are_those_that_were_read(
    client: RokkaClient, emulator: Emulator, lines: Lines
) -> None:
    image = upload(client)
    lines()
    emulator.add_fault(
        Fault("replace", body=json.dumps({"hash": image.hash, "organization": "acme"}))
    )

    client.get_source_image(image.hash)

    (line,) = lines()
    assert line["rokka_bytes"] == len(json.dumps({"hash": image.hash, "organization": "acme"}))
    assert line["rokka_sent"] is None


def test_a_try_that_is_repeated_is_a_warning_with_reason_and_pause(
    client: RokkaClient, emulator: Emulator, lines: Lines
) -> None:
    emulator.add_fault(Fault(status=503))
    emulator.add_fault(Fault(kind="cut"))

    upload(client)

    first, second, third = lines()
    keys = ("level", "rokka_attempt", "rokka_status", "rokka_error")
    assert [first.get(key) for key in keys] == ["WARNING", 1, 503, "ServerError"]
    assert [second.get(key) for key in keys] == ["WARNING", 2, None, "RokkaConnectionError"]
    assert [third.get(key) for key in keys] == ["INFO", 3, 201, None]
    assert 0 < first["rokka_pause"] < 1
    assert first["message"].endswith("; trying again in 0.0 s")
    # The pauses do not count, nor do earlier tries.
    assert third["rokka_bytes"] > 0
    assert first["rokka_bytes"] > 0
    assert second["rokka_bytes"] == 0
    assert "rokka_pause" not in third


def test_trouble_that_stays_is_a_warning_and_another_no_is_not(
    client: RokkaClient, emulator: Emulator, lines: Lines
) -> None:
    with pytest.raises(api.NotFound):
        client.get_source_image(HASH)
    (line,) = lines()
    assert (line["level"], line["rokka_error"], line["rokka_status"]) == ("INFO", "NotFound", 404)

    emulator.add_fault(Fault(status=500))
    with pytest.raises(api.ServerError):
        client.get_source_image(HASH)
    (line,) = lines()
    assert (line["level"], line["rokka_status"]) == ("WARNING", 500)

    emulator.add_fault(Fault(status=429, headers={"X-RateLimit-Retry-After": "4102444800"}))
    with pytest.raises(api.RateLimited):
        client.get_source_image(HASH)
    (line,) = lines()
    assert (line["level"], line["rokka_error"]) == ("WARNING", "RateLimited")
    assert "rokka_pause" not in line


def test_what_is_never_sent_is_no_line(client: RokkaClient, lines: Lines) -> None:
    with pytest.raises(api.InvalidArgument):
        client.list_source_images(sort="\ud800")

    assert lines() == []


def test_a_download_is_a_line_before_it_is_read(client: RokkaClient, lines: Lines) -> None:
    image = upload(client)
    lines()

    with client.download_source_image(image.hash) as pieces:
        (line,) = lines()
        assert b"".join(pieces) == picture()

    assert (line["rokka_status"], line["rokka_bytes"]) == (200, None)
    assert lines() == []


def test_renders_are_lines_too_without_their_query(
    client: RokkaClient, emulator: Emulator, lines: Lines
) -> None:
    image = upload(client)
    lines()
    base = emulator.render_url.replace("{organization}", "acme")
    url = sign_url(f"{base}/dynamic/resize-width-20/{image.hash}.png", emulator.signing_key)

    with RenderClient(base) as renders:
        content = renders.fetch(url, limit=10_000)

    (line,) = lines()
    assert line["rokka_path"] == f"/dynamic/resize-width-20/{image.hash}.png"
    assert (line["rokka_status"], line["rokka_bytes"]) == (200, len(content))
    assert "sig" not in json.dumps(line)


def test_no_field_has_a_key_even_if_a_server_repeats_it(
    client: RokkaClient, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    emulator.add_fault(Fault(status=503, body=json.dumps({"message": f"key {API_KEY}"}), times=2))
    emulator.add_fault(Fault(status=403, body=json.dumps({"message": f"key {API_KEY}"})))

    with pytest.raises(api.NotAllowed):
        upload(client)

    said = [repr(vars(record)) for record in caplog.records]
    assert len([text for text in said if LOGGER in text]) == 3
    assert not [text for text in said if API_KEY in text]


def test_the_guide_names_every_field(client: RokkaClient, emulator: Emulator, lines: Lines) -> None:
    emulator.add_fault(Fault(status=503))
    upload(client)

    fields = {name for line in lines() for name in line if name.startswith("rokka_")}
    assert set(re.findall(r"^\| `(rokka_\w+)` \|", GUIDE, re.MULTILINE)) == fields


# --- JSON lines ---------------------------------------------------------------------------------

_PROJECT = """
import io, logging, logging.config, sys
from settings import LOGGING
from django_rokka.api import RetryPolicy, RokkaClient
logging.config.dictConfig(LOGGING)
url, key = sys.argv[1:]
retry = RetryPolicy(first_pause=0.01)
with RokkaClient("acme", api_key=key, base_url=url, retry=retry) as client:
    client.create_source_image(io.BytesIO(sys.stdin.buffer.read()), name="dog.jpg")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("django_rokka.bulk").exception("It failed.")
"""


def test_the_guides_formatter_writes_json_lines(emulator: Emulator, tmp_path: Path) -> None:
    formatter, logging_setting, *_ = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite" / "logs.py").write_text(formatter)
    (tmp_path / "settings.py").write_text(logging_setting)
    (tmp_path / "use_it.py").write_text(_PROJECT)
    emulator.add_fault(Fault(status=503))

    result = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "use_it.py", emulator.api_url, API_KEY],
        cwd=tmp_path,
        input=picture(),
        capture_output=True,
        check=True,
    )

    retried, done, failed = map(json.loads, result.stderr.decode().splitlines())
    assert (retried["level"], retried["rokka_error"], retried["rokka_status"]) == (
        "WARNING", "ServerError", 503,
    )  # fmt: skip
    assert (done["level"], done["logger"], done["rokka_attempt"]) == ("INFO", LOGGER, 2)
    assert set(done) == set(json.loads(_example()))
    assert "ZeroDivisionError" in failed["traceback"]
    assert API_KEY not in result.stderr.decode()


def _example() -> str:
    (example,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    return str(example)


# --- Traces -------------------------------------------------------------------------------------


@pytest.fixture
def traces() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    """OpenTelemetry as the guide installs it, with spans that stay in memory."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    yield provider, exporter
    RequestsInstrumentor().uninstrument()
    provider.shutdown()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_each_try_of_an_upload_is_a_span_below_that_of_the_request(
    client: RokkaClient,
    emulator: Emulator,
    traces: tuple[TracerProvider, InMemorySpanExporter],
) -> None:
    provider, exporter = traces
    emulator.add_fault(Fault(status=503))
    emulator.add_fault(Fault(kind="cut"))

    with provider.get_tracer("site").start_as_current_span("POST /articles/"):
        upload(client)

    *tries, request = exporter.get_finished_spans()
    said = [attributes(span) for span in tries]
    assert [one.get("http.status_code") for one in said] == [503, None, 201]
    assert {one["http.method"] for one in said} == {"POST"}
    assert {one["http.url"] for one in said} == {f"{emulator.api_url}/sourceimages/acme"}
    assert [span.status.is_ok for span in tries] == [False, False, True]
    assert [event.name for event in tries[1].events] == ["exception"]
    assert request.context is not None
    assert [span.parent and span.parent.span_id for span in tries] == [request.context.span_id] * 3


def test_no_span_has_a_key_a_header_of_it_or_a_signature(
    client: RokkaClient,
    emulator: Emulator,
    traces: tuple[TracerProvider, InMemorySpanExporter],
) -> None:
    _, exporter = traces
    emulator.add_token("a-token-of-the-tests", {"acme": "write"})
    emulator.add_fault(Fault(kind="cut"))
    image = upload(client)
    base = emulator.render_url.replace("{organization}", "acme")
    url = sign_url(f"{base}/dynamic/resize-width-20/{image.hash}.png", emulator.signing_key)
    with RenderClient(base) as renders:
        renders.fetch(url, limit=10_000)
    with RokkaClient("acme", token="a-token-of-the-tests", base_url=emulator.api_url) as other:
        other.get_source_image(image.hash)

    spans = exporter.get_finished_spans()
    assert [attributes(span).get("http.status_code") for span in spans] == [None, 201, 200, 200]
    text = "\n".join(span.to_json() for span in spans)
    signature = url.rpartition("sig=")[2]
    for secret in (API_KEY, "a-token-of-the-tests", emulator.signing_key, signature):
        assert secret not in text
    assert "sig=REDACTED" in text
    for name in ("api-key", "api_key", "authorization", "bearer"):
        assert name not in text.lower()
