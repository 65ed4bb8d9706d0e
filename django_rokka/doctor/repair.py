"""What can be done about a picture that is gone, and doing it.

In this order: rows follow to what replaced it here; it is restored; rows follow to the live image with the same
bytes, as a sync lets them; its bytes are uploaded again. Nothing is guessed, and each is done by the service that
does it otherwise, so its guards are asked. A repair that was interrupted is done again.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from .. import api, lifecycle, references, rehash
from ..api.names import HASH_LENGTH
from ..conf import Config, get_client
from ..models import SourceImage
from ..storage import RokkaStorage
from .drift import Lost
from .files import Files, Source, binary_hash_of
from .probe import Probe


class Way(enum.Enum):
    """How a picture can be had again."""

    RESTORE = "restore"
    REPOINT = "repoint"
    UPLOAD = "upload"
    NONE = "none"


@dataclass(frozen=True)
class Remedy:
    """What can be done, or was; ``text`` says it in words, and for `Way.NONE` why nothing can be.

    ``trouble``: rokka failed, perhaps at this picture alone.
    """

    way: Way
    text: str
    trouble: bool = False


def remedy(config: Config, probe: Probe | None, lost: Lost, files: Files) -> Remedy:
    """What can be done about a picture; nothing is changed. Without a ``probe`` only the mirror is asked."""
    if (current := _replacement(lost)) is not None:
        return Remedy(Way.REPOINT, f"this site replaced it by {current.hash}")
    if lost.restorable:
        return Remedy(Way.RESTORE, _days_left(lost))
    variants = [image.hash for image in _variants(probe, lost) if not lifecycle.is_anothers(image)]
    if len(variants) == 1:
        return Remedy(Way.REPOINT, f"{variants[0]} has the same bytes")
    if variants:
        text = f"{len(variants)} live images have the same bytes; its metadata may tell which"
        return Remedy(Way.REPOINT, text)
    source = files.find(lost)
    if source is not None:
        return Remedy(Way.UPLOAD, f"the same bytes are in {source.where}")
    return Remedy(Way.NONE, _reason(lost, files))


def _replacement(lost: Lost) -> SourceImage | None:
    """What replaced it on this site and is live, as far as the mirror knows."""
    if lost.image is None:
        return None
    live = [image for image in lost.image.replacements[1:] if image.deleted is None]
    return live[-1] if live else None


def _days_left(lost: Lost) -> str:
    days = lost.image.days_left if lost.image else 0
    return f"it can be restored for {days} days more" if days else "rokka still has it"


def _variants(probe: Probe | None, lost: Lost) -> list[SourceImage]:
    """The live images with the same bytes."""
    if not lost.binary_hash:
        return []
    if probe is not None:
        found = probe.list_source_images_by_binary_hash(lost.binary_hash)
        return [SourceImage.from_api(image) for image in found if not image.deleted]
    rows = SourceImage.objects.live()
    return list(rows.filter(organization=lost.organization, binary_hash=lost.binary_hash))


def _reason(lost: Lost, files: Files) -> str:
    if not binary_hash_of(lost):
        return "rokka does not have it, and nobody knows its bytes"
    where = f"in {files.folder}" if files.folder else "that is known"
    return f"it cannot be restored, and neither a live image nor a file {where} has its bytes"


# --- Doing it ---------------------------------------------------------------------------------


def repair(config: Config, lost: Lost, files: Files) -> Remedy:
    """Do what can be done; doing it again is no harm.

    What rokka or a guard refuses for this picture, or fails at, is a `Remedy` that says so; trouble that concerns
    all of them (`RokkaConnectionError`, `RateLimited`, `BadCredentials`) is raised.
    """
    try:
        done = _repaired(config, lost, files)
    except (api.RokkaConnectionError, api.RateLimited, api.BadCredentials):
        raise
    except api.ServerError as error:
        return Remedy(Way.NONE, f"rokka is in trouble: {error.message}", trouble=True)
    except api.RokkaError as error:
        return Remedy(Way.NONE, f"refused: {error.message}")
    left = references.count(lost.stand_in) if done.way in (Way.REPOINT, Way.UPLOAD) else 0
    if left and not _is_live(lost):
        return Remedy(
            Way.NONE, f"{done.text}, but {left} rows did not follow: signed URLs in a text"
        )
    return done


def _repaired(config: Config, lost: Lost, files: Files) -> Remedy:
    image, restorable = _noted(config, lost)
    if image is None:
        return Remedy(Way.NONE, "a short hash that neither the mirror nor rokka knows")
    if image.deleted is None:
        return Remedy(Way.RESTORE, "it is live again")
    if _replacement(lost) is not None and (moved := rehash.follow(image)) is not None:
        return Remedy(Way.REPOINT, f"rows show {moved.hash} now")
    if restorable and _is_restored(image):
        return Remedy(Way.RESTORE, "restored")
    if (found := rehash.resolve(image)) is not None:
        return Remedy(Way.REPOINT, f"rows show {found.hash} now")
    source = files.find(lost)
    if source is None:
        image.refresh_from_db()
        if image.broken == SourceImage.Broken.AMBIGUOUS:
            return Remedy(Way.NONE, "several live images have its bytes, and nothing tells which")
        return Remedy(Way.NONE, _reason(lost, files))
    return _uploaded(config, image, source)


def _noted(config: Config, lost: Lost) -> tuple[SourceImage | None, bool]:
    """The mirror's row, made if it lacks, as rokka says today, and whether rokka still has the image.

    There is none for a short hash that nobody knows.
    """
    rows = SourceImage.objects.select_related("replaced_by")
    restorable = True
    try:
        hash = get_client(config.alias).get_source_image(lost.hash, deleted=True).hash
    except api.NotFound:
        restorable = False
        hash = lost.image.hash if lost.image else lost.hash
        if len(hash) < HASH_LENGTH:
            return None, False
        now = timezone.now()
        values = {"deleted": now, "purged": now}
        rows.get_or_create(organization=lost.organization, hash=hash, defaults=values)
    found = rows.filter(organization=lost.organization, hash=hash)
    if known := binary_hash_of(lost):
        # What has the same bytes is found by it.
        found.filter(binary_hash="").update(binary_hash=known)
    return found.get(), restorable


def _is_restored(image: SourceImage) -> bool:
    try:
        lifecycle.restore(image)
    except api.NotFound:
        return False
    return True


def _is_live(lost: Lost) -> bool:
    rows = SourceImage.objects.of_hash(lost.organization, lost.hash)
    return rows.live().exists()


# --- Uploading again --------------------------------------------------------------------------


def _uploaded(config: Config, image: SourceImage, source: Source) -> Remedy:
    """Upload the bytes with what the mirror remembers; rows follow if the hash is another one."""
    client = get_client(config.alias)
    with contextlib.closing(source.open()) as file:
        new = client.create_source_image(
            file,
            name=image.name or source.name.rpartition("/")[2],
            user_metadata={**image.user_metadata, **_mark(config)},
            dynamic_metadata=list(_dynamic_metadata(config, image)),
            protected=image.protected or None,
        )
    if new.hash == image.hash:
        # It lives: nothing stands for it any more.
        lifecycle.restore(image)
        return Remedy(Way.UPLOAD, f"uploaded again from {source.where}")
    moved = rehash.follow(image)
    if moved is None:
        return Remedy(
            Way.NONE, f"uploaded from {source.where} as {new.hash}, but rows did not follow"
        )
    return Remedy(Way.UPLOAD, f"uploaded from {source.where}; rows show {moved.hash} now")


def _mark(config: Config) -> dict[str, Any]:
    return {lifecycle.UPLOADED_BY: config.environment} if config.environment else {}


def _dynamic_metadata(config: Config, image: SourceImage) -> Iterator[api.DynamicMetadata]:
    """What gave the image its hash, as far as it can be sent again."""
    for name, values in image.dynamic_metadata.items():
        with contextlib.suppress(api.InvalidArgument):
            yield api.read_dynamic_metadata(name, values)
    for metadata in RokkaStorage(alias=config.alias).isolation:
        if metadata.name not in image.dynamic_metadata:
            yield metadata
