"""Sites with several databases: a replica that is never up to date, and rows that are not beside the mirror."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core import checks
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connections, transaction

from django_rokka import lifecycle, rehash, tasks
from django_rokka.api import NotFound
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.models import Claim, SourceImage
from tests.library.models import Article, Slide
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class Replicas:
    """Everything is read from a replica, which here has heard of nothing."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "other"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


@pytest.fixture
def replica(rokka_emulator: Emulator, settings: Any) -> Iterator[None]:
    """Nobody may write to it."""
    settings.DATABASE_ROUTERS = [Replicas()]
    with connections["other"].execute_wrapper(_reads):
        yield


def _reads(execute: Any, sql: str, *args: Any) -> Any:
    assert sql.lstrip("(").startswith("SELECT"), f"the replica is to do: {sql}"
    return execute(sql, *args)


def article(color: str = "#3366cc") -> Article:
    file = ContentFile(picture(color=color), name="dog.jpg")
    return Article.objects.create(title="Dog", photo=file)


def stored(row: Article) -> Article:
    return Article.objects.using("default").get(pk=row.pk)


def is_live(hash: str) -> bool:
    try:
        get_client(mirrors=False).get_source_image(hash)
    except NotFound:
        return False
    return True


@pytest.mark.usefixtures("replica")
def test_a_picture_comes_changes_and_goes() -> None:
    row = article()
    first = row.photo.hash
    assert row.photo.source_image.width == 80
    second = row.photo.set_subject_area(1, 1).hash
    third = stored(row).photo.source_image.set_version("v").hash
    assert stored(row).photo.hash == third
    assert [is_live(hash) for hash in (first, second, third)] == [False, False, True]

    row = stored(row)
    row.photo = ContentFile(picture(color="#cc3333"), name="cat.jpg")
    row.save()
    assert not is_live(third)
    row.delete()
    assert not is_live(row.photo.name[:40])


@pytest.mark.usefixtures("replica")
def test_tasks_and_commands_find_what_they_are_told_of() -> None:
    row = article()
    tasks.change_row(
        "default", row.photo.hash, "library.Article", row.pk, "photo", "version", {"text": "v"}
    )
    hash = stored(row).photo.hash
    assert hash != row.photo.hash
    tasks.set_protected("default", hash, True)
    tasks.sync_organization("default", "full")
    tasks.sync_organization("default", "deleted")
    call_command("rokka_doctor", "--references", verbosity=0)
    call_command("rokka_orphans", verbosity=0)

    image = SourceImage.objects.get(hash=stored(row).photo.hash)
    assert (image.protected, image.deleted) == (True, None)


@pytest.mark.usefixtures("replica")
def test_a_picture_that_is_gone_is_brought_back() -> None:
    row = article()
    image = row.photo.source_image
    lifecycle.delete_used(image)
    assert SourceImage.objects.broken().count() == 1

    stored(row).photo.source_image  # noqa: B018
    lifecycle.restore(image)

    assert rehash.resolve(image) == image
    assert not SourceImage.objects.broken().exists()


@pytest.mark.usefixtures("replica")
def test_what_leads_from_a_row_of_the_mirror_to_another_one_is_read_there_too() -> None:
    old = article().photo.source_image
    new = old.set_subject_area(1, 1)
    old.refresh_from_db()

    assert old.replaced_by == new
    assert old.current == new


def test_our_tables_may_be_read_elsewhere_by_name() -> None:
    Claim.objects.using("other").create(organization="acme", environment="there")

    assert not Claim.objects.exists()
    assert Claim.objects.using("other").count() == 1
    assert Claim.objects.db_manager("other").count() == 1


# --- Rows that are not beside the mirror --------------------------------------------------------


def test_a_row_of_another_database_brings_back_what_was_deleted_before_its_commit(
    rokka_emulator: Emulator, settings: Any
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "DATABASES": []}}
    name = article().photo.name
    Article.objects.update(photo="")
    image = SourceImage.objects.get()

    with transaction.atomic(using="other"):
        Slide.objects.using("other").create(picture=name)
        # Who deletes cannot see the row yet, nor that it holds the image.
        get_client().delete_source_image(image.hash)

    assert is_live(image.hash)
    image.refresh_from_db()
    assert image.deleted is None


# --- The check ------------------------------------------------------------------------------


def test_a_replica_that_would_count_as_a_place_of_rows_is_told(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Replicas()]
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "DATABASES": []}}

    found = [item for item in checks.run_checks() if item.id == "rokka.W005"]

    said = {str(item.msg) for item in found}
    assert any("library.Article is read from 'other' and written to 'default'" in it for it in said)
    assert "DATABASES" in str(found[0].hint)

    settings.ROKKA = {"default": {**settings.ROKKA["default"], "DATABASES": ["default"]}}
    assert [item for item in checks.run_checks() if item.id == "rokka.W005"] == []
