"""Fixtures for real workers, and the table at the end of the run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from django_rokka.emulator import Emulator
from django_rokka.testing import API_KEY, ORGANIZATIONS, rokka_settings
from tests.conftest import missing

pytest.register_assert_rewrite(
    "tests.workers.harness", "tests.workers.scenarios", "tests.workers.bulk"
)

from tests.workers.harness import BROKERS, Rig, Tally, answers  # noqa: E402
from tests.workers.scenarios import Rokka  # noqa: E402
from tests.workers.wiring import Wiring  # noqa: E402

_LOGS = pytest.StashKey[list[Path]]()


@pytest.fixture(autouse=True)
def _servers() -> None:
    for package in ("celery", "redis", "psycopg"):
        if find_spec(package) is None:
            missing(package)
    if connection.vendor != "postgresql":
        missing("PostgreSQL as the default database")
    for broker in BROKERS:
        if not answers(broker):
            missing(broker)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """An emulator of this test's own: calls that hang are let go when it is over."""
    with Emulator(tmp_path / "rokka", organizations=ORGANIZATIONS, api_key=API_KEY) as running:
        yield running


@pytest.fixture
def make_rig(
    request: pytest.FixtureRequest,
    emulator: Emulator,
    transactional_db: None,
    settings: Any,
    tmp_path: Path,
) -> Iterator[Callable[..., Rig]]:
    """Make a `Rig` with a running worker. The test's own process has the same settings."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    settings.ROKKA = {
        # One attempt for a call: trouble is the task's business here.
        alias: {**values, "CELERY": True, "ATTEMPTS": 1, "RETRY_BUDGET": 5}
        for alias, values in rokka_settings(emulator, settings.ROKKA).items()
    }
    logs = request.node.stash.setdefault(_LOGS, [])
    with ExitStack() as rigs:

        def make(
            broker: str,
            *,
            visibility_timeout: int = 3600,
            longest_pause: int = 1,
            children: int = 1,
            chunk: int = 0,
        ) -> Rig:
            folder = tmp_path / broker
            (folder / "places").mkdir(parents=True)
            wiring = Wiring(
                broker=BROKERS[broker],
                queue=f"rokka-tests-{uuid.uuid4().hex}",
                visibility_timeout=visibility_timeout,
                longest_pause=longest_pause,
                databases={name: connections[name].settings_dict["NAME"] for name in connections},
                rokka=settings.ROKKA,
                media_root=settings.MEDIA_ROOT,
                folder=str(folder),
                children=children,
                chunk=chunk,
            )
            logs.append(wiring.log)
            rig = Rig(wiring, emulator)
            rigs.callback(rig.close)
            rig.start_worker()
            return rig

        yield make


@pytest.fixture
def rokka(emulator: Emulator) -> Iterator[Rokka]:
    """The emulator, asked by plain requests."""
    found = Rokka(emulator)
    yield found
    found.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show what the workers said last, if a test fails; tell what it has counted."""
    report = yield
    for log in item.stash.get(_LOGS, []) if report.failed else []:
        lines = log.read_text(errors="replace").splitlines()
        report.sections.append((f"{log.parent.name}: {log.name}", "\n".join(lines[-80:])))
    if report.when == "call":
        report.user_properties += [("tally", tally.line) for tally in Tally.every]
        Tally.every.clear()
    return report
