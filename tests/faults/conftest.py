"""The world of the grid, and the grid itself at the end of a run: ``pytest tests/faults -v``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from textwrap import wrap
from typing import Any

import pytest
import tenacity.nap

from django_rokka.emulator import Emulator

from .faults import FAULTS
from .grid import Pauses
from .thief import Thief

#: How an outcome is spelled in a cell; any other one is an error, by the first letters of its words.
_SPELLED = {"done": "·", "as sent": "as", "reported": "tell", "later": "late", "!": "!!!"}
_CELL = "cell"


@pytest.fixture(scope="session")
def thief() -> Iterator[Thief]:
    """Another host. Each test that uses it leaves it untouched, or clears what it heard."""
    with Thief().listening() as thief:
        yield thief


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """The pauses between tries, which are noted and not slept."""
    pauses = Pauses()
    monkeypatch.setattr(tenacity.nap, "time", pauses)
    return pauses


@pytest.fixture
def parts(
    rokka_emulator: Emulator,
    thief: Thief,
    pauses: Pauses,
    caplog: pytest.LogCaptureFixture,
) -> tuple[Emulator, Thief, Pauses, pytest.LogCaptureFixture]:
    """What a `Grid` is made of."""
    caplog.set_level(logging.DEBUG)
    return rokka_emulator, thief, pauses, caplog


@pytest.fixture
def fill(record_property: Callable[[str, Any], None]) -> Callable[..., None]:
    """Run a row of a grid, note its cells for the summary, and fail if one is not as it should be."""

    def fill(grid: Any, name: str, scenario: Any) -> None:
        for fault, outcome in grid.row(scenario).items():
            record_property(_CELL, [name, fault, outcome])
        assert not grid.problems, f"{name}\n" + "\n".join(grid.problems)

    return fill


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what came of each fault, if asked to be verbose or if something is wrong."""
    rows: dict[str, dict[str, str]] = {}
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    for report in reports:
        for key, value in getattr(report, "user_properties", ()):
            if key == _CELL and report.when == "call":
                name, fault, outcome = value
                rows.setdefault(name, {})[fault] = outcome
    if rows and (config.option.verbose > 0 or terminalreporter.getreports("failed")):
        terminalreporter.section("what comes of each fault")
        terminalreporter.write("\n".join(_table(rows)) + "\n")


def _table(rows: dict[str, dict[str, str]]) -> Iterator[str]:
    """A column for each fault, by a number, and below it what the numbers and signs stand for."""
    width = max(map(len, rows))
    yield " " * width + "".join(f"{number:>5}" for number in range(1, len(FAULTS) + 1))
    for name, cells in rows.items():
        yield name.ljust(width) + "".join(
            f"{_spelled(cells.get(fault, '')):>5}" for fault in FAULTS
        )
    yield ""
    yield from wrap(", ".join(f"{number} {name}" for number, name in enumerate(FAULTS, 1)), 140)
    outcomes = sorted({outcome for cells in rows.values() for outcome in cells.values()})
    yield ", ".join(f"{_spelled(outcome)} {outcome}" for outcome in outcomes)


def _spelled(outcome: str) -> str:
    letters = "".join(letter for letter in outcome if letter.isupper())
    return _SPELLED.get(outcome) or letters
