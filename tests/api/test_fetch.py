"""Fetching renders: without a key, in bounds, and from no other host."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import responses

from django_rokka import api
from django_rokka.api import RenderClient, RokkaClient
from django_rokka.emulator import Emulator, Fault
from tests.pictures import opened, picture

from .conftest import QUICK

BASE = "https://acme.rokka.io"
URL = f"{BASE}/dynamic/resize-width-64/{'a' * 40}.png"


@pytest.fixture
def base(emulator: Emulator) -> str:
    return emulator.render_url.replace("{organization}", "acme")


@pytest.fixture
def renders(base: str) -> Iterator[RenderClient]:
    with RenderClient(base, retry=QUICK) as renders:
        yield renders


@pytest.fixture
def url(client: RokkaClient, base: str) -> str:
    image = client.create_source_image(io.BytesIO(picture((80, 60))), name="dog.jpg")
    return f"{base}/dynamic/resize-width-40/{image.hash}.png"


def test_a_render_comes_as_it_is(renders: RenderClient, url: str) -> None:
    assert opened(renders.fetch(url, limit=10_000)).size == (40, 30)


def test_no_key_goes_along(renders: RenderClient, tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "netrc").write_text("machine acme.rokka.io login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with responses.RequestsMock() as mock, RenderClient(BASE) as client:
        mock.get(URL, body=b"x")
        assert client.fetch(URL, limit=1) == b"x"
        assert client.fetch(URL, limit=1, accept="image/png") == b"x"
        accepted = [call.request.headers["Accept"] for call in mock.calls]
        headers = mock.calls[0].request.headers

    assert accepted == ["*/*", "image/png"]
    assert not {"Api-Key", "Authorization", "Cookie"} & set(headers)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503, times=2),
        Fault(status=429, times=2),
        Fault(kind="cut", times=2),
        Fault(kind="truncate", times=2),
    ],
)
def test_what_may_pass_is_tried_again(
    renders: RenderClient, url: str, emulator: Emulator, fault: Fault
) -> None:
    emulator.add_fault(fault)

    assert opened(renders.fetch(url, limit=10_000)).size == (40, 30)
    assert len(emulator.renders) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, api.NotFound), (403, api.NotAllowed), (400, api.InvalidRequest), (500, api.ServerError)],
)
def test_an_answer_that_says_no_is_an_error(
    renders: RenderClient,
    url: str,
    base: str,
    emulator: Emulator,
    status: int,
    error: type[Exception],
) -> None:
    emulator.add_fault(Fault(status=status, times=9))

    with pytest.raises(error) as caught:
        renders.fetch(url, limit=10_000)
    said = f"GET {url.removeprefix(base)} → {status}: This fault was asked for."
    assert str(caught.value) == said
    assert len(emulator.renders) == 1


def test_a_longer_answer_is_not_read(renders: RenderClient, url: str, emulator: Emulator) -> None:
    size = len(renders.fetch(url, limit=10_000))

    assert len(renders.fetch(url, limit=size)) == size
    with pytest.raises(api.UnexpectedAnswer, match=f"more than {size - 1} bytes"):
        renders.fetch(url, limit=size - 1)
    assert len(emulator.renders) == 3


def test_a_redirect_is_not_followed() -> None:
    with responses.RequestsMock() as mock, RenderClient(BASE) as client:
        mock.get(URL, status=302, headers={"Location": "https://elsewhere.example/x"})
        with pytest.raises(api.UnexpectedAnswer, match=r"redirect to elsewhere\.example"):
            client.fetch(URL, limit=10)
        assert len(mock.calls) == 1


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/a.png", "https://acme.rokka.io.example/a.png", "/a.png", ""]
)
def test_a_url_of_another_host_is_refused(url: str) -> None:
    with RenderClient(BASE) as client, pytest.raises(api.InvalidArgument, match="is no render at"):
        client.fetch(f"{url}?sig=0123456789abcdef", limit=10)


def test_a_signature_is_sent_as_it_is_and_is_in_no_error_and_no_log(
    renders: RenderClient, url: str, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="django_rokka")
    signed = api.sign_url(url, "secret-key")
    with responses.RequestsMock() as mock:
        mock.get(url, body=b"x")
        renders.fetch(signed, limit=1)
        assert mock.calls[0].request.url == signed
    emulator.add_fault(Fault(status=503, times=9))

    with pytest.raises(api.ServerError) as caught:
        renders.fetch(signed, limit=1)

    assert "trying again" in caplog.text
    assert "sig=" not in caplog.text + str(caught.value) + repr(caught.value) + repr(renders)
