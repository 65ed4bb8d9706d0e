"""What the widget of a picture asks the admin: who may upload and pick what, and what is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import timezone

from django_rokka.admin import SourceImageAdmin
from django_rokka.admin.picker import PAGE, PAGES
from django_rokka.chosen import Chosen
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage
from tests.library.models import Article, Figure, Portrait
from tests.pictures import picture

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.admin.widget_site")]

BASE = "/admin/rokka/sourceimage"
PHOTO = "library/article/photo"


@pytest.fixture
def login(client: Client) -> Callable[..., Client]:
    """Log in an editor with these permissions."""

    def login(*permissions: str) -> Client:
        user = get_user_model().objects.create_user("editor", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return login


@pytest.fixture
def editor(rokka_emulator: Emulator, login: Callable[..., Client]) -> Client:
    return login("change_article", "view_sourceimage")


def file(name: str = "dog.jpg", content: bytes | None = None) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, picture((80, 60)) if content is None else content)


def mirrored(count: int, **values: Any) -> list[SourceImage]:
    """Images of the mirror, the newest first."""
    now = timezone.now()
    given = {"organization": "acme", "format": "jpg", "width": 400, "height": 300, **values}
    return SourceImage.objects.bulk_create(
        SourceImage(
            hash=f"{number:040x}",
            short_hash=f"{number:06x}",
            created=now - timedelta(minutes=number),
            **{"name": f"picture {number}.jpg", **given},
        )
        for number in range(count)
    )


def choices(response: Any) -> list[dict[str, Any]]:
    """The pictures that a page of the picker offers."""
    return [
        json.loads(found.replace("&quot;", '"'))
        for found in re.findall(r'data-picture="([^"]+)"', response.content.decode())
    ]


# --- Upload ------------------------------------------------------------------------------------


def test_an_upload_answers_with_the_picture_and_its_token(
    editor: Client, rokka_emulator: Emulator
) -> None:
    response = editor.post(f"{BASE}/upload/{PHOTO}/", {"file": file()})

    assert response.status_code == 200, response.content
    answer = response.json()
    image = SourceImage.objects.get()
    assert Chosen.read(answer.pop("token")) == Chosen("acme", image.file_name, 80, 60)
    assert answer == {
        "name": "dog.jpg",
        "url": image.render_url(),
        "thumbnail": image.render_url(width=320),
        "width": 80,
        "height": 60,
        "focus": f"{BASE}/focus/acme/{image.hash}/",
    }
    assert [call.method for call in rokka_emulator.calls] == ["POST"]


def test_a_large_file_is_sent_from_where_django_put_it(
    editor: Client, rokka_emulator: Emulator, settings: Any
) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 0

    response = editor.post(f"{BASE}/upload/{PHOTO}/", {"file": file()})

    assert response.json()["width"] == 80


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"This is text.", "is not a picture that can be read"),
        (b"", "The submitted file is empty"),
        (None, "This field is required"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_forms_own_message(
    editor: Client, rokka_emulator: Emulator, content: bytes | None, message: str
) -> None:
    data = {} if content is None else {"file": file(content=content)}

    response = editor.post(f"{BASE}/upload/{PHOTO}/", data)

    assert response.status_code == 400
    assert message in response.json()["error"]
    assert rokka_emulator.calls == []


def test_trouble_at_rokka_is_an_answer(
    editor: Client, rokka_emulator: Emulator, settings: Any
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "ATTEMPTS": 1}}
    rokka_emulator.add_fault(Fault("cut"))

    response = editor.post(f"{BASE}/upload/{PHOTO}/", {"file": file()})

    assert response.status_code == 400
    assert "rokka cannot be reached" in response.json()["error"]
    assert not SourceImage.objects.exists()


def test_a_field_that_uploads_later_takes_no_upload(
    login: Callable[..., Client], rokka_emulator: Emulator
) -> None:
    client = login("add_snapshot")

    response = client.post(f"{BASE}/upload/library/snapshot/photo/", {"file": file()})

    assert "when you save" in response.json()["error"]
    assert rokka_emulator.calls == []


def test_an_upload_is_a_post_with_a_csrf_token(editor: Client, admin_user: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)

    assert editor.get(f"{BASE}/upload/{PHOTO}/").status_code == 405
    assert strict.post(f"{BASE}/upload/{PHOTO}/", {"file": file()}).status_code == 403


@pytest.mark.parametrize(
    "place",
    [
        "library/article/title",
        "library/article/missing",
        "library/missing/photo",
        "missing/article/photo",
        "library/attachment/image",
    ],
)
def test_there_is_nothing_for_what_is_no_field_of_ours(
    rokka_emulator: Emulator, admin_client: Client, place: str
) -> None:
    assert admin_client.post(f"{BASE}/upload/{place}/", {"file": file()}).status_code == 404
    assert admin_client.get(f"{BASE}/picker/{place}/").status_code == 404
    assert admin_client.get(f"{BASE}/abilities/{place}/").status_code == 404


# --- Who may -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "upload", "pick", "focus"),
    [
        ([], False, False, False),
        (["view_article", "view_sourceimage"], False, False, False),
        (["change_portrait", "view_sourceimage"], False, False, False),
        (["add_article"], True, False, False),
        (["change_article", "view_sourceimage"], True, True, False),
        (["change_article", "change_sourceimage"], True, True, True),
        # A form for a proxy has the same field.
        (["change_headline"], True, False, False),
    ],
)
def test_who_may_do_what(
    rokka_emulator: Emulator,
    login: Callable[..., Client],
    permissions: list[str],
    upload: bool,
    pick: bool,
    focus: bool,
) -> None:
    client = login(*permissions)

    said = client.get(f"{BASE}/abilities/{PHOTO}/").json()
    uploaded = client.post(f"{BASE}/upload/{PHOTO}/", {"file": file()})
    picked = client.get(f"{BASE}/picker/{PHOTO}/")

    assert said == {"upload": upload, "pick": pick, "focus": focus}
    assert uploaded.status_code == (200 if upload else 403)
    assert picked.status_code == (200 if pick else 403)
    assert bool(rokka_emulator.calls) is upload


@pytest.mark.parametrize("view", ["picker", "upload", "abilities"])
def test_who_is_no_member_of_the_staff_has_to_log_in(
    rokka_emulator: Emulator, client: Client, view: str
) -> None:
    user = get_user_model().objects.create_user("reader")
    user.user_permissions.set(Permission.objects.all())
    client.force_login(user)

    response = client.post(f"{BASE}/{view}/{PHOTO}/", {"file": file()})

    assert response.status_code == 302
    assert "/admin/login/" in response["Location"]
    assert rokka_emulator.calls == []


# --- The picker --------------------------------------------------------------------------------


def test_the_picker_offers_live_pictures_of_the_organization_the_newest_first(
    editor: Client, rokka_emulator: Emulator
) -> None:
    first, second, deleted, replaced, other = mirrored(5)
    rows = SourceImage.objects.filter
    rows(pk=deleted.pk).update(deleted=timezone.now())
    rows(pk=replaced.pk).update(replaced_by=second)
    rows(pk=other.pk).update(organization="acme-stage")

    offered = choices(editor.get(f"{BASE}/picker/{PHOTO}/"))

    assert [item["name"] for item in offered] == ["picture-0.jpg", "picture-1.jpg"]
    read = Chosen.read(offered[0]["token"])
    assert read == Chosen("acme", first.file_name, 400, 300)
    assert rokka_emulator.calls == []


def test_a_picked_picture_is_saved(editor: Client) -> None:
    row = Article.objects.create(title="Dog")
    (image,) = mirrored(1)
    (offered,) = choices(editor.get(f"{BASE}/picker/{PHOTO}/"))

    response = editor.post(
        f"/admin/library/article/{row.pk}/change/",
        {"title": "Dog", "photo-chosen": offered["token"]},
    )

    assert response.status_code == 302
    row.refresh_from_db()
    assert (row.photo.name, row.width) == (image.file_name, 400)


def test_a_protected_picture_is_a_box(editor: Client) -> None:
    mirrored(1, protected=True)

    response = editor.get(f"{BASE}/picker/{PHOTO}/")

    assert len(choices(response)) == 1
    assert "<img" not in response.content.decode()
    assert "protected" in response.content.decode()


def test_an_image_that_no_column_can_name_is_left_out(editor: Client) -> None:
    mirrored(2)
    SourceImage.objects.filter(hash=f"{0:040x}").update(format="image/x-odd")

    offered = choices(editor.get(f"{BASE}/picker/{PHOTO}/"))

    assert [item["name"] for item in offered] == ["picture-1.jpg"]


def test_the_picker_searches_names_and_hashes(editor: Client) -> None:
    mirrored(30)
    SourceImage.objects.filter(hash=f"{7:040x}").update(name="<b>Dog & cat.jpg")

    def found(text: str) -> list[str]:
        return [
            item["name"] for item in choices(editor.get(f"{BASE}/picker/{PHOTO}/", {"q": text}))
        ]

    assert found(" dog & ") == ["b-dog-cat.jpg"]
    assert found(f"{29:040x}") == ["picture-29.jpg"]
    response = editor.get(f"{BASE}/picker/{PHOTO}/", {"q": '"><script>'})
    assert "No picture has “&quot;&gt;&lt;script&gt;” in its name." in response.content.decode()
    assert "<script" not in response.content.decode()
    assert "<b>Dog" not in editor.get(f"{BASE}/picker/{PHOTO}/").content.decode()


def test_the_picker_has_pages_without_counting(editor: Client) -> None:
    mirrored(2 * PAGE + 1)

    def page(number: Any) -> tuple[list[str], list[str]]:
        with CaptureQueriesContext(connection) as queries:
            response = editor.get(f"{BASE}/picker/{PHOTO}/", {"page": number})
        assert not any("COUNT(" in query["sql"] for query in queries)
        assert sum("rokka_sourceimage" in query["sql"] for query in queries) == 1
        names = [item["name"] for item in choices(response)]
        return names, re.findall(r'data-page="(\d*)"', response.content.decode())

    assert page(1)[1] == ["", "2"]
    assert page(2)[1] == ["1", "3"]
    assert page(3) == ([f"picture-{2 * PAGE}.jpg"], ["2", ""])
    assert len({name for number in (1, 2, 3) for name in page(number)[0]}) == 2 * PAGE + 1
    assert page("x") == page(-5) == page(1)


def test_the_picker_has_an_end_beyond_which_one_searches(editor: Client) -> None:
    mirrored(PAGE * PAGES + 1)

    response = editor.get(f"{BASE}/picker/{PHOTO}/", {"page": PAGES + 7})

    assert len(choices(response)) == PAGE
    assert "Search to find older pictures." in response.content.decode()


class ChoosyAdmin(SourceImageAdmin):
    """Shows some images, and lets users work with fewer."""

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).exclude(name="picture 0.jpg")

    def permitted(self, request: Any, permission: str, images: Any) -> Any:
        return images.exclude(name="picture 1.jpg") if permission == "view" else images


class choosy:  # noqa: N801 - it stands for a module
    """An admin with these hooks."""

    site = admin.AdminSite()
    site.register(SourceImage, ChoosyAdmin)
    urlpatterns = [path("admin/", site.urls)]


def test_the_picker_offers_what_the_admin_lets_the_user_see(editor: Client, settings: Any) -> None:
    mirrored(3)
    settings.ROOT_URLCONF = choosy

    offered = choices(editor.get(f"{BASE}/picker/{PHOTO}/"))

    assert [item["name"] for item in offered] == ["picture-2.jpg"]


# --- The way to the focal point ----------------------------------------------------------------


def test_a_hash_leads_to_the_page_of_its_image(editor: Client) -> None:
    (image,) = mirrored(1)

    response = editor.get(f"{BASE}/focus/acme/{image.hash}/")

    assert response["Location"] == f"{BASE}/{image.pk}/change/"
    assert editor.get(f"{BASE}/focus/acme-stage/{image.hash}/").status_code == 404


# --- The whole form ----------------------------------------------------------------------------


def test_saving_while_rokka_is_down_is_a_message_and_nothing_is_lost(
    editor: Client, rokka_emulator: Emulator, settings: Any
) -> None:
    row = Article.objects.create(title="Dog", photo=file())
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "ATTEMPTS": 1}}
    rokka_emulator.add_fault(Fault("cut"))

    response = editor.post(
        f"/admin/library/article/{row.pk}/change/",
        {"title": "A new title", "photo": file("cat.jpg", picture((5, 5)))},
    )

    assert response.status_code == 200
    html = response.content.decode()
    assert "rokka cannot be reached" in html
    assert 'value="A new title"' in html
    assert "dog.jpg" in html
    before = row.photo.name
    row.refresh_from_db()
    assert (row.title, row.photo.name) == ("Dog", before)


def test_a_picture_of_an_inline_stays_chosen_while_another_row_is_corrected(
    login: Callable[..., Client], rokka_emulator: Emulator
) -> None:
    client = login("change_article", "add_figure", "change_figure", "view_figure")
    row = Article.objects.create(title="Dog")
    data = {
        "title": "",
        "figures-TOTAL_FORMS": 1,
        "figures-INITIAL_FORMS": 0,
        "figures-0-caption": "One",
        "figures-0-article": row.pk,
    }
    url = f"/admin/library/article/{row.pk}/change/"
    response = client.post(url, {**data, "figures-0-picture": file()})
    assert response.status_code == 200
    (token,) = re.findall(
        r'name="figures-0-picture-chosen" value="([^"]+)"', response.content.decode()
    )

    response = client.post(url, {**data, "title": "Dog", "figures-0-picture-chosen": token})

    assert response.status_code == 302
    assert Figure.objects.get().picture.source_image.width == 80
    assert len(rokka_emulator.calls) == 1


def test_a_picture_may_be_added_and_cleared(
    login: Callable[..., Client], rokka_emulator: Emulator
) -> None:
    client = login("add_portrait", "add_slide", "change_slide")

    client.post("/admin/library/portrait/add/", {"picture": file()})
    response = client.post("/admin/library/portrait/add/", {"picture": ""})

    assert Portrait.objects.get().picture.source_image.width == 80
    assert "This field is required" in response.content.decode()
