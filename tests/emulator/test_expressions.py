"""Expressions of stacks, on their own and in renders."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_rokka.emulator.answers import Refusal
from django_rokka.emulator.expressions import evaluate, is_expression
from tests.pictures import opened, picture

NAMES = {"$w": 8, "$text": "8", "$none": None, "$name": "dog", "image.width": 80, "options.dpr": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$w", 8),
        ("$text", "8"),
        ("$w / 2", 4),
        ("$w / 3 * 3", 8),
        ("1 + 2 * 3 - -4", 11),
        ("(1 + 2) * 3", 9),
        ("10 - 3 - 2", 5),
        ("7 % 4", 3),
        ("$text * 2", 16),
        ("$w == $text", True),
        ("$w == 0 ? 1 : $w > 5 ? 2 : 3", 2),
        ("$none ?: 5", 5),
        ("$w ?: 5", 8),
        ("image.width >= 80 and options.dpr < 3", True),
        ("!($w < 9) || $name != 'dog'", False),
        ("not true", False),
        ("$name ~ '-' ~ $w", "dog-8"),
        ("\"a\" == 'a'", True),
        # What does not count is not worked out.
        ("true ? 1 : 1 / 0", 1),
        ("false && $nothing", False),
        ("true || $nothing", True),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert evaluate(text, NAMES) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "1 +", "(1", "1)", "1 2", "? 1 : 2", "$w ? 1", "#", "'open"),
        *("$nothing", "image.entropy", "max(1, 2)", "[1]", "1 in 2", "2 ** 3"),
        *("1 / 0", "1 % 0", "'a' * 9", "'a' + 'b'", "'a' < 1", "(" * 5000 + "1" + ")" * 5000),
    ],
)
def test_what_has_no_value_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        evaluate(text, NAMES)

    assert caught.value.status == 400


@given(st.text("$w01.5+-*/%~<>=!?:()'\" &|andortu_", max_size=30))
def test_any_text_has_a_value_or_is_refused(text: str) -> None:
    with contextlib.suppress(Refusal):
        evaluate(text, NAMES)


def test_which_values_of_variables_are_expressions() -> None:
    assert is_expression("$w / 2")
    assert is_expression("image.width > 5 ? 1 : 2")
    for value in (5, "dog", "5 / 2", "'$w'", "pre-image.jpg"):
        assert not is_expression(value)


#: The width, the height or their ratio may be given; the others follow.
ANY_SIZE = {
    "operations": [
        {
            "name": "resize",
            "options": {"mode": "absolute"},
            "expressions": {"width": "$width", "height": "$height"},
        }
    ],
    "variables": {
        "usual": 40,
        "w": 0,
        "h": 0,
        "r": "$usual / 20",
        "width": "$w == 0 ? ($h == 0 ? $usual : $h * $r) : $w",
        "height": "$h == 0 ? $width / $r : $h",
    },
}


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ("", (40, 20)),
        ("/v-w-60", (60, 30)),
        ("/v-h-30", (60, 30)),
        ("/v-w-50-h-50", (50, 50)),
        ("/v-r-1.25", (40, 32)),
        ("/v-r-1.25-w-50", (50, 40)),
        ("/resize-width-[$w + 7]", (7, 20)),
    ],
)
def test_a_chain_of_variables(
    api: Any, upload: Any, render: Any, config: str, size: tuple[int, int]
) -> None:
    api("PUT", "/stacks/acme/any", json=ANY_SIZE)

    answer = render(f"any{config}/{upload()['hash']}.png")

    assert opened(answer.content).size == size


def test_rules_change_options_and_variables(api: Any, upload: Any, render: Any) -> None:
    rules = [
        {"expression": "options.dpr >= 2", "overrides": {"options": {"dpr": 3}}},
        {"expression": "image.hasSubjectArea", "overrides": {"variables": {"w": 5}}},
        {
            "expression": "request.headers.save_data == 'on'",
            "overrides": {"variables": {"w": 2}, "options": {"dpr": 1}},
        },
    ]
    stack = {
        "operations": [{"name": "resize", "expressions": {"width": "$w"}}],
        "variables": {"w": 10},
        "expressions": rules,
    }
    api("PUT", "/stacks/acme/ruled", json=stack)
    plain, focused = upload(), upload(**{"meta_dynamic[0][subject_area]": '{"x": 1, "y": 1}'})

    def width(path: str, **options: Any) -> int:
        return opened(render(f"ruled/{path}.png", **options).content).width

    assert width(plain["hash"]) == 10
    assert width(f"o-dpr-2/{plain['hash']}") == 30
    assert width(focused["hash"]) == 5
    assert width(f"v-w-7/{plain['hash']}") == 7
    assert width(f"v-w-7/{focused['hash']}") == 5
    assert width(f"o-dpr-2/{focused['hash']}", headers={"Save-Data": "on"}) == 2


def test_a_value_of_a_url_is_no_expression(api: Any, upload: Any, render: Any) -> None:
    api("PUT", "/stacks/acme/any", json=ANY_SIZE)

    answer = render(f"any/{upload()['hash']}.png", params={"v": '{"w": "$usual * 2"}'})

    assert answer.status_code == 400
    assert "'$usual * 2'" in answer.json()["message"]


def test_a_variable_keeps_its_zeros(api: Any, upload: Any, render: Any) -> None:
    step = {"name": "rotate", "options": {"angle": 45, "background_opacity": 100}}
    stack = {"operations": [{**step, "expressions": {"background_color": "$color"}}]}
    api("PUT", "/stacks/acme/turned", json={**stack, "variables": {"color": "ffffff"}})
    hash = upload(picture((40, 40), "PNG", "#ffffff"), "a.png")["hash"]

    corner = opened(render(f"turned/v-color-000000/{hash}.png").content).convert("RGB")

    assert corner.getpixel((0, 0)) == (0, 0, 0)
