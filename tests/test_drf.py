"""Pictures in an API: what a client reads, what it may send, and what it is told when that is nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection, models
from django.test.utils import CaptureQueriesContext, isolate_apps
from django.urls import include, path
from django.utils import timezone
from drf_spectacular.management.commands import spectacular
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers
from rest_framework.parsers import JSONParser
from rest_framework.routers import DefaultRouter
from rest_framework.test import APIClient
from rest_framework.viewsets import ModelViewSet

from django_rokka import stacks
from django_rokka.api import InvalidArgument
from django_rokka.conf import get_client
from django_rokka.drf import Look, RokkaImageField, RokkaModelSerializer
from django_rokka.emulator import Emulator, Fault
from django_rokka.fields import RokkaImageField as ModelField
from django_rokka.models import SourceImage
from django_rokka.prefetch import prefetch_source_images
from django_rokka.testing import API_KEY
from tests.library.models import Article, Captioned, Figure, Portrait, Snapshot
from tests.pictures import HEIC, SVG, picture
from tests.test_pictures import BLUR, STACKS, candidates, render, size_of, tags

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_drf")]


# --- An API as our users write one ------------------------------------------------------------


class ArticleSerializer(RokkaModelSerializer):
    class Meta:
        model = Article
        fields = ["id", "title", "photo"]


class LooksSerializer(RokkaModelSerializer):
    """The same rows, in two looks."""

    class Meta:
        model = Article
        fields = ["id", "photo"]
        extra_kwargs = {
            "photo": {
                "looks": {"hero": Look(stack="hero"), "card": Look(width=300, height=300)},
                "help_text": "For the front page.",
            }
        }


class PortraitSerializer(RokkaModelSerializer):
    """Required, and of a model without columns for the dimensions."""

    class Meta:
        model = Portrait
        fields = ["id", "picture"]


class SnapshotSerializer(RokkaModelSerializer):
    class Meta:
        model = Snapshot
        fields = ["id", "photo"]


class Square(RokkaImageField):
    """Of somebody who wants all squares alike."""

    def __init__(self, **options: Any) -> None:
        super().__init__(width=40, height=40, placeholder=False, **options)


class FigureSerializer(serializers.ModelSerializer[Figure]):
    """Django REST framework's own, with the fields declared."""

    picture = Square()
    photo = RokkaImageField(source="article.photo", read_only=True)

    class Meta:
        model = Figure
        fields = ["id", "article", "picture", "photo"]


class Articles(ModelViewSet[Article]):
    queryset = prefetch_source_images(Article.objects.order_by("pk"))
    serializer_class = ArticleSerializer
    schema = AutoSchema()


class Looks(Articles):
    serializer_class = LooksSerializer


class Portraits(ModelViewSet[Portrait]):
    queryset = prefetch_source_images(Portrait.objects.order_by("pk"))
    serializer_class = PortraitSerializer
    schema = AutoSchema()


class Snapshots(ModelViewSet[Snapshot]):
    queryset = Snapshot.objects.order_by("pk")
    serializer_class = SnapshotSerializer
    schema = AutoSchema()


class Figures(ModelViewSet[Figure]):
    queryset = Figure.objects.select_related("article").order_by("pk")
    serializer_class = FigureSerializer
    parser_classes = [JSONParser]
    schema = AutoSchema()


router = DefaultRouter()
for name, views in {
    "articles": Articles,
    "looks": Looks,
    "portraits": Portraits,
    "snapshots": Snapshots,
    "figures": Figures,
}.items():
    router.register(name, views, basename=name)
urlpatterns = [path("", include(router.urls))]


@pytest.fixture
def declared(rokka_emulator: Emulator, settings: Any) -> Emulator:
    """An organization that has the stacks, and a site that declares them and does not wait for long."""
    own = {**settings.ROKKA["default"], "STACKS": STACKS, "ATTEMPTS": 1}
    stage = {**own, "ORGANIZATION": "acme-stage"}
    settings.ROKKA = {**settings.ROKKA, "default": own, "stage": stage}
    assert all(outcome.ok for outcome in stacks.push())
    return rokka_emulator


@pytest.fixture
def client(declared: Emulator) -> APIClient:
    return APIClient(raise_request_exception=True)


@pytest.fixture
def article(declared: Emulator) -> Article:
    photo = ContentFile(picture(size=(900, 600)), name="dog.jpg")
    return Article.objects.create(title="Dog", photo=photo)


@pytest.fixture
def cat(declared: Emulator) -> SourceImage:
    """Another picture at rokka."""
    photo = ContentFile(picture(size=(50, 40)), name="cat.jpg")
    return Article.objects.create(title="Cat", photo=photo).photo.source_image


def upload(name: str = "dog.jpg", content: bytes | None = None) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, picture((80, 60)) if content is None else content)


def photo_of(client: APIClient, row: Article, kind: str = "articles") -> Any:
    answer = client.get(f"/{kind}/{row.pk}/")
    assert answer.status_code == 200
    assert API_KEY not in answer.content.decode()
    return answer.json()["photo"]


# --- What a client reads ------------------------------------------------------------------------


def test_a_picture_is_an_object_with_what_the_tag_writes(
    client: APIClient, article: Article
) -> None:
    photo = photo_of(client, article)

    (tag,) = tags(render("{% rokka_img a.photo %}", a=article), "img")
    assert {name: str(photo[name]) for name in ("src", "srcset", "sizes", "width", "height")} == {
        name: tag[name] for name in ("src", "srcset", "sizes", "width", "height")
    }
    assert (photo["hash"], photo["format"]) == (article.photo.hash, "jpg")
    assert size_of(photo["url"]) == (900, 600)
    for width, url in candidates(photo["srcset"]):
        assert size_of(url) == (width, round(width * 2 / 3))


def test_several_looks(client: APIClient, article: Article) -> None:
    photo = photo_of(client, article, "looks")

    assert set(photo["looks"]) == {"hero", "card"}
    for name, arguments in {"hero": '"hero"', "card": '"" width=300 height=300'}.items():
        look = photo["looks"][name]
        (tag,) = tags(render("{% rokka_img a.photo " + arguments + " %}", a=article), "img")
        assert {key: str(value) for key, value in look.items()} == {key: tag[key] for key in look}
        for width, url in candidates(look["srcset"]):
            assert size_of(url) == (width, round(width * look["height"] / look["width"]))
    assert "src" not in photo
    assert size_of(photo["url"]) == (900, 600)


def test_what_the_mirror_says(client: APIClient, article: Article) -> None:
    assert photo_of(client, article)["placeholder"] is None
    SourceImage.objects.update(
        placeholder=BLUR,
        color="#336699",
        blurhash="LEHV6nWB",
        user_metadata={"text:alt": "A dog"},
    )

    photo = photo_of(client, article)

    assert (photo["placeholder"], photo["color"], photo["blurhash"]) == (
        BLUR,
        "#336699",
        "LEHV6nWB",
    )
    assert photo["alt"] == "A dog"
    # The same without a prefetch, for one query more.
    with CaptureQueriesContext(connection) as queries:
        assert dict(ArticleSerializer(Article.objects.get()).data["photo"]) == photo
    assert len(queries) == 2


def test_the_alternative_text_is_what_the_row_says(declared: Emulator) -> None:
    photo = ContentFile(picture(), name="dog.jpg")
    row = Captioned.objects.create(headline="Dog", alt="A dog & a cat", photo=photo)
    field = RokkaImageField(placeholder=False)
    field.bind("photo", serializers.Serializer())

    said = field.to_representation(row.photo)

    assert said is not None
    assert said["alt"] == "A dog & a cat"
    assert not {"placeholder", "color", "blurhash"} & said.keys()


def test_no_picture_is_null(client: APIClient) -> None:
    assert photo_of(client, Article.objects.create(title="x")) is None


def test_a_drawing_has_one_file_for_every_size(client: APIClient) -> None:
    row = Article.objects.create(title="x", photo=ContentFile(SVG, name="logo.svg"))

    photo = photo_of(client, row)

    assert (photo["srcset"], photo["sizes"], photo["format"]) == ("", "", "svg")
    assert b"<svg" in requests.get(photo["src"], timeout=10).content


def test_a_file_that_waits_has_an_absolute_url_and_no_hash(
    client: APIClient, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT, settings.MEDIA_URL = tmp_path, "/media/"

    answer = client.post("/snapshots/", {"photo": upload()}, format="multipart")

    photo = answer.json()["photo"]
    assert photo["hash"] is None
    assert photo["src"] == photo["url"]
    assert photo["url"].startswith("http://testserver/media/")
    assert (photo["width"], photo["height"], photo["srcset"]) == (80, 60, "")
    with CaptureQueriesContext(connection) as queries:
        client.get("/snapshots/")
    assert len(queries) == 1


def test_an_image_of_the_mirror_is_shown_as_a_row_is(article: Article) -> None:
    class Serializer(serializers.Serializer[Article]):
        photo = RokkaImageField(read_only=True)
        image = RokkaImageField(source="photo.source_image", read_only=True)

    (row,) = prefetch_source_images(Article.objects.all())
    data = Serializer(row).data

    assert data["photo"] == data["image"]
    assert data["photo"]["src"]


def test_a_picture_at_the_end_of_a_relation(client: APIClient, article: Article) -> None:
    Figure.objects.create(article=article, picture=article.photo.name)

    (figure,) = client.get("/figures/").json()

    assert figure["photo"] == photo_of(client, article)
    assert (figure["picture"]["width"], figure["picture"]["height"]) == (40, 40)
    assert "placeholder" not in figure["picture"]


def test_what_is_no_picture_is_named() -> None:
    field = RokkaImageField()
    field.bind("photo", serializers.Serializer())

    with pytest.raises(InvalidArgument, match=r"'dog\.jpg' is no picture at rokka"):
        field.to_representation("dog.jpg")


# --- Queries ----------------------------------------------------------------------------------


@pytest.fixture
def portraits(declared: Emulator) -> None:
    for color in ("#f00", "#0f0", "#00f"):
        Portrait.objects.create(picture=ContentFile(picture(color=color), name="dog.jpg"))
    Portrait.objects.create(picture="")
    SourceImage.objects.update(placeholder=BLUR)


@pytest.mark.usefixtures("portraits")
def test_a_list_costs_two_queries_and_no_call(
    client: APIClient, declared: Emulator, settings: Any
) -> None:
    own = {**settings.ROKKA["default"], "SIGNING_KEY": declared.signing_key}
    settings.ROKKA = {**settings.ROKKA, "default": own}
    declared.application.calls.clear()

    with CaptureQueriesContext(connection) as queries:
        rows = client.get("/portraits/").json()

    assert len(queries) == 2
    assert declared.calls == []
    assert [row["picture"] and row["picture"]["width"] for row in rows] == [80, 80, 80, None]
    assert [row["picture"] and row["picture"]["placeholder"] for row in rows] == [*[BLUR] * 3, None]


@pytest.mark.usefixtures("portraits")
def test_without_a_prefetch_each_picture_costs_one_query(declared: Emulator) -> None:
    with CaptureQueriesContext(connection) as queries:
        rows = PortraitSerializer(Portrait.objects.all(), many=True).data
        assert len(rows) == 4
    assert len(queries) == 1 + 3


def test_with_columns_and_without_placeholders_a_list_costs_one_query(article: Article) -> None:
    class Serializer(RokkaModelSerializer):
        class Meta:
            model = Article
            fields = ["photo"]
            extra_kwargs = {"photo": {"placeholder": False}}

    with CaptureQueriesContext(connection) as queries:
        (row,) = Serializer(Article.objects.all(), many=True).data
    assert len(queries) == 1
    assert (row["photo"]["width"], row["photo"]["height"]) == (900, 600)


# --- Uploads ----------------------------------------------------------------------------------


def test_a_file_is_uploaded_once_and_shown_in_the_answer(
    client: APIClient, declared: Emulator
) -> None:
    declared.application.calls.clear()
    content = picture((640, 480))
    answer = client.post(
        "/articles/", {"title": "Dog", "photo": upload(content=content)}, format="multipart"
    )

    assert answer.status_code == 201, answer.json()
    assert [call.method for call in declared.calls] == ["POST"]
    row = Article.objects.get()
    photo = answer.json()["photo"]
    assert (photo["hash"], photo["width"], photo["height"]) == (row.photo.hash, 640, 480)
    with row.photo.open() as file:
        assert file.read() == content
    assert photo == photo_of(client, row)


@pytest.mark.parametrize(
    ("name", "content"), [("a.svg", SVG), ("a.png", picture(format="PNG")), ("a.heic", HEIC)]
)
def test_what_rokka_takes_is_taken(name: str, content: bytes) -> None:
    serializer = PortraitSerializer(data={"picture": upload(name, content)})

    assert serializer.is_valid(), serializer.errors
    assert serializer.validated_data["picture"].read() == content
    assert serializer.data == {"picture": None}  # it is nowhere yet


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jpg", b"This is text.", "“a.jpg” is not a picture that can be read"),
        ("a.pdf", picture(), "“a.pdf” ends in .pdf, but it is no PDF file"),
        ("a.exe", picture(), "File extension “exe” is not allowed"),
        ("a.jpg", b"", "empty"),
    ],
)
def test_other_files_are_refused_before_they_are_uploaded(
    client: APIClient, declared: Emulator, name: str, content: bytes, message: str
) -> None:
    declared.application.calls.clear()

    answer = client.post("/portraits/", {"picture": upload(name, content)}, format="multipart")

    assert answer.status_code == 400
    assert message in answer.json()["picture"][0]
    assert declared.calls == []
    with pytest.raises(serializers.ValidationError):
        RokkaImageField().run_validation(upload(name, content))


def test_a_long_file_name_is_refused() -> None:
    with pytest.raises(serializers.ValidationError, match="at most 5 characters"):
        RokkaImageField(max_length=5).run_validation(upload())


def test_the_file_is_not_uploaded_if_something_else_is_wrong(
    client: APIClient, declared: Emulator
) -> None:
    declared.application.calls.clear()

    answer = client.post("/articles/", {"photo": upload()}, format="multipart")

    assert (answer.status_code, set(answer.json())) == (400, {"title"})
    assert declared.calls == []


def test_a_picture_is_kept_replaced_and_cleared(client: APIClient, article: Article) -> None:
    url = f"/articles/{article.pk}/"

    kept = client.put(url, {"title": "New"}, format="multipart").json()
    assert kept["photo"]["hash"] == article.photo.hash
    replaced = client.patch(url, {"photo": upload()}, format="multipart").json()
    assert (replaced["title"], replaced["photo"]["width"]) == ("New", 80)
    assert client.patch(url, {"photo": None}, format="json").json()["photo"] is None
    article.refresh_from_db()
    assert article.photo.name == ""
    assert article.width is None


@pytest.mark.parametrize("format", ["json", "multipart"])
def test_the_empty_text_clears(client: APIClient, article: Article, format: str) -> None:
    answer = client.patch(f"/articles/{article.pk}/", {"photo": ""}, format=format)

    assert answer.json()["photo"] is None
    assert not Article.objects.get().photo


def test_a_row_without_a_picture_is_made_with_null(client: APIClient) -> None:
    answer = client.post("/articles/", {"title": "x", "photo": None}, format="json")

    assert (answer.status_code, answer.json()["photo"]) == (201, None)


def test_a_required_picture_cannot_be_left_out_or_cleared(client: APIClient) -> None:
    for data in ({}, {"picture": None}, {"picture": ""}):
        answer = client.post("/portraits/", data, format="json")
        assert (answer.status_code, list(answer.json())) == (400, ["picture"])


def test_a_field_without_a_column_takes_files_alone(article: Article) -> None:
    class Plain(serializers.Serializer[Any]):
        photo = RokkaImageField()

    class Extra(serializers.ModelSerializer[Article]):
        photo = RokkaImageField(source="somewhere", write_only=True)

        class Meta:
            model = Article
            fields = ["photo"]

    file = upload()
    for serializer_class, key in ((Plain, "photo"), (Extra, "somewhere")):
        serializer = serializer_class(data={"photo": file})
        assert serializer.is_valid()
        assert serializer.validated_data[key] is file
        assert not serializer_class(data={"photo": article.photo.hash}).is_valid()


# --- Pictures that are at rokka already ---------------------------------------------------------


@pytest.mark.parametrize("text", ["{0.hash}", "{0.short_hash}", "{0.hash}/any-name.png"])
def test_a_picture_is_taken_by_its_hash_without_an_upload(
    client: APIClient, declared: Emulator, article: Article, cat: SourceImage, text: str
) -> None:
    declared.application.calls.clear()

    answer = client.patch(
        f"/articles/{article.pk}/", {"photo": text.format(cat)}, format="json"
    ).json()

    assert (answer["photo"]["hash"], answer["photo"]["width"]) == (cat.hash, 50)
    article.refresh_from_db()
    assert (article.photo.name, article.width) == (cat.file_name, 50)
    assert "POST" not in {call.method for call in declared.calls}


@isolate_apps("tests.library")
def test_a_name_is_cut_to_what_the_column_holds(declared: Emulator) -> None:
    class Short(models.Model):  # noqa: DJ008 - nobody prints it
        photo = ModelField(max_length=50)

        class Meta:
            app_label = "library"

    class Serializer(RokkaModelSerializer):
        class Meta:
            model = Short
            fields = ["photo"]

    long = Article.objects.create(title="x", photo=upload("long-" * 10 + ".jpg")).photo
    serializer = Serializer(data={"photo": long.hash})

    assert serializer.is_valid(), serializer.errors
    assert serializer.validated_data["photo"].name == f"{long.hash}/long.jpg"


def test_what_was_read_can_be_written_back(client: APIClient, article: Article) -> None:
    data = client.get(f"/looks/{article.pk}/").json()

    answer = client.put(f"/looks/{article.pk}/", data, format="json")

    assert answer.json() == data
    assert Article.objects.get().photo.name == article.photo.name


def test_a_picture_whose_focal_point_was_moved_meanwhile_is_taken_as_it_is_now(
    client: APIClient, article: Article, cat: SourceImage
) -> None:
    moved = cat.set_subject_area(1, 1)

    answer = client.patch(f"/articles/{article.pk}/", {"photo": cat.hash}, format="json")

    assert answer.json()["photo"]["hash"] == moved.hash != cat.hash


@pytest.mark.parametrize(
    "value", ["dog.jpg", f"{'ab' * 20}/x.jpg", "abcdef", 42, {"url": "x"}, ["x"], "x" * 200]
)
def test_what_is_neither_a_file_nor_known_is_refused_and_named(
    client: APIClient, article: Article, value: Any
) -> None:
    answer = client.patch(f"/articles/{article.pk}/", {"photo": value}, format="json")

    assert answer.status_code == 400
    (message,) = answer.json()["photo"]
    assert message.startswith(f"“{str(value)[:80]}” is neither a file nor the hash")


def test_a_picture_that_is_deleted_protected_or_another_organizations_is_not_to_be_had(
    client: APIClient, declared: Emulator, article: Article, cat: SourceImage
) -> None:
    protected = cat.set_protected(True)
    get_client("stage").create_source_image(ContentFile(picture((9, 9)), name="x.jpg"), name="x")
    foreign = SourceImage.objects.get(organization="acme-stage")
    gone = Article.objects.create(title="x", photo=upload()).photo.source_image
    get_client().delete_source_image(gone.hash)

    for image in (protected, foreign, gone):
        answer = client.patch(f"/articles/{article.pk}/", {"photo": image.hash}, format="json")
        assert answer.status_code == 400, image
        assert image.hash in answer.json()["photo"][0]
    assert Article.objects.get(pk=article.pk).photo.name == article.photo.name


def test_a_rows_own_picture_is_kept_though_it_is_protected(
    client: APIClient, declared: Emulator, article: Article, settings: Any
) -> None:
    own = {**settings.ROKKA["default"], "SIGNING_KEY": declared.signing_key}
    settings.ROKKA = {**settings.ROKKA, "default": own}
    article.photo.set_protected(True)
    data = {"title": "New", "photo": Article.objects.get().photo.hash}

    answer = client.put(f"/articles/{article.pk}/", data, format="json")

    assert answer.json()["title"] == "New"
    assert "sig=" in answer.json()["photo"]["src"]
    assert size_of(answer.json()["photo"]["src"]) == (900, 600)
    assert declared.signing_key not in answer.content.decode()


def test_validators_can_read_what_is_taken(cat: SourceImage) -> None:
    def at_most_100_bytes(file: Any) -> None:
        if file.size > 100:
            raise ValidationError("Too large.")

    class Serializer(RokkaModelSerializer):
        class Meta:
            model = Article
            fields = ["photo"]
            extra_kwargs = {"photo": {"validators": [at_most_100_bytes]}}

    for value in (cat.hash, upload()):
        serializer = Serializer(data={"photo": value})
        assert not serializer.is_valid()
        assert serializer.errors == {"photo": ["Too large."]}


# --- Trouble ----------------------------------------------------------------------------------


def test_trouble_at_rokka_is_503_and_nothing_is_saved(
    client: APIClient, declared: Emulator, article: Article
) -> None:
    declared.add_fault(Fault(status=503, body=f'{{"error": {{"message": "{API_KEY} is down"}}}}'))
    data = {"title": "New", "photo": upload()}

    answer = client.put(f"/articles/{article.pk}/", data, format="multipart")

    assert answer.status_code == 503
    assert answer.json() == {
        "detail": "The picture could not be uploaded, so nothing was saved. "
        "rokka is in trouble. Try again in a minute."
    }
    assert "Retry-After" not in answer
    article.refresh_from_db()
    assert (article.title, article.width) == ("Dog", 900)


def test_a_client_is_told_when_to_come_back(client: APIClient, declared: Emulator) -> None:
    retry_at = timezone.now() + timedelta(seconds=90)
    headers = {"X-RateLimit-Retry-After": str(int(retry_at.timestamp()))}
    declared.add_fault(Fault(status=429, headers=headers))

    answer = client.post("/portraits/", {"picture": upload()}, format="multipart")

    assert answer.status_code == 503
    assert 60 < int(answer["Retry-After"]) <= 90
    assert Portrait.objects.count() == 0


def test_a_site_that_may_not_upload_says_so(client: APIClient, settings: Any) -> None:
    own = {**settings.ROKKA["default"], "READ_ONLY": True}
    settings.ROKKA = {**settings.ROKKA, "default": own}

    answer = client.post("/portraits/", {"picture": upload()}, format="multipart")

    assert answer.status_code == 503
    assert "READ_ONLY" in answer.json()["detail"]


def test_a_file_that_rokka_refuses_is_the_fields_error(
    client: APIClient, declared: Emulator
) -> None:
    declared.add_fault(Fault(status=400, body='{"error": {"message": "Not a picture"}}'))

    answer = client.post("/portraits/", {"picture": upload()}, format="multipart")

    assert answer.status_code == 400
    assert "rokka refuses: Not a picture" in answer.json()["picture"][0]


# --- Looks that cannot be -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stack": "hero", "looks": {"card": Look()}}, "stack describe one look; put them into"),
        ({"widths": "320 640"}, "widths='320 640'.*: widths, width and height are whole numbers"),
        ({"width": -1}, "width=-1"),
        ({"height": 1.5}, "height=1.5"),
    ],
)
def test_a_look_that_cannot_be_is_an_error(options: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        RokkaImageField(**options)


def test_a_look_by_itself_cannot_be_either() -> None:
    with pytest.raises(InvalidArgument, match=r"height=1\.5"):
        RokkaImageField(looks={"card": Look(height=1.5)})  # type: ignore[arg-type]


def test_a_stack_that_is_not_declared_is_an_error_when_a_serializer_is_made(
    declared: Emulator,
) -> None:
    class Serializer(serializers.Serializer[Any]):
        photo = RokkaImageField(looks={"top": Look(stack="hreo")})

    with pytest.raises(stacks.UnknownStack, match=r"no stack 'hreo' .*did you mean 'hero'"):
        assert Serializer().fields


# --- The schema -------------------------------------------------------------------------------

SPLIT = {"COMPONENT_SPLIT_REQUEST": True}
SPLIT_31 = {"COMPONENT_SPLIT_REQUEST": True, "OAS_VERSION": "3.1.1"}


def schema(folder: Path, *options: str) -> Any:
    """What drf-spectacular's command writes; it fails on the first warning."""
    file = folder / "schema.json"
    call_command(
        spectacular.Command(),
        "--urlconf=tests.test_drf",
        "--format=openapi-json",
        f"--file={file}",
        "--validate",
        "--fail-on-warn",
        *options,
    )
    return json.loads(file.read_text())


def test_the_schema_has_the_object_in_responses_and_a_file_in_requests(
    declared: Emulator, tmp_path: Path
) -> None:
    components = schema(tmp_path, "--custom-settings=tests.test_drf.SPLIT")["components"]["schemas"]

    image = components["RokkaImage"]
    assert set(image["required"]) == set(image["properties"])
    assert image["properties"]["src"] == {"type": "string", "format": "uri"}
    assert image["properties"]["placeholder"]["nullable"] is True
    reference = {"allOf": [{"$ref": "#/components/schemas/RokkaImage"}], "nullable": True}
    assert components["Article"]["properties"]["photo"] == reference
    request = components["ArticleRequest"]["properties"]["photo"]
    assert (request["type"], request["format"], request["nullable"]) == ("string", "binary", True)
    looks = components["Looks"]["properties"]["photo"]
    assert looks["description"] == "For the front page."
    assert set(looks["properties"]["looks"]["properties"]) == {"hero", "card"}
    assert "nullable" not in components["Portrait"]["properties"]["picture"]
    assert "photo" not in components["FigureRequest"]["properties"]
    # Its view parses nothing but JSON.
    assert components["FigureRequest"]["properties"]["picture"]["type"] == "string"
    assert "format" not in components["FigureRequest"]["properties"]["picture"]


def test_without_split_components_the_schema_has_the_object(
    declared: Emulator, tmp_path: Path
) -> None:
    components = schema(tmp_path)["components"]["schemas"]

    for name in ("Article", "PatchedArticle"):
        assert components[name]["properties"]["photo"]["allOf"] == [
            {"$ref": "#/components/schemas/RokkaImage"}
        ]


def test_without_drf_spectacular_there_is_no_schema() -> None:
    program = (
        "import sys; sys.modules['drf_spectacular'] = None\n"
        "import django; from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['rest_framework', 'django_rokka'], ROKKA={})\n"
        "django.setup()\n"
        "from django_rokka import drf\n"
        "print(drf.RokkaImageField(), hasattr(drf, 'schema'))\n"
    )
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout == "RokkaImageField() False\n"


def test_what_the_api_answers_is_what_its_schema_says(
    client: APIClient, article: Article, tmp_path: Path
) -> None:
    described = schema(tmp_path, "--custom-settings=tests.test_drf.SPLIT_31")
    Figure.objects.create(article=article, picture=article.photo.name)
    empty = Article.objects.create(title="No picture")
    Figure.objects.create(article=empty, picture=article.photo.name)
    Portrait.objects.create(picture=article.photo.name)
    Snapshot.objects.create(photo=article.photo.name)
    SourceImage.objects.update(placeholder=BLUR, color="#336699")

    for name in ("articles", "looks", "portraits", "snapshots", "figures"):
        rows = client.get(f"/{name}/").json()
        assert rows
        content = described["paths"][f"/{name}/"]["get"]["responses"]["200"]["content"]
        expected = {**content["application/json"]["schema"], "components": described["components"]}
        jsonschema.validate(rows, expected)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate([{**row, **_spoilt(row)} for row in rows], expected)


def _spoilt(row: dict[str, Any]) -> dict[str, Any]:
    return {name: {**value, "url": 1} for name, value in row.items() if isinstance(value, dict)}
