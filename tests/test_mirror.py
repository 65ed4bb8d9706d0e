"""The mirror is recorded from every answer."""

from __future__ import annotations

import io

import pytest

from django_rokka import api
from django_rokka.emulator import Emulator
from django_rokka.mirror import MirroringClient
from django_rokka.models import BulkItem, Claim, Lock, SourceImage
from tests.pictures import animation, picture

pytestmark = pytest.mark.django_db


def upload(client: MirroringClient, content: bytes = b"", **options: object) -> api.SourceImage:
    return client.create_source_image(io.BytesIO(content or picture()), name="a.jpg", **options)  # type: ignore[arg-type]


def row(hash: str) -> SourceImage:
    return SourceImage.objects.get(hash=hash)


def test_rows_say_what_they_are() -> None:
    image = SourceImage(organization="acme", hash="a" * 40, name="dog.jpg")

    assert str(image) == "dog.jpg"
    assert str(BulkItem(image=image, state=BulkItem.State.FAILED)) == "dog.jpg: failed"
    assert str(Claim(organization="acme", environment="production")) == "acme: production"
    assert str(Lock(key="acme/bulk")) == "acme/bulk"


def test_an_upload_is_recorded_field_by_field(rokka_client: MirroringClient) -> None:
    image = upload(
        rokka_client,
        animation(),
        user_metadata={"title": "x"},
        dynamic_metadata=[api.Version("v")],
        protected=True,
    )

    found = row(image.hash)
    for name in (*SourceImage.RECORDED_FIELDS, "organization", "hash"):
        if name not in ("synced", "deleted"):
            assert getattr(found, name) == getattr(image, name), name
    assert found.animated
    assert found.deleted is None


def test_recording_again_updates_and_keeps_what_only_we_know(rokka_client: MirroringClient) -> None:
    first, other = upload(rokka_client), upload(rokka_client, picture(color="#fff"))
    SourceImage.objects.filter(hash=first.hash).update(replaced_by=row(other.hash), name="old")

    rokka_client.get_source_image(first.hash)

    assert (row(first.hash).name, row(first.hash).replaced_by) == ("a.jpg", row(other.hash))
    assert SourceImage.objects.count() == 2


def test_listings_are_recorded_in_one_statement(
    rokka_client: MirroringClient, rokka_emulator: Emulator, django_assert_num_queries: object
) -> None:
    for number in range(5):
        upload(rokka_client, picture(color=f"#{number * 40:02x}0000"))
    SourceImage.objects.all().delete()

    with django_assert_num_queries(1):  # type: ignore[operator]
        assert len(rokka_client.list_source_images()) == 5
    assert SourceImage.objects.count() == 5


def test_changes_without_a_body_are_recorded(rokka_client: MirroringClient) -> None:
    hash = upload(rokka_client).hash

    rokka_client.rename_source_image(hash, "b.jpg")
    rokka_client.replace_user_metadata(hash, {"a": "1", "b": "2"})
    rokka_client.patch_user_metadata(hash, {"a": None, "c": "3"})
    rokka_client.set_user_metadata_field(hash, "d", "4")
    rokka_client.delete_user_metadata_field(hash, "b")
    assert row(hash).user_metadata == rokka_client.get_user_metadata(hash) == {"c": "3", "d": "4"}
    rokka_client.delete_user_metadata(hash)
    rokka_client.set_locked(hash, True)

    found = row(hash)
    assert (found.name, found.user_metadata, found.locked) == ("b.jpg", {}, True)


def test_deletion_and_restoring_are_recorded(rokka_client: MirroringClient) -> None:
    image = upload(rokka_client)

    rokka_client.delete_source_image(image.short_hash)
    assert row(image.hash).deleted is not None
    assert not SourceImage.objects.live()
    rokka_client.restore_source_image(image.hash)
    assert row(image.hash).deleted is None
    rokka_client.delete_source_images_by_binary_hash(image.binary_hash)
    assert row(image.hash).deleted is not None


def test_an_image_found_gone_is_marked(rokka_client: MirroringClient) -> None:
    hash = upload(rokka_client).hash
    api.RokkaClient.delete_source_image(rokka_client, hash)
    assert row(hash).deleted is None

    with pytest.raises(api.NotFound):
        rokka_client.get_source_image(hash)

    assert row(hash).deleted is not None


def test_a_rehash_records_the_new_image(rokka_client: MirroringClient) -> None:
    hash = upload(rokka_client).hash

    new = rokka_client.set_dynamic_metadata(hash, api.SubjectArea(1, 2)).hash

    assert row(new).dynamic_metadata == {"subject_area": {"x": 1, "y": 2, "width": 1, "height": 1}}
    assert str(SourceImage(hash="a" * 40, short_hash="abc")) == "abc"
