"""The management commands: what they say, what they do, and how they end."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command

from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import Claim, SourceImage
from django_rokka.rehash import resolve
from django_rokka.storage import RokkaStorage
from tests.library.models import Article, Snapshot
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


def run(capsys: Any, *command: str) -> str:
    call_command(*command)
    return str(capsys.readouterr().out)


@pytest.fixture
def orphan() -> str:
    Article.objects.create(title="held", photo=ContentFile(picture(), name="held.jpg"))
    return RokkaStorage().save("left.jpg", ContentFile(picture(color="#ff0000")))[:40]


def test_orphans_are_listed_first_and_deleted_when_asked(orphan: str, capsys: Any) -> None:
    assert run(capsys, "rokka_orphans") == "0 orphans, 0\xa0bytes.\n"

    listed = run(capsys, "rokka_orphans", "--days=0")
    assert f"{orphan}  20" in listed
    assert "left.jpg\n1 orphans, " in listed
    assert "run this again with --delete" in listed
    assert SourceImage.objects.live().count() == 2

    assert "left.jpg  deleted\n" in run(capsys, "rokka_orphans", "--days=0", "--delete")
    assert SourceImage.objects.live().get().name == "held.jpg"
    assert run(capsys, "rokka_orphans", "--days=0", "--delete").startswith("0 orphans")


def test_orphans_that_stay_say_why(orphan: str, capsys: Any) -> None:
    get_client().set_locked(orphan, True)
    assert "kept: The image" in run(capsys, "rokka_orphans", "--days=0", "--delete")

    Claim.objects.create(organization="acme", environment="production")
    with pytest.raises(CommandError, match="belong to the environment 'production'"):
        run(capsys, "rokka_orphans", "--days=0", "--delete")
    with pytest.raises(CommandError, match="got -1"):
        run(capsys, "rokka_orphans", "--days=-1")


def test_broken_pictures_are_listed_with_their_rows(capsys: Any) -> None:
    row = Article.objects.create(title="held", photo=ContentFile(picture(), name="held.jpg"))
    assert run(capsys, "rokka_broken") == "0 pictures are gone.\n"
    get_client().delete_source_image(row.photo.hash)
    resolve(SourceImage.objects.get())

    with pytest.raises(SystemExit) as ended:
        call_command("rokka_broken")

    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert f"{row.photo.hash}  held.jpg: deleted, and nothing has its bytes" in said
    assert f"    library.Article {row.pk}, photo: held" in said
    assert "1 pictures are gone." in said


def test_pending_does_what_a_schedule_would(
    emulator: Emulator, capsys: Any, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    row = Article.objects.create(title="x", photo=ContentFile(picture(), name="x.jpg"))
    emulator.add_fault(Fault(status=500, method="POST"))
    Snapshot.objects.create(photo=ContentFile(picture(color="#ff0000"), name="dog.jpg"))
    emulator.add_fault(Fault(status=429, method="DELETE", times=9))
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "ATTEMPTS": 1}}
    row.delete()
    emulator.clear_faults()

    assert run(capsys, "rokka_pending") == ("1 uploads waited, 0 still wait.\n1 images deleted.\n")
    assert run(capsys, "rokka_pending") == ("0 uploads waited, 0 still wait.\n0 images deleted.\n")
