"""Uploads by URL: nobody learns by them what there is inside of a network."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests

from django_rokka import api
from django_rokka.api import RokkaClient, Upload
from django_rokka.emulator import Emulator
from tests.pictures import picture

KEY = "key-of-this-test"
PRIVATE = [
    "127.0.0.1", "127.1", "0x7f.1", "2130706433", "0", "10.0.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "224.0.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:100.64.0.1]",
    "[fe80::1]", "[fd00::1]", "[2002:7f00:1::]",
    "１２７.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "printer.local", "metadata.google.internal",
]  # fmt: skip
UNFIT = [
    "file:///etc/passwd", "ftp://example.com/a.jpg", "gopher://example.com/", "//example.com/a.jpg", "http:///a.jpg",
    "http://user:password@example.com/a.jpg", "http://127.0.0.1\\.example.com/", "http://exa mple.com/",
    "http://example.com/\r\nX: y", "http://[::1", "http://a..b/", "http://example.com/\ud800", "data:,x",
]  # fmt: skip


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(organizations=["acme"], api_key=KEY) as running:
        yield running


@pytest.fixture
def client(emulator: Emulator) -> Iterator[RokkaClient]:
    emulator.reset()
    with RokkaClient("acme", api_key=KEY, base_url=emulator.api_url) as client:
        yield client


class Inside(BaseHTTPRequestHandler):
    """A server that nobody outside can reach."""

    asked: list[str]
    location = ""

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(302 if self.location else 200)
        if self.location:
            self.send_header("Location", self.location)
        self.end_headers()
        self.wfile.write(picture())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def inside() -> Iterator[type[Inside]]:
    handler = type("Handler", (Inside,), {"asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    handler.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    handler.port = server.server_port  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def post(emulator: Emulator, url: str) -> requests.Response:
    """Ask the emulator itself, past the client."""
    return requests.post(
        f"{emulator.api_url}/sourceimages/acme",
        files={"url[0]": (None, url)},
        headers={"Api-Key": KEY},
        timeout=10,
    )


@pytest.mark.parametrize("url", [*(f"http://{host}/a.jpg" for host in PRIVATE), *UNFIT])
def test_the_client_refuses_what_no_one_outside_should_fetch(
    client: RokkaClient, emulator: Emulator, url: str
) -> None:
    with pytest.raises(api.InvalidArgument) as caught:
        client.create_source_image_from_url(url)
    with pytest.raises(api.InvalidArgument):
        client.create_source_images([Upload(url=url)])

    assert "password" not in str(caught.value)
    assert emulator.calls == []


@pytest.mark.parametrize(
    "url", ["http://example.com/a.jpg", "HTTPS://8.8.8.8/", "https://zürich.ch/ä%20b.jpg", "http://[2606:4700::1111]:8080/"]
)  # fmt: skip
def test_public_hosts_are_handed_on(url: str) -> None:
    from django_rokka.api.remote import check_url

    check_url(url)


def test_the_refusal_names_the_host_and_the_way_out(client: RokkaClient) -> None:
    with pytest.raises(api.InvalidArgument, match=r"'10.1.2.3' is no public.*allow_private=True"):
        client.create_source_image_from_url("http://10.1.2.3/a.jpg")


def test_the_emulator_goes_to_no_private_address(
    client: RokkaClient, inside: Any, emulator: Emulator
) -> None:
    with pytest.raises(api.InvalidRequest, match=r"127\.0\.0\.1 is no public.*--allow-private"):
        client.create_source_image_from_url(f"{inside.url}/a.jpg", allow_private=True)
    for host in ("localhost", "127.1", "[::ffff:127.0.0.1]"):
        assert post(emulator, f"http://{host}:{inside.port}/a.jpg").status_code == 400

    assert inside.asked == []


def test_the_emulator_goes_there_if_it_may(inside: Any) -> None:
    with (
        Emulator(organizations=["acme"], api_key=KEY, allow_private=True) as emulator,
        RokkaClient("acme", api_key=KEY, base_url=emulator.api_url) as client,
    ):
        image = client.create_source_image_from_url(f"{inside.url}/a.jpg", allow_private=True)

    assert (image.name, inside.asked) == ("a.jpg", ["/a.jpg"])


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://127.0.0.1/", "http://[", "http://u:p@example.com/"]
)
def test_the_emulator_fetches_by_http_alone_and_without_credentials(
    emulator: Emulator, url: str
) -> None:
    answer = post(emulator, url)

    assert answer.status_code == 400
    assert re.search("Only http|credentials", answer.text)
    assert "p@" not in answer.text


@pytest.fixture
def elsewhere(monkeypatch: Any) -> dict[str, list[str]]:
    """What names mean, one time after the other, and which addresses were ``reached``.

    The public address 8.8.8.8 is this machine's server.
    """
    names: dict[str, list[str]] = {}
    names["reached"] = []
    look_up, connect = socket.getaddrinfo, socket.create_connection

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host in names:
            host = names[host].pop(0) if len(names[host]) > 1 else names[host][0]
        return look_up(host, port, *args, **kwargs)

    def reach(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        names["reached"].append(address[0])
        host = "127.0.0.1" if address[0] == "8.8.8.8" else address[0]
        return connect((host, address[1]), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", reach)
    return names


def test_a_name_is_what_it_was_when_it_was_checked(
    emulator: Emulator, inside: Any, elsewhere: dict[str, list[str]]
) -> None:
    elsewhere["rebinding.example"] = ["8.8.8.8", "127.0.0.1"]

    assert post(emulator, f"http://rebinding.example:{inside.port}/a.jpg").status_code == 201
    # From now on it means something inside.
    assert post(emulator, f"http://rebinding.example:{inside.port}/b.jpg").status_code == 400
    elsewhere["both.example"] = ["10.0.0.1"]
    assert post(emulator, f"http://both.example:{inside.port}/c.jpg").status_code == 400
    assert inside.asked == ["/a.jpg"]
    assert elsewhere["reached"] == ["8.8.8.8"]


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{}/b.jpg", "ftp://127.0.0.1/", "file:///etc/hostname"]
)
def test_a_redirect_leads_to_no_other_place_either(
    emulator: Emulator, inside: Any, elsewhere: dict[str, list[str]], location: str
) -> None:
    elsewhere["public.example"] = ["8.8.8.8"]
    inside.location = location.format(inside.port)

    answer = post(emulator, f"http://public.example:{inside.port}/a.jpg")

    assert answer.status_code == 400
    assert inside.asked == ["/a.jpg"]


def test_no_proxy_goes_there_instead(
    emulator: Emulator, inside: Any, elsewhere: object, monkeypatch: Any
) -> None:
    monkeypatch.setenv("http_proxy", f"http://8.8.8.8:{inside.port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    assert post(emulator, "http://10.0.0.1/a.jpg").status_code == 400
    assert inside.asked == []
