"""Who the contract is held against: the emulator, and a real organization if somebody asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from django_rokka.testing import API_KEY, ORGANIZATIONS
from tests.conftest import MANDATORY

from .wire import Wire

_KEY, _ORGANIZATION = "ROKKA_LIVE_KEY", "ROKKA_LIVE_ORGANIZATION"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``-m rokka_live`` adds the real organization; nothing else does, and nothing does in CI."""
    if "wire" not in metafunc.fixturenames:
        return
    targets: list[object] = ["emulator"]
    wanted = metafunc.config.option.markexpr.strip() == "rokka_live"
    if wanted and not MANDATORY:
        for name in (_KEY, _ORGANIZATION):
            if not os.environ.get(name):
                raise pytest.UsageError(f"-m rokka_live needs the environment variable {name}")
        targets.append(pytest.param("live", marks=pytest.mark.rokka_live))
    metafunc.parametrize("wire", targets, indirect=True)


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    """rokka, or the emulator; what a test makes is deleted at its end."""
    made = _live() if request.param == "live" else request.getfixturevalue("emulated")
    yield made
    made.clean()


@pytest.fixture
def emulated(request: pytest.FixtureRequest) -> Wire:
    """The emulator, for what is not to be done to a real organization."""
    emulator = request.getfixturevalue("rokka_emulator")
    organization, destination = ORGANIZATIONS
    return Wire(
        emulator.api_url, emulator.render_url, organization, API_KEY, destination, pays=True
    )


def _live() -> Wire:
    value = os.environ.get
    return Wire(
        value("ROKKA_LIVE_URL", "https://api.rokka.io"),
        value("ROKKA_LIVE_RENDER_URL", "https://{organization}.rokka.io"),
        os.environ[_ORGANIZATION],
        os.environ[_KEY],
        value("ROKKA_LIVE_DESTINATION", ""),
        lag=20,
    )
