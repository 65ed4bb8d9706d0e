"""The references of the documentation say what the code has. Its code blocks are run by `tests.test_doc_blocks`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from django_rokka import checks, tasks, testing
from django_rokka.changes import Rehashable
from django_rokka.conf import SETTINGS, Config
from django_rokka.storage import RokkaStorage
from django_rokka.templatetags.rokka import register

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def first_column(page: str) -> list[str]:
    """What a page's tables have in their first column, between backticks."""
    return re.findall(r"^\| `([^`]+)` \|", (DOCS / page).read_text(), re.MULTILINE)


def test_every_setting_is_documented_with_its_default() -> None:
    assert first_column("settings.md") == list(SETTINGS)
    rows = re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", (DOCS / "settings.md").read_text(), re.M)
    defaults = Config(alias="default")
    for key, text in rows:
        value = getattr(defaults, key.lower())
        assert text in (str(value), repr(value)) or eval(text) == value, key  # noqa: S307


def test_every_check_is_documented() -> None:
    rows = re.findall(r"^\| `(rokka\.\w+)` \| (.+) \|$", (DOCS / "checks.md").read_text(), re.M)

    assert dict(rows) == checks.MESSAGES
    source = "".join(
        (ROOT / "django_rokka" / name).read_text()
        for name in ("checks.py", "conf.py", "field_checks.py")
    )
    assert set(re.findall(r"rokka\.[EW]\d{3}", source)) == set(checks.MESSAGES)


def test_every_tag_is_documented() -> None:
    headings = re.findall(r"^## .*$", (DOCS / "templates.md").read_text(), re.MULTILINE)

    assert set(re.findall(r"rokka_\w+", " ".join(headings))) == set(register.tags)


def test_every_storage_option_is_documented() -> None:
    options = RokkaStorage().get_default_settings()

    assert [name for name in first_column("field-and-storage.md") if name in options] == list(
        options
    )


def test_every_task_is_documented_with_its_arguments() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \|", (DOCS / "celery.md").read_text(), re.M)
    found = {
        name: ", ".join(map(_argument, inspect.signature(task.run).parameters.values()))
        for name, task in vars(tasks).items()
        if hasattr(task, "delay") and name[0] != "_"
    }

    assert dict(rows) == found


def _argument(argument: inspect.Parameter) -> str:
    default = argument.default
    return argument.name if default is argument.empty else f"{argument.name}={default!r}"


def test_every_command_is_documented() -> None:
    commands = (ROOT / "django_rokka").glob("**/management/commands/rokka_*.py")
    pages = "".join(path.read_text() for path in DOCS.rglob("*.md"))

    assert [path.stem for path in commands if f"manage.py {path.stem}" not in pages] == []


def test_every_change_is_documented() -> None:
    methods = {name for name in vars(Rehashable) if not name.startswith("_")}

    assert {text.partition("(")[0] for text in first_column("rehash.md")} == methods


def test_every_fixture_is_documented() -> None:
    fixtures = re.findall(r"@pytest\.fixture\ndef (\w+)", Path(testing.__file__).read_text())

    assert set(fixtures) <= set(first_column("emulator.md"))
