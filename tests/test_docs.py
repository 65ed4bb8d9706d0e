"""The references of the documentation say what the code has, and the quick start works as written."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from django_rokka import checks, tasks, testing
from django_rokka.changes import Rehashable
from django_rokka.conf import SETTINGS, Config
from django_rokka.emulator import Emulator
from django_rokka.storage import RokkaStorage
from django_rokka.templatetags.rokka import register
from tests.pictures import picture

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
    for page in ("celery.md", "sync.md"):
        for name in re.findall(r'"task": "django_rokka.tasks.(\w+)"', (DOCS / page).read_text()):
            assert name in found


def _argument(argument: inspect.Parameter) -> str:
    default = argument.default
    return argument.name if default is argument.empty else f"{argument.name}={default!r}"


def test_every_command_is_documented() -> None:
    commands = (ROOT / "django_rokka").glob("**/management/commands/rokka_*.py")
    pages = "".join(path.read_text() for path in DOCS.glob("*.md"))

    assert [path.stem for path in commands if f"manage.py {path.stem}" not in pages] == []


def test_every_change_is_documented() -> None:
    methods = {name for name in vars(Rehashable) if not name.startswith("_")}

    assert {text.partition("(")[0] for text in first_column("rehash.md")} == methods


def test_every_fixture_is_documented() -> None:
    fixtures = re.findall(r"@pytest\.fixture\ndef (\w+)", Path(testing.__file__).read_text())

    assert set(fixtures) <= set(first_column("emulator.md"))


def blocks(language: str) -> list[str]:
    """The code blocks of the README's quick start."""
    text = (ROOT / "README.md").read_text().split("## Quick start")[1].split("## Documentation")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new project with the quick start's code in it."""
    settings, models = blocks("python")
    (template,) = blocks("django")
    run(tmp_path, "django-admin", "startproject", "site_", ".")
    run(tmp_path, "manage.py", "startapp", "blog")
    with (tmp_path / "site_" / "settings.py").open("a") as file:
        file.write(f"{settings}\nINSTALLED_APPS += ['blog']\n")
    (tmp_path / "blog" / "models.py").write_text(models)
    templates = tmp_path / "blog" / "templates"
    templates.mkdir()
    (templates / "article.html").write_text(template)
    (tmp_path / "dog.jpg").write_bytes(picture((800, 600)))
    return tmp_path


def run(directory: Path, *command: str, **env: str) -> str:
    program = ["-m", "django"] if command[0] == "django-admin" else [command[0]]
    result = subprocess.run(  # noqa: S603
        [sys.executable, *program, *command[1:]],
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "site_.settings",
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


_USE_IT = """
import django
django.setup()
from django.core.files import File
from django.template.loader import render_to_string
from blog.models import Article
with open("dog.jpg", "rb") as file:
    article = Article.objects.create(title="A dog", photo=File(file, name="dog.jpg"))
print(render_to_string("article.html", {"article": Article.objects.get()}))
"""


def test_the_quick_start_works_as_written(project: Path, rokka_emulator: Emulator) -> None:
    import requests

    # The port of the text may be in use: the emulator of the tests stands in for it.
    settings = project / "site_" / "settings.py"
    settings.write_text(
        settings.read_text().replace("http://127.0.0.1:8899", rokka_emulator.api_url)
    )
    rokka_emulator.add_key("demo-key", {"acme": "write"})
    for line in blocks("sh")[-1].splitlines():
        if "runserver" not in line:
            run(project, *line.removeprefix("python ").split())
    (project / "use_it.py").write_text(_USE_IT)

    html = run(project, "use_it.py")

    assert 'width="800"' in html
    assert 'height="600"' in html
    urls = re.findall(r"http://127[^\s\"]+", html)
    assert len(urls) >= 4
    for url in urls:
        assert requests.get(url, timeout=30).headers["Content-Type"] == "image/jpeg"


def test_the_emulators_command_is_as_written() -> None:
    from django_rokka.emulator.__main__ import _parser

    command = next(block for block in blocks("sh") if "django_rokka.emulator" in block)
    options = _parser().parse_args(command.split("django_rokka.emulator")[1].split())

    assert (options.port, options.organization, options.api_key) == (8899, ["acme"], "demo-key")
