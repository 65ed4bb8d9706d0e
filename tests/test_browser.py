"""What a person sees, in Chromium."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile

from django_rokka import placeholders, stacks
from django_rokka.api import SubjectArea
from django_rokka.emulator import Emulator
from example_project.gallery.models import Photo
from example_project.pictures import Picture
from example_project.settings import STACKS
from tests.pictures import demo

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # Playwright's own loop; the tests' database calls are in the same thread.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def gallery(rokka_emulator: Emulator, settings: Any) -> list[Photo]:
    """Some pictures in the demo's gallery, with its stacks."""
    own = {"STACKS": STACKS, "SIGNING_KEY": rokka_emulator.signing_key}
    settings.ROKKA = {**settings.ROKKA, "default": {**settings.ROKKA["default"], **own}}
    assert all(outcome.ok for outcome in stacks.push())
    titles = ("Night", "Lighthouse", "Regatta", "City", "Aperture")
    photos = [add(picture) for picture in demo(0.5) if picture.title in titles]
    list(placeholders.fill_missing("default"))
    return photos


def add(picture: Picture) -> Photo:
    photo = Photo(title=picture.title, alt=picture.alt)
    photo.image.save(picture.filename, ContentFile(picture.content))
    if picture.focus:
        photo.image.set_subject_area(*picture.focus, percentage=True)
        photo.image.set_multi_areas({"tall": SubjectArea(*picture.focus, percentage=True)})
    return photo


@dataclass
class Visit:
    """A page as it was loaded: its renders by URL with their bytes, and what went wrong."""

    page: Any
    renders: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def shift(self) -> float:
        """How much the page jumped, by the browser's own measure."""
        return float(self.page.evaluate("window.shift"))


@pytest.fixture
def visit(browser: Any) -> Callable[..., Visit]:
    """Open a page at a width and density of the screen, and scroll through it."""

    def visit(url: str, width: int, density: int) -> Visit:
        screen = {"width": width, "height": 800}
        page = browser.new_page(viewport=screen, device_scale_factor=density)
        seen = Visit(page)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("console", lambda message: seen.complaints.append(message.text))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.add_init_script(
            "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach("
            "entry => window.shift += entry.value)).observe({type: 'layout-shift', buffered: true})"
        )
        page.on("response", lambda answer: note(seen, answer))
        page.goto(url, wait_until="networkidle")
        page.evaluate(
            "Promise.all([...document.images].map(image => "
            "{ image.scrollIntoView(); image.loading = 'eager'; return image.decode(); }))"
        )
        page.wait_for_load_state("networkidle")
        return seen

    return visit


def note(seen: Visit, answer: Any) -> None:
    if "/render/" in answer.url:
        seen.renders[answer.url] = int(answer.headers["content-length"])


CHOSEN = """[...document.images].map(image => {
    const source = [...(image.parentElement.tagName == 'PICTURE' ? image.parentElement.children : [image])]
        .find(element => element.srcset.includes(image.currentSrc)) ?? image;
    const widths = source.srcset.split(', ').map(item => item.split(' '));
    return {
        src: image.currentSrc, alt: image.alt, natural: image.naturalWidth,
        needed: image.clientWidth * devicePixelRatio,
        width: parseInt((widths.find(([url]) => url == image.currentSrc) ?? [0, '0'])[1]),
        candidates: widths.map(([_, width]) => parseInt(width ?? '0')),
    };
})"""


@pytest.mark.parametrize(
    ("width", "density", "lead", "kilobytes"),
    [(390, 3, "lead-tall", 400), (820, 2, "lead", 400), (1440, 1, "lead", 300)],
)
def test_the_browser_picks_fitting_candidates_and_nothing_jumps(
    visit: Callable[..., Visit],
    screenshot: Any,
    live_server: Any,
    gallery: list[Photo],
    width: int,
    density: int,
    lead: str,
    kilobytes: int,
) -> None:
    seen = visit(live_server.url, width, density)

    chosen = seen.page.evaluate(CHOSEN)
    screenshot(seen.page, f"gallery-{width}")
    assert [picture["alt"] for picture in chosen] == [photo.alt for photo in gallery]
    assert f"/{lead}/" in chosen[0]["src"]
    for picture in chosen:
        if picture["src"].endswith(".svg"):
            continue
        fitting = [found for found in picture["candidates"] if found >= picture["needed"]]
        larger = min(fitting, default=max(picture["candidates"]))
        smaller = max((w for w in picture["candidates"] if w < larger), default=larger)
        assert picture["width"] in (smaller, larger), picture
        assert picture["width"] >= 0.7 * min(picture["needed"], max(picture["candidates"])), picture
    assert seen.shift == 0
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    # What was preloaded is what is shown, and no candidate is fetched beside another one.
    assert seen.complaints == []
    assert len(seen.renders) == len(gallery)
    assert sum(seen.renders.values()) < kilobytes * 1000
    assert len(seen.requests) == len(set(seen.requests))


@pytest.mark.parametrize(("width", "density"), [(390, 3), (820, 2), (1440, 1)])
def test_the_page_of_a_picture_shows_its_looks(
    visit: Callable[..., Visit],
    screenshot: Any,
    live_server: Any,
    gallery: list[Photo],
    width: int,
    density: int,
) -> None:
    seen = visit(f"{live_server.url}/photo/{gallery[0].pk}/", width, density)

    screenshot(seen.page, f"photo-{width}")
    shown = seen.page.evaluate("[...document.images].map(i => [i.currentSrc, i.naturalWidth])")
    assert len(shown) == 9
    assert all(natural for _, natural in shown)
    assert sum("sig=" in source for source, _ in shown) == 1
    assert sum(source.endswith(".avif") for source, _ in shown) == 1
    assert sum(source.startswith("data:image/webp") for source, _ in shown) == 1
    banner = seen.page.evaluate(
        "getComputedStyle(document.querySelector('.banner')).backgroundImage"
    )
    assert str(gallery[0].image.hash) in banner
    assert seen.shift == 0
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.complaints == []


def test_an_editor_replaces_a_picture_in_the_admin(
    browser: Any, live_server: Any, gallery: list[Photo], tmp_path: Any
) -> None:
    get_user_model().objects.create_superuser("admin", "a@example.com", "rokka")
    new = next(picture for picture in demo(0.2) if picture.title == "Tiles")
    (tmp_path / "tiles.png").write_bytes(new.content)
    (tmp_path / "broken.jpg").write_text("This is text.")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{live_server.url}/admin/gallery/photo/{gallery[0].pk}/change/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", "rokka")
    page.press("#id_password", "Enter")

    page.wait_for_selector(".rokka-image-input__preview img")
    assert page.evaluate("document.querySelector('.rokka-image-input img').naturalWidth") > 0
    page.set_input_files("#id_image", str(tmp_path / "broken.jpg"))
    page.wait_for_selector("text=is not a picture that can be read")
    page.set_input_files("#id_image", str(tmp_path / "tiles.png"))
    page.wait_for_selector("text=Chosen, not saved yet")
    assert Photo.objects.get(pk=gallery[0].pk).image.format == "jpg"
    page.click("[name=_continue]")

    page.wait_for_selector(".messagelist :text('was changed successfully')")
    photo = Photo.objects.get(pk=gallery[0].pk)
    assert (photo.image.format, photo.width) == ("png", new.size[0])
