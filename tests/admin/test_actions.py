"""What editors do to many images, and to one, from the admin."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import formats, timezone

from django_rokka import lifecycle
from django_rokka.admin import BulkOperationAdmin, SourceImageAdmin
from django_rokka.admin.actions import ACTIONS
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.emulator.faults import Fault
from django_rokka.models import BulkItem, BulkOperation, SourceImage
from tests.library.models import Article
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/rokka/sourceimage/"
Kind = BulkOperation.Kind
KINDS = list(ACTIONS)
PERMISSIONS = {kind: action.permission for kind, action in ACTIONS.items()}


@pytest.fixture
def images(rokka_emulator: Emulator) -> list[SourceImage]:
    """Four images; a row shows the first one."""
    client = get_client()
    for red in range(4):
        color = (red * 60, 0, 0)
        client.create_source_image(SimpleUploadedFile(f"picture-{red}.jpg", picture(color=color)))
    images = list(SourceImage.objects.order_by("pk"))
    Article.objects.create(title="Harbour", photo=images[0].file_name)
    rokka_emulator.application.calls.clear()
    return images


def make_user(*permissions: str, name: str = "editor") -> Any:
    user = get_user_model().objects.create_user(name, is_staff=True)
    codenames = [f"{name}" if "_bulk" in name else f"{name}_sourceimage" for name in permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    assert user.user_permissions.count() == len(codenames)
    return user


class Editor:
    """Somebody at the admin, who does what the pages offer."""

    def __init__(self, *permissions: str, user: Any = None) -> None:
        self.user = user or make_user("view", *permissions)
        self.client = Client()
        self.client.force_login(self.user)

    def choose(
        self, kind: str, *images: SourceImage, across: bool = False, query: str = "state=all"
    ) -> Any:
        """Choose an action of the list, which hides deleted images unless all are asked for."""
        data = {
            "action": f"{kind}_selected",
            "index": "0",
            "select_across": "1" if across else "0",
            "_selected_action": [image.pk for image in images],
        }
        return self.client.post(f"{LIST}?{query}", data)

    def open(self, kind: str, image: SourceImage) -> Any:
        """Press a button on an image's page."""
        return self.client.get(f"{LIST}{image.pk}/action/{kind}/")

    def confirm(self, response: Any, **options: Any) -> Any:
        """Agree to what the page asks, with these options; gives the page where it ends."""
        request = response.wsgi_request
        data = {**hidden(response), **options}
        return self.client.post(request.get_full_path(), data, follow=True)

    def act(self, kind: str, *images: SourceImage, **options: Any) -> Any:
        """The whole way, from the list."""
        return self.confirm(self.choose(kind, *images), **options)


@pytest.fixture
def editor(images: list[SourceImage]) -> Editor:
    """An editor who may do everything."""
    return Editor(user=get_user_model().objects.create_superuser("boss"))


def text(response: Any) -> str:
    """What a page says, as words with a space between."""
    body = re.sub(r"(?s)<(script|style|title).*?</\1>", " ", response.content.decode())
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def hidden(response: Any) -> dict[str, list[str]]:
    """What the page's form posts back by itself."""
    main = response.content.decode().partition('class="rokka-act"')[2]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', main):
        found.setdefault(name, []).append(html.unescape(value))
    return found


def said(response: Any) -> list[str]:
    """The messages that a page shows."""
    return [html.unescape(re.sub("<[^>]+>", "", str(m))) for m in response.context["messages"]]


def states(kind: str) -> list[int]:
    items = BulkItem.objects.filter(operation__kind=kind).order_by("pk")
    return list(items.values_list("state", flat=True))


OPTIONS: dict[str, dict[str, Any]] = {
    Kind.COPY: {"destination": "acme-stage", "overwrite": ""},
    Kind.DESCRIBE: {"languages": ["en", "de"]},
    Kind.USER_METADATA: {
        "row-TOTAL_FORMS": "3",
        "row-INITIAL_FORMS": "0",
        "row-0-kind": "text",
        "row-0-name": "caption",
        "row-0-value": "A boat",
    },
}


def prepare(kind: str, image: SourceImage) -> None:
    """Bring an image into the state in which the action has something to do."""
    if kind == Kind.RESTORE:
        lifecycle.delete_unreferenced(image)
    if kind == Kind.UNLOCK:
        get_client().set_locked(image.hash, True)
    if kind == Kind.UNPROTECT:
        image.set_protected(True)


DONE = {
    Kind.COPY: lambda image: get_client("stage").get_source_image(image.hash),
    Kind.DELETE: lambda image: image.deleted,
    Kind.RESTORE: lambda image: not image.deleted,
    Kind.SYNC: lambda image: True,
    Kind.LOCK: lambda image: image.locked,
    Kind.UNLOCK: lambda image: not image.locked,
    Kind.PROTECT: lambda image: image.current.protected,
    Kind.UNPROTECT: lambda image: not image.current.protected,
    Kind.USER_METADATA: lambda image: image.user_metadata["text:caption"] == "A boat",
    Kind.DESCRIBE: lambda image: "text:auto_description_de" in image.user_metadata,
    Kind.PURGE: lambda image: True,
}
CALLS = {
    Kind.COPY: "POST copy",
    Kind.DELETE: "DELETE",
    Kind.RESTORE: "POST restore",
    Kind.SYNC: "GET",
    Kind.LOCK: "PUT locked",
    Kind.UNLOCK: "PUT locked",
    Kind.PROTECT: "PUT protected",
    Kind.UNPROTECT: "PUT protected",
    Kind.USER_METADATA: "PATCH user",
    Kind.DESCRIBE: "POST autodescription",
    Kind.PURGE: "DELETE cache",
}


# --- Each action ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_action_asks_first_and_then_does_it(
    kind: str, editor: Editor, images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    for image in images[1:3]:
        prepare(kind, image)
    chosen = list(SourceImage.objects.filter(pk__in=[image.current.pk for image in images[1:3]]))
    chosen = [image.current for image in SourceImage.objects.filter(pk__in=[i.pk for i in chosen])]
    rokka_emulator.application.calls.clear()

    asked = editor.choose(kind, *chosen, query="state=all&q=picture")

    assert f"{ACTIONS[kind].label} (2 images)" in text(asked)
    assert rokka_emulator.calls == []
    assert not BulkOperation.objects.exists()

    done = editor.confirm(asked, **OPTIONS.get(kind, {}))

    method, _, end = CALLS[kind].partition(" ")
    assert [
        call for call in rokka_emulator.calls if call.method == method and call.path.endswith(end)
    ]
    for image in SourceImage.objects.filter(pk__in=[image.pk for image in chosen]):
        assert DONE[Kind(kind)](image)
    operation = BulkOperation.objects.get()
    assert (operation.kind, operation.user_name, operation.total) == (kind, "boss", 2)
    assert states(kind) == [BulkItem.State.DONE] * 2
    # It was done at once: back to the list, with its search.
    assert done.redirect_chain[-1] == (f"{LIST}?state=all&q=picture", 302)
    (message,) = said(done)
    assert message.startswith(("2 images", "The CDN was asked to forget 2 images"))


@pytest.mark.parametrize("kind", KINDS)
def test_who_may_only_look_sees_no_action_and_a_made_up_form_is_refused(
    kind: str, images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    prepare(kind, images[1])
    image = SourceImage.objects.get(pk=images[1].pk).current
    rokka_emulator.application.calls.clear()
    editor = Editor(
        *{"change", "delete", "copy", "restore", "lock", "protect"} - {PERMISSIONS[kind]}
    )

    listing = editor.client.get(LIST).content.decode()
    assert f"{kind}_selected" not in listing
    detail = editor.client.get(f"{LIST}{image.pk}/change/").content.decode()
    assert f"/action/{kind}/" not in detail

    confirmed = {"confirmed": "1", "count": "1/0", **OPTIONS.get(kind, {})}
    data = {"action": f"{kind}_selected", "_selected_action": [image.pk], **confirmed}
    editor.client.post(LIST, data)
    editor.client.post(LIST, {**data, "index": "0", "select_across": "1"})
    assert editor.open(kind, image).status_code == 403
    assert editor.client.post(f"{LIST}{image.pk}/action/{kind}/", confirmed).status_code == 403
    assert not BulkOperation.objects.exists()
    assert rokka_emulator.calls == []


@pytest.mark.parametrize("kind", KINDS)
def test_one_permission_is_enough_for_its_own_actions(kind: str, images: list[SourceImage]) -> None:
    prepare(kind, images[1])
    image = SourceImage.objects.get(pk=images[1].pk).current
    editor = Editor(PERMISSIONS[kind])

    choices = dict(
        re.findall(r'<option value="(\w+)">([^<]+)', editor.client.get(LIST).content.decode())
    )
    offered = {action.name for action in ACTIONS.values() if action.permission == PERMISSIONS[kind]}
    assert {name for name in choices if name.endswith("_selected")} == offered
    editor.act(kind, image, **OPTIONS.get(kind, {}))

    assert states(kind) == [BulkItem.State.DONE]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_begins_without_a_token(kind: str, images: list[SourceImage]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.create_superuser("boss"))
    data = {"confirmed": "1", "count": "1/0", **OPTIONS.get(kind, {})}
    listed = {**data, "action": f"{kind}_selected", "_selected_action": [images[1].pk]}

    assert client.post(LIST, listed).status_code == 403
    assert client.post(f"{LIST}{images[1].pk}/action/{kind}/", data).status_code == 403
    assert client.post(f"{LIST}{images[1].pk}/delete/", data).status_code == 403
    assert not BulkOperation.objects.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_looking_at_the_question_changes_nothing(
    kind: str, editor: Editor, images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    query = "confirmed=1&count=1/0"
    response = editor.client.get(f"{LIST}{images[1].pk}/action/{kind}/?{query}")

    assert response.status_code == 200
    assert not BulkOperation.objects.exists()
    assert rokka_emulator.calls == []


# --- Selections -------------------------------------------------------------------------------


def test_everything_is_selected_by_the_filters_and_not_by_keys(
    editor: Editor, images: list[SourceImage]
) -> None:
    """The page has the key of another image, which is not meant."""
    asked = editor.choose(Kind.LOCK, images[0], across=True, query="q=picture-2")

    assert "Lock (1 image)" in text(asked)
    assert hidden(asked)["_selected_action"] == ["0"]
    assert hidden(asked)["select_across"] == ["1"]
    editor.confirm(asked)
    assert list(SourceImage.objects.filter(locked=True)) == [images[2]]


def test_thousands_are_counted_and_begun_with_few_queries_and_a_small_page(
    editor: Editor, images: list[SourceImage]
) -> None:
    SourceImage.objects.bulk_create(
        SourceImage(organization="acme", hash=f"{number:040x}", name=f"{number}.jpg", format="jpg")
        for number in range(3000)
    )

    with CaptureQueriesContext(connection) as asking:
        asked = editor.choose(Kind.SYNC, images[0], across=True)
    # Rolled back, so the work does not begin.
    with CaptureQueriesContext(connection) as beginning, transaction.atomic():
        editor.client.post(f"{LIST}?state=all", hidden(asked))
        assert BulkOperation.objects.get().total == 3004
        transaction.set_rollback(True)

    assert "Sync now (3,004 images)" in text(asked)
    assert len(hidden(asked)["_selected_action"]) == 1
    assert len(asking) < 25
    assert len(beginning) < 35


def test_a_selection_that_changed_meanwhile_is_asked_about_again(
    editor: Editor, images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    asked = editor.choose(Kind.LOCK, images[0], across=True)
    get_client().create_source_image(SimpleUploadedFile("new.jpg", picture(color="#0f0")))

    again = editor.confirm(asked)

    assert "Somebody changed something meanwhile" in text(again)
    assert "Lock (5 images)" in text(again)
    assert not BulkOperation.objects.exists()
    editor.confirm(again)
    assert SourceImage.objects.filter(locked=True).count() == 5


def test_a_count_that_is_missing_or_odd_is_no_consent(
    editor: Editor, images: list[SourceImage]
) -> None:
    asked = editor.choose(Kind.LOCK, images[0])

    for count in ("", "2", "1x", "٣"):
        assert "Lock (1 image)" in text(editor.confirm(asked, count=count))
    assert not BulkOperation.objects.exists()


def test_the_page_shows_the_first_ten_images_and_no_list_of_all(
    editor: Editor, images: list[SourceImage]
) -> None:
    client = get_client()
    for blue in range(12):
        client.create_source_image(
            SimpleUploadedFile(f"b{blue}.jpg", picture(color=(0, 0, blue * 20)))
        )

    asked = editor.choose(Kind.LOCK, images[0], across=True)

    assert asked.content.decode().count('class="rokka-thumbnail"') == 10
    assert "and 5 more" in text(asked)


def test_nothing_selected_is_said_and_nothing_begins(editor: Editor) -> None:
    response = editor.client.post(LIST, {"action": "lock_selected", "index": "0"}, follow=True)

    assert "Items must be selected" in said(response)[0]
    assert not BulkOperation.objects.exists()


# --- Deleting and restoring -------------------------------------------------------------------


def test_the_deletion_says_what_is_in_use_locked_or_gone_and_how_long_it_can_be_undone(
    editor: Editor, images: list[SourceImage]
) -> None:
    lifecycle.delete_unreferenced(images[3])
    get_client().set_locked(images[2].hash, True)

    asked = text(editor.choose(Kind.DELETE, *images))

    assert "Delete (3 images)" in asked
    assert "1 image is deleted already, and left out." in asked
    assert "1 image is locked: rokka refuses this until it is unlocked." in asked
    assert "1 image is in use on this site: it is kept, unless you insist." in asked
    last = formats.date_format(timezone.localtime() + timedelta(days=30), "DATE_FORMAT")
    assert f"Deleted images can be restored for 30 days, until {last}." in asked


def test_what_is_protected_already_is_counted(editor: Editor, images: list[SourceImage]) -> None:
    protected = images[1].set_protected(True)

    asked = text(editor.choose(Kind.PROTECT, protected, images[2]))

    assert "1 image is protected already." in asked
    assert "Protect (2 images)" in asked


def test_images_in_use_are_spared(editor: Editor, images: list[SourceImage]) -> None:
    done = editor.act(Kind.DELETE, *images)

    assert list(SourceImage.objects.live()) == [images[0]]
    assert said(done) == ["3 images were deleted.", "1 image was skipped: 1 row shows it – Details"]


def test_who_insists_deletes_images_in_use_as_well(
    editor: Editor, images: list[SourceImage]
) -> None:
    asked = editor.choose(Kind.DELETE, *images)
    assert "Delete the 1 image that is in use as well" in text(asked)

    editor.confirm(asked, used="on")

    assert not SourceImage.objects.live().exists()
    assert BulkOperation.objects.get().options == {"used": True}


def test_insisting_takes_a_permission(images: list[SourceImage]) -> None:
    editor = Editor("delete")
    asked = editor.choose(Kind.DELETE, *images)

    assert "1 image is in use" in text(asked)
    assert 'name="used"' not in asked.content.decode()
    assert editor.confirm(asked, used="on").status_code == 403
    assert not BulkOperation.objects.exists()
    editor.confirm(asked)
    assert list(SourceImage.objects.live()) == [images[0]]


def test_an_image_that_came_into_use_meanwhile_is_asked_about_again(
    editor: Editor, images: list[SourceImage]
) -> None:
    asked = editor.choose(Kind.DELETE, *images)
    Article.objects.create(title="Quay", photo=images[1].file_name)

    again = editor.confirm(asked, used="on")

    assert "Somebody changed something meanwhile" in text(again)
    assert "Delete the 2 images that are in use as well" in text(again)
    assert not BulkOperation.objects.exists()


def test_djangos_own_deletion_is_gone(editor: Editor, images: list[SourceImage]) -> None:
    page = editor.client.get(LIST).content.decode()
    assert re.findall(r'<option value="(delete\w*)">([^<]+)', page) == [
        ("delete_selected", "Delete")
    ]

    asked = editor.client.get(f"{LIST}{images[1].pk}/delete/")
    assert "Delete (1 image)" in text(asked)
    # What Django's own page would post.
    editor.client.post(f"{LIST}{images[1].pk}/delete/", {"post": "yes"})
    data = {"action": "delete_selected", "post": "yes", "_selected_action": [images[1].pk]}
    editor.client.post(LIST, data)
    assert not BulkOperation.objects.exists()

    editor.confirm(asked)

    images[1].refresh_from_db()
    assert images[1].deleted
    assert SourceImage.objects.count() == 4


def test_the_restoration_says_what_is_lost_and_brings_back_the_rest(
    editor: Editor, images: list[SourceImage]
) -> None:
    for image in images[1:]:
        lifecycle.delete_unreferenced(image)
    long_ago = timezone.now() - timedelta(days=31)
    SourceImage.objects.filter(pk=images[1].pk).update(deleted=long_ago)
    SourceImage.objects.filter(pk=images[2].pk).update(purged=timezone.now())

    asked = editor.choose(Kind.RESTORE, *images)

    assert "2 images were deleted too long ago" in text(asked)
    assert "1 image is not deleted, and left out." in text(asked)
    assert "Restore (1 image)" in text(asked)
    editor.confirm(asked)
    assert set(SourceImage.objects.live()) == {images[0], images[3]}


def test_nothing_to_do_is_said_without_a_button(editor: Editor, images: list[SourceImage]) -> None:
    asked = editor.choose(Kind.RESTORE, *images)

    assert "There is nothing to do for these images." in text(asked)
    assert 'type="submit" class="rokka-button' not in asked.content.decode()


# --- Options ----------------------------------------------------------------------------------


def test_a_copy_skips_what_is_there_or_overwrites_it(
    editor: Editor, images: list[SourceImage]
) -> None:
    first = editor.act(Kind.COPY, images[1], destination="acme-stage", overwrite="")
    again = editor.act(Kind.COPY, images[1], destination="acme-stage", overwrite="")
    over = editor.act(Kind.COPY, images[1], destination="acme-stage", overwrite="yes")

    assert [said(page)[0].partition(" –")[0] for page in (first, again, over)] == [
        "1 image was copied.",
        "1 image was skipped: is there already",
        "1 image was copied.",
    ]
    assert BulkOperation.objects.first().options == {"destination": "acme-stage", "overwrite": True}


def test_only_configured_destinations_can_be_copied_to(
    editor: Editor, images: list[SourceImage]
) -> None:
    asked = editor.choose(Kind.COPY, images[1])
    assert re.findall(r'name="destination" value="([^"]+)"', asked.content.decode()) == [
        "acme-stage"
    ]

    for name in ("elsewhere", "acme", ""):
        assert "rokka-errors" in editor.confirm(asked, destination=name).content.decode()
    assert not BulkOperation.objects.exists()


def test_images_of_several_organizations_need_a_common_destination(
    editor: Editor, images: list[SourceImage], settings: Any
) -> None:
    lifecycle.copy("default", images[1].hash, "acme-stage")
    get_client("stage").get_source_image(images[1].hash)

    asked = editor.choose(Kind.COPY, images[0], across=True)
    assert "There is no organization that all of these images may be copied to." in text(asked)

    settings.ROKKA = {
        alias: {**values, "DESTINATIONS": ["archive"]} for alias, values in settings.ROKKA.items()
    }
    asked = editor.choose(Kind.COPY, images[0], across=True)
    assert 'name="destination" value="archive"' in asked.content.decode()


def test_user_metadata_are_read_by_their_type(editor: Editor, images: list[SourceImage]) -> None:
    get_client().patch_user_metadata(images[1].hash, {"old": "x", "kept": "y"})
    rows = [
        ("int", "year", "2024"),
        ("array", "tags", "boat\nsea"),
        ("date", "taken", "2024-05-31T18:00:00Z"),
        ("latlon", "place", "47.38, 8.52"),
        ("", "old", ""),
    ]
    values = {"row-TOTAL_FORMS": str(len(rows)), "row-INITIAL_FORMS": "0"}
    for index, (kind, name, value) in enumerate(rows):
        row = {"kind": kind, "name": name, "value": value}
        values |= {f"row-{index}-{key}": val for key, val in row.items()}

    editor.act(Kind.USER_METADATA, images[1], **values)

    assert get_client().get_source_image(images[1].hash).user_metadata == {
        "int:year": 2024,
        "array:tags": ["boat", "sea"],
        "date:taken": "2024-05-31T18:00:00Z",
        "latlon:place": "47.38,8.52",
        "kept": "y",
    }


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (("int", "year", "soon"), "“soon” does not fit; expected a whole number"),
        (("", "Bad Name", "x"), "“Bad Name” is no name of a field"),
        (("", "", "x"), "Name the field that should have this value."),
        (("", "", ""), "Name at least one field."),
        (("blob", "name", "x"), "Select a valid choice."),
    ],
)
def test_user_metadata_that_cannot_be_are_refused_with_what_was_typed(
    row: tuple[str, str, str], error: str, editor: Editor, images: list[SourceImage]
) -> None:
    values = {f"row-0-{key}": val for key, val in zip(("kind", "name", "value"), row, strict=True)}
    asked = editor.choose(Kind.USER_METADATA, images[1])

    again = editor.confirm(asked, **{"row-TOTAL_FORMS": "3", "row-INITIAL_FORMS": "0"}, **values)

    assert error in text(again)
    assert f">\n{row[2]}</textarea>" in again.content.decode()
    assert not BulkOperation.objects.exists()


def test_a_name_that_is_there_twice_is_refused(editor: Editor, images: list[SourceImage]) -> None:
    values = {"row-TOTAL_FORMS": "2", "row-INITIAL_FORMS": "0"}
    for index in range(2):
        values |= {f"row-{index}-name": "title", f"row-{index}-value": str(index)}

    again = editor.confirm(editor.choose(Kind.USER_METADATA, images[1]), **values)

    assert "“title” is there twice." in text(again)


def test_more_rows_can_be_had_and_keep_what_was_typed(
    editor: Editor, images: list[SourceImage]
) -> None:
    asked = editor.choose(Kind.USER_METADATA, images[1])
    typed = {"row-TOTAL_FORMS": "3", "row-INITIAL_FORMS": "0", "row-0-name": "title"}

    more = editor.confirm(asked, **typed, more_rows="1")

    page = more.content.decode()
    assert 'name="row-5-name"' in page
    assert 'value="title"' in page
    assert not BulkOperation.objects.exists()


def test_a_description_needs_a_language(editor: Editor, images: list[SourceImage]) -> None:
    asked = editor.choose(Kind.DESCRIBE, images[1])
    assert "Choose at least one language." in text(editor.confirm(asked))

    editor.act(Kind.DESCRIBE, images[1], languages=["fr"], force="on")

    assert BulkOperation.objects.get().options == {"languages": ["fr"], "force": True}


# --- Rights on single images ------------------------------------------------------------------


class Curated(SourceImageAdmin):
    """Editors may do things to pictures of the day only."""

    def permitted(self, request: Any, permission: str, images: Any) -> Any:
        return images if permission == "view" else images.filter(name="picture-1.jpg")


class Cautious(SourceImageAdmin):
    """The hook that Django has."""

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        allowed = obj is None or obj.name == "picture-1.jpg"
        return allowed and super().has_delete_permission(request, obj)


@pytest.fixture
def registered(request: pytest.FixtureRequest, settings: Any) -> None:
    """An admin with a subclass in place of ours."""
    site = admin.AdminSite()
    site.register(SourceImage, request.param)
    site.register(BulkOperation, BulkOperationAdmin)
    settings.ROOT_URLCONF = (path("admin/", site.urls),)


@pytest.mark.parametrize("registered", [Curated, Cautious], indirect=True)
@pytest.mark.usefixtures("registered")
def test_an_image_that_the_hook_refuses_is_left_out(
    editor: Editor, images: list[SourceImage]
) -> None:
    asked = editor.choose(Kind.DELETE, *images)

    assert "3 images are left out, because you may not do this with them." in text(asked)
    assert "Delete (1 image)" in text(asked)
    editor.confirm(asked)
    assert set(SourceImage.objects.live()) == {images[0], images[2], images[3]}
    assert editor.open(Kind.DELETE, images[2]).status_code == 403
    assert editor.client.get(f"{LIST}{images[2].pk}/delete/").status_code == 403
    posted = {"confirmed": "1", "count": "1/0"}
    refused = editor.client.post(f"{LIST}{images[2].pk}/action/delete/", posted)
    assert refused.status_code == 403


@pytest.mark.parametrize("registered", [Curated], indirect=True)
@pytest.mark.usefixtures("registered")
def test_the_hook_holds_for_everything_that_is_selected_and_for_the_buttons(
    editor: Editor, images: list[SourceImage]
) -> None:
    asked = editor.choose(Kind.LOCK, images[0], across=True)
    assert "Lock (1 image)" in text(asked)
    editor.confirm(asked)
    assert list(SourceImage.objects.filter(locked=True)) == [images[1]]

    pages = [
        editor.client.get(f"{LIST}{image.pk}/change/").content.decode() for image in images[1:3]
    ]
    assert ["/action/unlock/" in page for page in pages] == [True, False]
    assert ["/action/" in page for page in pages] == [True, False]


class Elsewhere(SourceImageAdmin):
    """Who may insist is decided for each image."""

    def permitted(self, request: Any, permission: str, images: Any) -> Any:
        return images.exclude(name="picture-0.jpg") if permission == "delete_used" else images


@pytest.mark.parametrize("registered", [Elsewhere], indirect=True)
@pytest.mark.usefixtures("registered")
def test_the_hook_holds_for_insisting(editor: Editor, images: list[SourceImage]) -> None:
    Article.objects.create(title="Quay", photo=images[1].file_name)
    asked = editor.choose(Kind.DELETE, *images)
    assert "2 images are in use" in text(asked)
    assert "Delete the 1 image that is in use as well" in text(asked)

    editor.confirm(asked, used="on")

    assert list(SourceImage.objects.live()) == [images[0]]


# --- On the page of an image ------------------------------------------------------------------


def offered(editor: Editor, image: SourceImage) -> list[str]:
    page = editor.client.get(f"{LIST}{image.pk}/change/").content.decode()
    return re.findall(r"/action/(\w+)/", page)


def test_the_buttons_are_those_that_make_sense(editor: Editor, images: list[SourceImage]) -> None:
    get_client().set_locked(images[1].hash, True)
    protected = images[2].set_protected(True)
    lifecycle.delete_unreferenced(images[3])

    assert offered(editor, images[0]) == [
        "copy", "lock", "protect", "describe", "purge", "sync", "delete",
    ]  # fmt: skip
    assert offered(editor, images[1]) == ["copy", "unlock", "protect", "describe", "purge", "sync"]
    assert offered(editor, protected) == [
        "copy", "lock", "unprotect", "describe", "purge", "sync", "delete",
    ]  # fmt: skip
    assert offered(editor, images[3]) == ["sync", "restore"]
    SourceImage.objects.filter(pk=images[3].pk).update(purged=timezone.now())
    assert offered(editor, images[3]) == ["sync"]


def test_there_are_no_buttons_for_what_this_site_cannot_change(
    editor: Editor, images: list[SourceImage], settings: Any
) -> None:
    settings.ROKKA = {
        alias: {**values, "READ_ONLY": True} for alias, values in settings.ROKKA.items()
    }

    assert offered(editor, images[0]) == []


def test_a_button_leads_back_to_the_image_with_what_happened(
    editor: Editor, images: list[SourceImage]
) -> None:
    asked = editor.open(Kind.LOCK, images[1])
    assert "picture-1.jpg" in text(asked)

    done = editor.confirm(asked)

    assert done.redirect_chain[-1][0] == f"{LIST}{images[1].pk}/change/"
    assert said(done) == ["1 image was locked."]
    assert offered(editor, images[1])[1] == "unlock"


def test_after_protecting_the_page_is_that_of_the_new_hash(
    editor: Editor, images: list[SourceImage]
) -> None:
    done = editor.confirm(editor.open(Kind.PROTECT, images[0]))

    images[0].refresh_from_db()
    assert images[0].replaced_by
    assert done.redirect_chain[-1][0] == f"{LIST}{images[0].replaced_by.pk}/change/"
    assert Article.objects.get().photo.hash == images[0].replaced_by.hash


def test_what_goes_wrong_with_one_image_is_said_on_its_page(
    editor: Editor, images: list[SourceImage]
) -> None:
    get_client(mirrors=False).set_locked(images[1].hash, True)
    failed = editor.confirm(editor.open(Kind.DELETE, images[1]))
    assert "unlock it first" in said(failed)[0]
    assert failed.redirect_chain[-1][0] == f"{LIST}{images[1].pk}/change/"

    skipped = editor.confirm(editor.open(Kind.DELETE, images[0]))
    assert said(skipped) == ["1 image was skipped: 1 row shows it – Details"]


def test_the_list_an_editor_came_from_is_kept(editor: Editor, images: list[SourceImage]) -> None:
    filters = "_changelist_filters=q%3Dpicture"
    page = editor.client.get(f"{LIST}{images[1].pk}/change/?{filters}").content.decode()
    (url,) = re.findall(r'href="([^"]*/action/lock/[^"]*)"', page)

    done = editor.confirm(editor.client.get(html.unescape(url)))

    query = urlsplit(done.redirect_chain[-1][0]).query
    assert parse_qs(query) == {"_changelist_filters": ["q=picture"]}


def test_an_image_that_is_not_there_leads_back(editor: Editor) -> None:
    response = editor.client.get(f"{LIST}999/action/lock/", follow=True)

    assert "doesn’t exist" in said(response)[0]
    assert editor.client.get(f"{LIST}1/action/explode/").status_code in (302, 403)


def test_there_are_no_actions_in_a_popup(editor: Editor, images: list[SourceImage]) -> None:
    assert (
        "/action/"
        not in editor.client.get(f"{LIST}{images[0].pk}/change/?_popup=1").content.decode()
    )


# --- What is left behind ----------------------------------------------------------------------


def test_the_log_says_who_did_what(editor: Editor, images: list[SourceImage]) -> None:
    editor.act(Kind.COPY, *images, destination="acme-stage", overwrite="yes")
    editor.confirm(editor.open(Kind.LOCK, images[1]))

    entries = LogEntry.objects.filter(user=editor.user).order_by("pk")
    assert [(entry.content_type.model, entry.change_message) for entry in entries] == [
        ("bulkoperation", "4 images; to acme-stage; write over what is there"),
        ("bulkoperation", "1 image"),
        ("sourceimage", "Lock"),
    ]


def test_requests_in_transactions_work_after_the_commit(
    editor: Editor, images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        done = editor.act(Kind.LOCK, *images)
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False

    assert said(done) == ["4 images were locked."]
    assert done.redirect_chain[-1][0].startswith(LIST)


@pytest.mark.usefixtures("celery_app")
def test_with_celery_tasks_do_it(editor: Editor, images: list[SourceImage], settings: Any) -> None:
    settings.ROKKA = {alias: {**values, "CELERY": True} for alias, values in settings.ROKKA.items()}

    done = editor.act(Kind.LOCK, *images)

    assert said(done) == ["4 images were locked."]
    assert SourceImage.objects.filter(locked=True).count() == 4


def test_what_is_not_done_at_once_leads_to_the_page_that_shows_how_far_it_is(
    editor: Editor, images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    rokka_emulator.add_fault(Fault(status=429, headers={"X-RateLimit-Retry-After": in_(120)}))

    begun = editor.act(Kind.LOCK, *images)

    operation = BulkOperation.objects.get()
    assert begun.redirect_chain[-1][0] == (
        f"/admin/rokka/bulkoperation/{operation.pk}/change/?fresh=1&filters=state%3Dall"
    )
    assert "It waits for rokka." in text(begun)
    assert f'href="{LIST}?state=all"' in begun.content.decode()


def in_(seconds: float) -> str:
    return str(int(timezone.now().timestamp() + seconds))
