"""What a person sees, in Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile

from django_rokka.emulator import Emulator
from example_project.gallery.models import Photo
from example_project.pictures import pictures

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # Playwright's own loop; the tests' database calls are in the same thread.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def gallery(rokka_emulator: Emulator) -> list[Photo]:
    chosen = [
        picture
        for picture in pictures(scale=0.5)
        if picture.title in ("Lighthouse", "Regatta", "City")
    ]
    photos = []
    for picture in chosen:
        photo = Photo(title=picture.title, alt=picture.alt)
        photo.image.save(picture.filename, ContentFile(picture.content))
        photos.append(photo)
    return photos


@pytest.mark.parametrize(
    ("width", "candidate"), [(390, "resize-width-480"), (1280, "resize-width-480")]
)
def test_the_browser_picks_a_fitting_candidate_and_nothing_jumps(
    browser: Any, live_server: Any, gallery: list[Photo], width: int, candidate: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach("
        "entry => window.shift += entry.value)).observe({type: 'layout-shift', buffered: true})"
    )

    page.goto(live_server.url, wait_until="networkidle")

    shown = page.evaluate(
        "[...document.images].map(i => [i.currentSrc, i.naturalWidth, i.complete])"
    )
    assert len(shown) == 3
    assert all(natural and complete for _, natural, complete in shown)
    assert sum(candidate in source for source, _, _ in shown) == 2
    assert page.evaluate("window.shift") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert errors == []


def test_an_editor_replaces_a_picture_in_the_admin(
    browser: Any, live_server: Any, gallery: list[Photo], tmp_path: Any
) -> None:
    get_user_model().objects.create_superuser("admin", "a@example.com", "rokka")
    new = next(picture for picture in pictures(scale=0.2) if picture.title == "Tiles")
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
