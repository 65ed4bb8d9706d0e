"""A scenario for each method of `RokkaClient`."""

from __future__ import annotations

import io
from collections.abc import Mapping

from django_rokka.api import Stack, StackOperation, SubjectArea, Upload

from .faults import AGAIN, SHAPES
from .scenarios import BINARY, BIRD, CAT, DOG, Scenario, World, forget_purges, unlike, upload_dog

_AREA = SubjectArea(2, 2, 3, 3)
_STACK = Stack(name="hero", operations=(StackOperation("resize", {"width": 20}),))
_OBJECTS = ("JSON []", 'JSON {"items": null}')


def _two(world: World) -> None:
    world.upload(DOG)
    world.upload(CAT, "cat.jpg")


def _deleted(world: World) -> None:
    upload_dog(world)
    world.client.delete_source_image(world.hash)


def _with_area(world: World) -> None:
    upload_dog(world)
    world.things["variant"] = world.client.set_dynamic_metadata(world.hash, _AREA).hash


def _with_alias(world: World) -> None:
    upload_dog(world)
    world.client.set_alias("mascot", world.hash)


def _with_stack(world: World) -> None:
    world.client.save_stack(_STACK)


def _render_url(world: World) -> str:
    base = world.emulator.render_url.replace("{organization}", "acme")
    return f"{base}/dynamic/noop/{world.hash}.png"


def _download(world: World) -> bytes:
    with world.client.download_source_image(world.hash) as chunks:
        return b"".join(chunks)


def _copy(world: World, *, overwrite: bool) -> None:
    # Its result is that of the last try: a second one finds what the first one copied.
    world.client.copy_source_image(world.hash, "acme-stage", overwrite=overwrite)


def _copy_many(world: World) -> None:
    world.client.copy_source_images([world.hash], "acme-stage")


def _describe(world: World) -> None:
    world.client.autodescribe_source_image(world.hash, ["en"])


_MADE_BY_AN_EARLIER_TRY = (
    "what an earlier try has made stands in the way, and nobody can tell whose it is"
)
_ANY_OBJECT = "any object may be one, and an empty list is PHP's empty object"

METHODS: Mapping[str, Scenario] = {
    "create_source_image": Scenario(
        lambda world: world.upload(BIRD, "bird.jpg", user_metadata={"title": "Bird"}), reads=True
    ),
    "create_source_image_from_url": Scenario(
        lambda world: world.client.create_source_image_from_url(
            _render_url(world), allow_private=True
        ),
        reads=True,
        method="POST",
    ),
    "create_source_images": Scenario(
        lambda world: world.client.create_source_images(
            [Upload(io.BytesIO(DOG), "dog.jpg"), Upload(io.BytesIO(CAT), "cat.jpg")]
        ),
        reads=True,
    ),
    "get_source_image": Scenario(
        lambda world: world.client.get_source_image(world.hash), reads=True
    ),
    "download_source_image": Scenario(
        _download,
        reads=True,
        unlike=unlike("as sent", "no JSON", *SHAPES)
        | {"truncated body": "RokkaConnectionError", "slow drip": "RokkaTimeout"},
        why="any bytes may be a picture, and those that were given out cannot be taken back",
    ),
    "list_source_images": Scenario(
        lambda world: world.client.list_source_images(sort="hash asc"), prepare=_two, reads=True
    ),
    "iter_pages": Scenario(
        lambda world: list(world.client.iter_pages(limit=1, sort="hash asc")),
        prepare=_two,
        reads=True,
        skip=1,
    ),
    "iter_raw_pages": Scenario(
        lambda world: [page.total for page in world.client.iter_raw_pages(limit=1)],
        prepare=_two,
        reads=True,
    ),
    "iter_source_images": Scenario(
        lambda world: list(world.client.iter_source_images(sort="hash asc")),
        prepare=_two,
        reads=True,
    ),
    "list_source_images_by_binary_hash": Scenario(
        lambda world: world.client.list_source_images_by_binary_hash(BINARY), reads=True
    ),
    "delete_source_image": Scenario(lambda world: world.client.delete_source_image(world.hash)),
    "delete_source_images_by_binary_hash": Scenario(
        lambda world: world.client.delete_source_images_by_binary_hash(BINARY), prepare=_with_area
    ),
    "restore_source_image": Scenario(
        lambda world: world.client.restore_source_image(world.hash), prepare=_deleted, reads=True
    ),
    "copy_source_image": Scenario(lambda world: _copy(world, overwrite=True)),
    "copy_source_image, no overwrite": Scenario(
        lambda world: _copy(world, overwrite=False),
        # Two bytes hardly drip.
        unlike=unlike("Conflict", *AGAIN) | {"slow drip": "done or Conflict"},
        why=_MADE_BY_AN_EARLIER_TRY,
    ),
    "copy_source_images": Scenario(
        _copy_many, reads=True, unlike=unlike("done", *_OBJECTS), why=_ANY_OBJECT
    ),
    "set_dynamic_metadata": Scenario(
        lambda world: world.client.set_dynamic_metadata(world.hash, _AREA), reads=True
    ),
    "set_dynamic_metadata, deleting": Scenario(
        lambda world: world.client.set_dynamic_metadata(world.hash, _AREA, delete_previous=True),
        reads=True,
        unlike=unlike("NotFound", *AGAIN),
        why="an earlier try has deleted the image",
    ),
    "delete_dynamic_metadata": Scenario(
        lambda world: world.client.delete_dynamic_metadata(world.variant, "subject_area"),
        prepare=_with_area,
        reads=True,
    ),
    "set_protected": Scenario(
        lambda world: world.client.set_protected(world.hash, True), reads=True
    ),
    "set_locked": Scenario(lambda world: world.client.set_locked(world.hash, True)),
    "rename_source_image": Scenario(
        lambda world: world.client.rename_source_image(world.hash, "cat.jpg")
    ),
    "get_user_metadata": Scenario(
        lambda world: world.client.get_user_metadata(world.hash),
        reads=True,
        unlike=unlike("as sent", *_OBJECTS),
        why=_ANY_OBJECT,
    ),
    "replace_user_metadata": Scenario(
        lambda world: world.client.replace_user_metadata(world.hash, {"alt": "A dog"})
    ),
    "patch_user_metadata": Scenario(
        lambda world: world.client.patch_user_metadata(world.hash, {"alt": "A dog", "title": None})
    ),
    "delete_user_metadata": Scenario(lambda world: world.client.delete_user_metadata(world.hash)),
    "get_user_metadata_field": Scenario(
        lambda world: world.client.get_user_metadata_field(world.hash, "title"),
        reads=True,
        unlike=unlike("as sent", *SHAPES),
        why="any JSON may be one",
    ),
    "set_user_metadata_field": Scenario(
        lambda world: world.client.set_user_metadata_field(world.hash, "title", "Cat")
    ),
    "delete_user_metadata_field": Scenario(
        lambda world: world.client.delete_user_metadata_field(world.hash, "title")
    ),
    "autodescribe_source_image": Scenario(
        _describe, reads=True, unlike=unlike("done", *_OBJECTS), why="the image need not be sent"
    ),
    "purge_source_image_cache": Scenario(
        lambda world: world.client.purge_source_image_cache(world.hash),
        again=forget_purges,
    ),
    "set_alias": Scenario(
        lambda world: world.client.set_alias("mascot", world.hash),
        unlike=unlike("Conflict", *AGAIN),
        why=_MADE_BY_AN_EARLIER_TRY,
    ),
    "get_alias": Scenario(
        lambda world: world.client.get_alias("mascot"), prepare=_with_alias, reads=True
    ),
    "delete_alias": Scenario(
        lambda world: world.client.delete_alias("mascot"), prepare=_with_alias
    ),
    "purge_alias_cache": Scenario(
        lambda world: world.client.purge_alias_cache("mascot"),
        prepare=_with_alias,
        again=forget_purges,
    ),
    "list_stacks": Scenario(
        lambda world: world.client.list_stacks(),
        prepare=_with_stack,
        reads=True,
        unlike=unlike("as sent", "JSON []"),
        why="a list is one, with or without an object around it",
    ),
    "get_stack": Scenario(
        lambda world: world.client.get_stack("hero"), prepare=_with_stack, reads=True
    ),
    "save_stack": Scenario(
        lambda world: world.client.save_stack(_STACK),
        reads=True,
        unlike=unlike("Conflict", *AGAIN),
        why=_MADE_BY_AN_EARLIER_TRY,
    ),
    "delete_stack": Scenario(lambda world: world.client.delete_stack("hero"), prepare=_with_stack),
    "purge_stack_cache": Scenario(
        lambda world: world.client.purge_stack_cache("hero"),
        prepare=_with_stack,
        again=forget_purges,
    ),
    "list_operations": Scenario(
        lambda world: world.client.list_operations(),
        reads=True,
        unlike=unlike("as sent", *_OBJECTS),
        why=_ANY_OBJECT,
    ),
    "list_stack_options": Scenario(
        lambda world: world.client.list_stack_options(),
        reads=True,
        unlike=unlike("as sent", *_OBJECTS),
        why=_ANY_OBJECT,
    ),
    "get_organization": Scenario(lambda world: world.client.get_organization(), reads=True),
}
