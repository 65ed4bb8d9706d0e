"""A site whose keys can be told from anything else."""

from __future__ import annotations

from typing import Any

import pytest

from django_rokka.emulator import Emulator

from . import secrets


@pytest.fixture
def site(rokka_emulator: Emulator, settings: Any) -> Emulator:
    """The emulator, and aliases for it: ``default``, ``token`` that has no key, ``dead`` where nobody answers."""
    rights = dict.fromkeys(rokka_emulator.organizations, "write")
    rokka_emulator.add_key(secrets.API_KEY, rights)  # type: ignore[arg-type]
    rokka_emulator.add_token(secrets.TOKEN, rights)  # type: ignore[arg-type]
    default = {
        **settings.ROKKA["default"],
        "API_KEY": secrets.API_KEY,
        "SIGNING_KEY": secrets.SIGNING_KEY,
        "ATTEMPTS": 1,
        "TIMEOUT": 2,
    }
    settings.ROKKA = {
        "default": default,
        "token": {**default, "API_KEY": "", "API_TOKEN": secrets.TOKEN},
        "dead": {**default, "BASE_URL": "http://127.0.0.1:9"},
        "stage": {**default, "ORGANIZATION": "acme-stage"},
    }
    return rokka_emulator
