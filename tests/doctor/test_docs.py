"""The page about the doctor says what the code has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from django_rokka.doctor import CHECKS, OUTCOMES, Level
from django_rokka.doctor.report import ROWS
from django_rokka.emulator import Emulator
from django_rokka.management.commands.rokka_doctor import Command

from .conftest import Doctor, article

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "doctor.md").read_text()


def test_every_check_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section("What is checked"), re.M)

    assert dict(rows) == CHECKS


def test_every_outcome_is_documented_with_its_level_and_advice() -> None:
    rows = re.findall(r"^\| `([\w.*]+)` \| (\w+) \| (.*) ?\|$", section("Outcomes"), re.M)

    assert {code: (Level(level), advice.strip()) for code, level, advice in rows} == {
        code: (outcome.level, outcome.advice) for code, outcome in OUTCOMES.items()
    }


def test_every_outcome_is_found_somewhere_and_belongs_to_a_check() -> None:
    source = "".join(path.read_text() for path in (ROOT / "django_rokka" / "doctor").glob("*.py"))
    used = set(re.findall(r'"(\w+\.\w+)"', source)) | {"references.repaired", "references.repairable"}  # fmt: skip
    clock = {f"clock.{level}" for level in ("ok", "off", "wrong")}

    assert {code.partition(".")[0] for code in OUTCOMES} - {"*"} == set(CHECKS)
    assert {code for code in OUTCOMES if code[0] != "*"} <= used | clock


def test_every_option_is_documented() -> None:
    parser = Command().create_parser("manage.py", "rokka_doctor")
    own = Command().create_parser("manage.py", "rokka_doctor")._option_string_actions
    base = {"--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback",
            "--no-color", "--force-color", "--skip-checks"}  # fmt: skip
    documented = set(re.findall(r"`(--[\w-]+)`", section("The doctor")))

    assert {name for name in own if name.startswith("--")} - base == documented
    assert parser.get_default("limit") == 10_000
    assert f"first {ROWS} rows" in PAGE


@pytest.mark.django_db(transaction=True)
def test_the_json_has_the_documented_keys(site: Emulator, doctor: Doctor) -> None:
    from django_rokka.conf import get_client

    row = article()
    get_client(mirrors=False).delete_source_image(row.photo.hash)

    report = doctor("--references")

    example = re.search(r"```json\n(.*?)```", PAGE, re.S)
    assert example is not None
    keys = re.findall(r'"(\w+)":', example[1])
    finding: dict[str, Any] = report.document["findings"][0]
    assert keys == [
        "version", "counts", *report.document["counts"], "findings", *finding, "references"
    ]  # fmt: skip
    table = section("JSON").split("| Key | |")[1]
    documented = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.M)))
    assert documented == list(report.case())
    assert list(report.case()["rows"][0]) == ["model", "pk", "field"]


def section(title: str) -> str:
    """The part of the page below a heading."""
    found: str = re.split(rf"^#+ {title}$", PAGE, flags=re.M)[1]
    return re.split(r"^## ", found, flags=re.M)[0]
