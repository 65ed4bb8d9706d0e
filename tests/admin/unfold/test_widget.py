"""The widget of a picture in django-unfold's admin, in Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from django_rokka.forms import AdminRokkaImageWidget
from django_rokka.models import SourceImage
from example_project.gallery.models import Photo
from tests.admin.conftest import VIEWS
from tests.library.models import Article, Figure, Headline
from tests.pictures import picture

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

WIDGET = "rokka-image-input"
PREVIEW = f"{WIDGET} .rokka-image-input__preview img"
STATE = f"{WIDGET} .rokka-image-input__state"
PICK = f"{WIDGET} .rokka-image-input__pick"
CHOICE = ".rokka-picker__choice"
SAVE = "[name=_continue]"


@pytest.fixture
def show(open_page: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Open a page; no script may fail on it."""
    pages = []

    def show(path: str, **options: Any) -> Any:
        page = open_page(path, **options)
        pages.append(page)
        return page

    yield show
    assert [error for page in pages for error in page.errors] == []


@pytest.fixture
def photo(photos: list[Photo]) -> Photo:
    return next(photo for photo in photos if photo.title == "Lighthouse")


@pytest.fixture
def red(tmp_path: Path) -> Path:
    path = tmp_path / "red-square.jpg"
    path.write_bytes(picture((300, 300), color="#c01515"))
    return path


def change(row: Any) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"


def in_row(number: int, selector: str) -> str:
    """A part of the widget in a row of the inline."""
    return selector.replace(WIDGET, f"{WIDGET}:has(#id_figures-{number}-picture)", 1)


def loaded(page: Any, selector: str) -> None:
    page.wait_for_function(
        """selector => [...document.querySelectorAll(selector)].filter(i => i.src && !i.hidden)
            .every(i => (i.loading = 'eager') && i.complete && i.naturalWidth)""",
        arg=selector,
    )


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_it_fits_in(
    show: Any, screenshot: Any, photo: Photo, red: Path, width: int, scheme: str
) -> None:
    page = show(change(photo), width=width, scheme=scheme)
    page.wait_for_selector(PICK)
    loaded(page, PREVIEW)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    screenshot(page, f"unfold-widget-{width}-{scheme}")

    page.click(PICK)
    page.wait_for_selector(CHOICE)
    loaded(page, ".rokka-picker img")
    screenshot(page, f"unfold-picker-{width}-{scheme}")
    page.keyboard.press("Escape")
    page.set_input_files("#id_image", str(red))
    page.wait_for_selector(f"{STATE}:has-text('not saved yet')")
    loaded(page, PREVIEW)
    screenshot(page, f"unfold-widget-chosen-{width}-{scheme}")


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
@pytest.mark.parametrize("model", [Article, Headline])
def test_inlines_fit_in(
    show: Any, screenshot: Any, photo: Photo, width: int, scheme: str, model: Any
) -> None:
    row = model.objects.create(title="Dog")
    Figure.objects.create(article_id=row.pk, caption="One", picture=photo.image.name)
    page = show(change(row), width=width, scheme=scheme)
    page.wait_for_selector(in_row(0, PICK))
    loaded(page, in_row(0, PREVIEW))

    screenshot(page, f"unfold-widget-{model.__name__.lower()}-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_photo_is_added(show: Any, red: Path, rokka_emulator: Any) -> None:
    page = show("/admin/gallery/photo/add/")
    page.fill("#id_title", "Red")
    page.set_input_files("#id_image", str(red))
    page.wait_for_selector(f"{STATE}:has-text('not saved yet')")

    page.click(SAVE)
    page.wait_for_url("**/change/")

    assert Photo.objects.get().width == 300


def test_a_photo_is_replaced_and_another_one_picked(show: Any, photo: Photo, red: Path) -> None:
    page = show(change(photo))
    page.set_input_files("#id_image", str(red))
    page.wait_for_selector(f"{STATE}:has-text('not saved yet')")
    page.click(SAVE)
    page.wait_for_selector(f"{STATE}:has-text('Currently')")
    photo.refresh_from_db()
    assert photo.width == 300

    page.click(PICK)
    page.click(f"{CHOICE}:has-text('tiles.png')")
    page.click(SAVE)
    page.wait_for_selector(f"{STATE}:has-text('Currently')")

    photo.refresh_from_db()
    assert photo.image.source_image.name == "tiles.png"


@pytest.mark.parametrize("model", [Article, Headline])
def test_rows_that_are_added_work(show: Any, photo: Photo, red: Path, model: Any) -> None:
    row = model.objects.create(title="Dog")
    page = show(change(row))
    page.wait_for_selector(in_row(0, PICK))
    page.click("text=Add another Figure")

    page.set_input_files("#id_figures-0-picture", str(red))
    page.wait_for_selector(in_row(0, f"{STATE}:has-text('not saved yet')"))
    page.click(in_row(1, PICK))
    page.click(f"{CHOICE}:has-text('lighthouse.jpg')")
    page.click(SAVE)
    page.wait_for_selector(in_row(1, f"{STATE}:has-text('Currently')"))

    assert Figure.objects.count() == 2


def test_the_pages_of_the_images_open(show: Any, photo: Photo) -> None:
    image = photo.image.source_image
    for path in ("", f"{image.pk}/change/"):
        page = show(f"/admin/rokka/sourceimage/{path}")
        assert page.locator("h1").count() >= 1
        assert image.name in page.content()


def test_its_file_widgets_give_way_to_ours(rf: Any) -> None:
    from django.contrib import admin

    from tests.admin.unfold.site import ArticleAdmin, PhotoAdmin, StackedFigures

    for options, model, name in (
        (PhotoAdmin, Photo, "image"),
        (ArticleAdmin, Article, "photo"),
    ):
        field = options(model, admin.site).formfield_for_dbfield(
            model._meta.get_field(name), request=rf.get("/")
        )
        assert type(field.widget) is AdminRokkaImageWidget
    inline = StackedFigures(Article, admin.site)
    field = inline.formfield_for_dbfield(Figure._meta.get_field("picture"), request=rf.get("/"))
    assert type(field.widget) is AdminRokkaImageWidget
    assert admin.site.is_registered(SourceImage)
