"""Which rows hold an image, wherever they are, and how they move."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.db import DatabaseError, connection, connections, models
from django.test.utils import CaptureQueriesContext

from django_rokka import references
from django_rokka.emulator import Emulator
from django_rokka.fields import RokkaImageField
from django_rokka.models import SourceImage
from tests.library.models import (
    Article,
    Attachment,
    Headline,
    Jacket,
    Legacy,
    Page,
    Portrait,
    Poster,
    Slide,
)
from tests.meanwhile import meanwhile
from tests.pictures import picture

pytestmark = pytest.mark.django_db

OLD, NEW, OTHER = "a1" * 20, "b2" * 20, "c3" * 20


@pytest.fixture
def old(rokka_emulator: Emulator) -> SourceImage:
    return SourceImage.objects.create(organization="acme", hash=OLD, short_hash=OLD[:6])


@pytest.fixture
def new(rokka_emulator: Emulator) -> SourceImage:
    return SourceImage.objects.create(organization="acme", hash=NEW, short_hash=NEW[:6])


@pytest.fixture
def legacy() -> Iterator[None]:
    """A table that no migration knows of."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE legacy_pictures (id integer PRIMARY KEY, picture varchar(255))"
        )
        yield
        cursor.execute("DROP TABLE legacy_pictures")


def held() -> dict[tuple[str, str], str]:
    """What every row of these models names."""
    found = {}
    columns: list[tuple[type[models.Model], str]] = [
        (Article, "photo"),
        (Portrait, "picture"),
        (Poster, "back"),
        (Slide, "picture"),
        (Jacket, "picture"),
        (Attachment, "file"),
        (Page, "hero"),
        (Page, "data"),
        (Page, "body"),
    ]
    for model, field in columns:
        for pk, value in models.QuerySet(model).values_list("pk", field):
            found[f"{model.__name__}.{field}", pk] = str(value)
    return found


def rows_that_hold(hash: str) -> int:
    """One row for each way to hold an image; gives how many references they make."""
    Article.objects.create(title="direct", photo=f"{hash}/one.jpg")
    Headline.objects.create(title="by a proxy", photo=f"{hash}/two.jpg")
    Portrait.objects.create(hidden=True, picture=f"{hash}/hidden.jpg")
    Poster.objects.create(picture=f"{hash}/front.jpg", back=f"{hash}/back.jpg")
    Slide.objects.create(picture=f"{hash}/abstract.jpg")
    Jacket.objects.create(picture=f"{hash}/swapped.jpg")
    Attachment.objects.create(file=f"{hash}/plain.jpg")
    Page.objects.create(hero=hash)
    Page.objects.create(hero=f"{hash}/hero.jpg")
    Page.objects.create(data={"blocks": [{"image": f"{hash}/json.jpg", "kept": 1}], "also": hash})
    Page.objects.create(data={"blocks": [{"image": hash}]})
    Page.objects.create(body=f'<img src="https://acme.rokka.io/hero/{hash}/text.jpg">')
    return 13


def test_every_kind_of_row_is_found(old: SourceImage) -> None:
    expected = rows_that_hold(OLD)
    rows_that_hold(OTHER)

    found = list(references.of(old))

    assert len(found) == references.count(old) == expected
    assert {(type(item.row).__name__, item.field) for item in found} == {
        ("Article", "photo"),
        ("Portrait", "picture"),
        ("Poster", "back"),
        ("Slide", "picture"),
        ("Jacket", "picture"),
        ("Attachment", "file"),
        ("Page", "hero"),
        ("Page", "data__blocks__0__image"),
        ("Page", "body"),
    }
    assert references.count(old, limit=3) == 3


def test_all_rows_move_and_keep_their_slugs(old: SourceImage, new: SourceImage) -> None:
    expected = rows_that_hold(OLD)
    rows_that_hold(OTHER)
    before = held()

    assert references.repoint(old, new) == expected

    # The one copy of the hash that no setting names stays.
    assert held() == {
        key: value.replace(OLD, NEW).replace(f"'also': '{NEW}'", f"'also': '{OLD}'")
        for key, value in before.items()
    }
    assert Article.objects.filter(title="by a proxy", photo=f"{NEW}/two.jpg").count() == 1
    assert references.count(old) == 0
    assert references.repoint(old, new) == 0


def test_moving_is_one_update_for_each_column(old: SourceImage, new: SourceImage) -> None:
    rows_that_hold(OLD)
    columns = [place.lookup for place in references.places("acme")]

    with CaptureQueriesContext(connection) as queries:
        references.repoint(old, new)

    # The text has one row that holds the image.
    updates = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert len(updates) == len(columns) == 14


IMG = '<img src="https://acme.rokka.io/hero/{}/text.jpg">'


@pytest.mark.parametrize(
    ("edit", "moved", "expected"),
    [
        (lambda rows: rows.update(body=f"New: {IMG.format(OLD)}"), 1, [f"New: {IMG.format(NEW)}"]),
        (lambda rows: rows.update(body="No picture."), 0, ["No picture."]),
        (lambda rows: rows.delete(), 0, []),
    ],
)
def test_a_text_that_is_edited_while_it_is_rewritten_keeps_the_edit(
    old: SourceImage,
    new: SourceImage,
    edit: Callable[[models.QuerySet[Page]], Any],
    moved: int,
    expected: list[str],
) -> None:
    Page.objects.create(body=IMG.format(OLD))

    with meanwhile('^UPDATE "library_page" SET "body"', lambda: edit(Page.objects.all())):
        assert references.repoint(old, new) == moved

    assert list(Page.objects.values_list("body", flat=True)) == expected


def test_a_short_hash_counts_and_is_moved(old: SourceImage, new: SourceImage) -> None:
    row = Article.objects.create(title="short", photo=f"{OLD[:6]}/dog.jpg")
    Article.objects.create(title="longer, and so of another image", photo=f"{OLD[:5]}b/dog.jpg")

    assert [item.row for item in references.of(old)] == [row]
    references.repoint(old, new)

    row.refresh_from_db()
    assert row.photo.name == f"{NEW}/dog.jpg"


def test_names_that_only_look_alike_are_left_alone(old: SourceImage, new: SourceImage) -> None:
    Article.objects.create(title="upper case", photo=f"{OLD.upper()}/dog.jpg")
    Page.objects.create(hero=f"{OLD}x")
    Page.objects.create(data={"blocks": [{"other": OLD}]})
    Page.objects.create(data={"blocks": []})

    assert references.repoint(old, new) == 0


def test_unmanaged_tables_are_asked_and_views_are_not(
    old: SourceImage, new: SourceImage, legacy: None
) -> None:
    row = Legacy.objects.create(pk=1, picture=f"{OLD}/old.jpg")
    assert [item.row for item in references.of(old)] == [row]

    references.repoint(old, new)
    row.refresh_from_db()
    assert row.picture.name == f"{NEW}/old.jpg"

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE legacy_pictures RENAME TO elsewhere")
        cursor.execute("CREATE VIEW legacy_pictures AS SELECT * FROM elsewhere")
        assert references.count(new) == 0
        cursor.execute("DROP VIEW legacy_pictures")
        cursor.execute("ALTER TABLE elsewhere RENAME TO legacy_pictures")


def test_two_models_of_one_table_count_its_rows_once(old: SourceImage) -> None:
    Slide.objects.create(picture=f"{OLD}/one.jpg")

    class SameTable(models.Model):  # noqa: DJ008
        picture = RokkaImageField()

        class Meta:
            app_label = "library"
            managed = False
            db_table = Slide._meta.db_table

    try:
        assert references.count(old) == len(list(references.of(old))) == 1
    finally:
        del apps.all_models["library"]["sametable"]
        apps.clear_cache()


def test_a_quoted_table_of_any_schema_is_asked(old: SourceImage, legacy: None) -> None:
    schema = "public" if connection.vendor == "postgresql" else "main"
    Legacy.objects.create(pk=1, picture=f"{OLD}/old.jpg")

    class Elsewhere(models.Model):  # noqa: DJ008
        picture = RokkaImageField()

        class Meta:
            app_label = "library"
            managed = False
            db_table = f'"{schema}"."legacy_pictures"'

    try:
        assert {type(item.row) for item in references.of(old)} == {Legacy, Elsewhere}
    finally:
        del apps.all_models["library"]["elsewhere"]
        apps.clear_cache()


def test_a_model_without_a_table_is_no_trouble(old: SourceImage) -> None:
    assert "legacy_pictures" not in connection.introspection.table_names()
    assert references.count(old) == 0


@pytest.mark.django_db(databases=["default", "other"])
def test_rows_of_several_databases_are_found_and_moved(
    old: SourceImage, new: SourceImage, settings: Any
) -> None:
    settings.ROKKA = {
        alias: {**values, "DATABASES": []} for alias, values in settings.ROKKA.items()
    }
    Slide.objects.using("default").create(picture=f"{OLD}/here.jpg")
    Slide.objects.using("other").create(picture=f"{OLD}/there.jpg")

    assert {item.row._state.db for item in references.of(old)} == {"default", "other"}
    assert references.repoint(old, new) == 2
    assert Slide.objects.using("other").get().picture.name == f"{NEW}/there.jpg"

    with connections["other"].cursor() as cursor:
        cursor.execute("ALTER TABLE library_slide RENAME TO moved_away")
        assert references.count(new) == 1
        cursor.execute("ALTER TABLE moved_away RENAME TO library_slide")


@pytest.mark.django_db(databases=["default", "other"])
def test_the_rows_of_every_database_move_together_or_not_at_all(
    old: SourceImage, new: SourceImage, settings: Any
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "DATABASES": []}}
    for using in ("default", "other"):
        Article.objects.using(using).create(title=using, photo=f"{OLD}/dog.jpg")

    def fails(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if sql.startswith('UPDATE "library_slide"'):
            raise DatabaseError
        return execute(sql, *args)

    with connections["other"].execute_wrapper(fails), pytest.raises(DatabaseError):
        references.repoint(old, new)

    for using in ("default", "other"):
        assert Article.objects.using(using).get().photo.name == f"{OLD}/dog.jpg"


def test_all_aliases_of_the_organization_are_asked(old: SourceImage, settings: Any) -> None:
    default = settings.ROKKA["default"]
    settings.ROKKA = {
        "default": {**default, "REFERENCES": [], "RICH_TEXT": []},
        "press": {**default, "REFERENCES": ["library.Page.hero"], "RICH_TEXT": []},
        "stage": settings.ROKKA["stage"],
    }
    Page.objects.create(hero=OLD)

    assert references.count(old) == 1
    assert references.count(SourceImage(organization="acme-stage", hash=OLD)) == 0


def test_a_column_can_hold_names_and_urls(
    old: SourceImage, new: SourceImage, settings: Any
) -> None:
    both = {"REFERENCES": ["library.Page.body"], "RICH_TEXT": ["library.Page.body"]}
    settings.ROKKA = {"default": {**settings.ROKKA["default"], **both}}
    Page.objects.create(body=OLD)
    Page.objects.create(body=f"https://acme.rokka.io/hero/{OLD}.jpg")

    assert references.repoint(old, new) == 2
    assert references.count(new) == 2


def test_equal_hashes_of_another_organization_are_another_image(old: SourceImage) -> None:
    stage = SourceImage(organization="acme-stage", hash=OLD)
    Article.objects.create(title="acme", photo=f"{OLD}/a.jpg")

    assert (references.count(old), references.count(stage)) == (1, 0)


@pytest.mark.parametrize(
    "path",
    ["library.Page", "nowhere.Page.hero", "library.Page.missing", "library.Article.photo",
     "library.Page.data", "library.Page.hero__key", "library.Page.id"],
)  # fmt: skip
def test_a_wrong_path_is_named(path: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"'{path}'"):
        references.find_field(path)


def test_an_index_is_used(old: SourceImage, new: SourceImage) -> None:
    place = next(item for item in references.places("acme") if item.field.model is Article)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            assert "Index" in place.holding(old).explain()
    else:
        assert "USING INDEX" in place.holding(old).explain()


def test_uploads_of_the_same_picture_are_counted_together(rokka_emulator: Emulator) -> None:
    for name in ("a.jpg", "b.jpg"):
        Article.objects.create(title=name, photo=ContentFile(picture(), name=name))

    assert references.count(SourceImage.objects.get()) == 2


# --- Many images at once ----------------------------------------------------------------------


def images(count: int) -> list[SourceImage]:
    """Images with short hashes of eight characters."""
    hashes = [f"{number:08x}" + "d4" * 16 for number in range(count)]
    made = [SourceImage(organization="acme", hash=hash, short_hash=hash[:8]) for hash in hashes]
    return SourceImage.objects.bulk_create(made)


def pks(rows: Any) -> set[int]:
    return {row.pk for row in rows}


def test_the_images_of_a_page_are_counted_as_each_is_alone(
    old: SourceImage, new: SourceImage, settings: Any
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "RICH_TEXT": []}}
    rows_that_hold(OLD)
    rows_that_hold(OLD[:6])
    rows_that_hold(NEW)
    Article.objects.create(title="upper case", photo=f"{OLD.upper()}/dog.jpg")
    Page.objects.create(hero=f"{OLD}x")
    elsewhere = SourceImage.objects.create(organization="acme-stage", hash=OLD)
    free = images(1)[0]

    counts = references.counts([old, new, elsewhere, free])

    assert counts == {old.pk: 24, new.pk: 12, elsewhere.pk: 0, free.pk: 0}
    assert counts == {image.pk: references.count(image) for image in (old, new, elsewhere, free)}


def test_texts_are_left_out_of_the_counts_of_a_page(old: SourceImage) -> None:
    Page.objects.create(body=f"https://acme.rokka.io/hero/{OLD}/text.jpg")

    assert (references.count(old), references.counts([old])) == (1, {old.pk: 0})


def test_a_hundred_images_are_counted_with_one_query_a_column(
    django_assert_num_queries: Any,
) -> None:
    made = images(100)
    for image in made[::2]:
        Article.objects.create(title="one", photo=image.file_name)
    columns = [
        place
        for place in references.places("acme")
        if not isinstance(place, references.RichTextPlace)
    ]
    # What tables there are is one more.
    with django_assert_num_queries(len(columns) + 1):
        counts = references.counts(made)

    assert list(counts.values()) == [1, 0] * 50
    assert references.counts([]) == {}


@pytest.mark.django_db(databases=["default", "other"])
def test_rows_of_several_databases_count_and_make_an_image_used(
    old: SourceImage, new: SourceImage, settings: Any
) -> None:
    settings.ROKKA = {
        alias: {**values, "DATABASES": []} for alias, values in settings.ROKKA.items()
    }
    Slide.objects.using("default").create(picture=f"{OLD}/here.jpg")
    Slide.objects.using("other").create(picture=f"{OLD}/there.jpg")
    Slide.objects.using("other").create(picture=f"{NEW[:6]}/there.jpg")
    free = images(1)[0]

    assert references.counts([old, new]) == {old.pk: 2, new.pk: 1}
    rows = SourceImage.objects.all()
    assert pks(references.used(rows)) == {old.pk, new.pk}
    assert pks(references.unreferenced(rows)) == {free.pk}


def test_each_kind_of_row_makes_an_image_used(rokka_emulator: Emulator) -> None:
    made = images(16)
    one, two, three = (iter(made[:8]), iter(made[8:14]), made[14:])
    Article.objects.create(title="full", photo=next(one).file_name)
    Article.objects.create(title="short", photo=f"{next(one).short_hash}/a.jpg")
    Portrait.objects.create(hidden=True, picture=next(one).file_name)
    Poster.objects.create(picture=next(one).file_name, back=next(one).file_name)
    Slide.objects.create(picture=next(one).file_name)
    Attachment.objects.create(file=next(one).file_name)
    Jacket.objects.create(picture=next(one).file_name)
    Page.objects.create(hero=next(two).hash)
    Page.objects.create(hero=next(two).short_hash)
    Page.objects.create(hero=next(two).file_name)
    Page.objects.create(data={"blocks": [{"image": next(two).file_name}]})
    Page.objects.create(data={"blocks": [{"image": next(two).hash}]})
    Page.objects.create(body=f"https://acme.rokka.io/hero/{next(two).short_hash}/a.jpg")
    rows = SourceImage.objects.all()

    assert pks(references.used(rows)) == pks(made[:14])
    assert pks(references.unreferenced(rows)) == pks(three) == pks(rows.unreferenced())


def test_a_hash_in_a_url_may_be_cut_anywhere(old: SourceImage, new: SourceImage) -> None:
    SourceImage.objects.create(organization="acme-stage", hash=OLD[:20] + OTHER[:20])
    for hash in (OLD[:12], NEW):
        Page.objects.create(body=IMG.format(hash))

    assert pks(references.used(SourceImage.objects.all())) == {old.pk, new.pk}


def test_what_is_used_is_one_query(
    old: SourceImage, settings: Any, django_assert_num_queries: Any
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "RICH_TEXT": []}}

    # What tables there are is one more.
    with django_assert_num_queries(2):
        assert not references.used(SourceImage.objects.all())


def test_what_only_looks_alike_makes_no_image_used(old: SourceImage) -> None:
    for name in (f"{OLD.upper()}/dog.jpg", f"{OLD}.jpg", f"{OLD[:-1]}/dog.jpg", f"{OLD}-/dog.jpg"):
        Article.objects.create(title="alike", photo=name)
    SourceImage.objects.create(organization="acme-stage", hash=NEW)
    Article.objects.create(title="of another organization", photo=f"{NEW}/dog.jpg")

    assert not references.used(SourceImage.objects.all())
    assert references.unreferenced(SourceImage.objects.all()).count() == 2


def test_a_row_without_a_picture_holds_no_image_without_a_short_hash() -> None:
    image = SourceImage.objects.create(organization="acme", hash=OLD, short_hash="")
    Article.objects.create(title="none", photo="")
    Article.objects.create(title="a path", photo="/media/dog.jpg")
    Attachment.objects.create(file=f"{OTHER}/other.jpg", image="")
    Page.objects.create(hero="", data={"blocks": [{"image": ""}]})

    assert pks(references.unreferenced(SourceImage.objects.all())) == {image.pk}
    assert references.counts([image]) == {image.pk: references.count(image)} == {image.pk: 0}


def test_an_image_of_an_organization_that_no_alias_has_is_not_used() -> None:
    image = SourceImage.objects.create(organization="gone", hash=OLD)
    Article.objects.create(title="acme's", photo=f"{OLD}/dog.jpg")

    assert pks(references.unreferenced(SourceImage.objects.all())) == {image.pk}
    assert not references.used(SourceImage.objects.all())


def test_without_a_setting_no_image_is_used(settings: Any) -> None:
    image = SourceImage.objects.create(organization="acme", hash=OLD)
    settings.ROKKA = {}

    assert not references.used(SourceImage.objects.all())
    assert references.unreferenced(SourceImage.objects.all()).get() == image


def test_what_is_used_is_asked_within_what_was_filtered(old: SourceImage, new: SourceImage) -> None:
    for hash in (OLD, NEW):
        Article.objects.create(title="held", photo=f"{hash}/dog.jpg")

    assert references.used(SourceImage.objects.filter(pk=old.pk)).get() == old
    assert not references.unreferenced(SourceImage.objects.filter(pk=old.pk))


@pytest.mark.parametrize("find", [references.used, references.unreferenced])
def test_an_index_tells_for_each_image_whether_it_is_used(find: Any, settings: Any) -> None:
    hero = {"REFERENCES": ["library.Page.hero"], "RICH_TEXT": []}
    settings.ROKKA = {"default": {**settings.ROKKA["default"], **hero}}
    found = find(SourceImage.objects.all()).order_by("-created", "-id")[:100]

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            plan = found.explain()
        assert re.search(r"Index.* using library_article_photo_\w+_like on library_article", plan)
        assert "(photo)::text ~>=~" in plan or "(photo ~>=~" in plan
        assert re.search(r"Index.* using library_page_hero_\w+_like on library_page", plan)
    else:
        plan = found.explain()
        assert re.search(
            r"COVERING INDEX library_article_photo_\w+ \(photo>\? AND photo<\?\)", plan
        )
        assert re.search(r"COVERING INDEX library_page_hero_\w+ \(hero>\? AND hero<\?\)", plan)
        assert re.search(r"COVERING INDEX library_page_hero_\w+ \(hero=\?\)", plan)


def test_an_index_counts_the_images_of_a_page(old: SourceImage, new: SourceImage) -> None:
    with CaptureQueriesContext(connection) as queries:
        references.counts([old, new])
    (sql,) = (item["sql"] for item in queries if '"library_article"' in item["sql"])

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        cursor.execute(f"{explain} {sql}")
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
    assert "library_article_photo_" in plan
    assert "SCAN library_article" not in plan.replace("INDEX SCAN", "")
