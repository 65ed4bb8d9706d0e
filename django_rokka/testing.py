"""A pytest plugin: rokka for your tests, with no account and no network.

It is there as soon as django-rokka and pytest are installed, with ``django-rokka[emulator]`` for what it
needs. The fixtures import Django and the emulator only when a test asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django_rokka.emulator import Emulator
    from django_rokka.mirror import MirroringClient

#: The organizations of the emulator that tests get, and the key that may do everything in them.
ORGANIZATIONS = ("acme", "acme-stage")
API_KEY = "test-key"


@pytest.fixture(scope="session")
def _rokka_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    from django_rokka.emulator import Emulator

    data = tmp_path_factory.mktemp("rokka")
    options: dict[str, Any] = {"organizations": ORGANIZATIONS, "api_key": API_KEY}
    # A test has no other addresses to upload from.
    with Emulator(data, **options, allow_private=True) as emulator:
        yield emulator


@pytest.fixture
def rokka_emulator(_rokka_emulator: Emulator, settings: Any) -> Emulator:
    """A running `Emulator`, empty at the start of each test; ``ROKKA["default"]`` points at it.

    Other aliases of your ``ROKKA`` setting keep their organization if the emulator has it, and are
    pointed at it as well.
    """
    _rokka_emulator.reset()
    settings.ROKKA = rokka_settings(_rokka_emulator, getattr(settings, "ROKKA", {}))
    return _rokka_emulator


@pytest.fixture
def rokka_client(rokka_emulator: Emulator) -> MirroringClient:
    """The client of the alias ``default``, calling the emulator."""
    from django_rokka.conf import get_client

    return get_client()


def rokka_settings(emulator: Emulator, present: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The ``ROKKA`` setting with every alias at the emulator, and with short pauses for retries."""
    aliases = {"default": {}, **present}
    return {
        alias: {
            **values,
            "ORGANIZATION": _organization(emulator, values),
            "API_KEY": API_KEY,
            "BASE_URL": emulator.api_url,
            "RENDER_URL": emulator.render_url,
        }
        for alias, values in aliases.items()
    }


def _organization(emulator: Emulator, values: dict[str, Any]) -> str:
    wanted = values.get("ORGANIZATION")
    return wanted if wanted in emulator.organizations else emulator.organizations[0]
