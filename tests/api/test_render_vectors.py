"""Outputs of the official clients' own test suites, and of runs of them, against ours.

``render_url_vectors.json`` has for each its source, the function, what it was given and what it put out.
``differences`` names where ours is another URL on purpose; ``correct`` is given where the output is a bug.
"""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from django_rokka.api import InvalidArgument, RenderURL, render, signing, urls
from tests.api.official import DIFFERENCES, FUNCTIONS

HERE = Path(__file__).parent
VECTORS: list[dict[str, Any]] = json.loads((HERE / "render_url_vectors.json").read_text("utf-8"))
DOCS = HERE.parents[1] / "docs" / "render-urls.md"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["function"])
def test_every_output_of_the_official_clients_is_met(vector: dict[str, Any]) -> None:
    expected, listed = vector.get("correct", vector["output"]), vector.get("differences", [])
    for name in listed:
        changed = DIFFERENCES[name](expected)
        assert changed != expected, f"{name} makes no difference"
        expected = changed

    assert FUNCTIONS[vector["function"]](vector["input"]) == expected


def test_few_outputs_are_not_met_to_the_letter() -> None:
    assert len(VECTORS) == 186
    assert sum("correct" in vector for vector in VECTORS) == 5
    assert sum("differences" in vector for vector in VECTORS) == 16


def test_every_difference_is_documented() -> None:
    rows = [
        line.split("|")[1].strip() for line in DOCS.read_text("utf-8").splitlines() if "|" in line
    ]

    assert set(DIFFERENCES) <= set(rows)


def test_an_id_that_the_php_client_lets_pass_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="'HASH109283' cannot stand"):
        RenderURL("https://testorg.rokka.io", "stack-name", "HASH109283", "jpg")


@pytest.mark.parametrize("module", [render, urls, signing])
def test_the_examples_in_the_code_are_true(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed


def test_the_examples_in_the_documentation_are_true() -> None:
    failed, tried = doctest.testfile(str(DOCS), module_relative=False)
    assert tried > 10
    assert not failed
