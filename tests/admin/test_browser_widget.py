"""The widget of a picture in the admin, in Chromium, under a strict Content Security Policy."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from pytest_django.live_server_helper import LiveServer

from django_rokka.admin.picker import PAGE
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage
from example_project.gallery.models import Photo
from tests.admin.conftest import VIEWS
from tests.library.models import Article, Figure, Headline, Slide, Snapshot
from tests.pictures import picture

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.urls("tests.admin.widget_site"),
]

WIDGET = "rokka-image-input"
PREVIEW = f"{WIDGET} .rokka-image-input__preview img"
STATE = f"{WIDGET} .rokka-image-input__state"
MESSAGE = f"{WIDGET} .rokka-image-input__message"
PICK = f"{WIDGET} .rokka-image-input__pick"
UNDO = f"{WIDGET} .rokka-image-input__undo"
RETRY = f"{WIDGET} .rokka-image-input__retry"
CHOICE = ".rokka-picker__choice"
SAVE = "[name=_continue]"


@pytest.fixture
def live_server(settings: Any, transactional_db: None) -> Iterator[LiveServer]:
    """A server that sends a strict policy with every page: it reads its middleware when it starts."""
    settings.MIDDLEWARE = ["tests.admin.widget_site.strict", *settings.MIDDLEWARE]
    server = LiveServer("localhost")
    yield server
    server.stop()


@pytest.fixture
def show(open_page: Callable[..., Any], settings: Any) -> Iterator[Callable[..., Any]]:
    """Open the page of a row, or one to add a row of a model; no script may fail on it."""
    pages = []

    def show(row: Any, **options: Any) -> Any:
        place = f"{row._meta.app_label}/{row._meta.model_name}"
        last = "add" if isinstance(row, type) else f"{row.pk}/change"
        page = open_page(f"/admin/{place}/{last}/", **options)
        pages.append(page)
        return page

    yield show
    # An answer that says no is in the browser's log, too.
    failures = [error for page in pages for error in page.errors]
    assert [error for error in failures if "Failed to load resource" not in error] == []


def says(page: Any, text: str) -> None:
    """The widget comes to say this of its picture: a choice is answered after the key or the click."""
    page.wait_for_selector(f"{STATE}:text-is('{text}')")


@pytest.fixture
def photo(photos: list[Photo]) -> Photo:
    return next(photo for photo in photos if photo.title == "Lighthouse")


@pytest.fixture
def other(photos: list[Photo]) -> Photo:
    return next(photo for photo in photos if photo.title == "Tiles")


@pytest.fixture
def article(rokka_emulator: Emulator) -> Article:
    return Article.objects.create(title="Dog")


@pytest.fixture
def red(tmp_path: Path) -> Path:
    path = tmp_path / "red-square.jpg"
    path.write_bytes(picture((300, 300), color="#c01515"))
    return path


def uploads(emulator: Emulator) -> int:
    return sum(call.method == "POST" for call in emulator.calls)


def saved(page: Any) -> None:
    """Save, and wait until the page says so."""
    page.click(SAVE)
    page.wait_for_selector(".messagelist .success")


def drop(page: Any, path: Path) -> None:
    """What the browser does when a file is dropped on the widget."""
    content = base64.b64encode(path.read_bytes()).decode()
    data = page.evaluate_handle(
        """([content, name]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt());
            const data = new DataTransfer();
            data.items.add(new File([bytes], name, {type: "image/jpeg"}));
            return data;
        }""",
        [content, path.name],
    )
    page.dispatch_event(WIDGET, "dragover", {"dataTransfer": data})
    assert page.locator(f"{WIDGET}.rokka-image-input--over").count() == 1
    page.dispatch_event(WIDGET, "drop", {"dataTransfer": data})


def is_seen(page: Any, selector: str = PREVIEW) -> bool:
    """Whether an image is shown and has been loaded."""
    page.wait_for_function(
        "selector => document.querySelector(selector)?.naturalWidth > 0", arg=selector
    )
    return bool(page.is_visible(selector))


def fits(page: Any, width: int) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth") <= width)


# --- How it looks ------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_it_fits_wide_and_narrow_windows(
    show: Any, screenshot: Any, photo: Photo, red: Path, width: int, scheme: str
) -> None:
    SourceImage.objects.filter(name="tiles.png").update(protected=True)
    page = show(photo, width=width, scheme=scheme)
    page.wait_for_selector(PICK)
    assert is_seen(page)
    assert fits(page, width)
    screenshot(page, f"admin-widget-{width}-{scheme}")

    page.click(PICK)
    page.wait_for_selector(CHOICE)
    page.wait_for_function(
        "[...document.querySelectorAll('.rokka-picker img')].every(i => i.loading && (i.loading = 'eager'))"
    )
    page.wait_for_function(
        "[...document.querySelectorAll('.rokka-picker img')].every(i => i.complete && i.naturalWidth)"
    )
    assert page.evaluate(
        "(d => d.scrollWidth <= d.clientWidth)(document.querySelector('.rokka-picker'))"
    )
    screenshot(page, f"admin-picker-{width}-{scheme}")
    page.keyboard.press("Escape")

    page.set_input_files("#id_image", str(red))
    page.wait_for_selector(f"{STATE}:has-text('not saved yet')")
    assert is_seen(page)
    screenshot(page, f"admin-widget-chosen-{width}-{scheme}")


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
@pytest.mark.parametrize("model", [Article, Headline])
def test_inlines_fit_too(
    show: Any, screenshot: Any, article: Article, photo: Photo, width: int, scheme: str, model: Any
) -> None:
    Figure.objects.create(article=article, caption="One", picture=photo.image.name)
    page = show(model.objects.get(), width=width, scheme=scheme)
    page.wait_for_selector(f".inline-related {PICK}")
    assert is_seen(page, f".has_original {PREVIEW}")

    screenshot(page, f"admin-widget-{model.__name__.lower()}-{width}-{scheme}")
    # Django's tables scroll by themselves.
    assert fits(page, width)


# --- Uploading ---------------------------------------------------------------------------------


def test_a_chosen_file_is_uploaded_at_once_and_saved(
    show: Any, photo: Photo, red: Path, rokka_emulator: Emulator
) -> None:
    page = show(photo)
    before = uploads(rokka_emulator)

    page.set_input_files("#id_image", str(red))
    page.wait_for_selector(f"{STATE}:has-text('not saved yet')")

    assert is_seen(page)
    assert page.inner_text(f"{WIDGET} .rokka-image-input__name").endswith(
        "red-square.jpg 300 × 300"
    )
    assert page.input_value("#id_image") == ""
    assert uploads(rokka_emulator) == before + 1
    assert Photo.objects.get(pk=photo.pk).image.name == photo.image.name
    saved(page)
    assert uploads(rokka_emulator) == before + 1
    photo.refresh_from_db()
    assert (photo.width, photo.image.source_image.name) == (300, "red-square.jpg")
    says(page, "Currently")


def test_a_file_can_be_dropped(show: Any, article: Article, red: Path) -> None:
    page = show(article)

    drop(page, red)
    page.wait_for_selector(f"{STATE}:has-text('not saved yet')")
    saved(page)

    article.refresh_from_db()
    assert article.width == 300


def test_progress_is_shown_and_an_upload_can_be_cancelled(
    show: Any, photo: Photo, tmp_path: Path, rokka_emulator: Emulator
) -> None:
    large = tmp_path / "large.png"
    large.write_bytes(picture((1200, 1200), "PNG", compress_level=0))
    page = show(photo)
    page.wait_for_selector(PICK)
    before = uploads(rokka_emulator)
    network = page.context.new_cdp_session(page)
    network.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 500_000},
    )

    page.set_input_files("#id_image", str(large))
    page.wait_for_function("document.querySelector('progress').value > 5")

    assert "%" in page.inner_text(f"{WIDGET} .rokka-image-input__percent")
    assert page.is_visible("progress")
    page.click(f"{WIDGET} .rokka-image-input__cancel")
    assert not page.is_visible("progress")
    assert page.inner_text(MESSAGE) == ""
    assert page.input_value("#id_image") == ""
    assert page.evaluate("document.activeElement.id") == "id_image"
    assert uploads(rokka_emulator) == before


def test_a_form_waits_for_its_uploads(
    show: Any, photo: Photo, red: Path, rokka_emulator: Emulator
) -> None:
    page = show(photo)
    page.wait_for_selector(PICK)
    rokka_emulator.add_fault(Fault("hang", method="POST", seconds=1.5))

    page.set_input_files("#id_image", str(red))
    page.wait_for_selector(".rokka-image-input__percent:has-text('on to rokka')")
    page.click(SAVE)
    assert "as soon as the picture is uploaded" in page.inner_text(MESSAGE)
    page.click(SAVE)

    page.wait_for_selector(".messagelist .success")
    photo.refresh_from_db()
    assert photo.width == 300
    assert page.locator(".messagelist .success").count() == 1


def test_a_file_that_cannot_be_uploaded_stays_chosen(
    show: Any, photo: Photo, red: Path, rokka_emulator: Emulator, settings: Any
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "ATTEMPTS": 1}}
    page = show(photo)
    page.wait_for_selector(PICK)
    rokka_emulator.add_fault(Fault("cut", method="POST"))
    page.set_input_files("#id_image", str(red))
    page.wait_for_selector(f"{MESSAGE}:has-text('rokka cannot be reached')")

    assert page.input_value("#id_image").endswith("red-square.jpg")
    # rokka is back: an ordinary save has the file.
    saved(page)
    photo.refresh_from_db()
    assert photo.width == 300


def test_what_is_no_picture_is_said_at_once(show: Any, photo: Photo, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_text("This is text.")
    page = show(photo)
    page.wait_for_selector(PICK)

    page.set_input_files("#id_image", str(tmp_path / "broken.jpg"))
    page.wait_for_selector(f"{MESSAGE}:has-text('is not a picture that can be read')")
    page.click(UNDO)

    assert page.inner_text(MESSAGE) == ""
    assert page.input_value("#id_image") == ""
    saved(page)
    assert Photo.objects.get(pk=photo.pk).image.name == photo.image.name


def test_a_lost_connection_and_a_lost_session_are_said(show: Any, photo: Photo, red: Path) -> None:
    page = show(photo)
    page.wait_for_selector(PICK)
    cookies = page.context.cookies()
    page.context.set_offline(True)

    page.set_input_files("#id_image", str(red))
    page.wait_for_selector(f"{MESSAGE}:has-text('The server cannot be reached')")
    page.context.set_offline(False)
    page.context.clear_cookies(name="sessionid")
    page.click(RETRY)
    page.wait_for_selector(f"{MESSAGE}:has-text('not logged in any more')")
    page.context.add_cookies(cookies)
    page.click(RETRY)
    page.wait_for_selector(f"{STATE}:has-text('not saved yet')")


def test_an_invalid_form_comes_back_with_the_picture(
    show: Any, photo: Photo, red: Path, rokka_emulator: Emulator
) -> None:
    page = show(photo)
    before = uploads(rokka_emulator)
    page.set_input_files("#id_image", str(red))
    page.wait_for_selector(f"{STATE}:has-text('not saved yet')")
    page.fill("#id_title", "")
    page.click(SAVE)
    page.wait_for_selector(".errorlist")

    assert is_seen(page)
    assert "red-square.jpg" in page.inner_text(WIDGET)
    page.click(UNDO)
    assert "lighthouse.jpg" in page.inner_text(WIDGET)
    page.set_input_files("#id_image", str(red))
    page.wait_for_selector(f"{STATE}:has-text('not saved yet')")
    page.fill("#id_title", "Red")
    saved(page)
    photo.refresh_from_db()
    assert (photo.title, photo.width) == ("Red", 300)
    assert uploads(rokka_emulator) == before + 2


def test_a_field_that_uploads_later_keeps_its_file_in_the_form(
    show: Any, red: Path, rokka_emulator: Emulator, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    page = show(Snapshot)
    page.wait_for_selector(PICK)

    page.set_input_files("#id_photo", str(red))

    assert page.input_value("#id_photo").endswith("red-square.jpg")
    saved(page)
    assert Snapshot.objects.get().width == 300


def test_without_javascript_it_is_a_file_input(show: Any, photo: Photo, red: Path) -> None:
    page = show(photo, javascript=False)

    assert not page.is_visible(PICK)
    assert not page.is_visible(UNDO)
    page.set_input_files("#id_image", str(red))
    saved(page)
    photo.refresh_from_db()
    assert photo.width == 300


# --- Clearing and undoing ----------------------------------------------------------------------


def test_a_picture_is_cleared_and_kept_after_all(show: Any, article: Article, photo: Photo) -> None:
    article.photo = photo.image.name
    article.save()
    page = show(article)
    clear = f"{WIDGET} .rokka-image-input__discard"

    assert not page.is_visible("[name=photo-clear]")
    page.click(clear)
    says(page, "Cleared when you save")
    page.click(UNDO)
    says(page, "Currently")
    saved(page)
    article.refresh_from_db()
    assert article.photo
    page.click(clear)
    saved(page)
    article.refresh_from_db()
    assert not article.photo
    assert not page.is_visible(f"{WIDGET} .rokka-image-input__name")


def test_choosing_after_clearing_replaces(
    show: Any, article: Article, photo: Photo, red: Path
) -> None:
    article.photo = photo.image.name
    article.save()
    page = show(article)
    page.click(f"{WIDGET} .rokka-image-input__discard")

    page.set_input_files("#id_photo", str(red))
    page.wait_for_selector(f"{STATE}:has-text('not saved yet')")
    saved(page)

    article.refresh_from_db()
    assert article.width == 300


# --- Picking -----------------------------------------------------------------------------------


def test_a_picture_is_picked_with_the_mouse(
    show: Any, photo: Photo, other: Photo, rokka_emulator: Emulator
) -> None:
    page = show(photo)
    before = uploads(rokka_emulator)

    page.click(PICK)
    page.click(f"{CHOICE}:has-text('tiles.png')")

    says(page, "Chosen, not saved yet")
    assert is_seen(page)
    page.wait_for_selector(".rokka-picker", state="detached")
    saved(page)
    photo.refresh_from_db()
    assert photo.image.hash == other.image.hash
    assert photo.width == other.width
    assert uploads(rokka_emulator) == before


def test_a_picture_is_picked_with_the_keyboard_alone(
    show: Any, photo: Photo, photos: list[Photo]
) -> None:
    page = show(photo)
    page.wait_for_selector(PICK)
    page.focus("#id_image")
    focused = "document.activeElement.className"

    page.keyboard.press("Tab")
    assert "rokka-image-input__pick" in page.evaluate(focused)
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.name === 'q'")
    page.keyboard.press("Escape")
    page.wait_for_selector(".rokka-picker", state="detached")
    page.wait_for_function(f"{focused}.includes('rokka-image-input__pick')")
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.name === 'q'")
    page.keyboard.press("ArrowDown")
    index = f"[...document.querySelectorAll('{CHOICE}')].indexOf(document.activeElement)"
    assert page.evaluate(index) == 0
    columns = page.evaluate(
        f"""new Set([...document.querySelectorAll('{CHOICE}')].map(
            choice => choice.getBoundingClientRect().left)).size"""
    )
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(index) == 1 + columns
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(index) == len(photos) - 1
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    assert page.evaluate(index) == 1
    name = page.inner_text(f"{CHOICE} >> nth=1").splitlines()[0]
    page.keyboard.press("Enter")

    says(page, "Chosen, not saved yet")
    assert "rokka-image-input__pick" in page.evaluate(focused)
    saved(page)
    photo.refresh_from_db()
    assert photo.image.source_image.name == name


def test_the_picker_searches_while_one_types_and_by_enter(show: Any, photo: Photo) -> None:
    page = show(photo)
    page.click(PICK)
    page.wait_for_selector(CHOICE)

    page.keyboard.type("tiles")
    page.wait_for_function(f"document.querySelectorAll('{CHOICE}').length === 1")
    assert page.evaluate("document.activeElement.name") == "q"
    assert page.inner_text(".rokka-picker__status") == "1 picture on page 1"
    page.fill(".rokka-picker [name=q]", "nothing at all")
    page.keyboard.press("Enter")
    page.wait_for_selector(".rokka-picker__status:has-text('No picture has “nothing at all”')")
    assert page.locator(CHOICE).count() == 0


def test_the_picker_turns_pages(show: Any, photo: Photo) -> None:
    SourceImage.objects.bulk_create(
        SourceImage(organization="acme", hash=f"{n:040x}", name=f"many {n}", format="jpg")
        for n in range(2 * PAGE)
    )
    page = show(photo)
    page.click(PICK)
    page.fill(".rokka-picker [name=q]", "many")
    page.wait_for_function(f"document.querySelector('{CHOICE}').innerText.includes('many')")

    first = page.inner_text(CHOICE)
    page.click(".rokka-picker button:has-text('Older')")
    page.wait_for_selector(".rokka-picker__pages:has-text('Page 2')")
    assert page.inner_text(CHOICE) != first
    assert page.evaluate("document.activeElement.className") == CHOICE[1:]
    assert page.is_disabled(".rokka-picker button:has-text('Older')")
    page.click(".rokka-picker button:has-text('Newer')")
    page.wait_for_selector(".rokka-picker__pages:has-text('Page 1')")
    assert page.inner_text(CHOICE) == first


def test_the_picker_says_when_it_cannot_load(show: Any, photo: Photo) -> None:
    page = show(photo)
    page.click(PICK)
    page.wait_for_selector(CHOICE)
    page.context.set_offline(True)

    page.keyboard.type("tiles")

    page.wait_for_selector(".rokka-picker__status:has-text('could not be loaded')")
    page.context.set_offline(False)
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelectorAll('{CHOICE}').length === 1")


def test_the_focal_point_of_what_is_shown_is_one_click_away(
    show: Any, photo: Photo, other: Photo
) -> None:
    page = show(photo)
    link = page.locator(f"{WIDGET} .rokka-image-input__focus")
    link.wait_for()
    assert link.get_attribute("href").endswith(f"/acme/{photo.image.hash}/")
    page.click(PICK)
    page.click(f"{CHOICE}:has-text('tiles.png')")
    assert link.get_attribute("href").endswith(f"/acme/{other.image.hash}/")

    with page.context.expect_page() as opened:
        link.click()

    opened.value.wait_for_load_state()
    pk = other.image.source_image.pk
    assert opened.value.url.endswith(f"/admin/rokka/sourceimage/{pk}/change/")


def test_what_a_user_may_not_do_is_not_shown(show: Any, photo: Photo, red: Path) -> None:
    user = get_user_model().objects.create_user("editor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="change_photo"))
    page = show(photo, user=user)

    page.set_input_files("#id_image", str(red))
    page.wait_for_selector(f"{STATE}:has-text('not saved yet')")

    assert not page.is_visible(PICK)
    assert not page.is_visible(f"{WIDGET} .rokka-image-input__focus")


# --- Several on a page -------------------------------------------------------------------------


@pytest.mark.parametrize("model", [Article, Headline])
def test_rows_that_are_added_to_a_formset_work(
    show: Any, article: Article, photo: Photo, red: Path, model: Any
) -> None:
    page = show(model.objects.get())
    page.wait_for_selector(f"#figures-0 {PICK}")
    page.click("text=Add another Figure")

    page.set_input_files("#id_figures-0-picture", str(red))
    page.wait_for_selector(f"#figures-0 {STATE}:has-text('not saved yet')")
    page.click(f"#figures-1 {PICK}")
    page.click(f"{CHOICE}:has-text('lighthouse.jpg')")
    assert page.inner_text(f"#figures-1 {STATE}") == "Chosen, not saved yet"
    saved(page)

    assert {figure.picture.source_image.name for figure in Figure.objects.all()} == {
        "red-square.jpg",
        "lighthouse.jpg",
    }


def test_a_form_waits_for_all_of_its_uploads(
    show: Any, article: Article, red: Path, rokka_emulator: Emulator
) -> None:
    page = show(article)
    page.wait_for_selector(f"#figures-0 {PICK}")
    rokka_emulator.add_fault(Fault("hang", method="POST", seconds=1.5, times=2))

    page.set_input_files("#id_photo", str(red))
    page.set_input_files("#id_figures-0-picture", str(red))
    saved(page)

    assert Figure.objects.get().picture.hash == Article.objects.get().photo.hash


def test_a_picture_that_cannot_be_shown_is_a_box(show: Any, photo: Photo) -> None:
    photo.image.source_image.set_protected(True)
    photo.refresh_from_db()
    page = show(photo)

    page.wait_for_selector(f"{WIDGET} .rokka-image-input__unseen")

    assert not page.is_visible(PREVIEW)
    slide = Slide.objects.create(picture=f"{'ab' * 20}/gone.jpg")
    page = show(slide)
    page.wait_for_selector(f"{WIDGET} .rokka-image-input__unseen")
