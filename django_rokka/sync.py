"""Keeping the mirror true: what rokka says now, and what became of what it no longer has."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone

from . import api, rehash, user_metadata
from .conf import get_client, get_config
from .lifecycle import client_of
from .models import SourceImage

logger = logging.getLogger("django_rokka.sync")


@dataclass(frozen=True)
class Outcome:
    """What a run found: images seen, and of those that were not, rehashed by others and gone."""

    seen: int
    rehashed: int
    gone: int


def sync_image(image: SourceImage) -> SourceImage | None:
    """Ask rokka about one image. Gives what stands for it now, or ``None`` if nothing does."""
    before = image.user_metadata
    try:
        client_of(image).get_source_image(image.hash)
    except api.NotFound:
        return rehash.resolve(image)
    image.refresh_from_db()
    user_metadata.take_over(image, before)
    return image


def sync_organization(alias: str) -> Outcome:
    """Read the whole listing of an organization, and look after each image that it lacks.

    A listing lags and can change while it is read, so an image that is missing there is asked for by its
    hash before anything is concluded from that.
    """
    config, started, seen = get_config(alias), timezone.now(), 0
    for page in get_client(alias, mirrors=False).iter_pages():
        _record(config.organization, page)
        seen += len(page)
    missing = SourceImage.objects.live().filter(
        organization=config.organization, synced__lt=started
    )
    found = [(image, sync_image(image)) for image in missing.iterator()]
    rehashed = sum(1 for image, now in found if now is not None and now != image)
    gone = sum(1 for _, now in found if now is None)
    return Outcome(seen, rehashed, gone)


def _record(organization: str, page: Iterable[api.SourceImage]) -> None:
    images = list(page)
    mirrored = SourceImage.objects.filter(
        organization=organization, hash__in=[image.hash for image in images]
    )
    before = dict(mirrored.values_list("hash", "user_metadata"))
    SourceImage.objects.record(images)
    for image in mirrored:
        if image.hash in before and image.user_metadata != before[image.hash]:
            user_metadata.take_over(image, before[image.hash])
