"""django-unfold takes the place of Django's admin, so it is tested in a process with settings of its own."""

from __future__ import annotations

from importlib.util import find_spec

from tests.conftest import missing, run_with_settings


def test_everything_works_in_unfolds_admin(chromium: str) -> None:
    if find_spec("unfold") is None:
        missing("django-unfold")

    run_with_settings("tests.settings_unfold", "tests/admin/unfold")
