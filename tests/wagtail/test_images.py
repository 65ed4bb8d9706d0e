"""Images and renditions as objects: what they cost, what is stored, and the focal point at rokka."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from wagtail.images.models import Filter, Image, Picture, ResponsiveImage, SourceImageIOError
from wagtail.images.rect import Rect

from django_rokka import deferred, tasks
from django_rokka.api import ServerError
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage
from django_rokka.wagtail import focal_point
from django_rokka.wagtail.models import RokkaImage, RokkaRendition
from tests.pictures import picture
from tests.wagtail.pages.models import LateImage

pytestmark = pytest.mark.django_db

NewImage = Callable[..., Any]


def fresh(image: Any) -> Any:
    return type(image).objects.get(pk=image.pk)


def area_at_rokka(client: Any, image: Any) -> Any:
    return client.get_source_image(image.file.hash).dynamic_metadata.get("subject_area")


# --- Renditions -------------------------------------------------------------------------------


def test_a_rendition_costs_no_query_no_call_and_no_row(
    new_image: NewImage, emulator: Emulator
) -> None:
    image = fresh(new_image(focal=(600, 400, 50, 50)))
    calls = len(emulator.calls)

    with CaptureQueriesContext(connection) as queries:
        one = image.get_rendition("fill-320x240")
        more = image.get_renditions("width-100", "width-200", "fill-320x240")
        image.create_rendition(Filter("max-9x9"))
        image.create_renditions(Filter("max-9x9"), Filter("max-8x8"))
        str(ResponsiveImage(more)), str(Picture(more))

    assert list(queries) == []
    assert len(emulator.calls) == calls
    assert emulator.renders == []
    assert not RokkaRendition.objects.exists()
    assert list(more) == ["width-100", "width-200", "fill-320x240"]
    assert more["fill-320x240"].url == one.url


def test_queries_do_not_grow_with_images(new_image: NewImage, emulator: Emulator) -> None:
    for side in range(5):
        new_image((100 + side, 90))

    with CaptureQueriesContext(connection) as queries:
        for image in RokkaImage.objects.prefetch_renditions("width-50"):
            image.get_rendition("width-50")

    assert len(queries) == 1


def test_what_a_rendition_knows(new_image: NewImage) -> None:
    image = new_image((1200, 800), focal=(300, 200, 100, 100))
    rendition = image.get_rendition("fill-320x240")

    assert rendition.url == rendition.full_url == rendition.file.url
    assert rendition.url.startswith(image.file.storage.config.render_base)
    assert image.file.hash in rendition.url
    assert (rendition.width, rendition.height) == (320, 240)
    assert rendition.alt == "Dog"
    assert 'width="320"' in rendition.attrs
    assert rendition.img_tag({"class": "wide"}).startswith(
        '<img alt="Dog" class="wide" height="240"'
    )
    assert rendition.filter_spec == rendition.filter.spec == "fill-320x240"
    assert rendition.background_position_style.startswith("background-position: 25% 25%")
    assert str(rendition) == "Dog as fill-320x240"


def test_a_rendition_has_no_file(new_image: NewImage) -> None:
    file = new_image().get_rendition("width-9").file

    assert not file.storage.exists(file.name)
    with pytest.raises(SourceImageIOError, match="rendered at rokka: use its url"):
        file.open()
    with pytest.raises(NotImplementedError, match="rendered at rokka, so none is saved"):
        file.storage.save("dog.jpg", ContentFile(picture()))


def test_an_image_without_a_file_is_shown_as_broken(site: Any) -> None:
    from wagtail.images.shortcuts import get_rendition_or_not_found

    assert get_rendition_or_not_found(RokkaImage(title="Lost"), "width-9").url == "not-found"


def test_the_alternative_text_of_a_block_is_kept(new_image: NewImage) -> None:
    image = new_image()
    image.contextual_alt_text = "A dog in the snow"

    assert image.get_rendition("width-9").alt == "A dog in the snow"


# --- Files ------------------------------------------------------------------------------------


def test_an_image_knows_its_file(new_image: NewImage) -> None:
    content = picture((90, 60))
    image = new_image(content=content)

    image._set_image_file_metadata()

    assert (image.width, image.height) == (90, 60)
    assert image.filename == "dog.jpg"
    assert image.get_file_size() == len(content)
    assert image.get_file_hash() == hashlib.sha1(content, usedforsecurity=False).hexdigest()
    assert not image.is_stored_locally()
    with image.get_willow_image() as willow:
        assert willow.get_size() == (90, 60)


def test_facts_of_a_file_cost_no_download(new_image: NewImage, emulator: Emulator) -> None:
    image = new_image()
    calls = len(emulator.calls)

    image._set_image_file_metadata()

    assert len(emulator.calls) == calls


@pytest.mark.django_db(transaction=True)
def test_deleting_an_image_spares_a_shared_picture(new_image: NewImage, rokka_client: Any) -> None:
    first, second = new_image(), new_image()
    hash = first.file.hash

    first.delete()
    assert rokka_client.get_source_image(hash).hash == hash

    second.delete()
    assert SourceImage.objects.get(hash=hash).deleted is not None


@pytest.mark.django_db(transaction=True)
def test_a_deleted_image_stays_at_rokka_where_the_setting_says_so(
    new_image: NewImage, rokka_client: Any, settings: Any
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "UNREFERENCED": "keep"}}
    image = new_image()
    hash = image.file.hash

    image.delete()

    assert rokka_client.get_source_image(hash).hash == hash


# --- The focal point --------------------------------------------------------------------------


def test_the_focal_point_is_the_subject_area(new_image: NewImage, rokka_client: Any) -> None:
    image = new_image()
    plain = image.file.hash

    image.set_focal_point(Rect(100, 50, 300, 150))
    image.save()

    assert image.file.hash != plain
    assert fresh(image).file.hash == image.file.hash
    assert area_at_rokka(rokka_client, image) == {"x": 100, "y": 50, "width": 200, "height": 100}
    assert image.file.hash in image.get_rendition("fill-9x9").url


def test_removing_it_removes_the_area(new_image: NewImage, rokka_client: Any) -> None:
    image = new_image(focal=(200, 100, 50, 50))

    image.set_focal_point(None)
    image.save()

    assert area_at_rokka(rokka_client, image) is None
    assert fresh(image).file.name == image.file.name


def test_saving_again_asks_rokka_nothing(new_image: NewImage, emulator: Emulator) -> None:
    image = fresh(new_image(focal=(200, 100, 50, 50)))
    calls = len(emulator.calls)

    image.title = "Cat"
    image.save()
    image.save(update_fields=["title"])

    assert len(emulator.calls) == calls


def test_an_area_that_was_set_at_rokka_is_not_removed(
    new_image: NewImage, rokka_client: Any
) -> None:
    image = new_image()
    image.file.set_subject_area(10, 10)

    image.title = "Cat"
    image.save()
    copy = RokkaImage(title="Copy", file=image.file.name)
    copy.save()

    assert area_at_rokka(rokka_client, copy)["x"] == 10


def test_only_this_image_moves(new_image: NewImage, rokka_client: Any) -> None:
    first, second = new_image(), new_image()

    first.set_focal_point(Rect(100, 50, 300, 150))
    first.save()

    assert area_at_rokka(rokka_client, fresh(second)) is None


@pytest.mark.parametrize(
    ("rect", "area"),
    [
        (Rect(-40, -50, 50, 60), (0, 0, 50, 60)),
        (Rect(1150, 750, 1300, 900), (1150, 750, 50, 50)),
        (Rect(10.5, 20.5, 11.5, 21.5), (10, 20, 2, 2)),
        (Rect(10.9, 20.9, 22.8, 32.8), (10, 20, 12, 12)),
        (Rect(600, 400, 600, 400), (600, 400, 1, 1)),
        (Rect(5000, 5000, 5001, 5001), (1199, 799, 1, 1)),
    ],
)
def test_the_area_is_within_the_picture(
    new_image: NewImage, rokka_client: Any, rect: Rect, area: tuple[int, ...]
) -> None:
    image = new_image()

    image.set_focal_point(rect)
    image.save()

    found = area_at_rokka(rokka_client, image)
    assert tuple(found[key] for key in ("x", "y", "width", "height")) == area
    assert not fresh(image).publish_focal_point()


@pytest.mark.parametrize("rect", [Rect(500, 300, 600, 400), None])
def test_a_row_is_not_saved_if_its_area_cannot_be(
    new_image: NewImage, emulator: Emulator, rokka_client: Any, rect: Rect | None
) -> None:
    image = new_image(focal=(200, 100, 50, 50))
    before = fresh(image)
    image.set_focal_point(rect)
    image.title = "Cat"
    emulator.add_fault(Fault(status=500, times=50))

    with pytest.raises(ServerError):
        image.save()

    after = fresh(image)
    assert (after.title, after.file.name) == ("Dog", before.file.name)
    assert after.get_focal_point() == before.get_focal_point()

    emulator.clear_faults()
    image.save()
    assert (area_at_rokka(rokka_client, fresh(image)) is None) == (rect is None)


def test_a_new_file_takes_its_area_along(new_image: NewImage, rokka_client: Any) -> None:
    image, other = new_image(focal=(200, 100, 50, 50)), new_image((300, 200))

    image.file = ContentFile(picture((400, 300)), "cat.jpg")
    image.set_focal_point(Rect(10, 20, 30, 40))
    image.save()
    area = area_at_rokka(rokka_client, fresh(image))
    assert area == {"x": 10, "y": 20, "width": 20, "height": 20}

    image.file = other.file.name
    image.set_focal_point(None)
    image.full_clean()
    image.save()
    assert area_at_rokka(rokka_client, fresh(image)) is None
    assert (image.width, image.file.hash) == (300, other.file.hash)


def test_trouble_at_rokka_loses_nothing(
    new_image: NewImage, emulator: Emulator, rokka_client: Any, caplog: Any
) -> None:
    emulator.add_fault(Fault(method="PUT", status=500, times=50))

    image = new_image(focal=(200, 100, 200, 100))

    assert "focal point of image" in caplog.text
    assert fresh(image).get_focal_point() == Rect(100, 50, 300, 150)
    assert "anchor" in image.get_rendition("fill-9x9").url

    emulator.clear_faults()
    out = StringIO()
    call_command("rokka_focal_points", stdout=out)
    assert "1 of 1" in out.getvalue()
    assert area_at_rokka(rokka_client, fresh(image))["x"] == 100


def test_an_area_that_cannot_be_read_is_replaced(new_image: NewImage, rokka_client: Any) -> None:
    image = new_image()
    SourceImage.objects.update(dynamic_metadata={"subject_area": {"x": "left"}})

    image.set_focal_point(Rect(100, 50, 300, 150))
    image.save()

    assert area_at_rokka(rokka_client, image)["x"] == 100


def test_an_image_that_is_deleted_while_others_are_published_is_left_out(
    new_image: NewImage,
) -> None:
    first, second, third = (new_image((100, 100 + number)) for number in range(3))
    RokkaImage.objects.update(
        focal_point_x=50, focal_point_y=50, focal_point_width=10, focal_point_height=10
    )

    published = focal_point.publish_all(RokkaImage)
    assert next(published) == (first, True)
    second.delete()

    assert list(published) == [(third, True)]


def test_the_command_goes_on_after_trouble(
    new_image: NewImage, emulator: Emulator, rokka_client: Any
) -> None:
    images = [new_image((100, 100 + number)) for number in range(2)]
    RokkaImage.objects.update(
        focal_point_x=50, focal_point_y=50, focal_point_width=10, focal_point_height=10
    )
    emulator.add_fault(Fault(method="PUT", status=403))
    out, err = StringIO(), StringIO()

    with pytest.raises(SystemExit):
        call_command("rokka_focal_points", stdout=out, stderr=err)

    assert "1 of 2" in out.getvalue()
    assert f"image {images[0].pk}" in err.getvalue()
    assert area_at_rokka(rokka_client, fresh(images[1])) is not None


def test_a_form_is_told_what_went_wrong(new_image: NewImage, emulator: Emulator) -> None:
    image = new_image()
    emulator.add_fault(Fault(status=500, times=50))
    image.set_focal_point(Rect(100, 50, 300, 150))

    with pytest.raises(ValidationError, match=r"focal point could not be changed.*Try again"):
        image.full_clean()
    with pytest.raises(ValidationError) as upload:
        RokkaImage(title="New", file=ContentFile(picture((9, 9)), "new.jpg")).full_clean()

    assert "could not be uploaded" in upload.value.message_dict["file"][0]


def test_a_form_is_not_held_up_by_what_was_not_changed(
    new_image: NewImage, emulator: Emulator
) -> None:
    image = new_image()
    RokkaImage.objects.update(
        focal_point_x=50, focal_point_y=50, focal_point_width=10, focal_point_height=10
    )
    image = fresh(image)
    emulator.add_fault(Fault(status=500, times=50))
    image.title = "Cat"

    image.full_clean()
    image.save()

    assert fresh(image).title == "Cat"


# --- Deferred uploads, commands ---------------------------------------------------------------


def test_an_image_that_waits_is_shown_as_it_is(
    site: Any, emulator: Emulator, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    image = LateImage(title="Late", file=ContentFile(picture((90, 60)), "late.jpg"))
    image.set_focal_point(Rect(10, 10, 30, 30))
    image.full_clean(exclude=["file_hash"])
    image._set_image_file_metadata()
    image.save()

    rendition = image.get_rendition("fill-20x20")

    assert emulator.calls == []
    assert rendition.url == image.file.url
    assert (rendition.width, rendition.height) == (90, 60)

    assert deferred.upload("default", image.file.name)
    image = fresh(image)
    assert image.get_rendition("fill-20x20").width == 20
    assert image.publish_focal_point()
    assert tasks.upload_pending("default") == 0


def test_wagtails_commands_do_no_harm(new_image: NewImage, emulator: Emulator) -> None:
    image = new_image(focal=(100, 100, 9, 9))
    calls = len(emulator.calls)

    for arguments in (
        ["update_index"],
        ["rebuild_references_index"],
        ["wagtail_update_image_renditions"],
        ["wagtail_update_image_renditions", "--purge-only"],
    ):
        call_command(*arguments, stdout=StringIO())

    assert len(emulator.calls) == calls
    assert fresh(image).file.name == image.file.name
    assert [found.pk for found in RokkaImage.objects.search("dog")] == [image.pk]


def test_a_focal_point_that_is_saved_alone_is_published(
    new_image: NewImage, rokka_client: Any
) -> None:
    """As Wagtail's feature detection does it."""
    image = new_image()
    image.set_focal_point(Rect(100, 50, 300, 150))

    image.save(update_fields=[name for name in vars(image) if name.startswith("focal_point")])

    assert area_at_rokka(rokka_client, fresh(image))["x"] == 100


def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "--check", "--dry-run", "rokka_wagtail", stdout=StringIO())


def test_a_library_is_moved(
    site: Any, emulator: Emulator, rokka_client: Any, settings: Any, tmp_path: Path
) -> None:
    """As docs/wagtail.md says it."""
    settings.MEDIA_ROOT = tmp_path
    old = Image(title="Old", file=ContentFile(picture((90, 60)), "old.jpg"))
    old.set_focal_point(Rect(10, 10, 30, 30))
    old.save()
    old.tags.add("animals")
    guide = (Path(__file__).parents[2] / "docs" / "wagtail.md").read_text()
    code = guide.rpartition("```python\n")[2].partition("```")[0]

    exec(code, {"Image": Image, "RokkaImage": RokkaImage})  # noqa: S102 - our own guide

    new = RokkaImage.objects.get(pk=old.pk)
    assert (new.title, new.filename, new.width) == ("Old", "old.jpg", 90)
    assert [tag.name for tag in new.tags.all()] == ["animals"]
    assert (new.file_hash, new.created_at) == (old.get_file_hash(), old.created_at)
    assert area_at_rokka(rokka_client, new)["x"] == 10
