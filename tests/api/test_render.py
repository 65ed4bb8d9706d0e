from __future__ import annotations

from typing import Any

import pytest

from django_rokka.api import InvalidArgument
from django_rokka.api.render import candidate_widths, fitting, render_url, with_width

BASE = "https://acme.rokka.io"
NAME = "c03683/dog.jpg"


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
    ],
)
def test_urls_have_one_canonical_form(stack: str, options: dict[str, Any], path: str) -> None:
    assert render_url(BASE, stack, NAME, **options) == f"{BASE}/{path}"


@pytest.mark.parametrize(
    ("stack", "options"),
    [
        ("../x", {}),
        ("a/b", {}),
        ("thumbnail", {"format": "jpg?x"}),
        ("thumbnail", {"operations": {"resize": {"width": "1/2"}}}),
        ("thumbnail", {"operations": {"a-b": {}}}),
        ("thumbnail", {"options": {"basestack": "x--y"}}),
        ("thumbnail", {"operations": {"rotate": {"angle": -90}}}),
    ],
)
def test_a_value_cannot_change_the_path(stack: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="cannot stand in a render URL"):
        render_url(BASE, stack, NAME, **options)


def test_candidates_never_exceed_the_picture() -> None:
    assert candidate_widths([640, 320, 320, 1280], 1000) == [320, 640, 1000]
    assert candidate_widths([320, 640], 640) == [320, 640]
    assert candidate_widths([320, 640], 100) == [100]
    assert candidate_widths([320, 640], 5000) == [320, 640]
    assert candidate_widths([320, 640], None) == [320, 640]


def test_a_width_replaces_the_size_of_a_resize() -> None:
    assert with_width(fitting(400, 300), 800) == {
        "crop": {"width": 400, "height": 300, "mode": "ratio"},
        "resize": {"width": 800},
    }
    assert with_width(fitting(None, 300), 800) == {"resize": {"width": 800}}
