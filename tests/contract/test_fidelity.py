"""The table in ``docs/fidelity.md`` names every call of the client and every answer of the emulator."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from django_rokka.api import RokkaClient
from django_rokka.emulator.app import _rules

_PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"


def _column(number: int) -> Iterator[str]:
    """What stands in backquotes in a column of the table of operations."""
    section = _PAGE.read_text().split("\n## Operations\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    for row in rows:
        yield from re.findall(r"`([^`]+)`", row.split(" | ")[number])


def _written(rule: str) -> str:
    """A route as the table writes it: ``{hash}`` for ``<hash:hash>``."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def test_every_method_of_the_client_is_in_the_table_once() -> None:
    methods = {name for name, _ in inspect.getmembers(RokkaClient, inspect.isfunction)}

    assert sorted(_column(1)) == sorted(
        name for name in methods if not name.startswith("_") and name != "close"
    )


def test_every_route_of_the_emulator_is_in_the_table_once() -> None:
    named = [one.replace("…", "/sourceimages/{organization}") for one in _column(2)]
    routes = [
        f"{method} {_written(rule.rule)}"
        for rule in _rules()
        for method in (rule.methods or set()) - {"HEAD"}
    ]

    assert sorted(named) == sorted(routes)
