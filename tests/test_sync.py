"""The mirror and rokka, after others were at work."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile

from django_rokka import api, sync
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.models import SourceImage
from tests.library.models import Article
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


def article(color: str) -> Article:
    file = ContentFile(picture(color=color), name="dog.jpg")
    return Article.objects.create(title=color, photo=file)


def others() -> api.RokkaClient:
    """A client that our mirror does not hear of."""
    return get_client(mirrors=False)


def test_a_run_learns_what_is_new_gone_and_rehashed() -> None:
    same, rehashed, gone, unused = (article(color) for color in ("#100", "#200", "#300", "#400"))
    unused_hash = unused.photo.hash
    Article.objects.filter(pk=unused.pk).delete()
    get_client().restore_source_image(unused_hash)
    new = others().create_source_image(ContentFile(picture(color="#500"), name="new.jpg"))
    target = others().set_dynamic_metadata(rehashed.photo.hash, api.SubjectArea(1, 2)).hash
    for hash in (rehashed.photo.hash, gone.photo.hash, unused_hash):
        others().delete_source_image(hash)

    outcome = sync.sync_organization("default")

    assert outcome == sync.Outcome(seen=3, rehashed=1, gone=2)
    assert set(SourceImage.objects.live().values_list("hash", flat=True)) == {
        same.photo.hash,
        target,
        new.hash,
    }
    assert Article.objects.get(pk=rehashed.pk).photo.hash == target
    assert SourceImage.objects.broken().get().hash == gone.photo.hash
    assert sync.sync_organization("default") == sync.Outcome(seen=3, rehashed=0, gone=0)


def test_an_image_that_a_lagging_listing_lacks_is_asked_for(emulator: Emulator) -> None:
    row = article("#100")
    emulator.listing_lag = 60

    assert sync.sync_organization("default") == sync.Outcome(seen=0, rehashed=0, gone=0)
    assert SourceImage.objects.live().get().hash == row.photo.hash


def test_one_image_can_be_synced() -> None:
    row = article("#100")
    image = row.photo.source_image
    others().rename_source_image(image.hash, "renamed.jpg")

    assert sync.sync_image(image) == image
    assert image.name == "renamed.jpg"
    others().delete_source_image(image.hash)
    assert sync.sync_image(image) is None
