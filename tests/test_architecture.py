"""The rules of docs/architecture.md that a program can check: imports only go down."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "django_rokka"

#: From the ground up. A module may import from its own floor and from those below.
FLOORS = [
    ["api"],
    [
        "changes",
        "signals",
        "models",
        "mirror",
        "conf",
        "renders",
        "environment",
        "locks",
        "explain",
        "later",
    ],
    ["rich_text", "references", "user_metadata", "prefetch", "pictures", "html"],
    ["lifecycle", "rehash", "placeholders", "sync", "spool", "bulk", "stacks", "stack_texts"],
    ["storage", "url_storage"],
    ["forms", "fields", "field_checks", "widgets", "chosen"],
    ["deferred", "tasks", "moves"],
    ["doctor"],
    [
        "admin",
        "checks",
        "apps",
        "templatetags",
        "jinja2",
        "drf",
        "management",
        "migrations",
        "migration_operations",
        "testing",
        "wagtail",
    ],
]
#: The doors that lead up: a model's verb calls its service, inside the function.
DOORS = {("models", "rehash"), ("models", "references")}
#: What the emulator stands on, beside the standard library.
EMULATOR_LIBRARIES = {"PIL", "werkzeug", "cheroot", "blurhash", "resvg_py", "_typeshed"}


def _imports(path: Path) -> Iterator[str]:
    """Absolute names of everything a file imports, also inside functions."""
    package = [PACKAGE.name, *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{stem}.{alias.name}" if stem else alias.name for alias in node.names)


def _room(name: str) -> str:
    """The module or package directly below django_rokka."""
    return name.split(".")[1] if "." in name else ""


def _floor(room: str) -> int | None:
    return next((index for index, rooms in enumerate(FLOORS) if room in rooms), None)


def _files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_every_module_has_a_floor() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in _files()}

    assert rooms - {"__init__", "emulator"} == {room for rooms in FLOORS for room in rooms}


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_go_down(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    own = _floor(room)
    used = {_room(name) for name in _imports(path) if name.startswith("django_rokka.")}
    above = {
        other
        for other in used
        if own is not None and (_floor(other) or 0) > own and (room, other) not in DOORS
    }

    assert not above


@pytest.mark.parametrize("path", sorted((PACKAGE / "api").glob("*.py")), ids=lambda path: path.name)
def test_the_client_does_not_need_django(path: Path) -> None:
    assert not {name for name in _imports(path) if name.split(".")[0] == "django"}


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "emulator").glob("*.py")), ids=lambda path: path.name
)
def test_the_emulator_stands_apart(path: Path) -> None:
    for name in _imports(path):
        top = name.split(".")[0]
        own = name.startswith("django_rokka.emulator")
        assert own or top in EMULATOR_LIBRARIES or top in sys.stdlib_module_names, name
