"""Faults, concurrency, restarts and the command line."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from django_rokka.emulator import Emulator, Fault
from tests.pictures import picture


def test_faults_strike_the_calls_they_match_and_no_more(api: Any, emulator: Emulator) -> None:
    emulator.add_fault(
        Fault(status=503, method="GET", path="^/stacks", body="<html>", headers={"X-A": "b"})
    )

    assert api("GET", "/operations").status_code == 200
    answer = api("GET", "/stacks/acme")
    assert (answer.status_code, answer.text, answer.headers["X-A"]) == (503, "<html>", "b")
    assert api("GET", "/stacks/acme").status_code == 200


def test_a_fault_after_the_work_leaves_it_done(api: Any, emulator: Emulator) -> None:
    emulator.add_fault(Fault(status=500, method="PUT", after_work=True))

    assert api("PUT", "/stacks/acme/a", json={"operations": []}).status_code == 500
    assert api("GET", "/stacks/acme/a").status_code == 200


def test_connections_can_be_cut_slowed_and_truncated(api: Any, emulator: Emulator) -> None:
    emulator.add_fault(Fault(kind="cut"))
    with pytest.raises(requests.ConnectionError):
        api("GET", "/operations")
    emulator.add_fault(Fault(kind="truncate"))
    with pytest.raises(requests.RequestException):
        api("GET", "/operations")
    emulator.add_fault(Fault(kind="slow", seconds=0.4))
    started = time.monotonic()
    assert "resize" in api("GET", "/operations").json()
    assert time.monotonic() - started > 0.3
    emulator.add_fault(Fault(kind="hang", seconds=0.3, after_work=True))
    started = time.monotonic()
    assert api("GET", "/operations").ok
    assert time.monotonic() - started > 0.3


def test_another_process_can_drive_it(api: Any, emulator: Emulator) -> None:
    def control(method: str, name: str, **options: Any) -> requests.Response:
        return requests.request(
            method, f"{emulator.api_url}/_emulator/{name}", timeout=30, **options
        )

    assert control("POST", "faults", json={"status": 418}).status_code == 204
    assert api("GET", "/operations").status_code == 418
    control("POST", "faults", json={"status": 418})
    control("DELETE", "faults")
    assert control("PUT", "listing_lag", json=2).status_code == 204
    assert emulator.listing_lag == 2
    assert [call["status"] for call in control("GET", "calls").json()] == [418]
    assert control("GET", "renders").json() == []
    assert control("POST", "reset").status_code == 204
    assert emulator.calls == []
    assert control("POST", "faults", json={"unknown": 1}).status_code == 400
    assert control("GET", "nothing").status_code == 404


def test_the_log_hides_signatures(render: Any, emulator: Emulator) -> None:
    render("dynamic/noop/ffffff.jpg?a=b&sig=0123456789abcdef")

    assert emulator.renders[0].query == "a=b&sig=…"
    assert emulator.renders[0].authenticated is False


def test_concurrent_uploads_of_the_same_bytes_are_one_image(upload: Any, api: Any) -> None:
    with ThreadPoolExecutor(12) as pool:
        images = list(pool.map(lambda number: upload(picture(), f"{number}.jpg"), range(36)))

    assert len({image["hash"] for image in images}) == 1
    assert api("GET", "/sourceimages/acme").json()["total"] == 1


def test_concurrent_changes_of_one_image_are_all_kept(upload: Any, api: Any) -> None:
    link = upload()["link"]

    def change(number: int) -> int:
        answer = api("PATCH", f"{link}/meta/user", json={f"field_{number}": "x"})
        return int(answer.status_code)

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(change, range(36))) == {204}
    assert len(api("GET", f"{link}/meta/user").json()) == 36


def test_concurrent_renders_are_whole(upload: Any, render: Any) -> None:
    hash = upload(picture((600, 400)))["hash"]

    with ThreadPoolExecutor(8) as pool:
        bodies = list(
            pool.map(lambda _: render(f"dynamic/resize-width-300/{hash}.jpg").content, range(24))
        )

    assert len(set(bodies)) == 1


def test_state_survives_a_restart_and_hanging_calls_do_not_hold_it_up(tmp_path: Path) -> None:
    options: dict[str, Any] = {"organizations": ["acme"], "api_key": "k"}
    headers = {"Api-Key": "k"}
    with Emulator(tmp_path, **options) as emulator:
        url = f"{emulator.api_url}/sourceimages/acme"
        answer = requests.post(
            url, files={"filedata": ("a.jpg", picture())}, headers=headers, timeout=30
        )
        link = answer.json()["items"][0]["link"]
        emulator.add_fault(Fault(kind="hang", seconds=60))
        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(requests.get, url, headers=headers, timeout=30)
            time.sleep(0.3)
            started = time.monotonic()
            emulator.stop()
            assert time.monotonic() - started < 10
            hanging.exception(30)
    with Emulator(tmp_path, **options) as emulator:
        again = requests.get(f"{emulator.api_url}{link}/download", headers=headers, timeout=30)
        assert again.content == picture()


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "django_rokka.emulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_line_is_a_contract(tmp_path: Path, number: signal.Signals) -> None:
    organizations = ("--organization", "acme", "--organization", "acme-stage")
    options = (
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--data",
        str(tmp_path),
        "--api-key",
        "demo-key",
    )
    with start(*options, *organizations) as process:
        lines = [process.stdout.readline() for _ in range(4)]  # type: ignore[union-attr]
        url = re.search(r"http://\S+", lines[0])
        assert url
        answer = requests.get(
            f"{url[0]}/organizations/acme-stage", headers={"Api-Key": "demo-key"}, timeout=30
        )
        assert answer.json()["name"] == "acme-stage"
        process.send_signal(number)
        rest, errors = process.communicate(timeout=30)

    assert process.returncode == 0
    assert lines[1:] == [
        f"Renders  {url[0]}/render/{name}\n" for name in ("acme", "acme-stage")
    ] + ["Ready.\n"]
    assert "demo-key" not in "".join(lines) + rest + errors
    assert errors == ""


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start("--port", str(port)) as process:
            output, errors = process.communicate(timeout=30)

    assert process.returncode == 2
    assert output == ""
    assert re.fullmatch(rf"Cannot listen on 127\.0\.0\.1:{port}: .*\n", errors)
