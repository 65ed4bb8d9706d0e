"""The source distribution, the wheel that is built from it, and that wheel in an environment with nothing else.

This needs the package index, as installing the tests' own requirements did.
"""

from __future__ import annotations

import email
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from django_rokka import __version__
from tests.conftest import missing

ROOT = Path(__file__).parents[1]
NAME = f"django_rokka-{__version__}"
_SETTINGS = """
INSTALLED_APPS += ["django_rokka"]
ROKKA = {"default": {"ORGANIZATION": "acme", "API_KEY": "a-key"}}
"""
#: What an installed package must find, in a process with nothing on its path.
_USE = """
import os
import django
from django.conf import settings
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
django.setup()
from importlib import import_module, metadata, util
from django.contrib.staticfiles import finders
from django.template.loader import get_template
from django.utils import translation
import django_rokka
from django_rokka.models import SourceImage

get_template("django_rokka/widgets/image_input.html")
get_template("admin/rokka/sourceimage/detail/areas.html")
assert finders.find("django_rokka/widget.js")
names = {}
for language in ("en", "de", "fr"):
    with translation.override(language):
        names[language] = str(SourceImage._meta.verbose_name)
assert len(set(names.values())) == 3, names
assert util.find_spec("pytest") is None and util.find_spec("tests") is None
for name in ("api", "fields", "storage", "forms", "drf", "jinja2", "emulator", "testing"):
    assert util.find_spec(f"django_rokka.{name}"), name
print(django_rokka.__file__)
"""


def run(*command: str, cwd: Path, **environment: str) -> str:
    """What a command says. Raises `AssertionError` with that if it fails."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("DJANGO_", "PYTHON"))
    }
    done = subprocess.run(  # noqa: S603 - our own
        command, cwd=cwd, env={**kept, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(*arguments: str, cwd: Path, python: str = sys.executable) -> None:
    """Let pip install something; without compiling, which takes longer than running it once."""
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"]
    run(*pip, "--disable-pip-version-check", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheel")


@pytest.fixture(scope="module")
def sdist(folder: Path) -> Path:
    """The source distribution, made by the build system that pyproject.toml names."""
    try:
        install("--target", str(folder / "tools"), "hatchling>=1.26", cwd=folder)
    except AssertionError as error:
        missing(f"The package index, or pip ({error})")
    build(folder, "sdist", source=ROOT)
    return folder / f"{NAME}.tar.gz"


@pytest.fixture(scope="module")
def wheel(folder: Path, sdist: Path) -> Iterator[zipfile.ZipFile]:
    """The wheel, made from the source distribution as `python -m build` does."""
    run("tar", "-xzf", str(sdist), cwd=folder)
    build(folder, "wheel", source=folder / NAME)
    with zipfile.ZipFile(folder / f"{NAME}-py3-none-any.whl") as archive:
        yield archive


def build(folder: Path, kind: str, *, source: Path) -> None:
    command = ["-m", "hatchling", "build", "--target", kind, "--directory", str(folder)]
    run(sys.executable, *command, cwd=source, PYTHONPATH=str(folder / "tools"))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return email.message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    there = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "django_rokka").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    packed = {name for name in wheel.namelist() if not name.startswith(f"{NAME}.dist-info/")}

    assert packed == there
    kinds = {Path(name).suffix for name in packed}
    assert kinds >= {".py", ".typed", ".html", ".js", ".css", ".mo", ".po"}
    assert any("/migrations/0001_" in name for name in packed)


def test_the_source_distribution_has_what_tests_and_documentation_need(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert names >= {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "Makefile",
        "pyproject.toml",
        "docs/tutorial.md",
        "tests/conftest.py",
    }
    assert not [name for name in names if ".venv" in name or "__pycache__" in name]


def test_the_metadata_say_what_pip_and_the_index_ask(
    metadata: Message, wheel: zipfile.ZipFile
) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("django-rokka", __version__)
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "MIT"
    assert wheel.read(f"{NAME}.dist-info/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert set(metadata.get_all("Provides-Extra", [])) >= {
        "emulator",
        "celery",
        "wagtail",
        "jinja2",
        "drf",
    }
    assert (
        "django_rokka = django_rokka.testing"
        in wheel.read(f"{NAME}.dist-info/entry_points.txt").decode()
    )


def test_the_wheel_works_in_an_empty_environment(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    venv.create(tmp_path / "empty", symlinks=True)
    python = str(tmp_path / "empty" / "bin" / "python")
    install(str(wheel.filename), cwd=tmp_path, python=python)
    run(python, "-m", "django", "startproject", "mysite", ".", cwd=tmp_path)
    with (tmp_path / "mysite" / "settings.py").open("a") as settings:
        settings.write(_SETTINGS)

    run(python, "-W", "error", "manage.py", "check", "--fail-level", "WARNING", cwd=tmp_path)
    run(python, "manage.py", "makemigrations", "--check", "--dry-run", cwd=tmp_path)
    run(python, "manage.py", "migrate", cwd=tmp_path)
    (tmp_path / "use_it.py").write_text(_USE)
    place = run(python, "use_it.py", cwd=tmp_path)

    assert place.startswith(str(tmp_path / "empty"))
