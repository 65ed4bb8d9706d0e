"""What tests need from the machine, and how it shows when that is missing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import Phase, settings

if TYPE_CHECKING:
    from celery import Celery

# For mutation testing: fewer examples, always the same, and the first failure is enough.
settings.register_profile(
    "mutants",
    phases=[Phase.explicit, Phase.generate],
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
)

#: Set in CI: what cannot be tested is a failure there, and not a skip.
MANDATORY = bool(os.environ.get("ROKKA_TEST_ALL"))
# No look-ups of the browser's own while it starts.
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def missing(what: str) -> NoReturn:
    """Skip a test that this machine cannot run; fail it where everything is mandatory."""
    if MANDATORY:
        pytest.fail(f"{what} is missing, and ROKKA_TEST_ALL is set")
    pytest.skip(f"{what} is missing")


def run_with_settings(settings: str, path: str) -> None:
    """Run the tests below a path in a process of their own, with Chromium, and pass if all of them do."""
    result = subprocess.run(  # noqa: S603 - our own tests
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--ds={settings}", path],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def pytest_configure() -> None:
    """What a shell starts in the background is deaf to Ctrl-C, and so would be the commands that tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the tests of `tests.workers` have counted, in whichever process they ran."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    told = [item for report in reports for item in getattr(report, "user_properties", ())]
    lines = sorted(line for name, line in told if name == "tally")
    if not lines:
        return
    form = "{:24} {:9} {:26} {:>5} {:>8} {:>7} {:>7} {:>8}"
    heads = ("scenario", "broker", "trouble", "rows", "strikes", "places", "broken", "doubled")
    strikes, broken, doubled = (sum(line[column] for line in lines) for column in (4, 6, 7))
    terminalreporter.section("workers")
    for line in (heads, *lines, ("total", "", "", "", strikes, "", broken, doubled)):
        terminalreporter.write_line(form.format(*line))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A browser on a busy machine may be too slow once: its tests get a second try, which is reported."""
    if config.pluginmanager.hasplugin("rerunfailures"):
        for item in items:
            if "browser" in item.nodeid:
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture
def postgres(transactional_db: None) -> None:
    """PostgreSQL as the database, for what several connections do at once."""
    from django.db import connection

    if connection.vendor != "postgresql":
        missing("PostgreSQL (--ds=tests.settings_postgres)")


@pytest.fixture
def celery_app() -> Iterator[Celery]:
    """A Celery app as a project has one; its tasks run at once, in the test's own process."""
    from celery import Celery, current_app

    before = current_app._get_current_object()
    app = Celery("tests")
    # Not from the settings: before Celery 5.7 a test could not change what came from there.
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    app.set_current()
    yield app
    before.set_current()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium to drive, with Playwright to drive it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if find_spec("playwright") is None:
        missing("Playwright")
    if path is None:
        missing("Chromium")
    return str(path)


@contextmanager
def running(chromium: str) -> Iterator[Any]:
    """A Chromium. Playwright has an event loop in this thread meanwhile, which Django is told to bear."""
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=chromium, args=_QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def _running(chromium: str) -> Iterator[Any]:
    with running(chromium) as browser:
        yield browser


@pytest.fixture
def browser(_running: Any) -> Iterator[Any]:
    """A Chromium with no page open, and no cookies; the tests of a module share the process."""
    yield _running
    for context in _running.contexts:
        context.close()


@pytest.fixture
def screenshot(tmp_path: Path) -> Callable[[Any, str], Path]:
    """Keep a picture of a whole page: in the folder that ROKKA_SCREENSHOTS names, or only for this test."""
    folder = Path(os.environ.get("ROKKA_SCREENSHOTS") or tmp_path)

    def screenshot(page: Any, name: str) -> Path:
        page.wait_for_load_state("networkidle")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    return screenshot
