"""The list of the images: what it shows, how it is searched and filtered, and what that costs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin import ModelAdmin, site
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_rokka.admin import SourceImageAdmin
from django_rokka.admin.listing import AtLeast
from django_rokka.emulator import Emulator
from django_rokka.models import SourceImage
from example_project.gallery.models import Photo
from tests.library.models import Article, Attachment, Page

pytestmark = pytest.mark.django_db
LIST = reverse("admin:rokka_sourceimage_changelist")
NOW = timezone.now()


@pytest.fixture
def admin_client(client: Client) -> Client:
    """An administrator, who needs no password to be computed."""
    client.force_login(get_user_model().objects.create_superuser("admin"))
    return client


def make(number: int, **values: Any) -> SourceImage:
    """An unsaved image of the mirror; the higher its number, the newer."""
    hash = f"{number:06x}" + "a1" * 17
    default = {
        "organization": "acme",
        "short_hash": hash[:8],
        "binary_hash": f"{number:06x}" + "b2" * 17,
        "name": f"picture {number}.jpg",
        "format": "jpg",
        "size": 1000 + number,
        "width": 1200,
        "height": 800,
        "created": NOW - timedelta(days=500) + timedelta(seconds=number),
    }
    return SourceImage(**{"hash": hash, **default, **values})


def create(number: int, **values: Any) -> SourceImage:
    image = make(number, **values)
    image.save()
    return image


def create_many(count: int) -> None:
    SourceImage.objects.bulk_create([make(number) for number in range(count)])


def shown(client: Client, query: str = "") -> list[SourceImage]:
    """The images on a page of the list, in its order."""
    response = client.get(f"{LIST}{query}")
    assert response.status_code == 200, response
    return list(response.context["cl"].result_list)


def texts(client: Client, query: str = "") -> list[dict[str, str]]:
    """What a page says in each column, row by row."""
    html = client.get(f"{LIST}{query}").content.decode()
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    cells = re.compile(r'<t[dh] class="field-(\w+)[^>]*>(.*?)</t[dh]>', re.DOTALL)
    rows = [cells.findall(row) for row in body.split("</tr>")[:-1]]
    return [{name: unescape(re.sub("<[^>]+>", "", cell)) for name, cell in row} for row in rows]


# --- What it costs ----------------------------------------------------------------------------


def queries(client: Client, query: str = "") -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(f"{LIST}{query}").status_code == 200
    return [item["sql"] for item in captured]


@pytest.mark.parametrize("query", ["", "?q=picture", "?use=used", "?use=unused", "?state=all&o=4"])
def test_a_hundred_images_take_as_many_queries_as_ten(admin_client: Client, query: str) -> None:
    lengths = []
    for numbers in (range(10), range(10, 100)):
        for number in numbers:
            image = create(number, replaced_by=SourceImage.objects.first())
            if number % 2:
                Article.objects.create(title="used", photo=image.file_name)
        lengths.append(len(queries(admin_client, query)))

    assert lengths[0] == lengths[1]


def test_showing_the_list_asks_nothing_of_rokka(
    admin_client: Client, photos: list[Photo], rokka_emulator: Emulator
) -> None:
    rokka_emulator.application.calls.clear()

    assert len(shown(admin_client)) == len(photos)
    assert rokka_emulator.calls == []


@pytest.mark.parametrize(
    "query", ["", "?p=2", "?q=picture", "?use=unused", "?format=jpg&state=all"]
)
def test_no_query_counts_or_reads_the_whole_table(admin_client: Client, query: str) -> None:
    create_many(101)

    for sql in queries(admin_client, query):
        if 'FROM "rokka_sourceimage"' in sql:
            assert "COUNT(" not in sql
            assert " LIMIT " in sql or '"id" IN (' in sql


def test_what_a_page_was_found_by_is_not_asked_again_for_its_images(admin_client: Client) -> None:
    create(1)

    found = [sql for sql in queries(admin_client, "?use=unused") if '"gallery_photo"' in sql]

    # One finds the keys, and one counts the rows that hold the images.
    assert len(found) == 2


# --- Pages ------------------------------------------------------------------------------------


def test_up_to_ten_thousand_images_are_counted_and_paged(admin_client: Client) -> None:
    create_many(10_000)

    response = admin_client.get(f"{LIST}?p=100")

    assert "10000 source images" in response.content.decode()
    assert [image.name for image in response.context["cl"].result_list][-1] == "picture 0.jpg"
    assert admin_client.get(f"{LIST}?p=101").status_code == 302


def test_of_more_images_the_list_says_that_there_are_more(
    admin_client: Client, settings: Any
) -> None:
    create_many(10_001)

    response = admin_client.get(f"{LIST}?p=100")

    text = unescape(re.sub("<[^>]+>", "", response.content.decode()))
    for words in (
        ">10000 results",
        ">10000 source images",
        "Select all >10000",
        "All >10000 selected",
    ):
        assert words in text
    assert [image.name for image in response.context["cl"].result_list][-1] == "picture 1.jpg"
    assert admin_client.get(f"{LIST}?p=101").status_code == 302
    settings.USE_THOUSAND_SEPARATOR = True
    assert ">10,000 source images" in unescape(admin_client.get(LIST).content.decode())


def test_by_use_a_thousand_are_looked_up(admin_client: Client) -> None:
    create_many(1_002)

    response = admin_client.get(f"{LIST}?use=unused&p=10")

    assert response.context["cl"].result_count == AtLeast(1000)
    assert [image.name for image in response.context["cl"].result_list][-1] == "picture 2.jpg"
    assert admin_client.get(f"{LIST}?use=unused&p=11").status_code == 302


def test_the_pages_of_a_filter_follow_each_other(admin_client: Client) -> None:
    for number in range(250):
        create(number, format="png" if number % 2 else "jpg")

    pages = [shown(admin_client, f"?format=png&p={page}") for page in (1, 2)]

    assert [image.name for page in pages for image in page] == [
        f"picture {number}.jpg" for number in range(249, 0, -2)
    ]


def test_all_can_be_shown_where_an_admin_allows_it() -> None:
    class Roomy(SourceImageAdmin):
        list_max_show_all = 500

    create_many(150)
    user = get_user_model().objects.create_superuser("admin")
    request = RequestFactory().get(LIST, {"all": ""})
    request.user = user

    changelist = Roomy(SourceImage, site).get_changelist_instance(request)

    assert len(changelist.result_list) == 150


# --- Search -----------------------------------------------------------------------------------

HASH = "00001f" + "a1" * 17


@pytest.mark.parametrize(
    "text",
    ["PICTURE 31.", " 31.jpg ", HASH, HASH[:6], HASH[:8].upper(), HASH[:20], "00001fb2", "00001f" + "b2" * 17],
)  # fmt: skip
def test_an_image_is_found(admin_client: Client, text: str) -> None:
    create_many(40)

    assert [image.hash for image in shown(admin_client, f"?q={text}")] == [HASH]


def test_the_beginning_of_a_hash_is_looked_up_in_an_index(admin_client: Client) -> None:
    create_many(40)

    named = [sql for sql in queries(admin_client, f"?q={HASH[:7]}") if "LIKE" in sql]

    assert named == []


def test_an_index_finds_the_beginning_of_a_hash() -> None:
    found = SourceImage.objects.filter(organization__in=["acme"], hash__range=(HASH[:7], HASH))
    create_many(40)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        assert "Index Cond: (((organization)::text = 'acme'::text) AND ((hash)" in found.explain()
    else:
        assert "(organization=? AND hash>? AND hash<?)" in found.explain()


@pytest.mark.parametrize("word", ["facade", "202401", "decade.jpg"])
def test_what_may_be_a_word_or_a_number_is_looked_for_in_names_too(
    admin_client: Client, word: str
) -> None:
    hex = word[:6]
    create(1, hash=hex.ljust(40, "a"), binary_hash="")
    create(2, name=f"old {hex} new.jpg")

    assert {image.name for image in shown(admin_client, f"?q={hex}")} == {
        "picture 1.jpg",
        f"old {hex} new.jpg",
    }


def test_a_hash_of_an_organization_that_no_alias_has_is_found(admin_client: Client) -> None:
    image = create(7, organization="gone")

    assert shown(admin_client, f"?q={image.hash[:9]}") == [image]


def test_what_a_hash_leads_to_is_found_in_any_state(admin_client: Client) -> None:
    image = create(1, deleted=NOW)

    assert shown(admin_client) == []
    assert shown(admin_client, f"?q={image.hash[:10]}") == [image]
    assert shown(admin_client, "?q=picture") == []
    assert shown(admin_client, f"?q={image.hash[:6]}") == []  # which might be a number
    assert shown(admin_client, f"?q={image.hash[:10]}&state=locked") == []


# --- Filters ----------------------------------------------------------------------------------


@pytest.fixture
def states() -> None:
    create(1, name="live")
    create(2, name="deleted", deleted=NOW)
    create(3, name="purged", deleted=NOW, purged=NOW)
    create(4, name="broken", deleted=NOW, broken=SourceImage.Broken.GONE)
    create(5, name="replaced", deleted=NOW, replaced_by=SourceImage.objects.get(name="live"))
    create(6, name="protected", protected=True)
    create(7, name="locked", locked=True)
    create(8, name="locked, deleted", locked=True, deleted=NOW)


@pytest.mark.usefixtures("states")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "live protected locked"),
        ("?state=deleted", "deleted purged broken replaced locked,"),
        ("?state=broken", "broken"),
        ("?state=replaced", "replaced"),
        ("?state=protected", "protected"),
        ("?state=locked", "locked"),
        ("?state=all", "live deleted purged broken replaced protected locked locked,"),
    ],
)
def test_each_state_can_be_asked_for(admin_client: Client, query: str, names: str) -> None:
    assert sorted(image.name.split()[0] for image in shown(admin_client, query)) == sorted(
        names.split()
    )


def test_live_is_what_is_chosen_at_first(admin_client: Client) -> None:
    spec = admin_client.get(LIST).context["cl"].filter_specs[0]
    choices = list(spec.choices(admin_client.get(LIST).context["cl"]))

    assert [str(choice["display"]) for choice in choices if choice["selected"]] == ["Live"]
    assert str(choices[-1]["display"]) == "All"


def test_images_are_filtered_by_format_and_organization(admin_client: Client) -> None:
    one = create(1, format="png")
    two = create(2, organization="acme-stage")

    assert shown(admin_client, "?format=png") == [one]
    assert shown(admin_client, "?organization=acme-stage") == [two]
    assert shown(admin_client, "?organization=acme-stage&format=png") == []


def test_one_organization_is_no_choice(admin_client: Client, settings: Any) -> None:
    settings.ROKKA = {"default": settings.ROKKA["default"]}

    titles = [spec.title for spec in admin_client.get(LIST).context["cl"].filter_specs]

    assert titles == ["state", "use", "format", "created"]


def test_images_are_filtered_by_their_use_with_texts(admin_client: Client) -> None:
    photo, short, plain, hero, block, body, free = (create(number) for number in range(7))
    Article.objects.create(title="full", photo=photo.file_name)
    Article.objects.create(title="short", photo=f"{short.short_hash}/a.jpg")
    Attachment.objects.create(file=plain.file_name)
    Page.objects.create(hero=hero.hash)
    Page.objects.create(data={"blocks": [{"image": block.file_name}]})
    Page.objects.create(body=f"https://acme.rokka.io/hero/{body.short_hash}/a.jpg")

    assert set(shown(admin_client, "?use=used")) == {photo, short, plain, hero, block, body}
    assert shown(admin_client, "?use=unused") == [free]


def test_images_are_filtered_by_when_they_were_made(admin_client: Client) -> None:
    old, new = create(1, created=NOW - timedelta(days=400)), create(2, created=NOW)
    none = create(3, created=None)
    links = admin_client.get(LIST).context["cl"].filter_specs[-1].links
    dates = {str(title): values for title, values in links}

    def on(title: str) -> list[SourceImage]:
        response = admin_client.get(LIST, dates[title])
        return list(response.context["cl"].result_list)

    assert on("Today") == on("Past 7 days") == on("This month") == on("This year") == [new]
    assert on("No date") == [none]
    assert set(on("Any date")) == {old, new, none}


@pytest.mark.parametrize("query", ["state=lost", "format=exe", "organization=other", "use=maybe"])
def test_what_is_no_choice_leads_back_to_the_list(admin_client: Client, query: str) -> None:
    assert admin_client.get(f"{LIST}?{query}").headers["Location"] == f"{LIST}?e=1"


# --- Columns ----------------------------------------------------------------------------------


def test_a_row_says_what_is_known(admin_client: Client) -> None:
    image = create(1, size=3_500_000, created=NOW)
    for _ in range(3):
        Article.objects.create(title="used", photo=image.file_name)
    create(2, name="", size=None, width=None, created=None)

    unnamed, row = sorted(texts(admin_client), key=lambda row: row["title"])

    assert row["title"] == "picture 1.jpg"
    assert row["dimensions"] == "1200 × 800"
    assert row["file_size"] == "3.3\xa0MB"
    assert (row["format"], row["organization"], row["state"]) == ("jpg", "acme", "live")
    assert row["use"] == "used by 3"
    assert str(timezone.localtime(NOW).year) in row["day"]
    assert unnamed["title"] == "000002a1"
    assert unnamed["dimensions"] == unnamed["file_size"] == unnamed["day"] == "-"
    assert unnamed["use"] == "used by 0"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"deleted": NOW}, "deleted, 30 days left"),
        ({"deleted": NOW - timedelta(days=18, hours=1)}, "deleted, 12 days left"),
        ({"deleted": NOW - timedelta(days=29, hours=1)}, "deleted, 1 day left"),
        ({"deleted": NOW - timedelta(days=30)}, "deleted for good"),
        ({"deleted": NOW, "purged": NOW}, "deleted for good"),
        ({"deleted": NOW - timedelta(days=90), "broken": "gone"}, "broken deleted for good"),
        ({"protected": True, "locked": True}, "live protected locked"),
    ],
)  # fmt: skip
def test_the_state_is_said_in_words(
    admin_client: Client, values: dict[str, Any], text: str
) -> None:
    create(1, **values)

    assert texts(admin_client, "?state=all")[0]["state"] == text


def test_a_deleted_image_is_shown_with_its_days_left_without_time_zones(
    admin_client: Client, settings: Any
) -> None:
    settings.USE_TZ = False
    create(1, deleted=timezone.now(), created=timezone.now())

    assert texts(admin_client, "?state=all")[0]["state"] == "deleted, 30 days left"


def test_a_replaced_image_leads_to_what_replaced_it(admin_client: Client) -> None:
    new = create(1)
    old = create(2, deleted=NOW, replaced_by=new)

    html = admin_client.get(f"{LIST}?state=replaced").content.decode()

    page = reverse("admin:rokka_sourceimage_change", args=[new.pk])
    assert f'<a href="{page}">replaced</a>' in html
    own = reverse("admin:rokka_sourceimage_change", args=[old.pk])
    # The picture and the name lead to its own page.
    assert html.count(f'href="{own}') == 2


def test_pictures_are_small_and_load_when_they_are_seen(
    admin_client: Client, image: SourceImage
) -> None:
    html = admin_client.get(f"{LIST}?q=lighthouse").content.decode()

    (tag,) = re.findall(r'<img class="rokka-thumbnail"[^>]+>', html)
    assert "resize-width-120" in tag
    assert 'loading="lazy"' in tag
    assert 'alt="lighthouse.jpg"' in tag


def test_a_name_is_never_html(admin_client: Client) -> None:
    create(1, name="<script>alert(1)</script>")

    html = admin_client.get(LIST).content.decode()

    assert "<script>alert" not in html
    assert texts(admin_client)[0]["title"] == "<script>alert(1)</script>"


def test_the_heading_says_that_texts_are_not_counted(admin_client: Client, settings: Any) -> None:
    create(1)
    assert "Texts with pictures in them are not counted here" in str(
        admin_client.get(LIST).content.decode()
    )

    settings.ROKKA = {
        alias: {**values, "RICH_TEXT": []} for alias, values in settings.ROKKA.items()
    }
    html = admin_client.get(LIST).content.decode()
    assert "are not counted here" not in html
    assert "<span>Used by</span>" in html


@pytest.mark.parametrize(("column", "key"), [(2, "name"), (4, "size"), (8, "created")])
def test_the_list_is_sorted_by_name_size_and_age(
    admin_client: Client, column: int, key: str
) -> None:
    for number, size in enumerate([30, 10, 20]):
        create(number, size=size, name=f"{(number + 1) % 3}.jpg")

    for sign in ("", "-"):
        found = shown(admin_client, f"?o={sign}{column}")
        ordered = sorted(found, key=lambda image: getattr(image, key), reverse=bool(sign))
        assert [image.pk for image in found] == [image.pk for image in ordered]


def test_the_newest_come_first(admin_client: Client) -> None:
    create_many(3)

    assert [image.size for image in shown(admin_client)] == [1002, 1001, 1000]


def test_another_change_list_still_counts(admin_client: Client) -> None:
    image = create(1)
    Article.objects.create(title="used", photo=image.file_name)

    assert SourceImageAdmin(SourceImage, site).use(SourceImage.objects.get()).endswith(">1")


# --- Who may see it ---------------------------------------------------------------------------


@pytest.fixture
def login(client: Client) -> Callable[..., Client]:
    """A user of the admin with these permissions."""

    def login(*codenames: str) -> Client:
        user = get_user_model().objects.create_user("editor", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user)
        return client

    return login


def test_who_may_only_look_sees_the_list(login: Callable[..., Client]) -> None:
    image = create(1)

    assert shown(login("view_sourceimage")) == [image]


def test_who_may_not_look_is_refused(login: Callable[..., Client]) -> None:
    assert login("view_photo").get(LIST).status_code == 403


def test_images_that_a_user_may_not_see_are_in_no_list() -> None:
    class Guarded(SourceImageAdmin):
        def get_queryset(self, request: Any) -> Any:
            return super().get_queryset(request).filter(organization="acme")

    one, two = create(1), create(2, organization="acme-stage")
    request = RequestFactory().get(LIST)
    request.user = get_user_model().objects.create_superuser("admin")

    for admin, expected in ((Guarded, {one}), (SourceImageAdmin, {one, two})):
        changelist = admin(SourceImage, site).get_changelist_instance(request)
        assert set(changelist.result_list) == expected


def test_a_popup_lists_images(admin_client: Client) -> None:
    image = create(1)

    assert shown(admin_client, "?_popup=1&_to_field=id") == [image]


def test_the_admin_is_an_ordinary_one() -> None:
    assert isinstance(site.get_model_admin(SourceImage), ModelAdmin)
    assert SourceImageAdmin(SourceImage, site).check() == []
