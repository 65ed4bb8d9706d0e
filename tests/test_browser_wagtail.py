"""Wagtail wants a site of its own, so it is tested in a process with settings of its own.

One process for all of `tests.wagtail`, for its migrations alone take eight seconds.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.conftest import missing

ROOT = Path(__file__).parents[1]


def test_images_work_in_wagtail(chromium: str) -> None:
    if find_spec("wagtail") is None:
        missing("Wagtail")

    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "--ds=tests.settings_wagtail", "tests/wagtail"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout + result.stderr
