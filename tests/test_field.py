from __future__ import annotations

import io
from typing import Any

import pytest
from django.core import serializers
from django.core.files.base import ContentFile, File
from django.db import connection, models, transaction
from django.db.migrations.writer import MigrationWriter
from django.test.utils import CaptureQueriesContext

from django_rokka import api
from django_rokka.emulator import Emulator, Fault
from django_rokka.fields import RokkaFieldFile, RokkaImageField
from django_rokka.models import SourceImage
from example_project.gallery.models import Photo
from tests.library.models import Article, Portrait
from tests.pictures import SVG, picture, rotated

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


def new_file(content: bytes = b"", name: str = "dog.jpg") -> ContentFile[bytes]:
    return ContentFile(content or picture((80, 60)), name=name)


def article(**values: Any) -> Article:
    return Article.objects.create(title="Dog", photo=values.pop("photo", new_file()), **values)


def test_saving_a_row_uploads_once_and_fills_the_dimensions(emulator: Emulator) -> None:
    row = article()

    row.refresh_from_db()
    assert [call.method for call in emulator.calls] == ["POST"]
    assert row.photo.name == f"{row.photo.hash}/dog.jpg"
    assert (row.width, row.height) == (80, 60)
    assert row.photo.format == "jpg"


def test_dimensions_are_those_of_the_upright_picture() -> None:
    row = article(photo=new_file(rotated((80, 60))))

    assert (row.width, row.height) == (60, 80)
    assert Article.objects.values_list("width", "height").get() == (60, 80)


def test_what_pillow_cannot_measure_is_measured_by_rokka() -> None:
    row = article(photo=new_file(SVG, "logo.svg"))

    assert Article.objects.values_list("width", "height").get() == (200, 100)
    assert row.photo.url.endswith("/logo.svg")


def test_loading_and_refreshing_cost_one_query_each_and_no_http(emulator: Emulator) -> None:
    pk = article().pk
    Article.objects.update(width=None)
    emulator.application.calls.clear()

    with CaptureQueriesContext(
        connection,
    ) as queries:
        row = Article.objects.get(pk=pk)
        row.refresh_from_db()
        Article.objects.defer("photo").get(pk=pk).photo.url  # noqa: B018
    assert len(queries) == 4  # the last row loads its deferred column
    assert emulator.calls == []


def test_rendering_costs_no_query_and_no_http(emulator: Emulator) -> None:
    row = Article.objects.get(pk=article().pk)
    emulator.application.calls.clear()

    with CaptureQueriesContext(connection) as queries:
        assert row.photo.width == 80
        assert row.photo.url.endswith(f"/dynamic/noop/{row.photo.name}")
        square = row.photo.render_url(width=50, height=50, format="webp")
    base = emulator.render_url.format(organization="acme")
    config = "crop-height-50-mode-ratio-width-50--resize-width-50"
    assert square == f"{base}/dynamic/{config}/{row.photo.hash}/dog.webp"
    assert len(queries) == 0
    assert emulator.calls == []


def test_a_row_without_columns_asks_the_mirror(emulator: Emulator) -> None:
    portrait = Portrait.objects.create(picture=new_file())
    emulator.application.calls.clear()

    loaded = Portrait.objects.get()
    assert (loaded.picture.width, loaded.picture.height) == (80, 60)
    assert loaded.picture.source_image.hash == portrait.picture.hash
    SourceImage.objects.all().delete()
    assert Portrait.objects.get().picture.width is None
    assert emulator.calls == []
    assert loaded.picture.source_image.width == 80
    assert len(emulator.calls) == 1


def test_an_assigned_name_takes_over_the_dimensions_of_that_picture() -> None:
    small, large = article(), article(photo=new_file(picture((160, 90)), "large.jpg"))

    small.photo = large.photo.name
    assert small.photo.width == 160
    small.save()

    small.refresh_from_db()
    assert (small.width, small.height) == (160, 90)


def test_another_rows_picture_can_be_assigned(emulator: Emulator) -> None:
    first, second = article(), Article(title="Two")

    second.photo = first.photo
    second.save()

    assert (second.photo.name, second.width) == (first.photo.name, 80)
    assert len(emulator.calls) == 1


def test_clearing_the_picture_clears_the_dimensions() -> None:
    row = article()

    row.photo = ""
    row.save()

    row.refresh_from_db()
    assert not row.photo
    assert (row.width, row.height) == (None, None)
    with pytest.raises(ValueError, match="no file associated"):
        row.photo.render_url()


def test_field_file_save_and_unsaved_files() -> None:
    row = Article(title="Dog")
    row.photo = File(io.BytesIO(picture((80, 60))), name="dog.jpg")
    assert (row.photo.width, row.photo.height) == (80, 60)

    row.photo.save("cat.png", new_file(picture((40, 30), "PNG")))

    assert row.pk
    assert (row.width, row.height) == (40, 30)
    assert row.photo.name.endswith("/cat.png")


def test_upload_to_and_user_metadata_see_the_date_of_saving(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    field: Any = Photo._meta.get_field("image")
    monkeypatch.setattr(field, "upload_to", lambda row, name: f"{row.created.year}-{name}")
    monkeypatch.setattr(field, "user_metadata", {"date:created": "created"})

    photo = Photo.objects.create(image=new_file())
    year = photo.created.year
    (call,) = emulator.calls
    assert call.method == "POST"
    Photo.objects.filter(pk=photo.pk).update(created="2001-01-01T00:00Z")
    photo.refresh_from_db()
    photo.save()

    assert photo.image.source_image.name == f"{year}-dog.jpg"
    assert photo.created.year == 2001


def test_a_failed_upload_saves_no_half_row(emulator: Emulator) -> None:
    emulator.add_fault(Fault(status=500))

    with pytest.raises(api.ServerError):
        article()

    assert Article.objects.count() == 0
    assert SourceImage.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_row_leaves_no_broken_one(emulator: Emulator) -> None:
    with transaction.atomic():
        article()
        transaction.set_rollback(True)

    assert Article.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_deleting_the_file_of_one_row_never_takes_another_rows_picture(emulator: Emulator) -> None:
    first, second = article(), article()
    hidden = Portrait.objects.create(hidden=True, picture=new_file())

    first.photo.delete()
    second.photo.delete()
    assert hidden.picture.storage.exists(hidden.picture.name)

    name = hidden.picture.name
    with transaction.atomic():
        hidden.picture.delete()
        assert hidden.picture.storage.exists(name)
    assert not hidden.picture.storage.exists(name)
    first.refresh_from_db()
    assert (bool(first.photo), first.width) == (False, None)


@pytest.mark.django_db(transaction=True)
def test_a_rollback_deletes_nothing() -> None:
    row = article()
    name, storage = row.photo.name, row.photo.storage

    with transaction.atomic():
        row.photo.delete()
        transaction.set_rollback(True)

    row.refresh_from_db()
    assert row.photo.name == name
    assert storage.exists(name)


def test_dumpdata_and_loaddata_round_trip_without_http(emulator: Emulator) -> None:
    row = article()
    dumped = serializers.serialize("json", Article.objects.all())
    row.delete()
    emulator.application.calls.clear()

    for item in serializers.deserialize("json", dumped):
        item.save()

    loaded = Article.objects.get()
    assert (loaded.photo.name, loaded.width, loaded.height) == (row.photo.name, 80, 60)
    assert emulator.calls == []


def test_bulk_create_and_update_fields(emulator: Emulator) -> None:
    Article.objects.bulk_create([Article(title="Dog", photo=new_file())])
    row = Article.objects.get()
    assert row.photo.name.endswith("/dog.jpg")

    row.photo = new_file(picture((10, 10)))
    row.save(update_fields=["title"])
    assert len(emulator.calls) == 1
    row.save(update_fields=["photo", "width", "height"])
    row.refresh_from_db()
    assert row.width == 10


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (RokkaImageField(), {}),
        (RokkaImageField(alias="stage"), {"alias": "stage"}),
        (
            RokkaImageField("Bild", width_field="w", height_field="h", blank=True, null=True),
            {
                "verbose_name": "Bild",
                "width_field": "w",
                "height_field": "h",
                "blank": True,
                "null": True,
            },
        ),
        (RokkaImageField(max_length=100, upload_to="x/"), {"max_length": 100, "upload_to": "x/"}),
        (RokkaImageField(db_index=False), {"db_index": False}),
        (
            RokkaImageField(upload="deferred", user_metadata={"title": "headline"}),
            {"upload": "deferred", "user_metadata": {"title": "headline"}},
        ),
    ],
)
def test_every_argument_survives_a_migration(
    field: RokkaImageField, expected: dict[str, Any]
) -> None:
    _, path, args, kwargs = field.deconstruct()
    text, imports = MigrationWriter.serialize(field)
    scope: dict[str, Any] = {}
    exec("\n".join(imports), scope)  # noqa: S102
    rebuilt = eval(text, scope)  # noqa: S307

    assert (path, args, kwargs) == ("django_rokka.fields.RokkaImageField", [], expected)
    assert rebuilt.deconstruct() == field.deconstruct()
    assert rebuilt.storage.deconstruct() == field.storage.deconstruct()  # type: ignore[attr-defined]


def test_no_migration_is_missing() -> None:
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_it_is_an_image_field_for_other_apps() -> None:
    assert isinstance(Article._meta.get_field("photo"), models.ImageField)
    assert isinstance(Article(title="x").photo, RokkaFieldFile)


def test_field_checks_name_a_wrong_storage_a_short_column_and_an_unknown_alias() -> None:
    from django.core.files.storage import FileSystemStorage

    class Wrong(models.Model):  # noqa: DJ008
        a = RokkaImageField(storage=FileSystemStorage())
        b = RokkaImageField(max_length=40)
        c = RokkaImageField(alias="nowhere")
        d = RokkaImageField(upload="later")
        e = RokkaImageField(user_metadata={"Title": "pk", "title": "nothing"})

        class Meta:
            app_label = "library"

    try:
        assert [error.id for error in Wrong.check()] == [
            "rokka.E010",
            "rokka.E011",
            "rokka.E012",
            "rokka.E013",
            "rokka.E014",
            "rokka.E014",
        ]
    finally:
        from django.apps import apps

        del apps.all_models["library"]["wrong"]
        apps.clear_cache()
