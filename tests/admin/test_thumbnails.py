"""Small pictures in lists: of a row's field, of the mirror, and what stands for those that cannot be shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import timezone

from django_rokka.admin import rokka_thumbnail
from django_rokka.admin.thumbnails import image_thumbnail
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage
from example_project.gallery.models import Photo
from tests.library.models import Article, Attachment, Figure, Portrait, Snapshot
from tests.pictures import picture

pytestmark = pytest.mark.django_db
HASH = "a1" * 20


def attributes(html: str) -> dict[str, str]:
    """Those of the first tag."""
    return dict(re.findall(r'([\w:-]+)="([^"]*)"', html.partition(">")[0]))


class Pictured(ModelAdmin):
    list_display = [rokka_thumbnail("photo"), "title"]


class Related(ModelAdmin):
    list_display = ["caption", rokka_thumbnail("article__photo", size=40)]
    list_select_related = ["article"]


#: The same models with pictures and without.
pictured, plain = AdminSite(), AdminSite("plain")
pictured.register(Article, Pictured)
pictured.register(Figure, Related)
plain.register([Article, Figure])
urlpatterns = [path("admin/", pictured.urls), path("plain/", plain.urls)]


@pytest.fixture
def listed(client: Client, settings: Any) -> Callable[[str], tuple[str, int]]:
    """Gives a page of a list, and how many queries it took."""
    settings.ROOT_URLCONF = __name__
    client.force_login(get_user_model().objects.create_superuser("admin"))

    def listed(url: str) -> tuple[str, int]:
        with CaptureQueriesContext(connection) as queries:
            response = client.get(url)
        assert response.status_code == 200
        return response.content.decode(), len(queries)

    return listed


def test_a_column_takes_no_query_and_no_call(
    listed: Callable[[str], tuple[str, int]], rokka_emulator: Emulator
) -> None:
    for number in range(20):
        Article.objects.create(title=f"{number}", photo=f"{HASH}/dog-{number}.jpg")

    html, queries = listed("/admin/library/article/")

    assert html.count('<img class="rokka-thumbnail"') == 20
    assert queries == listed("/plain/library/article/")[1]
    assert rokka_emulator.calls == []


def test_a_picture_of_a_related_row_takes_no_query_either(
    listed: Callable[[str], tuple[str, int]],
) -> None:
    article = Article.objects.create(title="related", photo=f"{HASH}/dog.jpg")
    for number in range(10):
        Figure.objects.create(article=article, caption=f"{number}")

    html, queries = listed("/admin/library/figure/")

    assert html.count('height="40"') == 10
    assert queries == listed("/plain/library/figure/")[1]


def test_a_square_is_rendered_twice_as_large_and_loaded_late(rokka_emulator: Emulator) -> None:
    row = Article.objects.create(photo=ContentFile(picture((300, 200)), name="Big Dog.jpg"))

    found = attributes(rokka_thumbnail("photo", size=50)(row))

    assert (found["width"], found["height"]) == ("50", "50")
    assert (found["loading"], found["alt"]) == ("lazy", "big dog")
    answer = requests.get(found["src"], timeout=30)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert "crop-height-100-mode-ratio-width-100--resize-width-100" in found["src"]


@pytest.mark.parametrize(
    ("format", "shown"),
    [("jpg", "jpg"), ("png", "png"), ("webp", "webp"), ("gif", "gif"), ("svg", "png"), ("pdf", "png"),
     ("heic", "jpg"), ("tif", "jpg"), ("psd", "jpg"), ("avif", "jpg")],
)  # fmt: skip
def test_each_format_is_shown_as_one_that_browsers_have(format: str, shown: str) -> None:
    row = Article(photo=f"{HASH}/dog.{format}")
    image = SourceImage(organization="acme", hash=HASH, name="dog", format=format)

    assert attributes(rokka_thumbnail("photo")(row))["src"].endswith(f"/dog.{shown}")
    assert attributes(image_thumbnail(image))["src"].endswith(f"/dog.{shown}")


def test_a_column_is_called_as_its_field_or_as_it_is_told() -> None:
    def described(column: Any) -> str:
        return str(column.short_description)

    assert described(rokka_thumbnail("author__cover_photo")) == "cover photo"
    assert described(rokka_thumbnail("photo", description="Look")) == "Look"


def test_a_row_without_a_picture_has_a_box_that_says_so() -> None:
    for row in (Article(), Article(photo="")):
        found = attributes(rokka_thumbnail("photo")(row))
        assert (found["role"], found["aria-label"]) == ("img", "no picture")
        assert found["width"] == found["height"] == "60"


def test_relations_that_lead_nowhere_have_a_box() -> None:
    column = rokka_thumbnail("replaced_by__photo")

    assert attributes(column(SourceImage()))["aria-label"] == "no picture"
    portrait = Portrait.objects.create(picture=f"{HASH}/a.jpg")
    assert attributes(rokka_thumbnail("poster__back")(portrait))["aria-label"] == "no picture"


def test_a_name_from_before_the_column_was_rokkas_has_a_box() -> None:
    found = rokka_thumbnail("photo")(Article(photo="uploads/2019/dog.jpg"))

    assert attributes(found)["aria-label"] == "not at rokka"


def test_a_wrong_name_and_a_wrong_kind_of_field_are_named() -> None:
    with pytest.raises(AttributeError, match="foto"):
        rokka_thumbnail("foto")(Article())
    with pytest.raises(TypeError, match="'file' holds a FieldFile; expected a RokkaImageField"):
        rokka_thumbnail("file")(Attachment(file=f"{HASH}/dog.jpg"))


# --- Files that wait to be uploaded -----------------------------------------------------------


@pytest.fixture
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.MEDIA_URL = "/media/"


def waiting(emulator: Emulator, name: str, content: bytes) -> Snapshot:
    """A row whose upload did not happen, as a list gets it."""
    emulator.add_fault(Fault(status=500, method="POST"))
    row = Snapshot.objects.create(photo=ContentFile(content, name=name))
    return Snapshot.objects.get(pk=row.pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("media")
@pytest.mark.parametrize(
    ("size", "expected"),
    [((300, 200), ("60", "40")), ((200, 300), ("40", "60")), ((90, 90), ("60", "60"))],
)
def test_a_file_that_waits_is_shown_in_its_own_form(
    rokka_emulator: Emulator, size: tuple[int, int], expected: tuple[str, str]
) -> None:
    row = waiting(rokka_emulator, "dog.jpg", picture(size))
    with CaptureQueriesContext(connection) as queries:
        found = attributes(rokka_thumbnail("photo")(row))

    assert found["src"] == f"/media/{row.photo.name}"
    assert (found["width"], found["height"]) == expected
    assert len(queries) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("media")
def test_a_file_of_unknown_size_that_waits_is_as_high_as_the_others(
    rokka_emulator: Emulator,
) -> None:
    row = waiting(rokka_emulator, "dog.jpg", picture())
    row.width = row.height = None

    found = attributes(rokka_thumbnail("photo")(row))

    assert found["height"] == "60"
    assert "width" not in found


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("media")
def test_a_file_that_waits_and_cannot_be_shown_has_a_box(
    rokka_emulator: Emulator, settings: Any
) -> None:
    pdf = waiting(rokka_emulator, "paper.pdf", b"%PDF-1.4")
    jpg = waiting(rokka_emulator, "dog.jpg", picture())

    assert attributes(rokka_thumbnail("photo")(pdf))["aria-label"] == "waiting to be uploaded"
    settings.STORAGES = {
        **settings.STORAGES,
        "closed": {"BACKEND": "django.core.files.storage.Storage"},
    }
    settings.ROKKA = {
        **settings.ROKKA,
        "default": {**settings.ROKKA["default"], "SPOOL": "closed"},
    }
    assert attributes(rokka_thumbnail("photo")(jpg))["aria-label"] == "waiting to be uploaded"


# --- Images of the mirror ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"deleted": timezone.now()}, "deleted"),
        ({"protected": True}, "protected"),
        ({"organization": "gone"}, "not configured"),
        ({"format": "no format"}, "no picture"),
    ],
)
def test_an_image_that_cannot_be_shown_has_a_box_that_says_why(
    values: dict[str, Any], reason: str
) -> None:
    html = image_thumbnail(SourceImage(**{"organization": "acme", "hash": HASH, **values}))

    assert attributes(html)["aria-label"] == reason
    assert f"<title>{reason}</title>" in html


def test_an_image_has_no_words_of_its_own_unless_they_are_given() -> None:
    image = SourceImage(organization="acme", hash=HASH, name='"dog"', format="jpg")

    assert attributes(image_thumbnail(image))["alt"] == ""
    assert attributes(image_thumbnail(image, alt=str(image)))["alt"] == "&quot;dog&quot;"


def test_no_tag_has_a_style_or_a_script(photos: list[Photo]) -> None:
    html = "".join(
        [rokka_thumbnail("image")(photos[0]), image_thumbnail(SourceImage(protected=True))]
    )

    assert not re.search(r"\s(style|on\w+)=", html)


def test_the_gallery_lists_its_pictures(photos: list[Photo], admin_client: Any) -> None:
    html = admin_client.get("/admin/gallery/photo/").content.decode()

    assert html.count('<img class="rokka-thumbnail"') == len(photos)
