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
from django_rokka.api.geometry import sizing_of
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
