"""The client without Django, on the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from django_rokka.api import RetryPolicy, RokkaClient
from django_rokka.emulator import Emulator
from django_rokka.testing import API_KEY

#: Three tries, with hardly a pause.
QUICK = RetryPolicy(attempts=3, first_pause=0.01, longest_pause=0.02)


def make_client(emulator: Emulator, **options: Any) -> RokkaClient:
    values = {"api_key": API_KEY, "base_url": emulator.api_url, "retry": QUICK, **options}
    return RokkaClient("acme", **values)


@pytest.fixture
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[RokkaClient]:
    with make_client(emulator) as client:
        yield client
