"""The page of an image, as the server makes it."""

from __future__ import annotations

import json
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_rokka import api
from django_rokka.admin import SourceImageAdmin
from django_rokka.admin.detail import chain_of, recipe_of
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.emulator.faults import Fault
from django_rokka.models import SourceImage
from django_rokka.testing import API_KEY
from example_project.gallery.models import Photo
from tests.library.models import Article, Captioned, Page, Portrait
from tests.pictures import SVG, picture

pytestmark = pytest.mark.django_db

WIDTH, HEIGHT = 400, 300


class _Form(HTMLParser):
    """The values that a browser without JavaScript would send from the page's form."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.names: set[str] = set()
        self.action = ""
        self._inside = self._template = False
        self._select = self._area = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = given.get("id") == "sourceimage_form"
            self.action = given.get("action", "") if self._inside else self.action
        self._template |= tag == "template"
        if self._inside and not self._template and "disabled" not in given:
            self._control(tag, given)

    def _control(self, tag: str, given: dict[str, str]) -> None:
        name = given.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in self.values:
                self.values[self._select] = given.get("value", "")
        elif tag == "textarea":
            self._area, self.values[name] = name, ""
        elif tag == "input" and name and given.get("type") not in ("submit", "checkbox"):
            self.values[name] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "template":
            self._template = False
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            # A browser drops the first line break, which Django writes for it.
            self.values[self._area] = self.values[self._area].removeprefix("\n")
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area] += data


@pytest.fixture
def admin_client(client: Client) -> Client:
    """An administrator's; without a password, which takes long to hash."""
    client.force_login(get_user_model().objects.create_superuser("admin"))
    return client


@pytest.fixture
def article(rokka_emulator: Emulator) -> Article:
    """A row that shows a picture."""
    article = Article(title="Harbour")
    article.photo.save("harbour.jpg", ContentFile(picture((WIDTH, HEIGHT))))
    return article


@pytest.fixture
def image(article: Article, rokka_emulator: Emulator) -> SourceImage:
    """Its image; no calls are noted."""
    rokka_emulator.application.calls.clear()
    return article.photo.source_image


@pytest.fixture
def once(rokka_emulator: Emulator, settings: Any) -> None:
    """No second try of a call that fails."""
    settings.ROKKA = {alias: {**values, "ATTEMPTS": 1} for alias, values in settings.ROKKA.items()}


def url_of(image: SourceImage) -> str:
    return reverse("admin:rokka_sourceimage_change", args=[image.pk])


def text_of(response: Any) -> str:
    """The page's text, with every run of white space as one space."""
    return " ".join(response.content.decode().split())


def shown(client: Client, image: SourceImage) -> dict[str, str]:
    return _Form(client.get(url_of(image)).content.decode()).values


def save(client: Client, image: SourceImage, **changes: Any) -> Any:
    """Open the page, type, and save. Fields are named with ``__`` for ``-``."""
    values = shown(client, image)
    values |= {name.replace("__", "-"): str(value) for name, value in changes.items()}
    return client.post(url_of(image), {**values, "_save": "Save"})


def row_of(values: dict[str, str], prefix: str, name: str) -> str:
    """The prefix of a formset's row, by the name in it."""
    keys = [key for key, value in values.items() if key.startswith(prefix) and value == name]
    return next(key for key in keys if key.endswith("-name")).removesuffix("-name")


def calls_of(emulator: Emulator) -> list[str]:
    """The calls that change something, without the organization and the hash."""
    return [
        f"{call.method} {call.path.split('/', 4)[4]}"
        for call in emulator.application.calls
        if call.method in ("PUT", "PATCH", "DELETE") and call.path.count("/") > 3
    ]


def editor(*codenames: str, **values: Any) -> Any:
    user = get_user_model().objects.create_user("editor", is_staff=True, **values)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


# --- Showing ----------------------------------------------------------------------------------


def test_the_page_tells_the_facts_and_asks_rokka_nothing(
    admin_client: Client, image: SourceImage, rokka_emulator: Emulator
) -> None:
    SourceImage.objects.filter(pk=image.pk).update(static_metadata={"exif": {"make": "Canon"}})

    page = text_of(admin_client.get(url_of(image)))

    assert image.hash in page
    assert image.binary_hash in page
    assert f"{WIDTH} × {HEIGHT}" in page
    assert "image/jpeg" in page
    assert "Canon" in page
    assert API_KEY not in page
    assert not rokka_emulator.application.calls


def test_the_preview_is_whole_and_never_larger_than_the_picture(
    admin_client: Client, image: SourceImage
) -> None:
    page = admin_client.get(url_of(image)).context["page"]

    assert page.picture["src"] == image.render_url("dynamic", width=WIDTH)
    assert (page.picture["width"], page.picture["height"]) == (WIDTH, HEIGHT)
    assert page.picture["srcset"].split() == [page.picture["src"], f"{WIDTH}w"]


def test_a_large_picture_has_candidates_up_to_its_width(
    admin_client: Client, image: SourceImage
) -> None:
    SourceImage.objects.filter(pk=image.pk).update(width=2000, height=1000)

    picture = admin_client.get(url_of(image)).context["page"].picture

    assert [part.split()[1] for part in picture["srcset"].split(", ")] == ["640w", "1200w", "2000w"]
    assert (picture["width"], picture["height"]) == (1200, 600)


def test_a_drawing_is_shown_as_png(admin_client: Client, rokka_emulator: Emulator) -> None:
    get_client().create_source_image(ContentFile(SVG, "drawing.svg"))
    image = SourceImage.objects.get()

    page = admin_client.get(url_of(image)).context["page"]

    assert page.picture["src"].endswith(".png")
    assert all(render.url.endswith(".png") for render in [*page.renders, *page.previews])


def test_an_image_without_known_dimensions_is_shown(
    admin_client: Client, image: SourceImage
) -> None:
    SourceImage.objects.filter(pk=image.pk).update(width=None, height=None, size=None, created=None)

    response = admin_client.get(url_of(image))

    assert response.status_code == 200
    assert f'src="{image.render_url("dynamic", width=1200)}"' in response.content.decode()


def test_an_image_is_not_added_by_hand(admin_client: Client) -> None:
    assert admin_client.get(reverse("admin:rokka_sourceimage_add")).status_code == 403


def test_a_page_that_does_not_exist_leads_to_the_index(
    admin_client: Client, image: SourceImage
) -> None:
    response = admin_client.get(url_of(image).replace(str(image.pk), "999999"))

    assert (response.status_code, response.url) == (302, "/admin/")


# --- Renders and previews ---------------------------------------------------------------------


def test_each_configured_stack_is_linked_and_those_that_crop_are_previewed(
    admin_client: Client, image: SourceImage, settings: Any
) -> None:
    crop = {"name": "crop", "options": {"width": 4, "height": 3, "mode": "ratio"}}
    small = {"name": "resize", "options": {"width": 320}}
    stacks = {"card": {"operations": [crop, small]}, "wide": {"operations": [small]}}
    settings.ROKKA = {**settings.ROKKA, "default": {**settings.ROKKA["default"], "STACKS": stacks}}

    page = admin_client.get(url_of(image)).context["page"]

    assert [render.url for render in page.renders] == [
        image.render_url("card"),
        image.render_url("wide"),
    ]
    assert [preview.name for preview in page.previews] == ["card"]
    assert json.loads(page.previews[0].recipe)["steps"] == [
        ["crop", crop["options"]],
        ["resize", small["options"]],
    ]


def test_without_stacks_usual_shapes_are_previewed(
    admin_client: Client, image: SourceImage
) -> None:
    page = admin_client.get(url_of(image)).context["page"]

    assert [render.name for render in page.renders] == ["dynamic"]
    assert [preview.name for preview in page.previews] == ["1:1", "16:9", "3:4"]


@pytest.mark.parametrize(
    "stack",
    [
        {"operations": [{"name": "trim"}, {"name": "crop", "options": {"width": 1, "height": 1}}]},
        {"operations": [{"name": "crop", "options": {"width": "[$w]", "height": 1}}]},
        {"operations": [{"name": "crop", "options": {"width": 1, "height": 1}, "expressions": {"width": "$w"}}]},
        {"operations": [{"name": "crop", "options": {"width": 1, "height": 1}}], "options": {"basestack": "other"}},
        {"operations": [{"name": "resize", "options": {"width": 1, "height": 1}}]},
        {"operations": [{"name": "crop", "options": {"width": 1, "height": 1, "enabled": False}}]},
    ],
)  # fmt: skip
def test_what_only_rokka_can_compute_has_no_live_preview(stack: dict[str, Any]) -> None:
    assert recipe_of(api.Stack.from_json({**stack, "name": "stack"})) == ""


# --- Where it is used -------------------------------------------------------------------------


def photos_of(image: SourceImage, number: int) -> list[Photo]:
    return Photo.objects.bulk_create(
        Photo(title=f"Photo {index}", image=image.file_name) for index in range(number)
    )


def test_rows_that_show_the_image_are_linked(admin_client: Client, image: SourceImage) -> None:
    (photo,) = photos_of(image, 1)

    page = text_of(admin_client.get(url_of(image)))

    assert f'<a href="/admin/gallery/photo/{photo.pk}/change/">Photo 0</a>' in page
    assert "photo, image" in page
    # Of a model without an admin the name is told, to who may see its rows.
    assert "Harbour <span" in page


def test_rows_that_the_user_may_not_see_are_not_named(image: SourceImage, client: Client) -> None:
    photos_of(image, 1)
    client.force_login(editor("view_sourceimage"))

    page = text_of(client.get(url_of(image)))

    assert "photo, image" in page
    assert "Photo 0" not in page
    assert "Harbour" not in page
    assert "/admin/gallery/" not in page


def test_a_row_that_its_admin_hides_is_not_named(image: SourceImage) -> None:
    class Hiding(admin.ModelAdmin):  # type: ignore[type-arg]
        def has_view_permission(self, request: Any, obj: Any = None) -> bool:
            return obj is None or obj.title != "Photo 1"

        def get_queryset(self, request: Any) -> Any:
            return super().get_queryset(request).exclude(title="Photo 2")

    photos = photos_of(image, 3)
    site = admin.AdminSite()
    site.register(Photo, Hiding)

    uses = page_of(image, site=site).uses

    assert [use.url for use in uses if use.model == "photo"] == [
        f"/admin/gallery/photo/{photos[0].pk}/change/",
        "",
        "",
    ]
    assert [use.text for use in uses if use.model == "photo"] == ["Photo 0", "", ""]


def page_of(
    image: SourceImage, *, site: admin.AdminSite, model_admin: Any = SourceImageAdmin
) -> Any:
    """What the template is given, from an admin site of the test's own."""
    request = RequestFactory().get(url_of(image))
    request.user = get_user_model().objects.create_superuser("root")
    site.register(SourceImage, model_admin)
    response = site.get_model_admin(SourceImage).change_view(request, str(image.pk))
    return response.context_data["page"]  # type: ignore[attr-defined]


def test_an_image_in_many_rows_names_the_first_hundred(
    admin_client: Client, image: SourceImage
) -> None:
    photos_of(image, 150)

    page = admin_client.get(url_of(image))

    assert len(page.context["page"].uses) == 100
    assert "and 51 more" in text_of(page)


def test_rows_in_texts_json_and_hidden_by_a_manager_are_found(
    admin_client: Client, image: SourceImage
) -> None:
    Page.objects.create(hero=image.hash, data={"blocks": [{"image": image.file_name}]})
    Page.objects.create(body=f'<img src="{image.render_url("hero")}">')
    Portrait.objects.create(hidden=True, picture=image.file_name)

    uses = admin_client.get(url_of(image)).context["page"].uses

    fields = sorted((use.model, use.field) for use in uses)
    assert fields == [
        ("article", "photo"),
        ("page", "body"),
        ("page", "data"),
        ("page", "hero"),
        ("portrait", "portrait"),
    ]


def test_the_number_of_queries_does_not_grow_with_the_rows(
    admin_client: Client, image: SourceImage
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert admin_client.get(url_of(image)).status_code == 200
        return len(captured)

    photos_of(image, 8)
    queries()  # what is cached for good is cached
    few = queries()
    photos_of(image, 150)

    assert queries() <= few
    assert few < 40


# --- Saving -----------------------------------------------------------------------------------


def test_a_focal_point_moves_every_row_and_the_page_to_the_new_hash(
    admin_client: Client, image: SourceImage, article: Article
) -> None:
    photos = photos_of(image, 2)

    response = save(admin_client, image, subject_area__x=120, subject_area__y=80)

    new = SourceImage.objects.get(pk=image.pk).current
    assert new != image
    assert new.dynamic_metadata == {"subject_area": {"x": 120, "y": 80, "width": 1, "height": 1}}
    assert response.url == url_of(new)
    article.refresh_from_db()
    assert article.photo.name.startswith(new.hash)
    for photo in photos:
        photo.refresh_from_db()
        assert photo.image.name.startswith(new.hash)
    page = text_of(admin_client.get(response.url))
    assert "Saved: focal point." in page
    assert f"new hash, {new.short_hash}, and the 3 rows that show it follow." in page


def test_a_focal_point_of_an_image_that_no_row_shows(
    admin_client: Client, image: SourceImage
) -> None:
    Article.objects.all()._raw_delete("default")

    response = save(admin_client, image, subject_area__x=30, subject_area__y=40)

    image.refresh_from_db()
    assert image.replaced_by
    assert response.url.startswith(url_of(image.replaced_by))
    news = f"The picture has a new hash, {image.replaced_by.short_hash}."
    assert news in text_of(admin_client.get(response.url))


def test_everything_is_saved_at_once_and_in_order(
    admin_client: Client, image: SourceImage, rokka_emulator: Emulator
) -> None:
    response = save(
        admin_client,
        image,
        name="pier.jpg",
        user_metadata__0__name="title",
        user_metadata__0__value="Pier",
        subject_area__x=10,
        subject_area__y=20,
        crop_area__x=5,
        crop_area__y=6,
        crop_area__width=300,
        crop_area__height=200,
        multi_areas__0__name="portrait",
        multi_areas__0__role="subject_area",
        multi_areas__0__x=1,
        multi_areas__0__y=2,
        multi_areas__0__width=30,
        multi_areas__0__height=40,
    )

    new = SourceImage.objects.get(pk=image.pk).current
    assert response.url == url_of(new)
    assert [call for call in calls_of(rokka_emulator) if not call.startswith("DELETE")] == [
        "PUT name",
        "PATCH meta/user",
        "PUT meta/dynamic/subject_area",
        "PUT meta/dynamic/crop_area",
        "PUT meta/dynamic/multi_areas",
    ]
    answer = get_client().get_source_image(new.hash)
    assert answer.name == "pier.jpg"
    assert answer.user_metadata == {"title": "Pier"}
    assert answer.dynamic_metadata == {
        "subject_area": {"x": 10, "y": 20, "width": 1, "height": 1},
        "crop_area": {"x": 5, "y": 6, "width": 300, "height": 200},
        "multi_areas": {"portrait": {"subject_area": {"x": 1, "y": 2, "width": 30, "height": 40}}},
    }


def test_what_was_not_touched_is_not_sent(
    admin_client: Client, image: SourceImage, rokka_emulator: Emulator
) -> None:
    client = get_client()
    client.patch_user_metadata(
        image.hash,
        {"title": " a ", "text:story": "one\ntwo", "date:taken": "2024-05-01T10:00:00Z",
         "array:tags": ["a", "b"], "double:f": 1.50, "latlon:where": "1.50, 2", "int:n": 7},
    )  # fmt: skip
    image = image.set_dynamic_metadata(api.SubjectArea(10, 20, percentage=True))
    image = image.set_multi_areas({"a": api.CropArea(1, 2, 3, 4)})
    rokka_emulator.application.calls.clear()

    response = save(admin_client, image)

    assert response.url == url_of(image)
    assert "Nothing was changed" in text_of(admin_client.get(response.url))
    assert not rokka_emulator.application.calls
    assert not LogEntry.objects.exists()


def test_save_and_continue_comes_back_to_the_area_that_was_worked_on(
    admin_client: Client, image: SourceImage
) -> None:
    values = {**shown(admin_client, image), "name": "pier.jpg", "_continue": "1"}

    named = admin_client.post(url_of(image), {**values, "_area": "rokka-area-crop_area"})
    odd = admin_client.post(url_of(image), {**values, "_area": "//example.com"})

    assert named.url == f"{url_of(image)}#rokka-area-crop_area"
    assert odd.url == url_of(image)


def test_the_filters_of_the_list_are_kept(admin_client: Client, image: SourceImage) -> None:
    address = f"{url_of(image)}?_changelist_filters=format%3Djpg"
    values = {**shown(admin_client, image), "name": "pier.jpg", "_save": "1"}

    response = admin_client.post(address, values)

    assert response.url == address


def test_a_pop_up_is_closed(admin_client: Client, image: SourceImage) -> None:
    values = {**shown(admin_client, image), "name": "pier.jpg", "_popup": "1"}

    response = admin_client.post(url_of(image), values)

    assert response.status_code == 200
    assert "admin/popup_response.html" in [template.name for template in response.templates]


def test_what_somebody_else_changed_meanwhile_stays(
    admin_client: Client, image: SourceImage
) -> None:
    get_client().patch_user_metadata(image.hash, {"title": "Old", "place": "Here"})
    image = image.set_multi_areas({"a": api.CropArea(1, 2, 3, 4), "b": api.CropArea(5, 6, 7, 8)})
    values = shown(admin_client, image)
    get_client().patch_user_metadata(image.hash, {"author": "Ann", "place": "There"})
    newer = image.set_multi_areas({"a": api.CropArea(1, 2, 3, 4), "c": api.CropArea(9, 9, 9, 9)})
    title, area = row_of(values, "user_metadata", "title"), row_of(values, "multi_areas", "a")

    # The page is that of an image which was replaced while it was open.
    response = admin_client.post(
        url_of(image), {**values, f"{title}-value": "New", f"{area}-width": "30", "_save": "1"}
    )

    new = SourceImage.objects.get(pk=newer.pk).current
    assert response.url == url_of(new)
    assert new.user_metadata == {"title": "New", "author": "Ann", "place": "There"}
    assert new.dynamic_metadata["multi_areas"] == {
        "a": {"crop_area": {"x": 1, "y": 2, "width": 30, "height": 4}},
        "c": {"crop_area": {"x": 9, "y": 9, "width": 9, "height": 9}},
    }


# --- Name -------------------------------------------------------------------------------------


def test_a_name_cannot_be_taken_away(admin_client: Client, image: SourceImage) -> None:
    response = save(admin_client, image, name=" ")

    assert "An image needs a name" in text_of(response)


def test_a_name_with_markup_is_escaped(admin_client: Client, image: SourceImage) -> None:
    name = '"><script>alert(1)</script>'

    response = save(admin_client, image, name=name)

    assert get_client().get_source_image(image.hash).name == name
    assert "<script>alert" not in text_of(admin_client.get(response.url))


# --- User metadata ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "typed", "stored"),
    [
        ("", "Harbour", "Harbour"),
        ("str", "Harbour", "Harbour"),
        ("text", "one\r\ntwo", "one\ntwo"),
        ("int", "42", 42),
        ("int", "-7", -7),
        ("double", "4.25", 4.25),
        ("date", "2024-05-01T10:30", "2024-05-01T10:30:00Z"),
        ("date", "2024-05-01T10:30:15", "2024-05-01T10:30:15Z"),
        ("date", "2024-05-01", "2024-05-01T00:00:00Z"),
        ("date", "2024-05-01T10:30:00+02:00", "2024-05-01T08:30:00Z"),
        ("latlon", "47.38, -8.52", "47.38,-8.52"),
        ("array", "sea\r\n\r\n night ", ["sea", "night"]),
        ("array_text", "one\r\ntwo", ["one", "two"]),
    ],
)
def test_a_typed_value_goes_to_rokka_and_comes_back(
    admin_client: Client, image: SourceImage, kind: str, typed: str, stored: Any
) -> None:
    save(
        admin_client,
        image,
        user_metadata__0__kind=kind,
        user_metadata__0__name="field",
        user_metadata__0__value=typed,
    )

    key = f"{kind}:field" if kind else "field"
    assert get_client().get_user_metadata(image.hash) == {key: stored}
    values = shown(admin_client, image)
    assert (values["user_metadata-0-kind"], values["user_metadata-0-name"]) == (kind, "field")
    # What is shown is read as the same value.
    save(admin_client, image, **{"user_metadata__0__name": "other"})
    other = f"{kind}:other" if kind else "other"
    assert get_client().get_user_metadata(image.hash) == {other: stored}


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        ("int", "year", "4.5", "“4.5” does not fit; expected a whole number"),
        ("int", "year", "soon", "“soon” does not fit; expected a whole number"),
        ("double", "f", "nan", "“nan” does not fit; expected a number"),
        ("date", "taken", "yesterday", "“yesterday” does not fit; expected a date"),
        ("latlon", "where", "47.3", "“47.3” does not fit; expected latitude and longitude"),
        ("latlon", "where", "91,8", "“91,8” does not fit; expected latitude and longitude"),
        ("", "Title", "Pier", "“Title” is no name of a field"),
        ("", "int:year", "4", "“int:year” is no name of a field"),
        ("", "", "Pier", "is no name of a field"),
        ("", "title", "", "Enter a value, or remove the field."),
    ],
)
def test_a_bad_value_is_named_and_kept(
    admin_client: Client,
    image: SourceImage,
    rokka_emulator: Emulator,
    kind: str,
    name: str,
    value: str,
    message: str,
) -> None:
    response = save(
        admin_client,
        image,
        name="pier.jpg",
        user_metadata__0__kind=kind,
        user_metadata__0__name=name,
        user_metadata__0__value=value,
    )

    assert response.status_code == 200
    assert message in text_of(response)
    again = _Form(response.content.decode()).values
    assert again["name"] == "pier.jpg"
    assert [again[f"user_metadata-0-{part}"] for part in ("kind", "name", "value")] == [
        kind,
        name,
        value,
    ]
    assert not rokka_emulator.application.calls


def test_a_type_that_does_not_exist_is_refused(
    admin_client: Client, image: SourceImage, rokka_emulator: Emulator
) -> None:
    made_up = {"kind": "colour", "name": "title", "value": "Pier"}

    response = save(
        admin_client, image, **{f"user_metadata__0__{part}": made_up[part] for part in made_up}
    )

    assert "Select a valid choice. colour is not one" in text_of(response)
    assert not calls_of(rokka_emulator)


def test_a_value_that_is_only_written_differently_is_not_sent(
    admin_client: Client, image: SourceImage, rokka_emulator: Emulator
) -> None:
    get_client().patch_user_metadata(image.hash, {"int:year": 1987})
    rokka_emulator.application.calls.clear()

    save(admin_client, image, user_metadata__0__value="01987")

    assert not calls_of(rokka_emulator)
    assert get_client().get_user_metadata(image.hash) == {"int:year": 1987}


def test_fields_are_renamed_removed_and_given_another_type_in_one_call(
    admin_client: Client, image: SourceImage, rokka_emulator: Emulator
) -> None:
    get_client().patch_user_metadata(
        image.hash, {"title": "Pier", "year": "2024", "gone": "x", "kept": "y"}
    )
    rokka_emulator.application.calls.clear()
    values = shown(admin_client, image)
    title, year, gone = (
        row_of(values, "user_metadata", name) for name in ("title", "year", "gone")
    )

    admin_client.post(
        url_of(image),
        {**values, f"{title}-name": "headline", f"{year}-kind": "int", f"{gone}-DELETE": "on"},
    )

    assert calls_of(rokka_emulator) == ["PATCH meta/user"]
    assert get_client().get_user_metadata(image.hash) == {
        "headline": "Pier",
        "int:year": 2024,
        "kept": "y",
    }


def test_a_name_is_there_once(admin_client: Client, image: SourceImage) -> None:
    get_client().patch_user_metadata(image.hash, {"title": "Pier", "int:title": 1})

    response = save(
        admin_client, image, user_metadata__2__name="title", user_metadata__2__value="Harbour"
    )

    assert "“title” is there twice" in text_of(response)


def test_values_that_fit_no_type_are_shown_and_left_alone(
    admin_client: Client, image: SourceImage, rokka_emulator: Emulator
) -> None:
    odd = {"a": {"b": [1]}, "odd:c": "x", "date:d": "no date", "array:e": "no list", "f": True}
    SourceImage.objects.filter(pk=image.pk).update(user_metadata=odd)

    response = save(admin_client, image)

    assert "Nothing was changed" in text_of(admin_client.get(response.url))
    assert not rokka_emulator.application.calls


def test_mapped_columns_follow(admin_client: Client, rokka_emulator: Emulator) -> None:
    row = Captioned(headline="Old", photo=ContentFile(picture(), "pier.jpg"))
    row.save()
    image = row.photo.source_image
    title = row_of(shown(admin_client, image), "user_metadata", "title")

    save(admin_client, image, **{f"{title.replace('-', '__')}__value": "New"})

    row.refresh_from_db()
    assert row.headline == "New"


# --- Areas ------------------------------------------------------------------------------------


def areas_of(image: SourceImage) -> dict[str, Any]:
    """What the image, or what took its place, has at rokka."""
    current = SourceImage.objects.get(pk=image.pk).current
    return dict(get_client().get_source_image(current.hash).dynamic_metadata)


def test_an_area_in_percent_is_shown_in_percent_and_stays_so(
    admin_client: Client, image: SourceImage
) -> None:
    image = image.set_subject_area(10, 20, width=30, height=40, percentage=True)

    values = shown(admin_client, image)
    save(admin_client, image, subject_area__x=15)

    assert [values[f"subject_area-{name}"] for name in ("x", "y", "width", "height", "unit")] == [
        *("10", "20", "30", "40", "%")
    ]
    assert areas_of(image)["subject_area"] == {
        **{"x": 15, "y": 20, "width": 30, "height": 40},
        "percentage": True,
    }


def test_a_fraction_is_left_alone_until_it_is_changed(
    admin_client: Client, image: SourceImage, rokka_emulator: Emulator
) -> None:
    box = {"x": 10.4, "y": 20.6, "width": 30.2, "height": 40.1, "percentage": True}
    SourceImage.objects.filter(pk=image.pk).update(dynamic_metadata={"crop_area": box})

    save(admin_client, image)

    assert not rokka_emulator.application.calls


def test_emptying_the_numbers_removes_the_area(admin_client: Client, image: SourceImage) -> None:
    image = image.set_subject_area(10, 20).set_crop_area(1, 2, 3, 4)

    save(admin_client, image, **{f"subject_area__{n}": "" for n in ("x", "y", "width", "height")})

    assert set(areas_of(image)) == {"crop_area"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": 390, "y": 0, "width": 11, "height": 1}, "would end at 401 px; the picture ends at 400"),
        ({"x": 0, "y": 290, "width": 1, "height": 20}, "would end at 310 px; the picture ends at 300"),
        ({"x": 90, "y": 0, "width": 20, "height": 1, "unit": "%"}, "would end at 110 %; the picture ends at 100"),
        ({"x": 0, "y": 0, "width": 0, "height": 5}, "greater than or equal to 1"),
        ({"x": -1, "y": 0, "width": 5, "height": 5}, "greater than or equal to 0"),
        ({"x": "left", "y": 0, "width": 5, "height": 5}, "Enter a whole number."),
        ({"x": 5, "y": 5}, "Fill in all four numbers, or none for no area."),
    ],
)  # fmt: skip
def test_a_bad_area_is_refused_with_the_reason(
    admin_client: Client,
    image: SourceImage,
    rokka_emulator: Emulator,
    changes: dict[str, Any],
    message: str,
) -> None:
    response = save(
        admin_client, image, **{f"crop_area__{name}": value for name, value in changes.items()}
    )

    assert message in text_of(response)
    assert _Form(response.content.decode()).values["crop_area-x"] == str(changes["x"])
    assert not rokka_emulator.application.calls


def test_named_areas_are_added_renamed_changed_and_removed(
    admin_client: Client, image: SourceImage
) -> None:
    image = image.set_multi_areas(
        {
            "portrait": api.CropArea(1, 2, 3, 4),
            "gone": api.CropArea(1, 1, 1, 1),
            "kept": api.SubjectArea(9, 9, percentage=True),
        }
    )
    values = shown(admin_client, image)
    portrait, gone = (row_of(values, "multi_areas", name) for name in ("portrait", "gone"))

    admin_client.post(
        url_of(image),
        {
            **values,
            f"{portrait}-name": "tall",
            f"{portrait}-role": "subject_area",
            f"{gone}-DELETE": "on",
            "multi_areas-3-name": "banner",
            "multi_areas-3-x": "0",
            "multi_areas-3-y": "10",
            "multi_areas-3-width": "400",
            "multi_areas-3-height": "100",
        },
    )

    assert areas_of(image)["multi_areas"] == {
        "tall": {"subject_area": {"x": 1, "y": 2, "width": 3, "height": 4}},
        "kept": {"subject_area": {"x": 9, "y": 9, "width": 1, "height": 1, "percentage": True}},
        "banner": {"crop_area": {"x": 0, "y": 10, "width": 400, "height": 100}},
    }


def test_named_areas_that_we_do_not_know_are_not_lost(
    admin_client: Client, image: SourceImage, rokka_emulator: Emulator
) -> None:
    box = {"x": 1, "y": 2, "width": 3, "height": 4}
    areas = {"known": {"crop_area": box}, "odd": {"circle_area": {"radius": 5}}}
    SourceImage.objects.filter(pk=image.pk).update(dynamic_metadata={"multi_areas": areas})
    assert "odd" not in shown(admin_client, image).values()

    response = save(admin_client, image, multi_areas__0__x="2")

    assert "Not saved: named areas" in text_of(response)
    assert not calls_of(rokka_emulator)


def test_removing_the_last_named_area_removes_them_all(
    admin_client: Client, image: SourceImage
) -> None:
    image = image.set_multi_areas({"portrait": api.CropArea(1, 2, 3, 4)})

    save(admin_client, image, multi_areas__0__DELETE="on")

    assert areas_of(image) == {}


@pytest.mark.parametrize(
    ("name", "x", "message"),
    [
        ("portrait", 1, "“portrait” is there twice; each needs a name of its own."),
        ("two words", 1, "“two words” is no name of an area: letters, digits and _ only."),
        ("", 1, "is no name of an area"),
        ("wide", "", "Draw the area or fill in its numbers, or remove it."),
    ],
)
def test_a_bad_named_area_is_refused_with_the_reason(
    admin_client: Client, image: SourceImage, name: str, x: Any, message: str
) -> None:
    image = image.set_multi_areas({"portrait": api.CropArea(1, 2, 3, 4)})
    rest = {"y": 1, "width": 5, "height": 5} if x else {}

    response = save(
        admin_client,
        image,
        multi_areas__1__name=name,
        multi_areas__1__x=x,
        **{f"multi_areas__1__{key}": value for key, value in rest.items()},
    )

    assert message in text_of(response)
    assert areas_of(image)["multi_areas"].keys() == {"portrait"}


# --- When rokka says no -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(kind="cut", times=9, method="PUT"), "rokka cannot be reached."),
        (Fault(status=429, times=9, method="PUT"), "rokka asks for a pause"),
        (Fault(status=423, method="PUT", body='{"message": "locked"}'), "If the image is locked"),
        (Fault(status=403, method="PUT", body='{"message": "no"}'), "This site's key may not"),
        (Fault(status=404, times=9, path="meta"), "rokka does not have it any more."),
        (Fault(status=500, times=9, method="PUT"), "rokka is in trouble."),
        (Fault(status=400, method="PUT", body='{"message": "too odd"}'), "too odd"),
    ],
    ids=["unreachable", "rate", "locked", "forbidden", "gone", "trouble", "invalid"],
)
def test_an_error_of_rokka_is_told_and_what_was_typed_is_kept(
    admin_client: Client,
    image: SourceImage,
    rokka_emulator: Emulator,
    once: None,
    fault: Fault,
    message: str,
) -> None:
    values = shown(admin_client, image)
    rokka_emulator.add_fault(fault)
    typed = {"subject_area-x": "120", "subject_area-y": "80", "crop_area-x": "1"}
    typed |= {"crop_area-y": "2", "crop_area-width": "30", "crop_area-height": "40"}

    response = admin_client.post(url_of(image), {**values, **typed})

    assert response.status_code == 200
    page = text_of(response).replace("&#x27;", "'")
    assert message in page
    assert "Not saved: focal point and crop." in page
    again = _Form(response.content.decode()).values
    assert {name: again[name] for name in typed} == typed
    assert SourceImage.objects.get(pk=image.pk).replaced_by is None
    assert not LogEntry.objects.exists()
    # The trouble is over; what is on the page is still right.
    rokka_emulator.clear_faults()
    admin_client.post(url_of(image), again)
    assert set(areas_of(image)) == {"subject_area", "crop_area"}


def test_what_was_saved_before_the_error_is_told_logged_and_not_sent_again(
    admin_client: Client, image: SourceImage, rokka_emulator: Emulator, once: None
) -> None:
    values = shown(admin_client, image)
    rokka_emulator.add_fault(Fault(status=500, path="crop_area"))
    typed = {"name": "pier.jpg", "subject_area-x": "120", "subject_area-y": "80"}
    typed |= {f"crop_area-{name}": "9" for name in ("x", "y", "width", "height")}

    response = admin_client.post(url_of(image), {**values, **typed})

    new = SourceImage.objects.get(pk=image.pk).current
    page = text_of(response)
    assert "Saved: name and focal point." in page
    assert "Not saved: crop." in page
    assert f"new hash, {new.short_hash}" in page
    assert LogEntry.objects.get().get_change_message() == "Changed name and focal point."
    # The page is the new image's by now: its form goes there, with what is left to save.
    form = _Form(response.content.decode())
    assert form.action == url_of(new)
    rokka_emulator.application.calls.clear()
    admin_client.post(form.action, form.values)
    saved = [call for call in calls_of(rokka_emulator) if call.startswith("PUT")]
    assert saved == ["PUT meta/dynamic/crop_area"]
    assert set(areas_of(image)) == {"subject_area", "crop_area"}


def test_what_was_saved_is_shown_as_rokka_has_it_now(
    admin_client: Client, image: SourceImage, rokka_emulator: Emulator, once: None
) -> None:
    values = shown(admin_client, image)
    rokka_emulator.add_fault(Fault(status=500, method="PATCH"))
    typed = {"name": "pier.jpg", "user_metadata-0-name": "title", "user_metadata-0-value": "Pier"}

    response = admin_client.post(url_of(image), {**values, **typed})

    assert "Saved: name. Not saved: user metadata." in text_of(response)
    again = _Form(response.content.decode()).values
    assert (again["name"], again["initial-name"]) == ("pier.jpg", "pier.jpg")
    assert again["user_metadata-0-value"] == "Pier"


def test_a_missing_key_is_told(admin_client: Client, image: SourceImage, settings: Any) -> None:
    values = shown(admin_client, image)
    settings.ROKKA = {**settings.ROKKA, "default": {**settings.ROKKA["default"], "API_KEY": ""}}

    response = admin_client.post(url_of(image), {**values, "name": "pier.jpg"})

    assert "has no API_KEY" in text_of(response).replace("&#x27;", "'")


# --- What cannot be changed -------------------------------------------------------------------


def is_frozen(client: Client, image: SourceImage, *parts: str) -> bool:
    values = shown(client, image)
    names = {
        "name": "name",
        "user_metadata": "user_metadata-0-name",
        "subject_area": "subject_area-x",
    }
    return not any(names[part] in values for part in parts)


def test_a_locked_image_keeps_its_user_metadata_but_may_get_areas(
    admin_client: Client, image: SourceImage
) -> None:
    get_client().patch_user_metadata(image.hash, {"title": "Pier"})
    values = shown(admin_client, image)
    get_client().set_locked(image.hash, True)

    assert is_frozen(admin_client, image, "user_metadata")
    assert not is_frozen(admin_client, image, "subject_area")
    assert "Locked: rokka refuses" in text_of(admin_client.get(url_of(image)))
    typed = {"user_metadata-0-value": "Changed", "subject_area-x": "1", "subject_area-y": "2"}
    admin_client.post(url_of(image), {**values, **typed})

    assert set(areas_of(image)) == {"subject_area"}
    current = SourceImage.objects.get(pk=image.pk).current
    assert get_client().get_user_metadata(current.hash) == {"title": "Pier"}


@pytest.mark.parametrize(
    ("ago", "purged", "message"),
    [
        (timedelta(days=2, hours=1), False, "It can be restored for 28 more days"),
        (timedelta(days=29, hours=1), False, "It can be restored for 1 more day;"),
        (timedelta(days=31), False, "It cannot be restored any more."),
        (timedelta(days=2), True, "It cannot be restored any more."),
    ],
)
def test_a_deleted_image_is_shown_with_its_days_left_and_cannot_be_changed(
    admin_client: Client,
    image: SourceImage,
    rokka_emulator: Emulator,
    ago: timedelta,
    purged: bool,
    message: str,
) -> None:
    values = shown(admin_client, image)
    SourceImage.objects.filter(pk=image.pk).update(
        deleted=timezone.now() - ago, purged=timezone.now() if purged else None
    )

    response = admin_client.get(url_of(image))
    assert message in text_of(response)
    assert "No preview: deleted" in text_of(response)
    assert b"_save" not in response.content
    assert is_frozen(admin_client, image, "name", "user_metadata", "subject_area")
    admin_client.post(url_of(image), {**values, "name": "pier.jpg", "subject_area-x": "1"})
    assert not rokka_emulator.application.calls


def test_a_protected_image_has_a_box_and_can_be_changed(
    admin_client: Client, image: SourceImage
) -> None:
    image = image.set_protected(True)

    page = text_of(admin_client.get(url_of(image)))

    assert "No preview: protected" in page
    assert "<img" not in page
    save(admin_client, image, subject_area__x=1, subject_area__y=2)
    assert set(areas_of(image)) == {"subject_area"}


def test_a_replaced_image_leads_to_what_took_its_place(
    admin_client: Client, image: SourceImage
) -> None:
    second = image.set_subject_area(1, 2)
    third = second.set_subject_area(3, 4)

    page = text_of(admin_client.get(url_of(image)))

    assert "This image was replaced" in page
    assert f'<a href="{url_of(third)}">Go to harbour.jpg, {third.short_hash}' in page
    assert is_frozen(admin_client, image, "name", "user_metadata", "subject_area")


def test_a_site_that_only_reads_changes_nothing(
    admin_client: Client, image: SourceImage, settings: Any
) -> None:
    settings.ROKKA = {
        **settings.ROKKA,
        "default": {**settings.ROKKA["default"], "READ_ONLY": True},
    }

    assert "This site only reads from rokka." in text_of(admin_client.get(url_of(image)))
    assert is_frozen(admin_client, image, "name", "user_metadata", "subject_area")


def test_an_image_of_an_organization_without_settings_is_shown(
    admin_client: Client, image: SourceImage
) -> None:
    SourceImage.objects.filter(pk=image.pk).update(organization="elsewhere")

    page = text_of(admin_client.get(url_of(image)))

    assert "No alias of the ROKKA setting has the organization “elsewhere”." in page
    assert "No preview: not configured" in page
    assert is_frozen(admin_client, image, "name", "user_metadata", "subject_area")


# --- Who may do what --------------------------------------------------------------------------


def test_who_may_only_look_sees_everything_and_changes_nothing(
    client: Client, image: SourceImage, rokka_emulator: Emulator
) -> None:
    client.force_login(editor("view_sourceimage"))

    response = client.get(url_of(image))

    assert "View source image" in text_of(response)
    assert f'value="{image.name}"' in text_of(response)
    assert b"_save" not in response.content
    assert is_frozen(client, image, "name", "user_metadata", "subject_area")
    answer = client.post(url_of(image), {"name": "pier.jpg"})
    assert answer.status_code == 403
    assert not rokka_emulator.application.calls


def test_who_may_nothing_sees_nothing(client: Client, image: SourceImage) -> None:
    client.force_login(editor("view_photo"))

    assert client.get(url_of(image)).status_code == 403
    assert client.post(url_of(image), {}).status_code == 403


def test_the_right_to_change_is_asked_for_the_image(image: SourceImage) -> None:
    class Choosy(SourceImageAdmin):
        def has_change_permission(self, request: Any, obj: Any = None) -> bool:
            return obj is None

    page = page_of(image, site=admin.AdminSite(), model_admin=Choosy)

    assert not page.may_save
    assert page.parts["name"].fields["name"].disabled


def test_who_may_change_saves(client: Client, image: SourceImage) -> None:
    client.force_login(editor("change_sourceimage"))

    save(client, image, subject_area__x=1, subject_area__y=2)

    assert set(areas_of(image)) == {"subject_area"}


def test_a_form_without_its_token_is_refused(image: SourceImage) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(editor("change_sourceimage"))

    assert client.post(url_of(image), {"name": "pier.jpg"}).status_code == 403


# --- History ----------------------------------------------------------------------------------


def test_the_new_image_shows_who_changed_the_one_before(
    admin_client: Client, image: SourceImage
) -> None:
    response = save(admin_client, image, name="pier.jpg", subject_area__x=1, subject_area__y=2)
    new = SourceImage.objects.get(pk=image.pk).current
    save(admin_client, new, crop_area__x=1, crop_area__y=2, crop_area__width=3, crop_area__height=4)
    newest = SourceImage.objects.get(pk=new.pk).current

    page = admin_client.get(url_of(newest)).context["page"]

    assert [(entry.get_change_message(), about) for entry, about in page.log] == [
        ("Changed crop.", new),
        ("Changed name and focal point.", image),
    ]
    assert [link.image for link in page.chain] == [image, new, newest]
    assert [link.here for link in page.chain] == [False, False, True]
    assert "Changed name and focal point." in text_of(admin_client.get(response.url))


def test_images_of_unknown_bytes_have_no_history_in_common(rokka_emulator: Emulator) -> None:
    image, _ = (SourceImage.objects.create(organization="acme", hash=one * 40) for one in "12")

    assert chain_of(image, SourceImage.objects.all()) == [image]


def test_the_chain_is_walked_both_ways_in_one_query(
    rokka_emulator: Emulator, django_assert_num_queries: Any
) -> None:
    def make(letter: str, after: SourceImage | None = None) -> SourceImage:
        image = SourceImage.objects.create(
            organization="acme", hash=letter * 40, binary_hash="b" * 40
        )
        if after:
            SourceImage.objects.filter(pk=after.pk).update(replaced_by=image)
        return image

    first = make("1")
    other = make("2")
    second = make("3", after=first)
    SourceImage.objects.filter(pk=other.pk).update(replaced_by=second)
    third = make("4", after=second)
    make("5")
    second.refresh_from_db()

    with django_assert_num_queries(1):
        chain = chain_of(second, SourceImage.objects.all())

    assert set(chain[:2]) == {first, other}
    assert chain[2:] == [second, third]


def test_a_chain_that_bites_its_tail_ends(rokka_emulator: Emulator) -> None:
    first, second = (
        SourceImage.objects.create(organization="acme", hash=letter * 40, binary_hash="b" * 40)
        for letter in "12"
    )
    for one, next in ((first, second), (second, first)):
        SourceImage.objects.filter(pk=one.pk).update(replaced_by=next)
    first.refresh_from_db()

    assert set(chain_of(first, SourceImage.objects.all())) == {first, second}
