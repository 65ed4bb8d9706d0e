"""Wagtail's own views, without a browser: its image library, chooser, multiple upload and image server."""

from __future__ import annotations

import gc
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
import requests
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from wagtail.images.views.serve import generate_image_url
from wagtail.models import Collection

from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage
from django_rokka.wagtail.models import RokkaImage, RokkaRendition
from tests.pictures import SVG, opened, picture
from tests.wagtail.pages.models import StoryPage

pytestmark = pytest.mark.django_db

Form = dict[str, Any]
AREA = {
    "focal_point_x": 200,
    "focal_point_y": 100,
    "focal_point_width": 80,
    "focal_point_height": 60,
}


@pytest.fixture
def admin(site: Any, emulator: Emulator) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("admin"))
    return client


def upload(content: bytes = b"", name: str = "dog.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content or picture((400, 300)), "image/jpeg")


def form(**values: Any) -> Form:
    return {"title": "Dog", "collection": Collection.objects.get().pk, "tags": "", **values}


def edit(image: Any) -> str:
    return reverse("wagtailimages:edit", args=[image.pk])


def test_an_image_is_added(admin: Client, emulator: Emulator) -> None:
    answer = admin.post(reverse("wagtailimages:add"), form(file=upload(), tags="animals"))

    image = RokkaImage.objects.get()
    assert answer.status_code == 302
    assert (image.width, image.height) == (400, 300)
    assert (image.file_size, len(image.file_hash)) == (len(picture((400, 300))), 40)
    assert image.uploaded_by_user.get_username() == "admin"
    assert [tag.name for tag in image.tags.all()] == ["animals"]
    assert [call.method for call in emulator.calls] == ["POST"]


def test_a_drawing_is_added(admin: Client) -> None:
    admin.post(reverse("wagtailimages:add"), form(file=upload(SVG, "logo.svg")))

    image = RokkaImage.objects.get()
    assert (image.width, image.height) == (200, 100)
    assert admin.get(edit(image)).status_code == 200


def test_rubbish_is_refused_before_it_is_uploaded(admin: Client, emulator: Emulator) -> None:
    answer = admin.post(reverse("wagtailimages:add"), form(file=upload(b"no picture")))

    assert "Upload a valid image" in answer.text
    assert emulator.calls == []


def test_trouble_while_uploading_is_a_message(admin: Client, emulator: Emulator) -> None:
    emulator.add_fault(Fault(status=500, times=50))

    answer = admin.post(reverse("wagtailimages:add"), form(file=upload()))
    several = admin.post(reverse("wagtailimages:add_multiple"), {"files[]": upload()})

    assert answer.status_code == 200
    assert "The picture could not be uploaded" in answer.text
    assert several.json()["success"] is False
    assert "The picture could not be uploaded" in several.json()["error_message"]
    assert not RokkaImage.objects.exists()


def test_many_are_added_and_duplicates_found(admin: Client) -> None:
    add = reverse("wagtailimages:add_multiple")
    first, second = (admin.post(add, {"files[]": upload(), "title": "Dog"}) for _ in range(2))

    assert (first.json()["success"], first.json()["duplicate"]) == (True, False)
    assert second.json()["duplicate"] is True

    pk = second.json()["image_id"]
    admin.post(reverse("wagtailimages:delete_multiple", args=[pk]))
    assert RokkaImage.objects.get().file.source_image.deleted is None


@pytest.mark.django_db(transaction=True)
def test_the_file_is_replaced(
    new_image: Callable[..., Any], admin: Client, rokka_client: Any
) -> None:
    image, other = new_image(), new_image()
    old = image.file.hash

    answer = admin.post(edit(image), form(file=upload(), **AREA))

    image = RokkaImage.objects.get(pk=image.pk)
    assert answer.status_code == 302
    assert (image.width, image.height) == (400, 300)
    assert image.file.source_image.dynamic_metadata["subject_area"]["x"] == 160
    assert rokka_client.get_source_image(old).hash == other.file.hash

    admin.post(edit(other), form(file=upload(picture((50, 50)))))
    assert SourceImage.objects.get(hash=old).deleted is not None


def test_a_focal_point_is_set_and_removed(new_image: Callable[..., Any], admin: Client) -> None:
    image = new_image()

    admin.post(edit(image), form(**AREA))
    with_area = RokkaImage.objects.get()
    admin.post(edit(image), form(**dict.fromkeys(AREA, "")))
    without = RokkaImage.objects.get()

    area = {"x": 160, "y": 70, "width": 80, "height": 60}
    assert with_area.file.source_image.dynamic_metadata["subject_area"] == area
    assert without.file.source_image.dynamic_metadata == {}
    assert without.file.name == image.file.name


def test_trouble_with_a_focal_point_is_a_message(
    new_image: Callable[..., Any], admin: Client, emulator: Emulator
) -> None:
    image = new_image()
    emulator.add_fault(Fault(method="PUT", status=500, times=50))

    answer = admin.post(edit(image), form(**AREA))

    assert answer.status_code == 200
    assert "The focal point could not be changed" in answer.text
    assert 'value="200"' in answer.text
    assert RokkaImage.objects.get().file.name == image.file.name


def test_an_image_is_deleted(new_image: Callable[..., Any], admin: Client) -> None:
    image = new_image()

    answer = admin.post(reverse("wagtailimages:delete", args=[image.pk]))

    assert answer.status_code == 302
    assert not RokkaImage.objects.exists()


@pytest.mark.parametrize("size", [(400, 300), None])
def test_the_librarys_pages(
    new_image: Callable[..., Any], admin: Client, emulator: Emulator, size: Any
) -> None:
    image = new_image()
    if size is None:
        RokkaImage.objects.update(width=None, height=None)
    calls = len(emulator.calls)

    for name, arguments in (
        ("index", []),
        ("edit", [image.pk]),
        ("image_usage", [image.pk]),
        ("url_generator", [image.pk]),
        ("delete", [image.pk]),
    ):
        assert admin.get(reverse(f"wagtailimages:{name}", args=arguments)).status_code == 200
    image.refresh_from_db()
    for name in ("wagtailimages_chooser:choose", "wagtailimages_chooser:choose_results"):
        assert image.get_rendition("max-165x165").url in admin.get(reverse(name)).text

    assert len(emulator.calls) == calls


def test_the_image_server_redirects(new_image: Callable[..., Any], admin: Client) -> None:
    image = new_image()

    answer = admin.get(generate_image_url(image, "fill-90x60"))

    assert answer.status_code == 302
    assert answer["Location"] == image.get_rendition("fill-90x60").url


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_url_generators_preview(new_image: Callable[..., Any], admin: Client) -> None:
    image = new_image()

    answer = admin.get(reverse("wagtailimages:preview", args=[image.pk, "fill-90x60"]))

    assert opened(answer.getvalue()).size == (90, 60)
    # Wagtail leaves its temporary file open, which must not be told in another test.
    del answer
    gc.collect()


def test_a_page_shows_it(new_image: Callable[..., Any], site: Any, emulator: Emulator) -> None:
    image = new_image(focal=(600, 400, 100, 100))
    body = f'<p>Look.</p><embed embedtype="image" id="{image.pk}" format="fullwidth" alt="A dog"/>'
    story = site.add_child(instance=StoryPage(title="Story", photo=image, body=body))
    story.save_revision().publish()
    call_command("rebuild_references_index", stdout=StringIO())
    calls = len(emulator.calls)
    client = Client()
    client.get(story.url)

    with CaptureQueriesContext(connection) as queries:
        answer = client.get(story.url)

    # The page's image, and those of its rich text.
    assert len([query for query in queries if "rokka" in query["sql"]]) == 2
    assert image.get_rendition("fill-320x240").url in answer.text
    assert f"{image.get_rendition('width-600').url} 600w" in answer.text
    assert f"{image.get_rendition('format-avif|width-400').url} 400w" in answer.text
    assert image.get_rendition("width-800").url in answer.text
    assert "<source" in answer.text
    assert len(emulator.calls) == calls
    assert not RokkaRendition.objects.exists()
    assert [page.pk for page, _ in image.get_usage()] == [story.pk]
    assert requests.get(image.get_rendition("width-800").url, timeout=30).status_code == 200


def test_a_page_does_not_break_without_rokka(
    new_image: Callable[..., Any], site: Any, emulator: Emulator
) -> None:
    story = site.add_child(instance=StoryPage(title="Story", photo=new_image()))
    emulator.add_fault(Fault(status=500, times=50))

    assert Client().get(story.url).status_code == 200
