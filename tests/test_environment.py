"""Whose images an organization's are, and what a copy of the database may not do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command

from django_rokka import api, rehash
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.models import Claim, SourceImage
from tests.library.models import Article
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)

Become = Callable[..., None]


@pytest.fixture
def become(settings: Any, rokka_emulator: Emulator) -> Become:
    """Make this site another one: it has the same database and other settings."""

    def change(environment: str, **values: Any) -> None:
        own = {"ENVIRONMENT": environment, **values}
        settings.ROKKA = {
            alias: {**given, **own, "ORGANIZATION": given["ORGANIZATION"]}
            for alias, given in settings.ROKKA.items()
        }

    return change


@pytest.fixture
def row(become: Become) -> Article:
    """An article of production, whose database is then copied to staging."""
    become("production")
    row = Article.objects.create(title="Dog", photo=ContentFile(picture(), name="dog.jpg"))
    become("staging")
    return row


def is_live(hash: str) -> bool:
    return hash in {image.hash for image in get_client(mirrors=False).iter_source_images()}


@pytest.mark.parametrize(
    "destroy",
    [
        lambda row: get_client().delete_source_image(row.photo.hash),
        lambda row: row.photo.source_image.set_subject_area(1, 2),
        lambda row: row.photo.set_protected(True),
        lambda row: row.photo.set_version("x", keep_hash=True),
        lambda row: get_client().delete_source_images_by_binary_hash(
            row.photo.source_image.binary_hash
        ),
        lambda row: get_client().replace_user_metadata(row.photo.hash, {}),
        lambda row: get_client(mirrors=False).delete_source_image(row.photo.hash),
    ],
)
def test_a_copied_database_cannot_destroy_anything(
    row: Article, destroy: Callable[[Article], Any]
) -> None:
    before = get_client(mirrors=False).get_source_image(row.photo.hash)

    with pytest.raises(api.Refused) as refused:
        destroy(row)

    for said in (
        "'acme' belong to the environment 'production'",
        "'staging'",
        "manage.py rokka_claim",
    ):
        assert said in str(refused.value)
    assert get_client(mirrors=False).get_source_image(row.photo.hash) == before
    assert SourceImage.objects.live().get().hash == before.hash


def test_rows_of_a_copy_come_and_go_and_the_pictures_stay(row: Article, caplog: Any) -> None:
    hash = row.photo.hash

    row.photo = ContentFile(picture(color="#ff0000"), name="new.jpg")
    row.save()
    row.delete()

    assert is_live(hash)
    assert "belong to the environment 'production'" in caplog.text
    assert SourceImage.objects.live().count() == 2


def test_a_site_without_a_name_is_another_site(row: Article, become: Become) -> None:
    become("")
    with pytest.raises(api.Refused, match="has no ENVIRONMENT"):
        row.photo.source_image.set_subject_area(1, 2)


def test_an_explicit_deletion_is_refused(row: Article) -> None:
    Article.objects.filter(pk=row.pk)._raw_delete("default")

    with pytest.raises(api.Refused, match="'production'"):
        row.photo.storage.delete(row.photo.name)
    assert SourceImage.objects.live()


def test_the_site_that_claimed_goes_on(row: Article, become: Become) -> None:
    become("production")
    row.delete()
    assert not SourceImage.objects.live()


def test_a_claim_can_be_taken_over(row: Article, become: Become, capsys: Any) -> None:
    call_command("rokka_claim")
    assert capsys.readouterr().out == "acme belongs to staging; it belonged to production.\n"
    row.delete()
    assert not SourceImage.objects.live()

    become("")
    call_command("rokka_claim", "default")
    assert not Claim.objects.filter(organization="acme")
    assert "belongs to nobody" in capsys.readouterr().out


def test_migrating_claims_what_nobody_has(become: Become) -> None:
    become("production")
    call_command("migrate", verbosity=0)
    become("staging")
    call_command("migrate", verbosity=0)

    assert set(Claim.objects.values_list("organization", "environment")) == {
        ("acme", "production"),
        ("acme-stage", "production"),
    }


def test_migrating_claims_nothing_for_who_may_only_read(become: Become, settings: Any) -> None:
    become("production", READ_ONLY=True)
    settings.ROKKA = {**settings.ROKKA, "mistaken": {"ORGANISATION": "other"}}

    call_command("migrate", verbosity=0)

    assert not Claim.objects.exists()


def test_a_copy_overwrites_nothing_of_another_environment(
    become: Become, rokka_emulator: Emulator
) -> None:
    become("production")
    client = get_client()
    image = client.create_source_image(ContentFile(picture(), name="dog.jpg"))
    Claim.objects.create(organization="acme-stage", environment="staging")

    for copy in (
        lambda **options: client.copy_source_image(image.hash, "acme-stage", **options),
        lambda **options: client.copy_source_images([image.hash], "acme-stage", **options),
    ):
        with pytest.raises(api.Refused, match="overwrite=False"):
            copy()
    assert client.copy_source_image(image.hash, "acme-stage", overwrite=False)


def test_a_read_only_alias_reads(row: Article, become: Become) -> None:
    become("production", READ_ONLY=True)
    client = get_client()

    assert client.get_source_image(row.photo.hash).hash == row.photo.hash
    assert row.photo.read() == picture()
    row.photo.close()
    for write in (
        lambda: client.delete_source_image(row.photo.hash),
        lambda: client.restore_source_image(row.photo.hash),
        lambda: client.create_source_image(ContentFile(picture(), name="x.jpg")),
        lambda: client.delete_stack("hero"),
        lambda: rehash.change_image(row.photo.source_image, rehash.Change("version", None)),
    ):
        with pytest.raises(api.Refused, match="READ_ONLY"):
            write()
    row.delete()
    assert SourceImage.objects.live().count() == 1


def test_an_alias_that_may_write_is_preferred(become: Become, settings: Any, row: Article) -> None:
    become("production")
    default = settings.ROKKA["default"]
    settings.ROKKA = {"archive": {**default, "READ_ONLY": True}, "default": default}

    row.photo.source_image.set_subject_area(1, 2)

    assert Article.objects.get().photo.hash != row.photo.hash
