"""The page of an image in Chromium: focal point, crop and named areas on the picture, by mouse, touch and keys.

Every page here is served under a strict Content Security Policy; what it refuses is an error of the page.
"""

from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.http import HttpRequest, HttpResponse
from PIL import Image
from pytest_django.live_server_helper import LiveServer

from django_rokka import api
from django_rokka.api.render import render_url
from django_rokka.conf import get_client, get_config
from django_rokka.emulator import Emulator
from django_rokka.emulator.faults import Fault
from django_rokka.models import SourceImage
from example_project.gallery.models import Photo
from tests.library.models import Article
from tests.pictures import opened, picture

from .conftest import VIEWS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

POLICY = (
    "default-src 'self'; img-src 'self' http://127.0.0.1:*; script-src 'self'; style-src 'self'"
)
#: The picture that is worked on. Its sides are below 256, so that a pixel can tell where it is.
WIDTH, HEIGHT = 240, 180


def strict(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """A middleware: nothing inline, nothing from elsewhere but the renders."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return respond


@pytest.fixture
def live_server(settings: Any, transactional_db: None) -> Iterator[LiveServer]:
    """A server that sends the policy with every page."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.strict"]
    server = LiveServer("localhost")
    yield server
    server.stop()


def coded() -> bytes:
    """A picture whose pixels tell where they are: red from the left, green from the top."""
    image = Image.new("RGB", (WIDTH, HEIGHT))
    image.putdata([(x, y, 128) for y in range(HEIGHT) for x in range(WIDTH)])
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


@pytest.fixture
def small(rokka_emulator: Emulator) -> SourceImage:
    """The image of a small picture, which an article and a photo show."""
    article = Article(title="Map")
    article.photo.save("map.png", ContentFile(coded()))
    Photo.objects.create(title="Map", image=article.photo.name)
    return article.photo.source_image


@pytest.fixture
def opened_page(open_page: Any, small: SourceImage) -> Any:
    return open_page(url_of(small))


def url_of(image: SourceImage) -> str:
    return f"/admin/rokka/sourceimage/{image.pk}/change/"


def current(image: SourceImage) -> SourceImage:
    return SourceImage.objects.get(pk=image.pk).current


def place(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a place of the picture, in its own pixels, is on the screen."""
    page.locator(".rokka-overlay").scroll_into_view_if_needed()
    frame = page.locator(".rokka-overlay").bounding_box()
    return frame["x"] + x / WIDTH * frame["width"], frame["y"] + y / HEIGHT * frame["height"]


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*place(page, *start))
    page.mouse.down()
    page.mouse.move(*place(page, *[(a + b) / 2 for a, b in zip(start, end, strict=True)]))
    page.mouse.move(*place(page, *end))
    page.mouse.up()


def choose(page: Any, title: str) -> None:
    page.locator(".rokka-tab", has_text=title).click()


def numbers(page: Any, prefix: str) -> list[int | None]:
    """What the inputs of an area say: x, y, width, height."""
    values = [
        page.input_value(f"[name='{prefix}-{name}']") for name in ("x", "y", "width", "height")
    ]
    return [int(value) if value else None for value in values]


def near(found: list[Any], wanted: list[int], by: int = 2) -> bool:
    return all(abs(one - other) <= by for one, other in zip(found, wanted, strict=True))


def save(page: Any) -> None:
    with page.expect_navigation():
        page.click("[name=_save]")


def assert_rows_follow(image: SourceImage) -> None:
    new = current(image)
    assert new != image
    assert Article.objects.get().photo.name.startswith(new.hash)
    assert Photo.objects.get().image.name.startswith(new.hash)


# --- What the previews show -------------------------------------------------------------------


def render_of(image: SourceImage, steps: list[Any]) -> Image.Image:
    """What the emulator makes of it."""
    url = render_url(
        get_config().render_base, "dynamic", image.file_name, operations=dict(steps), format="png"
    )
    with urllib.request.urlopen(url) as response:  # noqa: S310 - the emulator's
        return opened(response.read()).convert("RGB")


def ratio(width: int, height: int, **options: Any) -> list[Any]:
    return [["crop", {"width": width, "height": height, "mode": "ratio", **options}]]


SUBJECT = {"subject_area": {"x": 200, "y": 20, "width": 1, "height": 1}}
BOX = {"subject_area": {"x": 33, "y": 47, "width": 51, "height": 63}}
CORNER = {"subject_area": {"x": 239, "y": 179, "width": 1, "height": 1}}
PERCENT = {"subject_area": {"x": 13, "y": 71, "width": 7, "height": 9, "percentage": True}}
CROP = {"crop_area": {"x": 10, "y": 100, "width": 75, "height": 43}}
NAMED = {"multi_areas": {"tall": {"crop_area": {"x": 150, "y": 31, "width": 41, "height": 101}}}}
CASES = [
    ({}, ratio(1, 1)),
    ({}, ratio(16, 9)),
    (SUBJECT, ratio(1, 1)),
    (SUBJECT, ratio(3, 4)),
    (BOX, ratio(16, 9)),
    (BOX, ratio(2, 3, scale=60)),
    (CORNER, ratio(5, 7)),
    (PERCENT, ratio(1, 1)),
    (PERCENT, ratio(21, 9)),
    (CROP, ratio(3, 4)),
    (CROP, ratio(1, 1, mode="box")),
    (CROP, ratio(3, 1, mode="area")),
    (BOX | CROP, ratio(4, 5)),
    (BOX | NAMED, ratio(1, 2, area="tall")),
    (NAMED, ratio(1, 1, area="tall", mode="box")),
    (NAMED, ratio(1, 1)),
    (SUBJECT, [["crop", {"width": 101, "height": 77}]]),
    (SUBJECT, [["crop", {"width": 100, "height": 50, "anchor": "left_top"}]]),
    (SUBJECT, [["crop", {"width": 100, "height": 50, "anchor": "31_17"}]]),
    ({}, [["crop", {"width": 100, "height": 50, "anchor": "auto", "fallback": "right_bottom"}]]),
    (SUBJECT, [["crop", {"width": 900, "height": 50}]]),
]
RESIZED = [
    (SUBJECT, [["resize", {"width": 120, "height": 120, "mode": "fill"}], ["crop", {"width": 120, "height": 120}]]),
    (BOX, [["crop", {"width": 16, "height": 9, "mode": "ratio"}], ["resize", {"width": 99}]]),
    (CORNER, [["resize", {"width": 120}], ["crop", {"width": 3, "height": 4, "mode": "ratio"}]]),
    (CROP, [["resize", {"width": 80, "height": 80, "mode": "absolute"}]]),
    (CROP, [["crop", {"width": 4, "height": 3, "mode": "ratio"}], ["resize", {"width": 900, "upscale": False}]]),
]  # fmt: skip


def with_areas(image: SourceImage, areas: dict[str, Any]) -> api.SourceImage:
    """The picture with these areas at rokka, whatever it had before."""
    client, hash = get_client(mirrors=False), image.hash
    for name, values in areas.items():
        metadata = api.read_dynamic_metadata(name, values)
        hash = client.set_dynamic_metadata(hash, metadata).hash
    return client.get_source_image(hash)


def test_the_windows_of_the_script_are_those_that_rokka_renders(
    opened_page: Any, small: SourceImage
) -> None:
    for areas, steps in CASES:
        found = computed(opened_page, areas, steps)
        render = render_of(SourceImage.from_api(with_areas(small, areas)), steps)
        (left, top, _), (right, bottom, _) = (
            render.getpixel((0, 0)),
            render.getpixel((render.width - 1, render.height - 1)),
        )
        window = {"x": left, "y": top, "width": right - left + 1, "height": bottom - top + 1}
        assert found == {"window": window, "size": list(render.size)}, (areas, steps)


def test_windows_are_right_where_a_stack_resizes_too(opened_page: Any, small: SourceImage) -> None:
    for areas, steps in RESIZED:
        found = computed(opened_page, areas, steps)
        render = render_of(SourceImage.from_api(with_areas(small, areas)), steps)
        assert found["size"] == list(render.size), (areas, steps)
        window = found["window"]
        for x, y in ((0.5, 0.5), (0.2, 0.2), (0.8, 0.8)):
            red, green, _ = render.getpixel((int(render.width * x), int(render.height * y)))
            assert abs(window["x"] + window["width"] * x - red) <= 3, (areas, steps)
            assert abs(window["y"] + window["height"] * y - green) <= 3, (areas, steps)


def computed(page: Any, areas: dict[str, Any], steps: list[Any]) -> dict[str, Any]:
    """What the page's script makes of areas and steps."""
    boxes = {name: box for name, box in areas.items() if name != "multi_areas"}
    for name, kinds in areas.get("multi_areas", {}).items():
        boxes |= {f"multi_areas.{name}": box for box in kinds.values()}
    for name, box in boxes.items():
        if box.get("percentage"):
            across, down = WIDTH / 100, HEIGHT / 100
            boxes[name] = {
                "x": box["x"] * across,
                "y": box["y"] * down,
                "width": box["width"] * across,
                "height": box["height"] * down,
            }
    result: dict[str, Any] = page.evaluate(
        """async ([size, recipe, areas]) => {
            const { rendered } = await import("/static/django_rokka/admin/crop.js");
            return rendered(size, recipe, areas);
        }""",
        [[WIDTH, HEIGHT], {"steps": steps}, boxes],
    )
    return result


def window_on_screen(page: Any, name: str) -> list[float]:
    """The part of the picture that a preview shows, measured on the page: x, y, width, height."""
    preview = page.locator(".rokka-preview", has_text=name)
    frame = preview.locator(".rokka-preview__frame").bounding_box()
    image = preview.locator("img").bounding_box()
    fx, fy = WIDTH / image["width"], HEIGHT / image["height"]
    return [
        (frame["x"] - image["x"]) * fx,
        (frame["y"] - image["y"]) * fy,
        frame["width"] * fx,
        frame["height"] * fy,
    ]


@pytest.mark.parametrize("name", ["1:1", "16:9", "3:4"])
def test_a_preview_follows_the_focal_point_and_shows_what_is_rendered(
    opened_page: Any, small: SourceImage, name: str
) -> None:
    before = window_on_screen(opened_page, name)
    opened_page.mouse.click(*place(opened_page, 200, 30))
    x, y, width, height = numbers(opened_page, "subject_area")

    area = {"subject_area": {"x": x, "y": y, "width": width, "height": height}}
    across, down = map(int, name.split(":"))
    render = render_of(SourceImage.from_api(with_areas(small, area)), ratio(across, down))
    left, top, _ = render.getpixel((0, 0))  # type: ignore[misc]
    shown = window_on_screen(opened_page, name)
    assert shown != before
    wanted = [left, top, render.width, render.height]
    assert all(abs(one - other) <= 1 for one, other in zip(shown, wanted, strict=True))


def test_previews_of_stacks_use_the_area_that_they_ask_for(
    open_page: Any, small: SourceImage, settings: Any
) -> None:
    crop = {"width": 1, "height": 2, "mode": "ratio", "area": "tall"}
    stacks = {"banner": {"operations": [{"name": "crop", "options": crop}]}}
    settings.ROKKA = {**settings.ROKKA, "default": {**settings.ROKKA["default"], "STACKS": stacks}}
    image = small.set_multi_areas({"tall": api.CropArea(150, 31, 41, 101)})

    page = open_page(url_of(image))
    before = window_on_screen(page, "banner")
    choose(page, "tall")
    page.fill("[name='multi_areas-0-x']", "10")

    render = render_of(image, [["crop", crop]])
    left, top, _ = render.getpixel((0, 0))  # type: ignore[misc]
    assert near(before, [left, top, render.width, render.height], by=1)
    assert window_on_screen(page, "banner")[0] < before[0] - 50
    assert page.errors == []


# --- Mouse ------------------------------------------------------------------------------------


def test_a_click_sets_the_focal_point_and_every_row_follows(
    opened_page: Any, small: SourceImage
) -> None:
    opened_page.mouse.click(*place(opened_page, 200, 30))
    assert near(numbers(opened_page, "subject_area"), [200, 30, 1, 1], by=1)
    save(opened_page)

    new = current(small)
    assert opened_page.url.endswith(url_of(new))
    assert "the 2 rows that show it follow" in opened_page.inner_text(".messagelist")
    area = new.dynamic_metadata["subject_area"]
    assert near([area["x"], area["y"]], [200, 30], by=1)
    assert_rows_follow(small)
    assert opened_page.errors == []


def test_the_point_is_dragged_and_a_box_is_drawn_moved_and_stretched(
    opened_page: Any, small: SourceImage
) -> None:
    page = opened_page
    page.mouse.click(*place(page, 100, 90))
    drag(page, (100, 90), (150, 60))
    assert near(numbers(page, "subject_area"), [150, 60, 1, 1])

    drag(page, (40, 120), (20, 60))  # from below, and from the right
    assert near(numbers(page, "subject_area"), [20, 60, 20, 60])
    drag(page, (30, 90), (130, 90))
    assert near(numbers(page, "subject_area"), [120, 60, 20, 60])

    choose(page, "Crop")
    drag(page, (20, 20), (180, 170))
    assert near(numbers(page, "crop_area"), [20, 20, 160, 150])
    drag(page, (180, 90), (200, 90))  # its right edge
    assert near(numbers(page, "crop_area"), [20, 20, 180, 150])
    drag(page, (20, 20), (60, 50))  # its top-left corner
    assert near(numbers(page, "crop_area"), [60, 50, 140, 120])
    drag(page, (60, 50), (230, 140))  # past the right edge
    assert near(numbers(page, "crop_area"), [200, 140, 30, 30])
    save(page)

    assert near(list(current(small).dynamic_metadata["crop_area"].values()), [30, 30, 200, 140])
    assert set(current(small).dynamic_metadata) == {"subject_area", "crop_area"}
    assert page.errors == []


def test_nothing_leaves_the_picture(opened_page: Any) -> None:
    choose(opened_page, "Crop")
    drag(opened_page, (120, 90), (260, 200))
    assert near(numbers(opened_page, "crop_area"), [120, 90, 120, 90])
    drag(opened_page, (180, 120), (0, 0))
    assert numbers(opened_page, "crop_area")[:2] == [0, 0]
    drag(opened_page, (60, 45), (239, 179))
    assert near(numbers(opened_page, "crop_area"), [120, 90, 120, 90])


def test_undo_and_remove_are_buttons_too(open_page: Any, small: SourceImage) -> None:
    image = small.set_subject_area(50, 60)
    page = open_page(url_of(image))

    page.mouse.click(*place(page, 200, 30))
    page.get_by_role("button", name="Undo").click()
    assert numbers(page, "subject_area") == [50, 60, 1, 1]
    page.get_by_role("button", name="Remove", exact=True).click()
    assert numbers(page, "subject_area") == [None] * 4
    assert page.locator(".rokka-point").is_hidden()
    save(page)

    assert current(image).dynamic_metadata == {}


def test_what_is_typed_shows_on_the_picture(opened_page: Any) -> None:
    opened_page.fill("[name='subject_area-x']", "60")
    opened_page.fill("[name='subject_area-y']", "90")

    point = opened_page.locator(".rokka-point").bounding_box()
    middle = point["x"] + point["width"] / 2, point["y"] + point["height"] / 2
    wanted = place(opened_page, 60.5, 90.5)
    assert all(abs(one - other) < 2 for one, other in zip(middle, wanted, strict=True))


def test_an_area_in_percent_is_dragged_in_percent_and_can_be_had_in_pixels(
    open_page: Any, small: SourceImage
) -> None:
    image = small.set_crop_area(10, 20, 30, 40, percentage=True)
    page = open_page(url_of(image))
    choose(page, "Crop")

    drag(page, (60, 72), (84, 90))  # by 10 %
    assert numbers(page, "crop_area") == [20, 30, 30, 40]
    page.select_option("[name='crop_area-unit']", "px")
    assert numbers(page, "crop_area") == [48, 54, 72, 72]
    page.select_option("[name='crop_area-unit']", "%")
    assert numbers(page, "crop_area") == [20, 30, 30, 40]


# --- Touch ------------------------------------------------------------------------------------


def touch(page: Any, *places: tuple[float, float]) -> None:
    """A finger comes down, goes from place to place, and lifts."""
    session = page.context.new_cdp_session(page)
    kinds = ["touchStart", *["touchMove"] * (len(places) - 1)]
    for kind, spot in zip(kinds, places, strict=True):
        x, y = place(page, *spot)
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_finger_taps_drags_and_stretches(open_page: Any, small: SourceImage) -> None:
    page = open_page(url_of(small), width=390, touch=True)

    page.touchscreen.tap(*place(page, 200, 30))
    assert near(numbers(page, "subject_area"), [200, 30, 1, 1])
    touch(page, (200, 30), (180, 50), (100, 100))
    assert near(numbers(page, "subject_area"), [100, 100, 1, 1])
    touch(page, (20, 20), (30, 40), (60, 80))
    assert near(numbers(page, "subject_area"), [20, 20, 40, 60])
    touch(page, (60, 80), (90, 90), (120, 120))
    assert near(numbers(page, "subject_area"), [20, 20, 100, 100])
    save(page)

    area = current(small).dynamic_metadata["subject_area"]
    assert near([area["x"], area["y"], area["width"], area["height"]], [20, 20, 100, 100])
    assert_rows_follow(small)
    assert page.errors == []


def test_a_finger_elsewhere_scrolls_and_targets_are_large(
    open_page: Any, small: SourceImage
) -> None:
    image = small.set_crop_area(100, 80, 20, 20)
    page = open_page(url_of(image), width=390, touch=True)
    choose(page, "Crop")

    caught = page.evaluate(
        "[...document.querySelectorAll('body *')]"
        ".filter(e => getComputedStyle(e).touchAction === 'none').map(e => e.className)"
    )
    assert caught == ["rokka-overlay"]
    sizes = page.evaluate(
        """[...document.querySelectorAll(".rokka-box__grip, .rokka-tab__text, .rokka-areas .rokka-button")]
        .filter(e => e.checkVisibility())
        .map(e => e.getBoundingClientRect()).map(r => Math.min(r.width, r.height))"""
    )
    assert len(sizes) >= 9
    assert min(sizes) >= 44


def test_a_small_box_can_be_moved_and_stretched(open_page: Any, small: SourceImage) -> None:
    image = small.set_crop_area(100, 80, 12, 12)
    page = open_page(url_of(image), width=390, touch=True)
    choose(page, "Crop")

    touch(page, (106, 86), (120, 100), (146, 106))
    assert near(numbers(page, "crop_area"), [140, 100, 12, 12])
    touch(page, (156, 116), (160, 120), (180, 150))  # its corner, a little outside
    assert near(numbers(page, "crop_area"), [140, 100, 40, 50], by=3)


# --- Keys -------------------------------------------------------------------------------------


def tab_to(page: Any, selector: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    pytest.fail(f"Tab does not reach {selector}")


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_keyboard_alone_sets_the_focal_point_and_saves(
    opened_page: Any, small: SourceImage
) -> None:
    page = opened_page
    tab_to(page, ".rokka-overlay")

    press(page, "Enter")
    assert numbers(page, "subject_area") == [120, 90, 1, 1]
    press(page, "ArrowLeft", "Shift+ArrowUp", "ArrowDown")
    assert numbers(page, "subject_area") == [118, 74, 1, 1]
    press(page, "Control+ArrowRight", "Alt+Shift+ArrowDown")
    assert numbers(page, "subject_area") == [118, 74, 3, 19]
    press(page, "Alt+ArrowLeft", "Alt+ArrowLeft", "Control+Shift+ArrowUp", "Control+Shift+ArrowUp")
    assert numbers(page, "subject_area") == [118, 74, 1, 1]
    tab_to(page, "[name=_save]")
    with page.expect_navigation():
        press(page, "Enter")

    assert current(small).dynamic_metadata["subject_area"] == {
        **{"x": 118, "y": 74},
        **{"width": 1, "height": 1},
    }
    assert page.url.endswith(url_of(current(small)))
    assert_rows_follow(small)
    assert page.errors == []


def test_keys_switch_areas_undo_and_remove(open_page: Any, small: SourceImage) -> None:
    image = small.set_subject_area(50, 60)
    page = open_page(url_of(image))
    tab_to(page, "[name=_area]")
    press(page, "ArrowRight")
    assert page.evaluate("document.activeElement.value") == "rokka-area-crop_area"
    tab_to(page, ".rokka-overlay")

    press(page, "ArrowRight")
    assert numbers(page, "crop_area") == [60, 45, 120, 90]
    press(page, "Delete")
    assert numbers(page, "crop_area") == [None] * 4
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    press(page, "ArrowLeft")
    tab_to(page, ".rokka-overlay")
    press(page, *["Shift+ArrowRight"] * 20)
    assert numbers(page, "subject_area") == [239, 60, 1, 1]
    press(page, "Escape")
    assert numbers(page, "subject_area") == [50, 60, 1, 1]


def test_the_position_is_said_politely(opened_page: Any) -> None:
    status = opened_page.locator(".rokka-areas [role=status]")
    assert status.get_attribute("aria-live") == "polite"
    overlay = opened_page.locator(".rokka-overlay")
    overlay.focus()

    press(opened_page, "Enter", "Shift+ArrowRight")

    opened_page.locator(".rokka-areas [role=status]:not(:empty)").wait_for(state="attached")
    assert status.inner_text() == "Focal point: 60 % from the left, 50 % from the top"
    assert overlay.get_attribute("aria-label") == status.inner_text()
    hint = overlay.get_attribute("aria-describedby")
    assert "arrows move by 1 %" in opened_page.inner_text(f"#{hint}")
    outline = overlay.evaluate("e => getComputedStyle(e).outlineStyle")
    assert outline == "solid"


def test_escape_ends_a_drag_where_it_began(open_page: Any, small: SourceImage) -> None:
    image = small.set_crop_area(60, 45, 120, 90)
    page = open_page(url_of(image))
    choose(page, "Crop")
    page.locator(".rokka-overlay").focus()

    page.mouse.move(*place(page, 120, 90))
    page.mouse.down()
    page.mouse.move(*place(page, 140, 100))
    assert page.locator(".rokka-overlay--dragging").count() == 1
    page.keyboard.press("Escape")
    page.mouse.move(*place(page, 150, 110))
    page.mouse.up()

    assert numbers(page, "crop_area") == [60, 45, 120, 90]


# --- Named areas ------------------------------------------------------------------------------


def test_named_areas_are_added_drawn_renamed_and_removed(
    open_page: Any, small: SourceImage
) -> None:
    image = small.set_multi_areas({"old": api.CropArea(1, 2, 30, 40)})
    page = open_page(url_of(image))

    for index, name in ((1, "first"), (2, "second")):
        page.get_by_role("button", name="Add a named area").click()
        assert page.evaluate("document.activeElement.name") == f"multi_areas-{index}-name"
        page.keyboard.type(name)
        drag(page, (20 * index, 20), (150, 150))
    page.select_option("[name='multi_areas-2-role']", "subject_area")
    choose(page, "old")
    page.check("[name='multi_areas-0-DELETE']")
    tabs = page.locator(".rokka-tab").all_inner_texts()
    assert tabs == ["Focal point", "Crop", "old", "first", "second"]
    save(page)

    areas = current(image).dynamic_metadata["multi_areas"]
    assert {name: list(kinds) for name, kinds in areas.items()} == {
        "first": ["crop_area"],
        "second": ["subject_area"],
    }
    assert near([areas["second"]["subject_area"]["x"]], [40])
    assert_rows_follow(image)
    assert page.errors == []


def test_save_and_continue_comes_back_to_the_area(open_page: Any, small: SourceImage) -> None:
    page = open_page(url_of(small))
    choose(page, "Crop")
    drag(page, (20, 20), (180, 140))

    with page.expect_navigation():
        page.click("[name=_continue]")

    assert page.url.endswith(f"{url_of(current(small))}#rokka-area-crop_area")
    assert page.locator("[name=_area]:checked").input_value() == "rokka-area-crop_area"
    assert page.locator(".rokka-box--crop").is_visible()


def test_a_mistake_opens_the_area_that_has_it(open_page: Any, small: SourceImage) -> None:
    page = open_page(url_of(small))
    choose(page, "Crop")
    page.fill("[name='crop_area-x']", "20")
    save(page)

    assert page.locator("[name=_area]:checked").input_value() == "rokka-area-crop_area"
    assert "Fill in all four numbers" in page.inner_text("#rokka-area-crop_area")


# --- User metadata ----------------------------------------------------------------------------


def test_the_input_fits_the_type_and_rows_are_added(opened_page: Any, small: SourceImage) -> None:
    page = opened_page
    rows = [
        ("int", "year", "2024"),
        ("text", "story", "one\ntwo"),
        ("date", "taken", "2024-05-01T10:00"),
    ]
    kinds = []
    for index, (kind, name, value) in enumerate(rows):
        prefix = f"user_metadata-{index}"
        if index:
            page.get_by_role("button", name="Add a field").click()
        page.select_option(f"[name='{prefix}-kind']", kind)
        page.fill(f"[name='{prefix}-name']", name)
        page.fill(f"[name='{prefix}-value']", value)
        kinds.append(page.locator(f"[name='{prefix}-value']").evaluate("e => e.type"))
    save(page)

    assert kinds == ["number", "textarea", "datetime-local"]
    assert get_client().get_user_metadata(small.hash) == {
        "int:year": 2024,
        "text:story": "one\ntwo",
        "date:taken": "2024-05-01T10:00:00Z",
    }
    # What a browser makes of these values is what they were: nothing has changed.
    save(page)
    assert "Nothing was changed" in page.inner_text(".messagelist")
    assert page.errors == []


# --- Without a script, without rokka, without the right ---------------------------------------


def test_numbers_do_without_javascript(open_page: Any, small: SourceImage) -> None:
    page = open_page(url_of(small), javascript=False)

    assert page.locator(".rokka-preview img").count() == 3
    page.fill("[name='subject_area-x']", "200")
    page.fill("[name='subject_area-y']", "30")
    page.fill("[name='multi_areas-0-name']", "tall")
    for name, value in {"x": 10, "y": 20, "width": 30, "height": 40}.items():
        page.fill(f"[name='multi_areas-0-{name}']", str(value))
    page.fill("[name='user_metadata-0-name']", "title")
    page.fill("[name='user_metadata-0-value']", "Map")
    save(page)

    new = current(small)
    assert page.url.endswith(url_of(new))
    assert new.dynamic_metadata == {
        "subject_area": {"x": 200, "y": 30, "width": 1, "height": 1},
        "multi_areas": {"tall": {"crop_area": {"x": 10, "y": 20, "width": 30, "height": 40}}},
    }
    assert new.user_metadata == {"title": "Map"}
    assert_rows_follow(small)


def test_trouble_at_rokka_keeps_what_was_drawn(
    open_page: Any, small: SourceImage, rokka_emulator: Emulator, settings: Any
) -> None:
    settings.ROKKA = {alias: {**values, "ATTEMPTS": 1} for alias, values in settings.ROKKA.items()}
    page = open_page(url_of(small))
    page.mouse.click(*place(page, 200, 30))
    drawn = numbers(page, "subject_area")

    rokka_emulator.add_fault(Fault(status=503, method="PUT"))
    save(page)
    assert "rokka is in trouble." in page.inner_text(".errorlist")
    assert numbers(page, "subject_area") == drawn
    assert page.locator(".rokka-point").is_visible()
    # Undo goes back to what rokka has, not to what was typed.
    page.get_by_role("button", name="Undo").click()
    assert numbers(page, "subject_area") == [None] * 4
    page.mouse.click(*place(page, 200, 30))
    save(page)

    assert_rows_follow(small)


def test_a_picture_that_cannot_be_changed_stays_as_it_is(
    open_page: Any, small: SourceImage, django_user_model: Any
) -> None:
    from django.contrib.auth.models import Permission

    image = small.set_subject_area(50, 60)
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_sourceimage"))
    page = open_page(url_of(image), user=viewer)

    page.mouse.click(*place(page, 200, 30))
    page.locator(".rokka-overlay").focus()
    press(page, "ArrowRight", "Delete")

    assert numbers(page, "subject_area") == [50, 60, 1, 1]
    assert page.locator("[name=_save]").count() == 0
    assert page.get_by_role("button", name="Add").count() == 0
    assert page.errors == []


def test_a_protected_image_is_edited_in_numbers(open_page: Any, small: SourceImage) -> None:
    image = small.set_protected(True)
    page = open_page(url_of(image))

    assert "No preview: protected" in page.inner_text(".rokka-areas")
    choose(page, "Crop")
    for name, value in {"x": 10, "y": 20, "width": 30, "height": 40}.items():
        page.fill(f"[name='crop_area-{name}']", str(value))
    save(page)

    assert set(current(image).dynamic_metadata) == {"crop_area"}
    assert page.errors == []


# --- Looks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_the_page_fits_every_screen(
    open_page: Any, screenshot: Any, image: SourceImage, settings: Any, width: int, scheme: str
) -> None:
    square = {"name": "crop", "options": {"width": 1, "height": 1, "mode": "ratio"}}
    wide = {"name": "crop", "options": {"width": 21, "height": 9, "mode": "ratio"}}
    portrait = {
        "name": "crop",
        "options": {"width": 3, "height": 4, "mode": "ratio", "area": "portrait"},
    }
    stacks = {
        "thumbnail": {"operations": [square], "description": "A square for lists"},
        "hero": {"operations": [wide], "description": "Across the top of a page"},
        "card": {"operations": [portrait]},
        "full": {"operations": [{"name": "resize", "options": {"width": 1920}}]},
    }
    settings.ROKKA = {**settings.ROKKA, "default": {**settings.ROKKA["default"], "STACKS": stacks}}
    page = open_page(url_of(prepare(image)), width=width, scheme=scheme)
    page.fill("[name=name]", "lighthouse-at-dusk.jpg")
    page.fill("[name='subject_area-x']", "245")
    page.fill("[name='subject_area-y']", "185")
    save(page)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.errors == []
    page.reload()
    page.wait_for_load_state("networkidle")
    # As high as the page: what sticks to the bottom is at the bottom.
    for _ in range(2):
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": height})
    screenshot(page, f"admin-detail-{width}-{scheme}")


def prepare(image: SourceImage) -> SourceImage:
    """An image about which there is something to tell."""
    client = get_client()
    client.patch_user_metadata(
        image.hash,
        {
            "title": "The lighthouse at dusk",
            "int:year": 2024,
            "date:taken": "2024-05-01T19:40:00Z",
            "latlon:place": "54.18,7.89",
            "array:tags": ["sea", "night", "coast"],
        },
    )
    for number in range(4):
        Photo.objects.create(title=f"Cover of issue {number + 1}", image=image.file_name)
    return image.set_multi_areas({"portrait": api.CropArea(130, 120, 240, 320)})


@pytest.mark.parametrize("state", ["deleted", "crop"])
def test_other_states_fit_a_small_screen_too(
    open_page: Any, screenshot: Any, small: SourceImage, state: str
) -> None:
    if state == "deleted":
        get_client().delete_source_image(small.hash)
    page = open_page(
        url_of(small.set_crop_area(30, 20, 150, 90) if state == "crop" else small), width=390
    )
    choose(page, "Crop")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot(page, f"admin-detail-{state}-390-light")


def test_a_page_says_its_recipes_as_json(opened_page: Any) -> None:
    recipes = opened_page.evaluate(
        "[...document.querySelectorAll('[data-recipe]')].map(e => e.dataset.recipe)"
    )

    assert [json.loads(recipe)["steps"] for recipe in recipes] == [
        ratio(1, 1),
        ratio(16, 9),
        ratio(3, 4),
    ]


def test_a_tiny_picture_has_room_to_be_worked_on(open_page: Any, rokka_emulator: Emulator) -> None:
    article = Article(title="Icon")
    article.photo.save("icon.png", ContentFile(picture((16, 12), "PNG")))
    page = open_page(url_of(article.photo.source_image))

    assert page.locator(".rokka-overlay").bounding_box()["width"] >= 200
    page.locator(".rokka-overlay").focus()
    press(page, "Enter", "ArrowRight", "ArrowRight", "ArrowDown")
    assert numbers(page, "subject_area") == [10, 7, 1, 1]
