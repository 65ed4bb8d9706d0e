"""Runs Django's own tests with our field and our storage in the place of Django's; in a process of its own.

``python -m tests.django_suite.runner FOLDER``, where FOLDER has the packages of Django's tests. Prints what
became of each test as JSON: ``""`` if it passed, ``null`` if it was not run, else why it failed or was skipped.
"""

from __future__ import annotations

import json
import os
import sys
import unittest
from collections.abc import Iterator
from importlib import import_module

import django
from django.apps import apps
from django.conf import settings
from django.test.runner import DiscoverRunner

from django_rokka.emulator import Emulator
from django_rokka.testing import API_KEY, ORGANIZATIONS, rokka_settings
from tests.django_suite import PACKAGES
from tests.django_suite.table import is_run

LABELS = ["model_fields.test_filefield", "model_fields.test_imagefield", "file_storage", "files"]


def _tests(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _tests(test)
        else:
            yield test


def _load(folder: str) -> list[unittest.TestCase]:
    """Django's tests, of which each name of Django's now means ours."""
    from tests.django_suite import stand_ins

    sys.path.insert(0, folder)
    stand_ins.install()
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, *PACKAGES]
    apps.set_installed_apps(settings.INSTALLED_APPS)
    stand_ins.install_files(import_module("files.tests"))
    return list(_tests(DiscoverRunner(verbosity=0).build_suite(LABELS)))


def _run(tests: list[unittest.TestCase]) -> dict[str, str | None]:
    runner = DiscoverRunner(verbosity=0, interactive=False)
    runner.setup_test_environment()
    databases = runner.setup_databases()
    result = unittest.TestResult()
    unittest.TestSuite(test for test in tests if is_run(test.id())).run(result)
    runner.teardown_databases(databases)
    runner.teardown_test_environment()
    outcomes = {test.id(): "" if is_run(test.id()) else None for test in tests}
    for test, text in result.failures + result.errors:
        # A part of a test has an id of its own.
        outcomes[getattr(test, "test_case", test).id()] = text
    return outcomes | {test.id(): f"skipped: {why}" for test, why in result.skipped}


def main() -> None:
    """Print the outcomes."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.django_suite.settings"
    with Emulator(organizations=ORGANIZATIONS, api_key=API_KEY) as emulator:
        settings.ROKKA = rokka_settings(emulator, {})
        django.setup()
        json.dump(_run(_load(sys.argv[1])), sys.stdout)


if __name__ == "__main__":
    main()
