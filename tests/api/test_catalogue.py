"""What stacks can be made of: the way out of a mistake, and what rokka's own list says."""

from __future__ import annotations

import pytest

from django_rokka.api import Stack
from django_rokka.api.catalogue import Catalogue, Operation, advice


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("resise", ["resize", "reside", "crop"], "did you mean 'resize'?"),
        ("xyz", ["b", "a"], "known: a, b"),
        ("xyz", [], "known: none"),
    ],
)
def test_the_way_out_is_what_is_close_or_all_there_is(
    name: str, known: list[str], text: str
) -> None:
    assert advice(name, known) == text


def test_of_two_lists_what_either_says_counts() -> None:
    ours = Operation({"width": None}, required=("a", "b"), one_of=("width", "height"))
    theirs = Operation({"width": 1, "new": 2}, required=("b", "c"), one_of=("new",))

    both = Operation({"width": 1, "new": 2}, ("a", "b", "c"), ("width", "height"))
    assert ours | theirs == both
    assert (Operation() | theirs).one_of == ("new",)
    assert (ours | Operation()).one_of == ("width", "height")


def test_rokkas_own_list_is_read() -> None:
    operations = {
        "blur": {
            "properties": {"sigma": {"default": 4}, "radius": {}},
            "required": ["sigma"],
            "oneOf": ["sigma", {"odd": 1}],
        }
    }
    catalogue = Catalogue.from_json(operations, {"properties": {"dpr": {"default": 1}}})

    options = {"sigma": 4, "radius": None, "enabled": True}
    assert catalogue == Catalogue({"blur": Operation(options, ("sigma",), ("sigma",))}, {"dpr": 1})


def test_variables_are_found_wherever_they_are() -> None:
    stack = Stack.from_json(
        {
            "name": "some",
            "operations": [{"name": "noop", "expressions": {"0": {"if": ["$w > 1", "'$quoted'x$h"]}}}],
            "expressions": [{"expression": "$w+$w == 2", "overrides": {"options": {"dpr": 2}}}],
            "variables": {"h": "$later", "later": 1},
        }
    )  # fmt: skip

    assert Catalogue({"noop": Operation()}, {"dpr": 1}).mistakes(stack) == [
        "noop uses $w, which is not among the variables",
        "an expression uses $w, which is not among the variables",
        "the variable 'h' uses $later, which must be declared before it",
    ]
