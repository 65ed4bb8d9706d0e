"""The list of images as an editor sees it, in Chromium."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from django_rokka.models import SourceImage
from example_project.gallery.models import Photo
from tests.admin.conftest import VIEWS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # Playwright's own loop; the tests' database calls are in the same thread.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
LIST = "/admin/rokka/sourceimage/"
LONG = "a name that an agency gives, with everything it knows of the picture in it " + "x" * 80

#: Of each text of an element: how its colour stands out from what is behind it (WCAG's contrast ratio).
CONTRASTS = """elements => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const painted = colors => {
    canvas.clearRect(0, 0, 1, 1);
    for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = rgb => {
    const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return elements.map(element => {
    const behind = [];
    for (let e = element; e; e = e.parentElement) behind.unshift(getComputedStyle(e).backgroundColor);
    const [a, b] = [painted(behind), painted([...behind, getComputedStyle(element).color])].map(luminance);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
}"""


@pytest.fixture
def images(photos: list[Photo]) -> list[SourceImage]:
    """Pictures in every state."""
    found = list(SourceImage.objects.order_by("pk"))
    now = timezone.now()
    states: list[dict[str, Any]] = [
        {"deleted": now - timedelta(days=18, hours=1)},
        {"deleted": now - timedelta(days=40)},
        {"deleted": now - timedelta(days=3), "replaced_by": found[7]},
        {"protected": True, "locked": True},
        {"deleted": now - timedelta(days=40), "broken": SourceImage.Broken.GONE},
        {"name": LONG},
    ]
    for image, values in zip(found, states, strict=False):
        SourceImage.objects.filter(pk=image.pk).update(**values)
    return found


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_the_list_is_readable_and_fits(
    open_page: Callable[..., Any],
    screenshot: Callable[[Any, str], Path],
    images: list[SourceImage],
    width: int,
    scheme: str,
) -> None:
    page = open_page(f"{LIST}?state=all", width=width, scheme=scheme)

    screenshot(page, f"admin-list-{width}-{scheme}")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    results = page.locator(".results")
    assert results.evaluate("list => list.scrollWidth - list.clientWidth") == 0
    assert page.locator("#result_list tbody tr").count() == len(images)
    sizes = page.locator("img.rokka-thumbnail").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert sizes == [120] * (len(images) - 5)
    texts = page.locator(".rokka-badge, .field-title a, .field-use, .rokka-badge a")
    assert min(texts.evaluate_all(CONTRASTS)) >= 4.5
    assert page.errors == []


@pytest.mark.parametrize("width", [320, 390, 800, 1280, 1600, 1920])
def test_no_text_is_cut_off_or_covered(
    open_page: Callable[..., Any], images: list[SourceImage], width: int
) -> None:
    page = open_page(f"{LIST}?state=all", width=width)

    overlaps = page.locator("#result_list tbody tr").evaluate_all("""rows => rows.flatMap(row => {
        const boxes = [...row.children].map(cell => [cell.className, cell.getBoundingClientRect()]);
        const whole = row.getBoundingClientRect();
        return boxes.filter(([name, box], index) =>
            box.right > whole.right + 1 || box.bottom > whole.bottom + 1 || boxes.slice(0, index).some(([, other]) =>
                box.left < other.right - 1 && other.left < box.right - 1 &&
                box.top < other.bottom - 1 && other.top < box.bottom - 1)
        ).map(([name]) => name);
    })""")

    assert overlaps == []


def test_on_a_small_screen_a_row_is_a_card(
    open_page: Callable[..., Any], images: list[SourceImage]
) -> None:
    page = open_page(LIST, width=390, touch=True)
    row = page.locator("#result_list tbody tr").first
    picture, name = (
        row.locator(f".field-{part}").bounding_box() for part in ("thumbnail", "title")
    )
    size = row.locator(".field-file_size").bounding_box()

    assert picture["x"] + picture["width"] < name["x"] <= size["x"]
    assert name["y"] + name["height"] <= size["y"] + 1
    assert "used by 1" in row.inner_text()
    page.locator("#action-toggle").check()
    assert page.locator("tr.selected").count() == page.locator("#result_list tbody tr").count()


def test_where_there_is_room_there_are_columns(
    open_page: Callable[..., Any], images: list[SourceImage]
) -> None:
    page = open_page(LIST, width=1920)
    cells = page.locator("#result_list tbody tr:first-child > *").evaluate_all(
        "cells => cells.map(cell => Math.round(cell.getBoundingClientRect().top))"
    )

    assert len(set(cells)) == 1
    assert page.locator(".rokka-list__label").first.is_hidden()


def test_an_editor_finds_a_deleted_picture_by_keyboard(
    open_page: Callable[..., Any], images: list[SourceImage]
) -> None:
    page = open_page(LIST)
    page.focus("#searchbar")
    page.keyboard.type(images[0].hash[:12])
    page.keyboard.press("Enter")
    page.wait_for_url("**q=**")

    assert page.locator("#result_list tbody tr").count() == 1
    assert page.inner_text(".field-state") == "deleted, 12 days left"
    page.fill("#searchbar", "")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Replaced").click()
    page.wait_for_url("**state=replaced**")
    page.locator(".rokka-badge a").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{images[7].pk}/change/")
    assert page.errors == []


def test_without_javascript_the_list_is_all_there(
    open_page: Callable[..., Any], images: list[SourceImage]
) -> None:
    page = open_page(LIST, javascript=False)

    page.click("#result_list .column-file_size a")
    page.wait_for_url("**o=**")
    sizes = [image.size for image in SourceImage.objects.live()]
    assert page.locator("#result_list tbody tr").count() == len(sizes)
