"""django-unfold takes the place of Django's admin, so it is tested in a process with settings of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.conftest import missing

ROOT = Path(__file__).parents[2]


def test_everything_works_in_unfolds_admin(chromium: str) -> None:
    if find_spec("unfold") is None:
        missing("django-unfold")

    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "--ds=tests.settings_unfold", "tests/admin/unfold"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout + result.stderr
