"""What a living site shows before its files are moved, and after that: in templates, the admin and the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template import engines
from django.test import Client

from django_rokka.drf import RokkaModelSerializer
from django_rokka.emulator import Emulator
from tests.library.models import Article, Attachment
from tests.pictures import picture

from .living_site import FILE, PHOTO, at_rokka, binary_hash, calls, content, row, run

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("emulator"),
    pytest.mark.urls("tests.admin.widget_site"),
]

OLD = "/old/202401/dog.jpg"


class ArticleSerializer(RokkaModelSerializer):
    class Meta:
        model = Article
        fields = ["id", "photo"]


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("admin"))
    return client


def templated(item: Any) -> str:
    template = engines["django"].from_string(
        "{% load rokka %}{% rokka_img item.photo %}{% rokka_picture item.photo %}{% endrokka_picture %}"
        "{% rokka_url item.photo width=20 %} {{ item.photo.url }}"
    )
    return template.render({"item": item})


def serialized(item: Any) -> str:
    return str(ArticleSerializer(item).data["photo"]["src"])


@pytest.mark.parametrize("show", [templated, serialized])
def test_a_row_shows_its_old_file_and_then_its_image(
    emulator: Emulator, show: Callable[[Any], str]
) -> None:
    item = row("202401/dog.jpg", content(1))

    before = show(item)
    assert OLD in before
    assert emulator.render_url not in before
    assert calls(emulator) == 0

    run("rokka_import")
    item.refresh_from_db()
    after = show(item)
    assert OLD not in after
    assert item.photo.hash in after


def test_forms_of_the_admin_show_both_and_save_the_rest_of_a_row(
    emulator: Emulator, admin: Client
) -> None:
    item = row("202401/dog.jpg", content(1))
    url = f"/admin/library/article/{item.pk}/change/"
    figures = {"figures-TOTAL_FORMS": 0, "figures-INITIAL_FORMS": 0}

    assert admin.get("/admin/library/article/").status_code == 200
    assert OLD in admin.get(url).text
    assert admin.post(url, {"title": "Before", **figures}).status_code == 302
    assert calls(emulator) == 0

    run("rokka_import")
    item.refresh_from_db()
    assert item.title == "Before"
    assert item.photo.hash in admin.get(url).text
    assert admin.post(url, {"title": "After", **figures}).status_code == 302
    item.refresh_from_db()
    assert (item.title, at_rokka(item.photo.name)) == ("After", binary_hash(content(1)))


def test_an_editor_who_has_a_form_open_during_the_move_loses_nothing(admin: Client) -> None:
    kept, replaced = row("a.jpg", content(1)), row("b.jpg", content(2))
    urls = [f"/admin/library/article/{item.pk}/change/" for item in (kept, replaced)]
    figures = {"figures-TOTAL_FORMS": 0, "figures-INITIAL_FORMS": 0}
    for url in urls:
        admin.get(url)

    run("rokka_import")
    file = SimpleUploadedFile("new.jpg", picture((99, 9)), "image/jpeg")
    admin.post(urls[0], {"title": "Kept", **figures})
    admin.post(urls[1], {"title": "Replaced", "photo": file, **figures})

    kept.refresh_from_db(), replaced.refresh_from_db()
    assert at_rokka(kept.photo.name) == binary_hash(content(1))
    assert at_rokka(replaced.photo.name) == binary_hash(picture((99, 9)))


def test_a_picture_of_the_old_storage_can_be_cleared_and_replaced(emulator: Emulator) -> None:
    cleared, replaced = row("a.jpg", content(1)), row("b.jpg", content(2))

    cleared.photo.delete()
    replaced.photo = SimpleUploadedFile("new.jpg", content(3), "image/jpeg")
    replaced.save()
    assert run("rokka_import")[0] == 0

    cleared.refresh_from_db(), replaced.refresh_from_db()
    assert not cleared.photo
    assert at_rokka(replaced.photo.name) == binary_hash(content(3))
    assert (replaced.width, replaced.height) == (43, 30)


def test_a_plain_file_field_reads_from_where_the_file_is(emulator: Emulator) -> None:
    item = row("attachments/2020/dog.jpg", content(1), Attachment, "file")
    assert item.file.url == "/old/attachments/2020/dog.jpg"
    assert item.file.size == len(content(1))
    with item.file.open() as file:
        assert file.read() == content(1)

    code, said = run("rokka_import", label=FILE)

    item.refresh_from_db()
    assert (code, "1 files moved" in said) == (0, True)
    assert len(item.file.name) <= 100
    with item.file.open() as file:
        assert file.read() == content(1)
    assert requests.get(item.file.url, timeout=30).status_code == 200
    assert run("rokka_export", label=FILE)[0] == 0
    item.refresh_from_db()
    assert item.file.name == "attachments/2020/dog.jpg"


def test_a_row_without_a_picture_is_no_matter(emulator: Emulator) -> None:
    Article.objects.create(title="None")

    code, said = run("rokka_import")

    assert (code, said.startswith(f"{PHOTO}: 0 files moved")) == (0, True)
    assert calls(emulator) == 0
