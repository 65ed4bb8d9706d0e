"""A scenario for each service that speaks to rokka, and for each of its calls that matters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.contrib.admin.widgets import AdminFileWidget
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import modelform_factory
from django.utils.datastructures import MultiValueDict

from django_rokka import bulk, deferred, lifecycle, placeholders, rehash, stacks, sync
from django_rokka.api import RenderClient, Stack
from django_rokka.changes import Change
from django_rokka.conf import get_client
from django_rokka.emulator import Fault
from django_rokka.models import BulkOperation, SourceImage
from django_rokka.storage import RokkaStorage
from tests.library.models import Article, Captioned, Snapshot

from .faults import FAULTS, SHAPES
from .scenarios import (
    BIRD,
    DOG,
    Scenario,
    World,
    forget_purges,
    reported,
    unlike,
    upload_dog,
)

_AREA = Change("subject_area", {"x": 2, "y": 2, "width": 3, "height": 3})
_IMAGE = r"^/sourceimages/acme/[0-9a-f]{40}$"
_RENDER = "^/render/"
_OTHER_BODIES = ("no JSON", *SHAPES)
#: What is wrong with the answer, and not with rokka.
_UNEXPECTED = tuple(
    name
    for name, trouble in FAULTS.items()
    if "UnexpectedAnswer" in (trouble.outcome, trouble.if_read)
)


def _file(content: bytes = BIRD, name: str = "bird.jpg") -> ContentFile[bytes]:
    return ContentFile(content, name=name)


def _name(world: World) -> str:
    return f"{world.hash}/dog.jpg"


def _image(world: World) -> SourceImage:
    return SourceImage.objects.get(organization="acme", hash=world.hash)


def _forgotten(world: World) -> None:
    """At rokka, and not in the mirror."""
    upload_dog(world)
    SourceImage.objects.all()._raw_delete("default")


def _deleted(world: World) -> None:
    upload_dog(world)
    world.client.delete_source_image(world.hash)


def _others() -> Any:
    """A client that the mirror does not hear of."""
    return get_client(mirrors=False)


# --- Storage, rows and forms ------------------------------------------------------------------


def _article(world: World) -> None:
    world.things["article"] = Article.objects.create(title="Dog", photo=_file(DOG, "dog.jpg"))


def _sweep(world: World) -> object:
    return lifecycle.delete_due("default")


def _replace_picture(world: World) -> None:
    world.article.photo = _file()
    world.article.save()


def _check_form(world: World) -> None:
    """The admin's field uploads as the form is checked."""
    form_class = modelform_factory(
        Article, fields=["title", "photo"], widgets={"photo": AdminFileWidget()}
    )
    files: MultiValueDict[str, Any] = MultiValueDict(
        {"photo": [SimpleUploadedFile("bird.jpg", BIRD, "image/jpeg")]}
    )
    form = form_class({"title": "Bird"}, files)
    reported(form.is_valid())
    form.save()


def _captioned(world: World) -> None:
    world.things["row"] = Captioned.objects.create(headline="Dog", photo=_file(DOG, "dog.jpg"))


def _change_headline(world: World) -> None:
    world.row.headline = "Hound"
    world.row.save()


def _read(world: World) -> bytes:
    with RokkaStorage().open(_name(world)) as file:
        content: bytes = file.read()
    return content


_STORAGE = {
    "storage.save": Scenario(lambda world: RokkaStorage().save("bird.jpg", _file()), reads=True),
    "storage.open": Scenario(
        _read,
        reads=True,
        unlike=unlike("as sent", *_OTHER_BODIES)
        | {"truncated body": "RokkaConnectionError", "slow drip": "RokkaTimeout"},
        why="as `download_source_image`",
    ),
    "storage.exists": Scenario(lambda world: RokkaStorage().exists(_name(world)), reads=True),
    "storage.size": Scenario(
        lambda world: RokkaStorage().size(_name(world)), prepare=_forgotten, reads=True
    ),
    "storage.listdir": Scenario(lambda world: RokkaStorage().listdir(""), reads=True),
    "storage.delete": Scenario(lambda world: RokkaStorage().delete(_name(world))),
    "row.save, a new picture": Scenario(
        lambda world: bool(Article.objects.create(title="Bird", photo=_file())), reads=True
    ),
    "row.save, letting go": Scenario(
        _replace_picture,
        prepare=_article,
        method="DELETE",
        instead="later",
        again=_sweep,
    ),
    "row.save, what was deleted": Scenario(
        lambda world: bool(Article.objects.create(title="Dog", photo=_name(world))),
        prepare=_deleted,
        reads=True,
    ),
    "row.save, user metadata": Scenario(
        _change_headline, prepare=_captioned, method="PATCH", instead="later"
    ),
    "form.is_valid": Scenario(_check_form, reads=True, instead="reported"),
}


# --- Images come, change and go ---------------------------------------------------------------


def _due(world: World) -> None:
    upload_dog(world)
    lifecycle.look_again(_image(world))


def _target_exists(world: World) -> None:
    """Somebody has made the changed image before, without our user metadata."""
    upload_dog(world)
    new = _AREA.send(world.client, world.hash).hash
    world.client.delete_user_metadata(new)


def _rehashed_by_others(world: World) -> None:
    _article(world)
    _AREA.send(_others(), world.hash)
    _others().delete_source_image(world.hash)


def _copy(world: World, **options: Any) -> None:
    lifecycle.copy("default", world.hash, "acme-stage", **options)


def _change(world: World) -> None:
    rehash.change_image(_image(world), _AREA)


def _change_row(world: World) -> None:
    row = Article.objects.get()
    field: Any = Article._meta.get_field("photo")
    rehash.change_row(row, field, _AREA, organization="acme", hash=world.hash, keep_hash=False)


def _orphans() -> list[str]:
    return [image.hash for image in lifecycle.orphans("default", older_than=timedelta(seconds=-1))]


_LIFECYCLE = {
    "lifecycle.find": Scenario(
        lambda world: str(lifecycle.find("acme", world.hash)), prepare=_forgotten, reads=True
    ),
    "lifecycle.hold": Scenario(
        lambda world: lifecycle.hold("acme", _name(world), taken=True), prepare=_deleted, reads=True
    ),
    "lifecycle.confirm": Scenario(
        lambda world: lifecycle.confirm("acme", _name(world)), prepare=_deleted, reads=True
    ),
    "lifecycle.restore": Scenario(
        lambda world: str(lifecycle.restore(_image(world))), prepare=_deleted, reads=True
    ),
    "lifecycle.copy": Scenario(_copy),
    "lifecycle.copy, no overwrite": Scenario(lambda world: _copy(world, overwrite=False)),
    "lifecycle.release": Scenario(lambda world: lifecycle.release(_image(world))),
    "lifecycle.delete_unreferenced": Scenario(
        lambda world: lifecycle.delete_unreferenced(_image(world))
    ),
    "lifecycle.delete_used": Scenario(
        lambda world: lifecycle.delete_used(_image(world)), prepare=_article, breaks=True
    ),
    "lifecycle.delete_due": Scenario(_sweep, prepare=_due),
    "lifecycle.orphans": Scenario(lambda world: _orphans(), reads=True),
    "rehash.change_image, looking": Scenario(_change, prepare=_article, method="GET", reads=True),
    "rehash.change_image, changing": Scenario(_change, prepare=_article, method="PUT", reads=True),
    "rehash.change_image, reading back": Scenario(
        _change, prepare=_article, method="GET", skip=1, reads=True
    ),
    "rehash.change_image, user metadata": Scenario(_change, prepare=_target_exists, method="PATCH"),
    "rehash.change_image, letting go": Scenario(
        _change,
        prepare=_article,
        method="DELETE",
        instead="later",
        again=_sweep,
    ),
    "rehash.change_row": Scenario(_change_row, prepare=_article, method="PUT", reads=True),
    "rehash.resolve": Scenario(
        lambda world: str(rehash.resolve(_image(world))),
        prepare=_rehashed_by_others,
        path=_IMAGE,
        breaks=True,
    ),
    "rehash.follow": Scenario(
        lambda world: str(rehash.follow(_image(world))),
        prepare=_rehashed_by_others,
        reads=True,
        breaks=True,
    ),
}


# --- What the mirror learns -------------------------------------------------------------------


def _by_others(world: World) -> None:
    for content in (DOG, BIRD):
        _others().create_source_image(_file(content))


def _changed_by_others(world: World) -> None:
    upload_dog(world)
    _others().rename_source_image(world.hash, "hound.jpg")


def _gone(world: World) -> None:
    upload_dog(world)
    _others().delete_source_image(world.hash)


def _unlisted(world: World) -> None:
    """The listing lags, so each image that it lacks is asked for."""
    upload_dog(world)
    world.emulator.listing_lag = 3600
    SourceImage.objects.update(synced="2020-01-01T00:00Z")


def _sync(kind: str = "full") -> list[int]:
    run = sync.sync_organization("default", kind)
    reported(not run.malformed)
    return [run.seen, run.created, run.changed, run.deleted, run.rehashed]


def _fill(world: World) -> None:
    reported(placeholders.fill("default", world.hash))


def _fill_missing(world: World) -> None:
    *_, run = placeholders.fill_missing("default")
    reported(not run.failed)


_FILL = Scenario(
    _fill,
    path=_RENDER,
    reads=True,
    unlike=unlike("reported", *_UNEXPECTED),
    why="it is noted, and the next runs try again",
)
#: A run notes the picture that fails; only where rokka asks for a pause it stops at once.
_FILL_MANY = replace(
    _FILL,
    instead="reported",
    unlike=unlike("RateLimited", "429 for long", "429 for hours"),
    why="all others would fail as well",
)

_MIRROR = {
    "sync.sync_image": Scenario(
        lambda world: str(sync.sync_image(_image(world))), prepare=_changed_by_others, reads=True
    ),
    "sync.sync_organization": Scenario(lambda world: _sync(), prepare=_by_others, reads=True),
    "sync.sync_organization, asking": Scenario(
        lambda world: _sync(),
        prepare=_unlisted,
        path=_IMAGE,
        reads=True,
        unlike=unlike("reported", *_UNEXPECTED),
        why="an image that cannot be read is counted, and harms no other",
    ),
    "sync.sync_organization, deleted": Scenario(
        lambda world: _sync("deleted"), prepare=_gone, reads=True
    ),
    "placeholders.fill": _FILL,
    "placeholders.fill, BlurHash": replace(_FILL, path=r"\.blur$"),
    "placeholders.fill_missing": replace(_FILL_MANY, call=_fill_missing),
    "placeholders.fill_portion": replace(
        _FILL_MANY, call=lambda world: reported(placeholders.fill_portion("default") == 0)
    ),
    "RenderClient.fetch": Scenario(
        lambda world: _fetch(world),
        path=_RENDER,
        reads=True,
        unlike=unlike("as sent", *_OTHER_BODIES),
        why="any bytes may be a render",
    ),
}


def _fetch(world: World) -> bytes:
    base = world.emulator.render_url.replace("{organization}", "acme")
    with RenderClient(base, timeout=world.client._transport.timeout) as renders:
        return renders.fetch(f"{base}/dynamic/noop/{world.hash}.png", limit=10_000)


# --- Stacks -----------------------------------------------------------------------------------


def _obsolete(world: World) -> None:
    world.client.save_stack(Stack(name="old", description="[django_rokka live]"))


def _push(world: World) -> None:
    reported(all(outcome.ok for outcome in stacks.push()))


def _prune(world: World) -> None:
    reported(all(outcome.ok for outcome in stacks.prune("default", stacks.prunable().stacks)))


_SAID_NO = tuple(
    name for name, trouble in FAULTS.items() if trouble.outcome in ("RateLimited", "ServerError")
)
_ANY_OBJECT = unlike("done", "JSON []", 'JSON {"items": null}')
_WHY_OBJECT = "it only adds to what is known of rokka's operations"

_GOES_ON = "one stack that fails does not keep the others from being seen to"

_STACKS = {
    "stacks.read": Scenario(
        lambda world: [item.name for item in stacks.read()],
        reads=True,
        unlike=_ANY_OBJECT,
        why=_WHY_OBJECT,
    ),
    "stacks.pull": Scenario(
        lambda world: stacks.pull(),
        prepare=_obsolete,
        reads=True,
        unlike=_ANY_OBJECT,
        why=_WHY_OBJECT,
    ),
    "stacks.push": Scenario(
        _push, method="PUT", reads=True, unlike=unlike("reported", *_SAID_NO), why=_GOES_ON
    ),
    "stacks.prunable": Scenario(
        lambda world: [item.name for item in stacks.prunable().stacks],
        prepare=_obsolete,
        path="/stacks/",
        reads=True,
        unlike=unlike("as sent", "JSON []"),
        why="as `list_stacks`",
    ),
    "stacks.prune, looking": Scenario(
        _prune,
        prepare=_obsolete,
        method="GET",
        path="/old$",
        reads=True,
        unlike=unlike("reported", *_SAID_NO),
        why=_GOES_ON,
    ),
    "stacks.prune": Scenario(
        _prune,
        prepare=_obsolete,
        method="DELETE",
        unlike=unlike("reported", *_SAID_NO),
        why=_GOES_ON,
    ),
}


# --- Bulk operations and deferred uploads -----------------------------------------------------


def _bulk(kind: str, **options: Any) -> Callable[[World], None]:
    def call(world: World) -> None:
        bulk.start(bulk.create(kind, SourceImage.objects.all(), options=options))

    return call


def _take_up(world: World) -> None:
    """What a user does with what has failed, and a schedule with what was paused."""
    bulk.take_up(BulkOperation.objects.get())


def _take_up_in_an_hour(world: World) -> None:
    forget_purges(world)
    _take_up(world)


def _done_in_bulk(kind: str, call: str, **values: Any) -> Scenario:
    options = values.pop("options", {})
    return Scenario(_bulk(kind, **options), method=call, instead="later", again=_take_up, **values)


def _locked(world: World) -> None:
    upload_dog(world)
    world.client.set_locked(world.hash, True)


def _protected(world: World) -> None:
    world.things["protected"] = world.upload(protected=True)


def _two(world: World) -> None:
    world.upload(DOG)
    world.upload(BIRD, "bird.jpg")


def _waiting(world: World) -> None:
    """A row whose upload did not happen."""
    world.emulator.add_fault(Fault(status=500, method="POST"))
    Snapshot.objects.create(photo=_file(DOG, "dog.jpg"))


def _upload_deferred(world: World) -> None:
    for name in deferred.pending("default"):
        deferred.upload("default", name)


def _create_snapshot(world: World) -> None:
    Snapshot.objects.create(photo=_file(DOG, "dog.jpg"))


_Kind = BulkOperation.Kind
_STAGE = {"destination": "acme-stage"}
#: Trouble that is over when the call is made in another way.
_ONCE = tuple(
    name
    for name, trouble in FAULTS.items()
    if trouble.fault.times == 1 and trouble.outcome != "RateLimited"
)

_BULK = {
    "bulk copy": _done_in_bulk(
        _Kind.COPY, "POST", prepare=_two, reads=True, options={**_STAGE, "overwrite": True},
        unlike=_ANY_OBJECT | unlike("done", *_ONCE), why="each image is copied for itself then",
    ),
    "bulk copy, no overwrite": _done_in_bulk(_Kind.COPY, "POST", options=_STAGE),
    "bulk delete": _done_in_bulk(_Kind.DELETE, "DELETE"),
    "bulk restore": _done_in_bulk(_Kind.RESTORE, "POST", prepare=_deleted, reads=True),
    "bulk sync": _done_in_bulk(_Kind.SYNC, "GET", prepare=_changed_by_others, reads=True),
    "bulk lock": _done_in_bulk(_Kind.LOCK, "PUT"),
    "bulk unlock": _done_in_bulk(_Kind.UNLOCK, "PUT", prepare=_locked),
    "bulk protect": _done_in_bulk(_Kind.PROTECT, "PUT", reads=True),
    "bulk unprotect": _done_in_bulk(_Kind.UNPROTECT, "PUT", prepare=_protected, reads=True),
    "bulk user_metadata": _done_in_bulk(
        _Kind.USER_METADATA, "PATCH", options={"metadata": {"title": "Hound"}}
    ),
    "bulk describe": _done_in_bulk(
        _Kind.DESCRIBE, "POST", reads=True, options={"languages": ["en"]},
        unlike=_ANY_OBJECT, why="as `autodescribe_source_image`",
    ),
    "bulk purge": replace(_done_in_bulk(_Kind.PURGE, "DELETE"), again=_take_up_in_an_hour),
    "deferred.upload": Scenario(_upload_deferred, prepare=_waiting, method="POST", reads=True),
    "deferred.upload, looking": Scenario(
        _upload_deferred, prepare=_waiting, path="/binaryhash/", reads=True
    ),
    "deferred.upload_pending": Scenario(
        lambda world: deferred.upload_pending("default"),
        prepare=_waiting,
        method="POST",
        reads=True,
        instead="later",
    ),
    "row.save, deferred": Scenario(
        _create_snapshot,
        method="POST",
        reads=True,
        instead="later",
        again=lambda world: deferred.upload_pending("default"),
        prepare=lambda world: None,
    ),
}  # fmt: skip

SERVICES: Mapping[str, Scenario] = {**_STORAGE, **_LIFECYCLE, **_MIRROR, **_STACKS, **_BULK}

#: Functions that a service's module offers and that send nothing themselves.
SILENT = {
    "lifecycle": {"client_of", "look_again", "is_anothers"},
    "rehash": set[str](),
    "placeholders": {
        "count_missing", "try_again", "carry_over", "is_opaque", "dominant_color", "tiny",
    },
    "stacks": {
        "compare", "mistakes", "choose", "next_version", "new_versions", "setting_of", "check_known",
        "problem_of", "known_names",
    },
    "deferred": {"pending", "clear_spool"},
    "sync": {"run_sync"},  # what sync_organization runs
}  # fmt: skip
