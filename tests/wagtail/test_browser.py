"""Wagtail's admin with pictures at rokka, in Chromium: from the upload to the page that shows it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from wagtail.images.rect import Rect

from django_rokka.wagtail.models import RokkaImage, RokkaRendition
from example_project.pictures import pictures
from tests.conftest import running
from tests.wagtail.pages.models import StoryPage

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

WIDTHS = [1280, 390]
#: In the picture of the lighthouse.
LAMP = Rect.from_point(320, 225, 110, 150)
SAVE = "form button[type=submit]:has-text('Save')"


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three of the demo's pictures as files."""
    folder = tmp_path_factory.mktemp("pictures")
    for picture in islice(pictures(scale=0.4), 3):
        (folder / picture.filename).write_bytes(picture.content)
    return sorted(folder.iterdir(), reverse=True)


@pytest.fixture
def lighthouse(new_image: Callable[..., Any], files: list[Path]) -> Any:
    path = next(path for path in files if "lighthouse" in path.name)
    return new_image(content=path.read_bytes(), name=path.name, title="Lighthouse")


@pytest.fixture(scope="session")
def window(chromium: str) -> Iterator[Any]:
    """A browser that stays open, so that it has Wagtail's scripts already."""
    with running(chromium) as browser:
        yield browser.new_context(viewport={"width": 1280, "height": 900})


@pytest.fixture
def page(window: Any, live_server: Any, site: Any) -> Iterator[Any]:
    """An empty page of an administrator; no script may fail on it."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("admin", password="secret"))
    session = client.cookies["sessionid"].value
    window.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page = window.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    page.close()
    window.clear_cookies()
    assert errors == []


@pytest.fixture
def show(page: Any, live_server: Any) -> Callable[..., Any]:
    def show(path: str, width: int = 1280) -> Any:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(live_server.url + path)
        return page

    return show


@pytest.fixture
def screenshot() -> Callable[[Any, str], None]:
    """Keep a picture of a page in the folder that ROKKA_SCREENSHOTS names, if it names one."""
    folder = os.environ.get("ROKKA_SCREENSHOTS")

    def screenshot(page: Any, name: str) -> None:
        if folder:
            page.screenshot(
                path=Path(folder) / f"{name}.png", full_page=True, animations="disabled"
            )

    return screenshot


def loaded(page: Any, selector: str) -> list[dict[str, Any]]:
    """Wait for pictures; what each shows: its ``src``, and its size in pixels of the file."""
    page.wait_for_selector(selector)
    page.wait_for_function(
        """selector => [...document.querySelectorAll(selector)]
            .every(i => (i.loading = 'eager') && i.complete && i.naturalWidth)""",
        arg=selector,
    )
    found: list[dict[str, Any]] = page.eval_on_selector_all(
        selector,
        """all => all.map(i => ({
            src: i.currentSrc, width: i.naturalWidth, height: i.naturalHeight,
            attributes: [Number(i.getAttribute('width')), Number(i.getAttribute('height'))]}))""",
    )
    return found


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a box over the picture, in shares of its sides."""
    loaded(page, ".focal-point-chooser .jcrop-holder img")
    page.locator(".focal-point-chooser").scroll_into_view_if_needed()
    box = page.locator(".focal-point-chooser .jcrop-holder").bounding_box()
    places = [
        (box["x"] + across * box["width"], box["y"] + down * box["height"])
        for across, down in (start, end)
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=5)
    page.mouse.up()


def test_from_the_upload_to_the_page(
    page: Any,
    window: Any,
    live_server: Any,
    site: Any,
    emulator: Any,
    files: list[Path],
    rokka_client: Any,
) -> None:
    window.clear_cookies()

    page.goto(f"{live_server.url}/admin/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", "secret")
    page.click("button[type=submit]")
    page.wait_for_selector("h1:has-text('Pictures')")

    page.goto(f"{live_server.url}/admin/images/add/")
    page.set_input_files("[name=file]", str(files[0]))
    page.fill("[name=title]", "By the sea")
    page.click("form button[type=submit]:has-text('Upload')")
    page.click("a:has-text('By the sea')")
    image = RokkaImage.objects.get()

    drag(page, (0.1, 0.2), (0.3, 0.5))
    page.click(SAVE)
    page.wait_for_selector("text=Image 'By the sea' updated.")
    image.refresh_from_db()
    area = rokka_client.get_source_image(image.file.hash).dynamic_metadata["subject_area"]
    assert abs(area["x"] - 0.1 * image.width) < 5
    assert abs(area["y"] + area["height"] - 0.5 * image.height) < 5

    page.goto(f"{live_server.url}/admin/pages/add/pages/storypage/{site.pk}/")
    page.fill("[name=title]", "A day out")
    page.click("button:has-text('Choose an image')")
    page.click(".modal a:has-text('By the sea')")
    chosen = loaded(page, ".chooser img[data-chooser-image]")
    assert image.file.hash in chosen[0]["src"]
    page.click("footer [data-w-dropdown-target=toggle]")
    page.click("[name=action-publish]")
    page.wait_for_selector("text=Page 'A day out' created and published.")

    page.goto(live_server.url + StoryPage.objects.get().url)
    fill, close = loaded(page, "#fill")[0], loaded(page, "#close")[0]
    assert fill["src"] == image.get_rendition("fill-320x240").url
    assert [fill["width"], fill["height"]] == fill["attributes"] == [320, 240]
    assert [close["width"], close["height"]] == close["attributes"]
    assert loaded(page, "#srcset")[0]["src"] == image.get_rendition("width-600").url
    assert loaded(page, "picture img")[0]["src"] == image.get_rendition("format-avif|width-400").url
    assert not RokkaRendition.objects.exists()


@pytest.mark.parametrize("width", WIDTHS)
def test_many_are_uploaded(
    show: Any, screenshot: Any, emulator: Any, files: list[Path], width: int
) -> None:
    page = show("/admin/images/multiple/add/", width=width)

    page.set_input_files("#fileupload", [str(path) for path in files[:3]])
    page.wait_for_function("document.querySelectorAll('.upload-success').length === 3")

    assert page.locator(".upload-success [name$=title]").count() == 3
    screenshot(page, f"wagtail-multiple-{width}")
    page.goto(page.url.replace("multiple/add/", ""))
    listed = loaded(page, ".listing img")
    screenshot(page, f"wagtail-library-{width}")
    assert len(listed) == RokkaImage.objects.count() == 3


@pytest.mark.parametrize("width", WIDTHS)
def test_a_focal_point_is_drawn_and_removed(
    show: Any, screenshot: Any, lighthouse: Any, width: int
) -> None:
    page = show(f"/admin/images/{lighthouse.pk}/", width=width)
    drag(page, (0.6, 0.2), (0.9, 0.6))
    screenshot(page, f"wagtail-focal-point-{width}")
    page.click(SAVE)
    page.wait_for_selector("text=updated.")
    lighthouse.refresh_from_db()
    assert "subject_area" in lighthouse.file.source_image.dynamic_metadata

    page.goto(page.url + f"{lighthouse.pk}/")
    loaded(page, ".focal-point-chooser .jcrop-holder img")
    screenshot(page, f"wagtail-focal-point-saved-{width}")
    page.click(".remove-focal-point")
    page.click(SAVE)
    page.wait_for_selector("text=updated.")

    lighthouse.refresh_from_db()
    assert lighthouse.file.source_image.dynamic_metadata == {}


@pytest.mark.parametrize("width", WIDTHS)
def test_a_story(show: Any, screenshot: Any, site: Any, lighthouse: Any, width: int) -> None:
    lighthouse.set_focal_point(LAMP)
    lighthouse.save()
    body = f'<p>Look.</p><embed embedtype="image" id="{lighthouse.pk}" format="left" alt="Light"/>'
    story = site.add_child(instance=StoryPage(title="Story", photo=lighthouse, body=body))

    page = show(story.url, width=width)
    shown = loaded(page, "img")
    screenshot(page, f"wagtail-story-{width}")
    for picture in shown:
        assert lighthouse.file.hash in picture["src"]

    page = show(f"/admin/pages/{story.pk}/edit/", width=width)
    loaded(page, ".chooser img[data-chooser-image]")
    loaded(page, ".Draftail-Editor img")
    screenshot(page, f"wagtail-page-{width}")
    page.click(".chooser [aria-label='Actions']")
    page.click("[data-chooser-action-choose]:visible")
    loaded(page, ".modal img")
    screenshot(page, f"wagtail-chooser-{width}")


def test_trouble_at_rokka_is_a_message(
    show: Any, screenshot: Any, lighthouse: Any, emulator: Any
) -> None:
    from django_rokka.emulator import Fault

    page = show(f"/admin/images/{lighthouse.pk}/")
    drag(page, (0.6, 0.2), (0.9, 0.6))
    emulator.add_fault(Fault(method="PUT", status=500, times=50))

    page.click(SAVE)

    page.wait_for_selector("text=The focal point could not be changed")
    screenshot(page, "wagtail-trouble")
    assert page.input_value("input.focal_point_x")
