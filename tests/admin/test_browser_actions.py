"""Doing things to many images, and watching it, in Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile

from django_rokka import bulk
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.emulator.faults import Fault
from django_rokka.models import BulkItem, BulkOperation, SourceImage
from example_project.gallery.models import Photo
from tests.admin.conftest import VIEWS
from tests.pictures import picture

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

IMAGES = "/admin/rokka/sourceimage/"
Kind = BulkOperation.Kind
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src * data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'"
)


def upload(count: int) -> list[SourceImage]:
    """So many images that no row shows."""
    client = get_client()
    for number in range(count):
        content = picture(format="PNG", color=(number % 256, 80, number // 256))
        client.create_source_image(SimpleUploadedFile(f"image-{number}.png", content))
    return list(SourceImage.objects.order_by("pk"))


@pytest.fixture
def images(rokka_emulator: Emulator) -> list[SourceImage]:
    """A few images that no row shows."""
    return upload(8)


@pytest.fixture
def slowly(rokka_emulator: Emulator) -> Emulator:
    """rokka takes its time for each lock."""
    rokka_emulator.add_fault(Fault(kind="hang", seconds=0.4, times=1000, path="options/locked"))
    return rokka_emulator


@pytest.fixture
def locking(images: list[SourceImage]) -> BulkOperation:
    """An operation that waits for somebody to look at it."""
    user = get_user_model().objects.create_superuser("admin")
    return bulk.create(Kind.LOCK, SourceImage.objects.all(), user=user)


def path_of(operation: BulkOperation, query: str = "") -> str:
    return f"/admin/rokka/bulkoperation/{operation.pk}/change/{query}"


def choose(page: Any, kind: str) -> None:
    """Press Go with an action chosen."""
    page.select_option("select[name=action]", f"{kind}_selected")
    page.click(".actions button[name=index]")
    page.wait_for_selector(".rokka-act")


def fits(page: Any, width: int) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth") <= width)


def strict(page: Any) -> None:
    """From here on nothing inline is run, and nothing from elsewhere but pictures."""

    def fulfill(route: Any) -> None:
        answer = route.fetch(max_redirects=0)
        headers = {**answer.headers, "content-security-policy": _CSP}
        route.fulfill(response=answer, headers=headers)

    page.route("**/admin/**", fulfill)


# --- How it looks -----------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
@pytest.mark.parametrize("kind", ["delete", "copy", "user_metadata", "describe"])
def test_the_question_fits_the_screen(
    kind: str,
    width: int,
    scheme: str,
    photos: list[Photo],
    open_page: Callable[..., Any],
    screenshot: Callable[..., Any],
) -> None:
    upload(3)
    get_client().set_locked(photos[0].image.hash, True)
    page = open_page(IMAGES, width=width, scheme=scheme)
    page.check("#action-toggle")
    choose(page, kind)

    screenshot(page, f"admin-confirm-{kind}-{width}-{scheme}")

    assert fits(page, width)
    assert page.errors == []
    assert page.evaluate(
        "[...document.querySelectorAll('.rokka-strip img')].every(i => i.naturalWidth > 0)"
    )


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_the_progress_fits_the_screen(
    width: int,
    scheme: str,
    photos: list[Photo],
    open_page: Callable[..., Any],
    screenshot: Callable[..., Any],
    slowly: Emulator,
) -> None:
    for image in upload(2)[-2:]:
        get_client().set_locked(image.hash, True)
    SourceImage.objects.filter(pk=photos[0].image.source_image.pk).update(
        name="a-very-long-name-that-a-camera-or-a-person-made-up-" * 3 + ".jpg"
    )
    user = get_user_model().objects.create_superuser("admin")
    deleting = bulk.create(Kind.DELETE, SourceImage.objects.all(), user=user)
    while bulk.work(deleting, "me"):
        pass
    failed = deleting.items.filter(state=BulkItem.State.SKIPPED)[:2]
    BulkItem.objects.filter(pk__in=[item.pk for item in failed]).update(
        state=BulkItem.State.FAILED, reason="rokka is in trouble. Try again in a minute."
    )
    page = open_page(path_of(deleting), width=width, scheme=scheme)
    screenshot(page, f"admin-progress-{width}-{scheme}")
    assert fits(page, width)

    running = bulk.create(Kind.UNLOCK, SourceImage.objects.live(), user=user)
    BulkOperation.objects.filter(pk=running.pk).update(error="rokka asks for a pause.")
    # Somebody else's task works on it.
    page.route(re.compile("/step/"), lambda route: route.abort())
    page.goto(page.url.replace(f"/{deleting.pk}/", f"/{running.pk}/"))
    page.wait_for_selector("#rokka-operation-trouble:not([hidden])")
    screenshot(page, f"admin-progress-lost-{width}-{scheme}")
    assert fits(page, width)

    page.unroute(re.compile("/step/"))
    page.goto(page.url.partition("/bulkoperation/")[0] + "/bulkoperation/")
    screenshot(page, f"admin-operations-{width}-{scheme}")


# --- From the list and back -------------------------------------------------------------------


def test_images_are_deleted_from_the_list_and_restored_on_their_pages(
    images: list[SourceImage], open_page: Callable[..., Any]
) -> None:
    page = open_page(IMAGES)
    page.check(f"input[name=_selected_action][value='{images[2].pk}']")
    page.check(f"input[name=_selected_action][value='{images[5].pk}']")
    choose(page, "delete")
    assert "can be restored for 30 days" in page.inner_text(".rokka-facts")

    page.click("text=Delete (2 images)")

    assert page.inner_text(".messagelist") == "2 images were deleted."
    assert page.url.endswith(IMAGES)
    assert SourceImage.objects.live().count() == 6
    page.goto(page.url + f"{images[2].pk}/change/")
    page.click(".rokka-actions >> text=Restore")
    page.click("text=Restore (1 image)")

    assert page.inner_text(".messagelist") == "1 image was restored."
    assert page.url.endswith(f"{images[2].pk}/change/")
    assert SourceImage.objects.live().count() == 7
    assert get_client().get_source_image(images[2].hash)
    assert page.errors == []


def test_everything_is_copied(
    rokka_emulator: Emulator, open_page: Callable[..., Any], settings: Any
) -> None:
    upload(105)
    rokka_emulator.application.calls.clear()
    page = open_page(IMAGES)
    page.check("#action-toggle")
    page.click(".actions .question a")
    choose(page, "copy")
    assert page.locator("input[name=_selected_action]").count() == 1
    assert page.is_checked("input[name=destination][value=acme-stage]")

    page.click("text=Copy to another organization (105 images)")

    assert page.inner_text(".messagelist") == "105 images were copied."
    assert [call.path for call in rokka_emulator.calls] == ["/sourceimages/acme/copy"] * 2
    assert get_client("stage").list_source_images().total == 105
    assert page.errors == []


def test_user_metadata_are_set_with_rows_that_are_added(
    images: list[SourceImage], open_page: Callable[..., Any]
) -> None:
    page = open_page(IMAGES)
    page.check(f"input[name=_selected_action][value='{images[0].pk}']")
    choose(page, "user_metadata")
    page.fill("[name=row-0-name]", "title")
    page.fill("[name=row-0-value]", "Harbour")
    page.click("text=More rows")
    page.select_option("[name=row-5-kind]", "int")
    page.fill("[name=row-5-name]", "year")
    page.fill("[name=row-5-value]", "soon")
    page.click("text=Set user metadata (1 image)")
    assert "does not fit" in page.inner_text(".rokka-row >> nth=5")
    page.fill("[name=row-5-value]", "2024")
    page.keyboard.press("Tab")
    page.click("text=Set user metadata (1 image)")

    assert "1 image has the user metadata now." in page.inner_text(".messagelist")
    found = get_client().get_source_image(images[0].hash).user_metadata
    assert found == {"title": "Harbour", "int:year": 2024}


def test_the_keyboard_is_enough(images: list[SourceImage], open_page: Callable[..., Any]) -> None:
    page = open_page(f"{IMAGES}{images[0].pk}/change/")

    def tab_to(name: str) -> None:
        for _number in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent.trim()") == name:
                return
        raise AssertionError(f"{name} is not reached")

    tab_to("Lock")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector(".rokka-confirmation")
    tab_to("Lock (1 image)")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector(".messagelist")

    assert page.inner_text(".messagelist") == "1 image was locked."
    images[0].refresh_from_db()
    assert images[0].locked


def test_nothing_inline_is_needed(
    images: list[SourceImage], open_page: Callable[..., Any], slowly: Emulator
) -> None:
    page = open_page("/admin/")
    page.errors.clear()
    strict(page)
    page.goto(page.url + f"rokka/sourceimage/{images[0].pk}/action/lock/")
    color = "getComputedStyle(document.querySelector('.rokka-button--main')).backgroundColor"
    assert page.evaluate(color) == "rgb(32, 80, 103)"
    page.click("text=Lock (1 image)")
    page.wait_for_selector(".messagelist")
    assert page.inner_text(".messagelist") == "1 image was locked."

    user = get_user_model().objects.get()
    operation = bulk.create(Kind.UNLOCK, SourceImage.objects.all(), user=user)
    page.goto(page.url.partition("/admin/")[0] + path_of(operation))
    page.wait_for_selector("#rokka-operation-live[data-percent='100']")
    assert [error for error in page.errors if "Content Security Policy" in error] == []
    # The policy was in force.
    page.evaluate("document.body.append(document.createElement('style'))")
    page.evaluate(
        "document.querySelector('body > style').textContent = 'progress { display: none !important }'"
    )
    assert page.is_visible("progress")
    assert "Content Security Policy" in page.errors[-1]


# --- Watching ---------------------------------------------------------------------------------


def test_the_page_follows_without_reloading_and_keeps_the_focus(
    locking: BulkOperation, open_page: Callable[..., Any], slowly: Emulator
) -> None:
    page = open_page(path_of(locking))
    page.evaluate("window.here = true")
    assert not page.is_visible("#rokka-step")
    page.focus("#rokka-stop")
    values, titles = set(), set()
    while page.get_attribute("#rokka-operation-live", "data-mode"):
        values.add(page.evaluate("document.querySelector('progress').value"))
        titles.add(page.title())
        # Asked at one moment: the page may go on between two questions.
        assert page.evaluate(
            "!document.getElementById('rokka-stop') || document.activeElement.id === 'rokka-stop'"
        )
        page.wait_for_timeout(200)

    assert page.evaluate("window.here")
    assert len(values) >= 2
    assert any(re.match(r"(?!0|100)\d+ % · Lock \|", title) for title in titles)
    assert page.title().startswith("It is finished. · Lock |")
    assert page.inner_text(".rokka-operation__state").strip() == "It is finished."
    assert page.inner_text("#rokka-operation-status") == "It is finished. 100 %"
    # The button is gone; the focus is not lost to the top of the page.
    assert page.evaluate("document.activeElement.id") == "rokka-operation-live"
    assert SourceImage.objects.filter(locked=True).count() == 8
    assert page.errors == []


def test_it_is_stopped_and_continued(
    locking: BulkOperation, open_page: Callable[..., Any], slowly: Emulator
) -> None:
    page = open_page(path_of(locking))
    page.wait_for_selector("#rokka-operation-live:not([data-closed='0'])")
    page.click("#rokka-stop")
    page.wait_for_selector("#rokka-take-up")

    assert "It was stopped." in page.inner_text(".rokka-operation__state")
    # A call that is under way when it is stopped is made to its end.
    page.wait_for_timeout(1000)
    done = SourceImage.objects.filter(locked=True).count()
    assert 0 < done < 8
    page.wait_for_timeout(1000)
    assert SourceImage.objects.filter(locked=True).count() == done

    slowly.application.faults.clear()
    page.click("#rokka-take-up")
    page.wait_for_selector("text=It is finished.")
    assert SourceImage.objects.filter(locked=True).count() == 8
    assert page.errors == []


def test_what_failed_is_tried_again(
    images: list[SourceImage], open_page: Callable[..., Any], rokka_emulator: Emulator
) -> None:
    get_client(mirrors=False).set_locked(images[3].hash, True)
    page = open_page(IMAGES)
    page.check("#action-toggle")
    choose(page, "delete")
    page.click("text=Delete (8 images)")
    assert "7 images were deleted." in page.inner_text(".messagelist .success")
    assert "unlock it first" in page.inner_text(".messagelist .error")

    page.click(".messagelist .error a")
    assert page.inner_text(".rokka-failed a") == "image-3.png"
    get_client(mirrors=False).set_locked(images[3].hash, False)
    page.click("#rokka-retry")

    page.wait_for_selector("text=It is finished.")
    assert page.locator(".rokka-failed").count() == 0
    assert not SourceImage.objects.live().exists()
    assert page.errors == []


def test_what_takes_longer_is_watched_and_stays_on_the_screen(
    images: list[SourceImage], open_page: Callable[..., Any], rokka_emulator: Emulator
) -> None:
    fault = Fault(kind="hang", seconds=1.5, times=1000, path="options/locked")
    rokka_emulator.add_fault(fault)
    page = open_page(IMAGES)
    page.check("#action-toggle")
    choose(page, "lock")
    page.click("text=Lock (8 images)")
    page.wait_for_selector("progress")
    page.wait_for_selector("#rokka-operation-live[data-mode='']", timeout=60_000)

    assert "It is finished." in page.inner_text(".rokka-operation__state")
    assert "fresh" not in page.url
    page.reload()
    page.click("text=To the images")
    assert page.url.endswith(IMAGES)


def test_a_lost_connection_is_told_and_found_again(
    locking: BulkOperation, open_page: Callable[..., Any], slowly: Emulator
) -> None:
    page = open_page("/admin/")
    page.route(re.compile("/step/"), lambda route: route.abort())
    page.goto(page.url.partition("/admin/")[0] + path_of(locking))
    page.wait_for_selector("text=The connection is lost.")
    assert not SourceImage.objects.filter(locked=True).exists()

    page.unroute(re.compile("/step/"))
    page.wait_for_selector("text=It is finished.")
    assert not page.is_visible("#rokka-operation-trouble")


def test_who_is_logged_out_is_told_so(
    locking: BulkOperation, open_page: Callable[..., Any], slowly: Emulator
) -> None:
    page = open_page(path_of(locking))
    page.context.clear_cookies()

    page.wait_for_selector("text=you may have to log in again")


def test_it_works_without_javascript(
    locking: BulkOperation,
    images: list[SourceImage],
    open_page: Callable[..., Any],
    slowly: Emulator,
) -> None:
    page = open_page(path_of(locking), javascript=False)
    for _number in range(10):
        if not page.locator("#rokka-step").count():
            break
        assert page.is_visible("#rokka-step")
        page.click("#rokka-step")
    assert "It is finished." in page.inner_text(".rokka-operation__state")
    assert SourceImage.objects.filter(locked=True).count() == 8

    slowly.application.faults.clear()
    page.goto(page.url.partition("/bulkoperation/")[0] + f"/sourceimage/{images[0].pk}/change/")
    page.click(".rokka-actions >> text=Unlock")
    page.click("text=Unlock (1 image)")
    assert page.inner_text(".messagelist") == "1 image was unlocked."


def test_without_javascript_a_page_that_only_looks_reloads_itself(
    locking: BulkOperation, open_page: Callable[..., Any], settings: Any
) -> None:
    settings.ROKKA = {alias: {**values, "CELERY": True} for alias, values in settings.ROKKA.items()}
    page = open_page(path_of(locking), javascript=False)
    assert "It is running." in page.inner_text(".rokka-operation__state")

    while bulk.work(locking, "a task"):
        pass
    page.wait_for_selector("text=It is finished.", timeout=15_000)
