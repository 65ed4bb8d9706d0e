"""Every client method and every service against every fault."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from django_rokka.api import RokkaClient
from django_rokka.emulator import Emulator, Fault
from django_rokka.testing import API_KEY

from .faults import FAULTS
from .grid import Grid
from .methods import METHODS
from .thief import Thief

#: Sends nothing.
_SILENT = {"close"}


@pytest.mark.parametrize("name", METHODS)
def test_a_client_method_meets_every_fault(
    name: str, parts: Any, fill: Callable[..., None]
) -> None:
    fill(Grid(*parts), name, METHODS[name])


def test_no_client_method_is_left_out() -> None:
    methods = {
        name
        for name, _ in inspect.getmembers(RokkaClient, inspect.isfunction)
        if not name.startswith("_")
    }

    assert {name.partition(",")[0] for name in METHODS} == methods - _SILENT


def test_the_thief_hears_who_follows_a_redirect(rokka_emulator: Emulator, thief: Thief) -> None:
    rokka_emulator.add_fault(Fault(status=302, headers={"Location": thief.url}))

    requests.get(rokka_emulator.api_url, headers={"Api-Key": API_KEY}, timeout=5)

    assert [headers["Api-Key"] for headers in thief.heard] == [API_KEY]
    thief.heard.clear()


def test_the_table_of_the_documentation_says_what_comes_of_each_fault() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    rows = re.findall(r"^\| (`.+?) \| (`.+?) \|", page, re.MULTILINE)
    said = {name: outcomes for names, outcomes in rows for name in re.findall("`(.+?)`", names)}

    assert set(said) == set(FAULTS)
    for name, trouble in FAULTS.items():
        assert f"`{trouble.if_read or trouble.outcome}`" in said[name], name
