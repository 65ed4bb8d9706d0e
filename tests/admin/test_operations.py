"""How far bulk operations are, who sees it, and who may stop, continue and repeat them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path, resolve
from django.utils import timezone

from django_rokka import bulk
from django_rokka.admin import BulkOperationAdmin
from django_rokka.admin import operations as pages
from django_rokka.bulk.operations import LOST
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.emulator.faults import Fault
from django_rokka.models import BulkItem, BulkOperation, SourceImage
from tests.admin.test_actions import make_user, said, text
from tests.library.models import Article
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/rokka/bulkoperation/"
IMAGES = "/admin/rokka/sourceimage/"
Kind, State, Item = BulkOperation.Kind, BulkOperation.State, BulkItem.State
#: The buttons of an operation's page, by the address that they post to.
BUTTONS = ("step", "stop", "take-up")


@pytest.fixture
def images(rokka_emulator: Emulator, settings: Any) -> list[SourceImage]:
    """Six images that no row holds; what fails at rokka is not tried again by itself."""
    settings.ROKKA = {alias: {**values, "ATTEMPTS": 1} for alias, values in settings.ROKKA.items()}
    client = get_client()
    for red in range(6):
        content = picture(color=(red * 40, 0, 0))
        client.create_source_image(SimpleUploadedFile(f"picture-{red}.jpg", content))
    rokka_emulator.application.calls.clear()
    return list(SourceImage.objects.order_by("pk"))


@pytest.fixture
def boss(db: None) -> Any:
    return get_user_model().objects.create_superuser("boss")


@pytest.fixture
def visit(boss: Any) -> Callable[..., Client]:
    """A client of somebody: of the boss if nobody else is named."""

    def visit(user: Any = None) -> Client:
        client = Client()
        client.force_login(user or boss)
        return client

    return visit


def begin(kind: str, user: Any, **options: Any) -> BulkOperation:
    """An operation on all images that nobody has worked on yet."""
    return bulk.create(kind, SourceImage.objects.all(), options=options, user=user)


def finish(operation: BulkOperation) -> BulkOperation:
    while bulk.work(operation, "me"):
        pass
    operation.refresh_from_db()
    return operation


def url(operation: BulkOperation, name: str = "change") -> str:
    return f"{LIST}{operation.pk}/{name}/"


def buttons(response: Any) -> list[str]:
    return re.findall(
        r'formaction="/admin/rokka/bulkoperation/\d+/([\w-]+)/', response.content.decode()
    )


# --- Who may do what --------------------------------------------------------------------------


def test_an_operation_is_seen_by_who_began_it_and_by_who_may_see_all(
    images: list[SourceImage], visit: Callable[..., Client]
) -> None:
    owner = make_user("view", "lock", name="owner")
    operation = begin(Kind.LOCK, owner)
    stranger, viewer = make_user("view", "lock"), make_user("view_bulkoperation", name="viewer")

    assert buttons(visit(owner).get(url(operation))) == ["stop", "step"]
    assert visit(stranger).get(url(operation)).status_code == 403
    seen = visit(viewer).get(url(operation))
    assert (seen.status_code, buttons(seen)) == (200, [])
    assert 'data-mode="poll"' in seen.content.decode()
    assert text(visit(stranger).get(LIST)).count("Lock") == 0
    assert "owner" in text(visit(owner).get(LIST))
    assert "owner" in text(visit(viewer).get(LIST))


@pytest.mark.parametrize("name", BUTTONS)
def test_a_made_up_request_of_who_may_not_is_refused(
    name: str, images: list[SourceImage], visit: Callable[..., Client], rokka_emulator: Emulator
) -> None:
    operation = begin(Kind.LOCK, make_user("view", "lock", name="owner"))
    others = [
        make_user("view", "lock", name="stranger"),
        make_user("view", "lock", "view_bulkoperation", name="viewer"),
        make_user("view", "change_bulkoperation", name="without-the-lock"),
    ]

    for user in others:
        assert visit(user).post(url(operation, name)).status_code == 403
    assert visit().get(url(operation, name)).status_code == 405
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(get_user_model().objects.get(username="boss"))
    assert guarded.post(url(operation, name)).status_code == 403
    assert Client().post(url(operation, name)).status_code == 302
    operation.refresh_from_db()
    assert operation.state == State.RUNNING
    assert rokka_emulator.calls == []


def test_who_may_change_operations_needs_the_permission_of_the_kind_too(
    images: list[SourceImage], visit: Callable[..., Client]
) -> None:
    operation = begin(Kind.DELETE, make_user("view", "delete", name="owner"), used=True)
    helper = make_user("view", "delete", "change_bulkoperation", name="helper")
    assert visit(helper).post(url(operation, "stop")).status_code == 403

    insisting = make_user("view", "delete", "delete_used", "change_bulkoperation", name="insisting")
    assert visit(insisting).post(url(operation, "stop")).status_code == 302

    operation.refresh_from_db()
    assert operation.state == State.STOPPED


def test_who_lost_the_permission_cannot_repeat_a_deletion(
    images: list[SourceImage], visit: Callable[..., Client], rokka_emulator: Emulator
) -> None:
    owner = make_user("view", "delete", name="owner")
    get_client().set_locked(images[0].hash, True)
    operation = finish(begin(Kind.DELETE, owner))
    get_client().set_locked(images[0].hash, False)
    assert buttons(visit(owner).get(url(operation))) == ["take-up"]
    owner.user_permissions.set([])

    page = visit(owner).get(url(operation))

    assert (page.status_code, buttons(page)) == (200, [])
    assert visit(owner).post(url(operation, "take-up")).status_code == 403
    images[0].refresh_from_db()
    assert not images[0].deleted


def test_nobody_adds_or_deletes_operations_by_hand(
    images: list[SourceImage], visit: Callable[..., Client]
) -> None:
    operation = begin(Kind.LOCK, None)

    assert visit().get(f"{LIST}add/").status_code == 403
    assert visit().post(url(operation, "delete"), {"post": "yes"}).status_code == 403
    assert visit().post(url(operation), {"state": "finished"}).status_code == 405
    assert "delete_selected" not in visit().get(LIST).content.decode()


def test_an_operation_that_is_not_there_leads_back(visit: Callable[..., Client], db: None) -> None:
    assert "doesn’t exist" in said(visit().get(f"{LIST}99/change/", follow=True))[0]
    assert visit().get(f"{LIST}nonsense/change/").status_code == 302
    assert visit().post(f"{LIST}99/stop/").status_code == 403


# --- The page ---------------------------------------------------------------------------------


def test_the_page_says_who_did_what_when_and_how(
    images: list[SourceImage], visit: Callable[..., Client], boss: Any
) -> None:
    operation = finish(begin(Kind.COPY, boss, destination="acme-stage", overwrite=True))

    page = text(visit().get(url(operation)))

    assert "Copy to another organization" in page
    assert "Who boss" in page
    assert "How to acme-stage; write over what is there" in page
    assert "It is finished." in page
    assert "done 6 skipped 0 failed 0 to do 0" in page
    assert 'value="6"' in visit().get(url(operation)).content.decode()


def test_the_page_makes_no_call_to_rokka(
    images: list[SourceImage], visit: Callable[..., Client], rokka_emulator: Emulator, boss: Any
) -> None:
    operation = begin(Kind.LOCK, boss)

    visit().get(url(operation))
    visit().get(f"{url(operation)}?live=1")
    visit().get(LIST)

    assert rokka_emulator.calls == []


def test_what_failed_is_listed_with_reasons_and_what_was_skipped_is_grouped(
    images: list[SourceImage], visit: Callable[..., Client], boss: Any
) -> None:
    get_client().set_locked(images[0].hash, True)
    for image in images[1:4]:
        Article.objects.create(photo=image.file_name)
    Article.objects.create(photo=images[3].file_name)
    operation = finish(begin(Kind.DELETE, boss))

    response = visit().get(url(operation))

    page = text(response)
    assert "It is finished, but not for all images." in page
    assert "2 images: 1 row shows it" in page
    assert "1 image: 2 rows show it" in page
    assert f'href="{IMAGES}{images[0].pk}/change/"' in response.content.decode()
    assert "unlock it first" in page
    assert buttons(response) == ["take-up"]
    assert "Try again what failed" in page


def test_who_may_not_see_images_sees_no_names(
    images: list[SourceImage], visit: Callable[..., Client]
) -> None:
    operation = begin(Kind.LOCK, None)
    operation.items.update(state=Item.FAILED, reason="rokka refuses.")
    viewer = make_user("view_bulkoperation", name="viewer")

    page = visit(viewer).get(url(operation))

    assert text(page).count("an image that you may not see rokka refuses.") == 6
    assert "picture-1" not in page.content.decode()
    assert images[0].hash not in page.content.decode()


def test_thousands_of_failures_come_in_pages(
    images: list[SourceImage], visit: Callable[..., Client], boss: Any
) -> None:
    rows = [
        SourceImage(organization="acme", hash=f"{number:040x}", name=f"gone-{number}")
        for number in range(250)
    ]
    SourceImage.objects.bulk_create(rows)
    operation = begin(Kind.LOCK, boss)
    operation.items.update(state=Item.FAILED, reason="rokka does not have it any more.")
    BulkOperation.objects.update(state=State.FINISHED)

    first = visit().get(f"{url(operation)}?filters=q%3Dx&fresh=0&live=1")
    last = visit().get(f"{url(operation)}?page=3")

    assert first.content.decode().count('<th scope="row">') == 100
    assert "256 images: rokka does not have it any more." in text(first)
    assert "Page 1 of 3" in text(first)
    assert 'href="?filters=q%3Dx&amp;page=2"' in first.content.decode()
    assert last.content.decode().count('<th scope="row">') == 56


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "It is running."),
        ({"error": "rokka asks for a pause."}, "It waits for rokka. rokka asks for a pause."),
        ({"heartbeat": timezone.now() - LOST * 2}, "Nobody seems to work on it."),
        ({"state": State.STOPPED}, "It was stopped."),
    ],
)
def test_the_page_says_where_it_stands(
    change: dict[str, Any],
    said: str,
    images: list[SourceImage],
    visit: Callable[..., Client],
    boss: Any,
) -> None:
    operation = begin(Kind.LOCK, boss)
    BulkOperation.objects.update(**change)

    response = visit().get(url(operation))

    assert said in re.sub(r"done 0 .* to do 6 ", "", text(response).replace(" 0 % ", " "))
    assert buttons(response)[-1] == ("take-up" if {"heartbeat", "state"} & set(change) else "step")


def test_the_time_that_is_left_is_told_in_words(
    images: list[SourceImage], visit: Callable[..., Client], boss: Any
) -> None:
    operation = begin(Kind.LOCK, boss)
    first = operation.items.first()
    assert first is not None
    BulkItem.objects.filter(pk=first.pk).update(state=Item.DONE)
    for seconds, left in ((2, "less than a minute"), (120, "10 minutes"), (3600, "5 hours")):
        BulkOperation.objects.update(started=timezone.now() - timedelta(seconds=seconds))
        assert f"About {left} left." in text(visit().get(url(operation)))
    assert "<title>16 % · Lock |" in " ".join(
        visit().get(url(operation)).content.decode().split()
    ).replace("<title> ", "<title>")


def test_only_the_live_part_is_sent_to_the_script(
    images: list[SourceImage], visit: Callable[..., Client], boss: Any
) -> None:
    operation = begin(Kind.LOCK, boss)

    live = visit().get(f"{url(operation)}?live=1").content.decode()
    stepped = visit().post(f"{url(operation, 'step')}?live=1").content.decode()

    assert live.strip().startswith('<div id="rokka-operation-live"')
    assert "csrfmiddlewaretoken" not in live
    assert 'data-percent="0"' in live
    assert 'data-percent="100"' in stepped
    assert 'data-mode=""' in stepped


# --- The work ---------------------------------------------------------------------------------


def test_a_step_works_for_a_moment_and_leads_back_to_the_page(
    images: list[SourceImage],
    visit: Callable[..., Client],
    rokka_emulator: Emulator,
    boss: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "STEP", 0.5)
    rokka_emulator.add_fault(Fault(kind="hang", seconds=0.3, times=100))
    operation = begin(Kind.LOCK, boss)

    response = visit().post(f"{url(operation, 'step')}?filters=q%3Dx&fresh=1")

    assert response.status_code == 302
    assert response["Location"] == f"{url(operation)}?filters=q%3Dx"
    assert 1 <= bulk.progress(operation).done <= 3
    page = visit().get(url(operation))
    assert "It is running." in text(page)
    # Those with JavaScript do not see it.
    assert "step" in buttons(page)
    assert "noscript" not in page.content.decode()


def test_with_celery_the_page_only_looks(
    images: list[SourceImage],
    visit: Callable[..., Client],
    rokka_emulator: Emulator,
    boss: Any,
    settings: Any,
) -> None:
    settings.ROKKA = {alias: {**values, "CELERY": True} for alias, values in settings.ROKKA.items()}
    operation = begin(Kind.LOCK, boss)

    page = visit().get(url(operation))
    visit().post(url(operation, "step"))

    assert buttons(page) == ["stop"]
    assert 'data-mode="poll"' in page.content.decode()
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page.content.decode()
    assert rokka_emulator.calls == []


def test_stopping_and_continuing(
    images: list[SourceImage], visit: Callable[..., Client], rokka_emulator: Emulator, boss: Any
) -> None:
    operation = begin(Kind.LOCK, boss)

    stopped = visit().post(url(operation, "stop"), follow=True)
    assert "It was stopped." in text(stopped)
    assert buttons(stopped) == ["take-up"]
    visit().post(url(operation, "step"))
    assert rokka_emulator.calls == []

    continued = visit().post(url(operation, "take-up"), follow=True)
    assert "It is finished." in text(continued)
    assert buttons(continued) == []
    assert SourceImage.objects.filter(locked=True).count() == 6
    # Pressed in a window that shows the page as it was.
    assert "It is finished." in text(visit().post(url(operation, "stop"), follow=True))
    entries = LogEntry.objects.filter(object_id=str(operation.pk)).order_by("pk")
    assert [entry.get_change_message() for entry in entries] == ["Stopped.", "Continued."]


def test_what_failed_is_tried_again(
    images: list[SourceImage], visit: Callable[..., Client], boss: Any
) -> None:
    get_client().set_locked(images[0].hash, True)
    operation = finish(begin(Kind.DELETE, boss))
    get_client().set_locked(images[0].hash, False)

    response = visit().post(url(operation, "take-up"), follow=True)

    assert "It is finished." in text(response)
    assert not SourceImage.objects.live().exists()


def test_what_is_being_worked_on_is_not_given_to_others(
    images: list[SourceImage], visit: Callable[..., Client], rokka_emulator: Emulator, boss: Any
) -> None:
    """A button that is pressed twice: the second time it runs already."""
    operation = begin(Kind.LOCK, boss)
    taken = operation.items.all()
    taken.update(state=Item.TAKEN, holder=uuid.uuid4().hex)

    visit().post(url(operation, "take-up"))

    assert set(taken.values_list("state", flat=True)) == {Item.TAKEN}
    assert rokka_emulator.calls == []


def test_trouble_is_shown_and_the_rest_waits(
    images: list[SourceImage], visit: Callable[..., Client], rokka_emulator: Emulator, boss: Any
) -> None:
    rokka_emulator.add_fault(Fault(status=429, times=1))
    operation = begin(Kind.LOCK, boss)

    waiting = visit().post(f"{url(operation, 'step')}?live=1")
    assert "It waits for rokka." in text(waiting)
    assert " data-waits" in waiting.content.decode()
    assert "asks for a pause" in text(waiting)

    done = visit().post(f"{url(operation, 'step')}?live=1")
    assert "It is finished." in text(done)
    assert " data-waits" not in done.content.decode()


def test_a_wrong_key_stops_it_with_the_reason(
    images: list[SourceImage], visit: Callable[..., Client], rokka_emulator: Emulator, boss: Any
) -> None:
    body = '{"code": 403, "message": "no", "invalid_authentication": true}'
    rokka_emulator.add_fault(Fault(status=403, times=3, body=body))
    operation = begin(Kind.LOCK, boss)

    response = visit().post(url(operation, "step"), follow=True)

    assert "It was stopped." in text(response)
    assert "does not accept this site's key" in text(response)
    assert buttons(response) == ["take-up"]


def test_no_transaction_is_open_while_a_step_works(images: list[SourceImage]) -> None:
    view = resolve(url(begin(Kind.LOCK, None), "step")).func

    assert view._non_atomic_requests == {"default", "other"}  # type: ignore[attr-defined]


def test_a_site_without_images_shows_operations_and_changes_nothing(
    images: list[SourceImage], visit: Callable[..., Client], boss: Any, settings: Any
) -> None:
    get_client().set_locked(images[0].hash, True)
    operation = finish(begin(Kind.DELETE, boss))
    site = admin.AdminSite()
    site.register(BulkOperation, BulkOperationAdmin)
    settings.ROOT_URLCONF = (path("admin/", site.urls),)

    page = visit().get(url(operation))

    assert "unlock it first" in text(page)
    assert "picture-0.jpg" not in text(page)
    assert buttons(page) == []
    assert f'href="{LIST}"' in page.content.decode()
    assert visit().post(url(operation, "take-up")).status_code == 403


def test_an_operation_that_is_over_at_once_leads_back_to_where_it_was_begun(
    images: list[SourceImage], visit: Callable[..., Client], boss: Any
) -> None:
    one = SourceImage.objects.filter(pk=images[0].pk)
    operation = finish(bulk.create(Kind.PROTECT, one, user=boss))
    images[0].refresh_from_db()

    to_list = visit().get(f"{url(operation)}?fresh=1&filters=q%3Dx%26p%3D2")
    to_image = visit().get(f"{url(operation)}?fresh=1&image=1&filters=q%3Dx")
    stays = visit().get(f"{url(operation)}?filters=q%3Dx%26p%3D2")

    assert to_list["Location"] == f"{IMAGES}?q=x&p=2"
    assert images[0].replaced_by
    new = f"{IMAGES}{images[0].replaced_by.pk}/change/?_changelist_filters=q%3Dx"
    assert to_image["Location"] == new
    assert stays.status_code == 200
    assert f'href="{IMAGES}?q=x&amp;p=2"' in stays.content.decode()


# --- The list ---------------------------------------------------------------------------------


def test_the_list_counts_outcomes_with_one_query_for_the_page(
    images: list[SourceImage], visit: Callable[..., Client], boss: Any
) -> None:
    client = visit()
    finish(begin(Kind.LOCK, boss))
    with CaptureQueriesContext(connection) as few:
        page = text(client.get(LIST))
    for _number in range(20):
        begin(Kind.SYNC, boss)
    with CaptureQueriesContext(connection) as many:
        client.get(LIST)

    assert re.search(r"Lock 6 boss .* Finished 6 0 0", page)
    assert len(many) == len(few)
    assert sum("rokka_bulkitem" in query["sql"] for query in many) == 1
    queries = ("kind__exact=lock", "state__exact=running", "q=boss", "q=nobody")
    found = [client.get(f"{LIST}?{query}").context["cl"].result_count for query in queries]
    assert found == [1, 20, 21, 0]
