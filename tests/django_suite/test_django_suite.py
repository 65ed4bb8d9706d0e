"""Django's tests of fields, storages and files judge ours: each passes, or the table says why it does not apply."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.django_suite import table
from tests.django_suite.source import djangos_tests

_ROOT = Path(__file__).parents[2]
#: One that applies, one that does not, and one that is not run.
_APPLIES = "model_fields.test_filefield.FileFieldTests.test_pickle"
_DOES_NOT = "file_storage.tests.CustomStorageTests.test_file_path"
_NOT_RUN = "files.tests.FileTests.test_shared_lock"


def test_what_applies_passes_and_what_is_in_the_table_fails() -> None:
    result = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.django_suite.runner", djangos_tests()],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    outcomes = json.loads(result.stdout)

    assert not "\n".join(table.problems(outcomes))
    assert sum(outcome == "" for outcome in outcomes.values()) > 90


def test_what_is_wrong_is_told() -> None:
    outcomes = {_APPLIES: "AssertionError", _DOES_NOT: "", _NOT_RUN: None}

    first, second, *others = table.problems(outcomes)

    assert first == f"{_APPLIES} fails:\nAssertionError"
    assert second.startswith(f"{_DOES_NOT} passes, but is in the table: ")
    assert all(text.endswith("is in the table, but there is no such test") for text in others)
    assert not [text for text in others if text.startswith(_NOT_RUN)]


def test_what_is_as_expected_is_not() -> None:
    outcomes = {_APPLIES: "", _DOES_NOT: "AssertionError", _NOT_RUN: None}

    assert not [text for text in table.problems(outcomes) if "no such test" not in text]


def test_the_documentation_has_the_table() -> None:
    """``python -m tests.django_suite.table`` prints it."""
    assert table.as_markdown() in (_ROOT / "docs" / "django-suite.md").read_text()
