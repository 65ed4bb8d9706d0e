"""The computed size of a stack's render, against what the emulator renders."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from django_rokka import api
from django_rokka.api import RokkaClient, Stack
from django_rokka.api.geometry import Geometry, Sizing, sizing_of
from django_rokka.emulator import Emulator
from tests.pictures import picture

SIZE = (300, 200)
_sides = st.integers(40, 400)
_modes = st.sampled_from(["box", "fill", "absolute"])


def step(name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "options": {key: val for key, val in options.items() if val is not None}}


resizes = st.builds(
    lambda width, height, mode, upscale: step(
        "resize", width=width, height=height, mode=mode, upscale=upscale
    ),
    _sides,
    st.none() | _sides,
    st.none() | _modes,
    st.sampled_from([None, True, False, "false"]),
)
crops = st.builds(
    lambda width, height, mode, scale: step(
        "crop", width=width, height=height, mode=mode, scale=scale
    ),
    _sides,
    _sides,
    st.sampled_from([None, "absolute", "ratio"]),
    st.sampled_from([None, 50]),
)
turns = st.builds(lambda angle: step("rotate", angle=angle), st.sampled_from([90, -90, 180, 0]))
looks = st.sampled_from([step("grayscale"), step("blur", sigma=1), step("noop")])
stacks = st.permutations(["resize", "crop", "rotate", "look"]).flatmap(
    lambda order: st.tuples(
        *(
            {"resize": resizes, "crop": crops, "rotate": turns, "look": looks}[name]
            for name in order
        )
    )
)


@pytest.fixture
def render(rokka_emulator: Emulator, client: RokkaClient) -> Callable[..., tuple[int, int]]:
    """Save a stack, and render a picture with it: the size that comes."""
    image = client.create_source_image(io.BytesIO(picture(SIZE)), name="dog.jpg")

    def render(stack: Stack, **overrides: Any) -> tuple[int, int]:
        client.save_stack(stack, overwrite=True)
        base = rokka_emulator.render_url.replace("{organization}", "acme")
        url = api.render_url(base, stack.name, f"{image.hash}/dog.png", **overrides)
        answer = requests.get(url, timeout=10)
        assert answer.status_code == 200, (url, answer.text)
        with Image.open(io.BytesIO(answer.content)) as shown:
            return shown.size

    return render


def near(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return all(abs(a - b) <= 1 for a, b in zip(one, other, strict=True))


_quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_quick
@given(operations=stacks)
def test_the_size_is_what_comes(render: Callable[..., Any], operations: Any) -> None:
    stack = Stack.from_json({"name": "some", "operations": list(operations)})
    sizing = sizing_of(stack)
    assert sizing is not None

    assert near(render(stack), sizing.geometry(SIZE).size)


@_quick
@given(operations=stacks, width=st.integers(20, 150))
def test_another_width_shows_the_same_part(
    render: Callable[..., Any], operations: Any, width: int
) -> None:
    stack = Stack.from_json({"name": "some", "operations": list(operations)})
    sizing = sizing_of(stack)
    assert sizing is not None
    full = sizing.geometry(SIZE, nominal=True)

    overrides, variables = sizing.at_width(min(width, full.largest), SIZE)
    shown = render(stack, operations=overrides, variables=variables)

    assert abs(shown[0] - min(width, full.largest)) <= 2
    assert abs(shown[1] - shown[0] * full.height / full.width) <= 2 + full.height / full.width


@pytest.mark.parametrize(
    ("after", "size"),
    [
        (step("crop", width=1, height=1, mode="ratio"), (60, 60)),
        (step("rotate", angle=90), (60, 90)),
        (step("crop", width=90, height=30), (60, 20)),
    ],
)
def test_what_comes_after_a_resize_counts(
    render: Callable[..., Any], after: dict[str, Any], size: tuple[int, int]
) -> None:
    stack = Stack.from_json({"name": "some", "operations": [step("resize", width=150), after]})
    sizing = sizing_of(stack)
    assert sizing is not None
    assert not sizing.by_width_alone

    operations, variables = sizing.at_width(60, SIZE)

    assert render(stack, operations=operations, variables=variables) == size


def sizing(*operations: dict[str, Any], **variables: Any) -> Sizing:
    stack = {"name": "some", "operations": list(operations), "variables": variables}
    sizing = sizing_of(Stack.from_json(stack))
    assert sizing is not None
    return sizing


def test_without_a_resize_the_picture_decides() -> None:
    cropped = sizing(step("crop", width=1, height=1, mode="ratio"))

    assert cropped.geometry(SIZE).size == (200, 200)
    assert cropped.at_width(60, SIZE) == ({"resize": {"width": 60}}, {})
    assert sizing(step("resize", upscale=False)).geometry(SIZE).size == SIZE


def test_nothing_is_thinner_than_a_pixel() -> None:
    assert sizing(step("resize", width=30)).geometry((300, 2)).size == (30, 1)


def test_every_step_gives_whole_pixels() -> None:
    # 67 high is 100.5 wide: a ratio is taken of 100, not of 100.5, which would be 34 high.
    steps = step("resize", height=67), step("crop", width=3, height=1, mode="ratio")

    assert sizing(*steps).geometry(SIZE).size == (100, 33)
    turned = step("resize", width=67), step("crop", width=1, height=3, mode="ratio")
    assert sizing(*turned).geometry((200, 300)).size == (33, 100)


@pytest.mark.parametrize(
    ("steps", "operations"),
    [
        (
            [step("resize", width=150), step("crop", width=16, height=9, mode="ratio")],
            {"resize": {"width": 60, "height": 40, "mode": "absolute"}},
        ),
        (
            [step("resize", width=400, upscale=False), step("crop", width=120, height=200)],
            {
                "resize": {"width": 200, "height": 133, "mode": "absolute"},
                "crop": {"width": 60, "height": 100},
            },
        ),
    ],
)
def test_every_step_is_scaled_by_what_the_stack_asks_for(
    steps: list[dict[str, Any]], operations: Any
) -> None:
    assert sizing(*steps).at_width(60, SIZE) == (operations, {})


def test_each_step_sets_its_own_variables() -> None:
    resize = {"name": "resize", "options": {"height": 100}, "expressions": {"width": "$w"}}
    crop = {"name": "crop", "options": {"width": 90}, "expressions": {"height": "$h"}}

    assert sizing(resize, crop, w=150, h=60).at_width(45, SIZE) == (
        {"resize": {"height": 50}, "crop": {"width": 45}},
        {"w": 75, "h": 30},
    )


def test_a_turned_picture_was_enlarged_the_other_way() -> None:
    enlarged = step("resize", width=600, height=100, mode="absolute")
    geometry = sizing(enlarged, step("rotate", angle=90)).geometry(SIZE)

    assert geometry == Geometry(100, 600, across=0.5, down=2)


@pytest.mark.parametrize(("upscale", "width"), [("1", 900), ("True", 900), ("0", 300), ("no", 300)])
def test_a_switch_may_be_a_text(upscale: str, width: int) -> None:
    assert sizing(step("resize", width=900, upscale=upscale)).geometry(SIZE).size[0] == width


def test_the_size_may_be_in_variables(render: Callable[..., Any]) -> None:
    sides = {"width": "$w", "height": "$h"}
    stack = Stack.from_json(
        {
            "name": "some",
            "operations": [
                {"name": "resize", "options": {"mode": "fill"}, "expressions": sides},
                {"name": "crop", "expressions": sides},
            ],
            "variables": {"w": 120, "h": 90},
        }
    )
    sizing = sizing_of(stack)
    assert sizing is not None
    assert sizing.geometry(SIZE).size == render(stack) == (120, 90)
    assert sizing.geometry(SIZE).largest == 266

    operations, variables = sizing.at_width(60, SIZE)

    assert (operations, variables) == ({}, {"w": 60, "h": 45})
    assert render(stack, variables=variables) == (60, 45)


@pytest.mark.parametrize(
    "stack",
    [
        {"operations": [step("trim")]},
        {"operations": [step("dropshadow", horizontal=5)]},
        {"operations": [step("rotate", angle=45)]},
        {"operations": [step("rotate")]},
        {"operations": [step("crop", width=100)]},
        {"operations": [step("crop", width=1, height=1, mode="area", area="face")]},
        {"operations": [step("resize", width="wide")]},
        {"operations": [step("resize", width=100), step("resize", width=50)]},
        {"operations": [{"name": "resize", "expressions": {"width": "$w * 2"}}]},
        {"operations": [{"name": "resize", "expressions": {"enabled": "$on"}}]},
        {"operations": [step("resize", width=100)], "options": {"basestack": "base"}},
        {"operations": [step("resize", width=100)], "options": {"dpr": 2}},
        {"operations": [], "expressions": [{"expression": "true", "overrides": {}}]},
    ],
)
def test_what_a_stack_does_not_tell_is_not_guessed(stack: dict[str, Any]) -> None:
    assert sizing_of(Stack.from_json({"name": "some", **stack})) is None


def test_a_step_that_is_switched_off_does_not_count() -> None:
    stack = Stack.from_json(
        {"name": "some", "operations": [step("trim", enabled=False), step("resize", width=30)]}
    )
    sizing = sizing_of(stack)

    assert sizing is not None
    assert sizing.geometry(SIZE).size == (30, 20)
    assert sizing.by_width_alone
