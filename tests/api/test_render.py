from __future__ import annotations

import enum
from functools import partial
from typing import Any

import pytest

from django_rokka.api import InvalidArgument, sign_url
from django_rokka.api.render import (
    candidate_widths,
    fitting,
    render_url,
    srcset,
    with_width,
)

BASE = "https://acme.rokka.io"
NAME = "c03683/dog.jpg"
SUNRISE = "%F0%9F%8C%84"


class Size(enum.IntEnum):
    SMALL = 100


@pytest.mark.parametrize(
    ("stack", "options", "path"),
    [
        ("thumbnail", {}, "thumbnail/c03683/dog.jpg"),
        ("thumbnail", {"format": "webp"}, "thumbnail/c03683/dog.webp"),
        ("dynamic", {}, "dynamic/noop/c03683/dog.jpg"),
        ("dynamic", {"options": {"dpr": 2}}, "dynamic/noop--o-dpr-2/c03683/dog.jpg"),
        (
            "hero",
            {
                "operations": {"resize": {"width": 9, "upscale": False}},
                "options": {"jpg.quality": 60},
            },
            "hero/resize-upscale-false-width-9--o-jpg.quality-60/c03683/dog.jpg",
        ),
        ("dynamic", {"operations": {"grayscale": {}}}, "dynamic/grayscale/c03683/dog.jpg"),
        (
            "dynamic",
            {"operations": fitting(400, 300)},
            "dynamic/crop-height-300-mode-ratio-width-400--resize-width-400/c03683/dog.jpg",
        ),
        ("dynamic", {"operations": fitting(None, 300)}, "dynamic/resize-height-300/c03683/dog.jpg"),
        (
            "hero",
            {"operations": {"resize": {"width": "[$w]"}}, "variables": {"w": 300, "alpha": True}},
            "hero/resize-width-%5B$w%5D--v-alpha-true-w-300/c03683/dog.jpg",
        ),
        (
            "hero",
            {"variables": {"w": 300, "text": "50% off", "x": -1}},
            "hero/v-w-300/c03683/dog.jpg?v=%7B%22text%22:%2250%25%20off%22,%22x%22:-1%7D",
        ),
        (
            "hero",
            {"variables": {"short": "🌄" * 10, "long": "🌄" * 11}},
            f"hero/v-short-{SUNRISE * 10}/c03683/dog.jpg?v=%7B%22long%22:%22{SUNRISE * 11}%22%7D",
        ),
        (
            "hero",
            {"variables": {"text": "a+b's (#1)"}},
            "hero/c03683/dog.jpg?v=%7B%22text%22:%22a%2Bb%27s%20%28%231%29%22%7D",
        ),
    ],
)
def test_urls_have_one_canonical_form(stack: str, options: dict[str, Any], path: str) -> None:
    assert render_url(BASE, stack, NAME, **options) == f"{BASE}/{path}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1, "1"),
        (1.0, "1"),
        ("1", "1"),
        (0, "0"),
        (False, "false"),
        (0.5, "0.5"),
        (0.00001, "0.00001"),
        (1e20, "100000000000000000000"),
        (Size.SMALL, "100"),
        ("50,50", "50,50"),
        ("é", "%C3%A9"),
    ],
)
def test_values_are_spelled_in_one_way_whatever_came_before(value: Any, text: str) -> None:
    url = render_url(BASE, "hero", NAME, options={"a": value})
    assert url == f"{BASE}/hero/o-a-{text}/c03683/dog.jpg"


@pytest.mark.parametrize(
    ("stack", "options"),
    [
        ("../x", {}),
        ("a/b", {}),
        ("", {}),
        ("thumbnail", {"format": "jpg?x"}),
        ("thumbnail", {"operations": {"resize": {"width": "1/2"}}}),
        ("thumbnail", {"operations": {"a-b": {}}}),
        ("thumbnail", {"operations": {"o": {"dpr": 2}}}),
        ("thumbnail", {"operations": {"variables": {}}}),
        ("thumbnail", {"operations": {"facade": {}}}),
        ("thumbnail", {"operations": {"..": {}}}),
        ("thumbnail", {"options": {"basestack": "x--y"}}),
        ("thumbnail", {"options": {"basestack": ""}}),
        ("thumbnail", {"options": {"basestack": "x%2Fy"}}),
        ("thumbnail", {"options": {"basestack": "x\\y"}}),
        ("thumbnail", {"options": {"basestack": "x\n"}}),
        ("thumbnail", {"options": {"": 1}}),
        ("thumbnail", {"options": {"dpr": None}}),
        ("thumbnail", {"options": {"dpr": float("nan")}}),
        ("thumbnail", {"options": {"dpr": [1]}}),
        ("thumbnail", {"operations": {"rotate": {"angle": -90}}}),
        ("thumbnail", {"variables": {"a-b": 1}}),
        ("thumbnail", {"variables": {"a": {"b": 1}}}),
        ("thumbnail", {"variables": {"a": "\ud800"}}),
    ],
)
def test_a_value_cannot_change_the_path(stack: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="cannot stand in a render URL"):
        render_url(BASE, stack, NAME, **options)


@pytest.mark.parametrize(
    ("name", "tail"),
    [
        ("c03683.jpg", "c03683.jpg"),
        ("c03683/dog_v2.jpg", "c03683/dog_v2.jpg"),
        ("-_logo_-.png", "-_logo_-.png"),
        ("-_logo_-/a.png", "-_logo_-/a.png"),
        ("-some/My dog.jpg-.png", "-some/My%20dog.jpg-.png"),
        ("c03683/Größe 50%?.jpg", "c03683/Gr%C3%B6%C3%9Fe%2050%25%3F.jpg"),
    ],
)
def test_a_name_is_the_tail_of_the_url(name: str, tail: str) -> None:
    assert render_url(BASE, "hero", name) == f"{BASE}/hero/{tail}"


@pytest.mark.parametrize(
    "name",
    ["", "c03683", "c03683/dog", "dog.jpg", "c03683/a/b.jpg", "x/c03683/dog.jpg", "/c03683/dog.jpg",
     "../c03683/dog.jpg", "c03683/dog.jpg?x", "c03683/dog.jpg#x", "-some/../x-.png", "-a//b-.png"],
)  # fmt: skip
def test_what_is_no_name_of_an_image_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot stand in a render URL"):
        render_url(BASE, "hero", name)


def test_a_srcset_has_one_url_for_each_width() -> None:
    steps = {"resize": {"height": 9, "upscale": False, "zoom": 2}, "blur": {"sigma": 2}}
    found = srcset(BASE, "hero", NAME, [320, 640], operations=steps, options={"dpr": 2})

    assert found == ", ".join(
        f"{BASE}/hero/resize-upscale-false-width-{width}-zoom-2--blur-sigma-2--o-dpr-2/{NAME} {width}w"
        for width in (320, 640)
    )
    assert srcset(BASE, "hero", NAME, []) == ""


@pytest.mark.parametrize("steps", [{}, fitting(400, 300), {"blur": {"sigma": "{}"}}])
def test_a_srcset_has_what_render_url_gives(steps: dict[str, Any]) -> None:
    rest: dict[str, Any] = {"variables": {"t": "{}#"}, "format": "webp"}
    found = srcset(BASE, "dynamic", NAME, [5, 6], operations=steps, **rest)

    assert found == ", ".join(
        f"{render_url(BASE, 'dynamic', NAME, operations=with_width(steps, width), **rest)} {width}w"
        for width in (5, 6)
    )


def test_a_srcset_can_be_signed() -> None:
    sign = partial(sign_url, key="k" * 32)

    assert srcset(BASE, "hero", NAME, [5, 6], sign=sign) == ", ".join(
        f"{sign(f'{BASE}/hero/resize-width-{width}/{NAME}')} {width}w" for width in (5, 6)
    )


@pytest.mark.parametrize("widths", [[0, 5], [-1]])
def test_a_width_that_is_none_is_refused(widths: list[int]) -> None:
    with pytest.raises(InvalidArgument, match="is no width in pixels"):
        srcset(BASE, "hero", NAME, widths)


def test_candidates_never_exceed_the_picture() -> None:
    assert candidate_widths([640, 320, 320, 1280], 1000) == [320, 640, 1000]
    assert candidate_widths([320, 640], 640) == [320, 640]
    assert candidate_widths([320, 640], 100) == [100]
    assert candidate_widths([320, 640], 5000) == [320, 640]
    assert candidate_widths([320, 640], None) == [320, 640]
    assert candidate_widths([320, 640, 1280], 640) == [320, 640]


def test_a_width_replaces_the_size_of_a_resize() -> None:
    assert with_width(fitting(400, 300), 800) == {
        "crop": {"width": 400, "height": 300, "mode": "ratio"},
        "resize": {"width": 800},
    }
    assert with_width(fitting(None, 300), 800) == {"resize": {"width": 800}}


def test_candidates_have_the_query_of_the_url() -> None:
    variables = {"text": "a#b"}
    widths = srcset(BASE, "hero", NAME, [320], variables=variables)

    assert (
        widths
        == f"{render_url(BASE, 'hero', NAME, operations={'resize': {'width': 320}}, variables=variables)} 320w"
    )


def test_a_resize_keeps_its_other_options() -> None:
    operations = {"resize": {"height": 5, "upscale": False}}

    assert with_width(operations, 8) == {"resize": {"upscale": False, "width": 8}}


def test_another_format_is_the_end_of_the_name() -> None:
    assert (
        render_url(BASE, "hero", "c03683/a.b.jpg", format="webp") == f"{BASE}/hero/c03683/a.b.webp"
    )


def test_a_side_that_is_not_given_follows_the_other() -> None:
    assert fitting(None, 300) == {"resize": {"height": 300}}
    assert fitting(400, None) == {"resize": {"width": 400}}
    assert fitting(None, None) == {}
