"""Wagtail wants a site of its own, so it is tested in a process with settings of its own.

One process for all of `tests.wagtail`, for its migrations alone take eight seconds.
"""

from __future__ import annotations

from importlib.util import find_spec

from tests.conftest import missing, run_with_settings


def test_images_work_in_wagtail(chromium: str) -> None:
    if find_spec("wagtail") is None:
        missing("Wagtail")

    run_with_settings("tests.settings_wagtail", "tests/wagtail")
