"""Plain HTTP against the emulator: no client of ours between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from django_rokka.emulator import Emulator
from django_rokka.testing import API_KEY
from tests.pictures import picture

Api = Callable[..., requests.Response]


@pytest.fixture
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


@pytest.fixture
def api(emulator: Emulator) -> Api:
    """``api("GET", "/sourceimages/acme")`` with the key."""

    def call(method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Api-Key": API_KEY, **options.pop("headers", {})}
        return requests.request(
            method, emulator.api_url + path, headers=headers, timeout=30, **options
        )

    return call


@pytest.fixture
def upload(api: Api) -> Callable[..., dict[str, Any]]:
    """Upload one file; gives the image of the answer."""

    def send(content: bytes = b"", name: str = "dog.jpg", **form: Any) -> dict[str, Any]:
        files = {"filedata": (name, content or picture())}
        answer = api("POST", "/sourceimages/acme", files=files, data=form)
        assert answer.status_code == 201, answer.text
        image: dict[str, Any] = answer.json()["items"][0]
        return image

    return send


@pytest.fixture
def render(emulator: Emulator) -> Callable[..., requests.Response]:
    """``render("dynamic/resize-width-10/HASH.jpg")``"""

    def get(path: str, **options: Any) -> requests.Response:
        base = emulator.render_url.format(organization="acme")
        return requests.get(f"{base}/{path}", timeout=30, **options)

    return get
