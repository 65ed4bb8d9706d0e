"""Every method of the client against the emulator, over a real socket."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import responses

from django_rokka import api
from django_rokka.api import RokkaClient, SubjectArea, Upload
from django_rokka.api.transport import Credentials
from django_rokka.emulator import Emulator
from tests.pictures import SVG, picture

from .conftest import make_client


def upload(client: RokkaClient, color: str = "#3366cc", **options: object) -> api.SourceImage:
    return client.create_source_image(io.BytesIO(picture(color=color)), name="dog.jpg", **options)  # type: ignore[arg-type]


def test_upload_answers_the_image_and_leaves_the_file_open_at_its_start(
    client: RokkaClient,
) -> None:
    file = io.BytesIO(picture((80, 60)))
    file.seek(20)

    image = client.create_source_image(file, name="Zürich 🌄.jpg", user_metadata={"int:year": 2024})

    assert (image.name, image.format, image.width, image.height) == ("Zürich 🌄.jpg", "jpg", 80, 60)
    assert image.binary_hash == hashlib.sha1(file.getvalue()).hexdigest()  # noqa: S324
    assert image.size == len(file.getvalue())
    assert image.user_metadata == {"int:year": 2024}
    assert image.created is not None
    assert (file.closed, file.tell()) == (False, 0)


def test_the_same_bytes_again_are_the_same_image_with_metadata_merged(client: RokkaClient) -> None:
    first = upload(client, user_metadata={"a": "1"})
    second = upload(client, user_metadata={"b": "2"})

    assert second.hash == first.hash
    assert second.user_metadata == {"a": "1", "b": "2"}


def test_upload_with_dynamic_metadata_and_protection_has_its_own_hash(client: RokkaClient) -> None:
    plain = upload(client)
    focused = upload(client, dynamic_metadata=[SubjectArea(10, 10), api.Version("x")])
    protected = upload(client, protected=True)

    assert len({plain.hash, focused.hash, protected.hash}) == 3
    assert len({plain.binary_hash, focused.binary_hash, protected.binary_hash}) == 1
    assert set(focused.dynamic_metadata) == {"subject_area", "version"}
    assert protected.protected is True


def test_several_files_in_one_upload_keep_their_order_and_metadata(client: RokkaClient) -> None:
    uploads = [
        Upload(file=io.BytesIO(picture(color="#f00")), name="red.jpg", user_metadata={"n": "1"}),
        Upload(file=io.BytesIO(SVG), name="logo.svg"),
        Upload(file=io.BytesIO(picture(color="#00f")), name="blue.jpg", user_metadata={"n": "3"}),
    ]

    images = client.create_source_images(uploads)

    assert [image.name for image in images] == ["red.jpg", "logo.svg", "blue.jpg"]
    assert [dict(image.user_metadata) for image in images] == [{"n": "1"}, {}, {"n": "3"}]


def test_upload_of_text_and_of_an_unseekable_stream(client: RokkaClient, tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self, content: bytes) -> None:
            self.left = io.BytesIO(content)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            return self.left.readinto(buffer)

    text = client.create_source_image(io.StringIO(SVG.decode()), name="logo.svg")
    piped = client.create_source_image(Pipe(picture()), name="dog.jpg")

    assert text.mimetype == "image/svg+xml"
    assert piped.size == len(picture())


def test_upload_by_url(client: RokkaClient, emulator: Emulator) -> None:
    image = upload(client)
    source = f"{emulator.render_url.format(organization='acme')}/dynamic/noop/{image.hash}/dog.png"

    remote = client.create_source_image_from_url(
        source, user_metadata={"from": "url"}, allow_private=True
    )

    assert (remote.name, remote.format) == ("dog.png", "png")
    assert remote.user_metadata == {"from": "url"}
    with pytest.raises(api.InvalidArgument, match="only a http or https URL"):
        client.create_source_image_from_url("file:///etc/passwd")


def test_an_empty_file_is_refused_before_it_is_sent(
    client: RokkaClient, emulator: Emulator
) -> None:
    with pytest.raises(api.InvalidArgument, match=r"'\(unnamed\)' is empty"):
        client.create_source_image(io.BytesIO(), name="dog.jpg")
    assert emulator.calls == []


def test_a_file_that_is_no_picture_is_an_invalid_request(client: RokkaClient) -> None:
    with pytest.raises(api.InvalidRequest, match="not an image") as caught:
        client.create_source_image(io.BytesIO(b"text"), name="dog.jpg")
    assert (caught.value.status, caught.value.call) == (400, "POST /sourceimages/acme")


def test_an_upload_needs_a_file_or_a_url(client: RokkaClient) -> None:
    for uploads in ([], [Upload()], [Upload(file=io.BytesIO(b"x"), url="http://x")]):
        with pytest.raises(api.InvalidArgument, match="either a file or a url"):
            client.create_source_images(uploads)


def test_get_by_full_and_short_hash(client: RokkaClient) -> None:
    image = upload(client)

    assert client.get_source_image(image.hash) == image
    assert client.get_source_image(image.short_hash) == image
    with pytest.raises(api.NotFound):
        client.get_source_image("f" * 40)


def test_download_streams_the_original(client: RokkaClient) -> None:
    image = upload(client)

    with client.download_source_image(image.hash) as chunks:
        assert b"".join(chunks) == picture()
    with pytest.raises(api.NotFound), client.download_source_image("f" * 40):
        pass


def test_delete_and_restore(client: RokkaClient) -> None:
    image = upload(client)

    client.delete_source_image(image.hash)

    with pytest.raises(api.NotFound):
        client.get_source_image(image.hash)
    deleted = client.get_source_image(image.hash, deleted=True)
    assert deleted.deleted
    assert deleted.deleted_date is not None
    assert client.restore_source_image(image.hash).deleted is False
    assert client.get_source_image(image.hash) == image


def test_delete_by_binary_hash_deletes_every_variant(client: RokkaClient) -> None:
    image = upload(client)
    variant = client.set_dynamic_metadata(image.hash, SubjectArea(1, 1))

    page = client.list_source_images_by_binary_hash(image.binary_hash)
    client.delete_source_images_by_binary_hash(image.binary_hash)

    assert {item.hash for item in page} == {image.hash, variant.hash}
    assert len(client.list_source_images_by_binary_hash(image.binary_hash)) == 0


def test_listing_is_lazy_and_walks_pages_and_cursors(
    client: RokkaClient, emulator: Emulator
) -> None:
    hashes = {upload(client, color=f"#{number * 30:02x}0000").hash for number in range(7)}
    emulator.application.calls.clear()

    images = client.iter_source_images(limit=2)
    first = next(images)

    assert len(emulator.calls) == 1
    assert {first.hash, *(image.hash for image in images)} == hashes
    assert len(emulator.calls) == 4
    cursor = client.list_source_images(limit=3).cursor
    rest = list(client.iter_source_images(limit=2, offset=cursor))
    assert len(rest) == 4


def test_listing_takes_filters_sorting_and_facets(client: RokkaClient) -> None:
    upload(client, color="#f00", user_metadata={"array:tags": ["a", "b"], "int:year": 2020})
    upload(client, color="#0f0", user_metadata={"array:tags": ["b"], "int:year": 2024})

    found = client.list_source_images(filters={"user:int:year": "[2021,}"})
    by_year = client.list_source_images(sort="user:int:year desc", facets="user:array:tags")

    assert [image.user_metadata["int:year"] for image in found] == [2024]
    assert [image.user_metadata["int:year"] for image in by_year] == [2024, 2020]
    assert by_year.facets == {
        "user:array:tags": [{"value": "b", "count": 2}, {"value": "a", "count": 1}]
    }
    assert client.list_source_images(limit=0).total == 2


def test_copy_one_says_whether_it_is_new(client: RokkaClient) -> None:
    image = upload(client)

    assert client.copy_source_image(image.hash, "acme-stage") is True
    assert client.copy_source_image(image.hash, "acme-stage") is False
    with pytest.raises(api.Conflict) as caught:
        client.copy_source_image(image.hash, "acme-stage", overwrite=False)
    assert caught.value.status == 412
    with pytest.raises(api.InvalidRequest):
        client.copy_source_image(image.hash, "nowhere")
    with pytest.raises(api.NotFound):
        client.copy_source_image("f" * 40, "acme-stage")


def test_copy_many_tells_of_each(client: RokkaClient) -> None:
    first, second = upload(client, "#f00").hash, upload(client, "#0f0").hash
    client.copy_source_image(first, "acme-stage")

    result = client.copy_source_images([first, second, "f" * 40], "acme-stage", overwrite=False)

    assert result == api.CopyResult(created=(second,), existing=(first,), not_found=("f" * 40,))
    assert client.copy_source_images([first], "acme-stage").existing == (first,)
    with pytest.raises(api.NotFound):
        client.copy_source_images(["f" * 40, "e" * 40], "acme-stage")
    with pytest.raises(api.InvalidArgument, match="1 to 100 hashes, got 101"):
        client.copy_source_images(["f" * 40] * 101, "acme-stage")


@pytest.mark.parametrize("location", ["relative", "absolute", "missing"])
def test_dynamic_metadata_gives_a_new_hash(
    client: RokkaClient, emulator: Emulator, location: Any
) -> None:
    emulator.location = location
    image = upload(client, user_metadata={"a": "b"})

    set_ = client.set_dynamic_metadata(image.hash, SubjectArea(10, 20, 30, 40))
    again = client.set_dynamic_metadata(set_.hash, SubjectArea(10, 20, 30, 40))
    removed = client.delete_dynamic_metadata(set_.hash, "subject_area")

    emulator.location = "relative"
    assert set_.changed
    assert set_.image is not None
    assert set_.image.dynamic_metadata["subject_area"]["width"] == 30
    assert set_.image.user_metadata == {"a": "b"}
    assert (again.changed, again.image) == (False, None)
    assert removed.hash == image.hash
    assert client.get_source_image(image.hash) == image


def test_a_204_may_name_the_hash(client: RokkaClient) -> None:
    """The Go client reads it there: it is mostly the old one, and never lost if it is not."""
    image = upload(client, dynamic_metadata=[SubjectArea(1, 2)])
    same = client.set_dynamic_metadata(image.short_hash, SubjectArea(1, 2))
    with responses.RequestsMock() as mock:
        headers = {"Location": "https://rokka.example/acme/" + "b" * 40}
        mock.delete(re.compile(".*/meta/dynamic/subject_area"), status=204, headers=headers)
        other = client.delete_dynamic_metadata(image.hash, "subject_area")

    assert (same.changed, same.hash) == (False, image.hash)
    assert (other.changed, other.hash, other.image) == (True, "b" * 40, None)


def test_delete_previous_and_keep_hash(client: RokkaClient) -> None:
    image = upload(client)

    kept = client.set_dynamic_metadata(image.hash, SubjectArea(1, 1), keep_hash=True)
    moved = client.set_dynamic_metadata(image.hash, SubjectArea(2, 2), delete_previous=True)

    assert kept.hash == image.hash
    with pytest.raises(api.NotFound):
        client.get_source_image(image.hash)
    assert client.get_source_image(moved.hash).dynamic_metadata["subject_area"]["x"] == 2
    with pytest.raises(api.InvalidArgument, match="exclude each other"):
        client.set_dynamic_metadata(
            image.hash, SubjectArea(1, 1), keep_hash=True, delete_previous=True
        )


def test_protecting_changes_the_hash(client: RokkaClient) -> None:
    image = upload(client)

    protected = client.set_protected(image.hash, True)

    assert protected.changed
    assert client.get_source_image(protected.hash).protected
    assert client.set_protected(protected.hash, False).hash == image.hash


def test_a_locked_image_refuses_deletion_and_user_metadata(client: RokkaClient) -> None:
    image = upload(client)

    client.set_locked(image.hash, True)

    for refused in (
        lambda: client.delete_source_image(image.hash),
        lambda: client.patch_user_metadata(image.hash, {"a": "b"}),
    ):
        with pytest.raises(api.Conflict, match="locked"):
            refused()
    client.set_locked(image.hash, False)
    client.delete_source_image(image.hash)


def test_rename(client: RokkaClient) -> None:
    image = upload(client)

    client.rename_source_image(image.hash, "Katze – 猫.jpg")

    assert client.get_source_image(image.hash).name == "Katze – 猫.jpg"


def test_user_metadata_whole(client: RokkaClient) -> None:
    hash = upload(client, user_metadata={"old": "x"}).hash

    client.replace_user_metadata(hash, {"title": "Dog", "int:year": 2024, "array:tags": ["a"]})
    client.patch_user_metadata(hash, {"title": None, "date:taken": "2024-01-02T03:04:05Z"})

    expected = {"int:year": 2024, "array:tags": ["a"], "date:taken": "2024-01-02T03:04:05Z"}
    assert client.get_user_metadata(hash) == expected
    client.delete_user_metadata(hash)
    assert client.get_user_metadata(hash) == {}


def test_user_metadata_by_field(client: RokkaClient) -> None:
    hash = upload(client).hash

    client.set_user_metadata_field(hash, "int:year", 2024)

    assert client.get_user_metadata_field(hash, "int:year") == 2024
    client.delete_user_metadata_field(hash, "int:year")
    with pytest.raises(api.NotFound):
        client.get_user_metadata_field(hash, "int:year")
    with pytest.raises(api.InvalidArgument, match="delete the field"):
        client.set_user_metadata_field(hash, "year", None)
    with pytest.raises(api.InvalidRequest):
        client.set_user_metadata_field(hash, "int:year", "soon")
    with pytest.raises(api.InvalidArgument, match="this cannot be sent as JSON: Out of range"):
        client.set_user_metadata_field(hash, "double:size", float("nan"))


def test_autodescription_and_purging(client: RokkaClient, emulator: Emulator) -> None:
    image = upload(client)

    described = client.autodescribe_source_image(image.hash, ["en", "de"])
    for _ in range(5):
        client.purge_source_image_cache(image.hash)

    assert described is not None
    assert len(described.user_metadata) == 2
    with pytest.raises(api.RateLimited) as caught:
        client.purge_source_image_cache(image.hash)
    assert caught.value.retry_at is not None
    emulator.paying.discard("acme")
    with pytest.raises(api.NotAllowed, match="paying"):
        client.autodescribe_source_image(image.hash, ["en"])
    emulator.paying.add("acme")


@pytest.mark.parametrize("body", ["", "{}"])
def test_an_autodescription_may_answer_without_the_image(client: RokkaClient, body: str) -> None:
    with responses.RequestsMock() as mock:
        mock.post(re.compile(".*/autodescription"), body=body)
        assert client.autodescribe_source_image("a" * 40, ["en"]) is None


def test_aliases(client: RokkaClient) -> None:
    first, second = upload(client, "#f00").hash, upload(client, "#0f0").hash

    client.set_alias("logo", first)
    with pytest.raises(api.Conflict):
        client.set_alias("logo", second)
    client.set_alias("logo", second, overwrite=True)
    client.purge_alias_cache("logo")

    assert client.get_alias("logo") == api.Alias("acme", "logo", second)
    client.delete_alias("logo")
    with pytest.raises(api.NotFound):
        client.get_alias("logo")


def test_stacks_operations_and_organization(client: RokkaClient) -> None:
    stack = api.Stack(
        name="thumb",
        operations=(api.StackOperation("resize", {"width": 100}),),
        options={"autoformat": True},
        variables={"w": 1},
        description="Small",
    )

    saved = client.save_stack(stack)

    assert (saved.operations, saved.options) == (stack.operations, stack.options)
    assert client.get_stack("thumb") == saved
    assert client.get_stack("thumb").link == "/stacks/acme/thumb"
    assert [item.name for item in client.list_stacks()] == ["thumb"]
    with pytest.raises(api.Conflict):
        client.save_stack(stack)
    client.save_stack(stack, overwrite=True)
    client.purge_stack_cache("thumb")
    client.delete_stack("thumb")
    with pytest.raises(api.NotFound):
        client.get_stack("thumb")
    assert "resize" in client.list_operations()
    assert "autoformat" in client.list_stack_options()["properties"]
    organization = client.get_organization()
    assert organization.display_name == "acme"
    assert organization.signing_keys


def test_rights_and_credentials_are_told_apart(client: RokkaClient, emulator: Emulator) -> None:
    image = upload(client)
    emulator.add_key("reader", {"acme": "read"})
    emulator.add_token("token", {"acme": "write"})

    with make_client(emulator, api_key="reader") as reader:
        assert reader.get_source_image(image.hash) == image
        with pytest.raises(api.NotAllowed):
            reader.delete_source_image(image.hash)
        with pytest.raises(api.NotAllowed):
            reader.copy_source_image(image.hash, "acme-stage")
    with make_client(emulator, api_key="", token="token") as bearer:
        assert bearer.get_source_image(image.hash) == image
    with make_client(emulator, api_key="wrong") as wrong, pytest.raises(api.BadCredentials):
        wrong.get_source_image(image.hash)
    with make_client(emulator, api_key="", token="old") as old:
        with pytest.raises(api.BadCredentials) as caught:
            old.get_source_image(image.hash)
        assert caught.value.status == 401
    with make_client(emulator, api_key="") as nobody, pytest.raises(api.BadCredentials):
        nobody.get_source_image(image.hash)


@pytest.mark.parametrize(
    "hash", ["../../stacks/acme/x", "ABCDEF", "abcdef?deleted=true", "", "abcde"]
)
def test_a_wrong_hash_never_reaches_a_url(
    client: RokkaClient, emulator: Emulator, hash: str
) -> None:
    for method in (
        client.get_source_image,
        client.delete_source_image,
        client.restore_source_image,
        client.download_source_image,
        client.get_user_metadata,
        lambda value: client.copy_source_images([value], "acme-stage"),
        lambda value: client.set_alias("logo", value),
        lambda value: client.set_dynamic_metadata(value, SubjectArea(1, 1)),
    ):
        with pytest.raises(api.InvalidArgument):
            method(hash)
    assert emulator.calls == []


@pytest.mark.parametrize("value", ["a/b", "..", "", "x?y", "a b", "é"])
def test_no_other_value_can_change_the_path_either(
    client: RokkaClient, emulator: Emulator, value: str
) -> None:
    hash = "a" * 40
    for method in (
        lambda: RokkaClient(value),
        lambda: client.copy_source_image(hash, value),
        lambda: client.get_stack(value),
        lambda: client.get_alias(value),
        lambda: client.get_user_metadata_field(hash, value),
        lambda: client.delete_dynamic_metadata(hash, value),
        lambda: client.list_source_images_by_binary_hash(value),
        lambda: client.patch_user_metadata(hash, {value: "x"}),
    ):
        with pytest.raises(api.InvalidArgument):
            method()
    assert emulator.calls == []


def test_neither_repr_nor_pickle_gives_the_key_away(client: RokkaClient) -> None:
    credentials = Credentials("test-key", "test-key")

    assert "test-key" not in repr(vars(client)) + repr(client) + repr(vars(credentials))
    assert repr(credentials) == "Credentials(…)"
    for secret, message in (
        (client, "a RokkaClient holds a key and connections; pass the alias instead"),
        (credentials.api_key, "a key or token is not pickled; pass the alias instead"),
    ):
        with pytest.raises(TypeError) as caught:
            pickle.dumps(secret)
        assert str(caught.value) == message


def test_a_client_says_where_it_leads() -> None:
    with_path = RokkaClient("acme", base_url="https://proxy.example/X/")

    assert repr(RokkaClient("acme")) == "<RokkaClient acme at https://api.rokka.io>"
    assert repr(with_path) == "<RokkaClient acme at https://proxy.example/X>"
