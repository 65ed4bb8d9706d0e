"""A model's fields and rokka's user metadata, both ways."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.base import ContentFile

from django_rokka import api, sync, user_metadata
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.models import SourceImage
from tests.library.models import Captioned
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


def captioned(**values: Any) -> Captioned:
    color = values.pop("color", "#3366cc")
    file = ContentFile(picture(color=color), name="dog.jpg")
    return Captioned.objects.create(**{"headline": "A dog", "photo": file, **values})


def others() -> api.RokkaClient:
    """Somebody with the dashboard, or another application."""
    return get_client(mirrors=False)


def at_rokka(row: Captioned) -> dict[str, Any]:
    return others().get_user_metadata(row.photo.hash)


def test_an_upload_carries_what_the_row_says(emulator: Emulator) -> None:
    row = captioned(alt="It runs.", taken=date(2024, 5, 17), keywords=["dog", "run"])

    assert len(emulator.calls) == 1
    assert at_rokka(row) == {
        "title": "A dog",
        "text:alt": "It runs.",
        "date:taken": "2024-05-17T00:00:00Z",
        "array:keywords": ["dog", "run"],
        "int:length": 5,
    }


def test_only_what_changed_is_sent_and_nothing_if_nothing_did(emulator: Emulator) -> None:
    row = captioned(alt="It runs.")
    emulator.application.calls.clear()

    row.save()
    assert emulator.calls == []

    row.alt, row.headline = "", "A cat"
    row.save()
    assert [call.method for call in emulator.calls] == ["PATCH"]
    assert at_rokka(row) == {"title": "A cat", "int:length": 5}


def test_a_picture_that_is_assigned_gets_the_texts_of_its_new_row() -> None:
    first = captioned()

    Captioned.objects.create(headline="Same dog", photo=first.photo.name)

    assert at_rokka(first)["title"] == "Same dog"


def test_it_survives_a_change_of_hash() -> None:
    row = captioned()
    row.photo.source_image.set_subject_area(1, 2)

    row.refresh_from_db()
    assert at_rokka(row)["title"] == "A dog"
    row.headline = "Another"
    row.save()
    assert at_rokka(row)["title"] == "Another"


def test_what_others_write_comes_back() -> None:
    row = captioned(keywords=["dog"], taken=date(2024, 5, 17))
    others().patch_user_metadata(
        row.photo.hash,
        {"title": "From the dashboard", "array:keywords": ["cat"], "date:taken": None},
    )

    sync.sync_image(row.photo.source_image)

    row.refresh_from_db()
    assert (row.headline, row.keywords, row.taken) == ("From the dashboard", ["cat"], None)


def test_a_row_that_says_something_of_its_own_keeps_it() -> None:
    row = captioned()
    own = Captioned.objects.create(headline="A dog", photo=row.photo.name)
    Captioned.objects.filter(pk=own.pk).update(headline="My dog")
    others().patch_user_metadata(row.photo.hash, {"title": "From the dashboard", "text:alt": "x"})

    sync.sync_organization("default")

    row.refresh_from_db()
    own.refresh_from_db()
    assert (row.headline, own.headline) == ("From the dashboard", "My dog")
    assert (row.alt, own.alt) == ("x", "x")


def test_texts_that_others_remove_are_emptied() -> None:
    row = captioned()
    others().delete_user_metadata(row.photo.hash)

    sync.sync_image(row.photo.source_image)

    row.refresh_from_db()
    assert row.headline == ""
    assert SourceImage.objects.get().user_metadata == {}


def test_what_a_column_cannot_hold_is_left_out_and_the_rest_is_taken(caplog: Any) -> None:
    row = captioned(taken=date(2024, 5, 17))
    image = row.photo.source_image
    before = dict(image.user_metadata)
    image.user_metadata = {
        **before, "date:taken": "one day", "title": "New", "text:alt": "long" * 26,
    }  # fmt: skip

    assert user_metadata.take_over(image, before) == 1

    row.refresh_from_db()
    assert (row.headline, row.taken, row.alt) == ("New", date(2024, 5, 17), "")
    assert "cannot hold" in caplog.text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ([], None),
        ("text", "text"),
        (3, 3),
        (True, 1),
        (Decimal("1.5"), 1.5),
        (("a", 2), ["a", 2]),
        (["a", "", None], ["a"]),
        ([""], None),
        (datetime(476, 9, 4, 1, 2, 3, 4, timezone.utc), "0476-09-04T01:02:03Z"),
        (datetime(2024, 5, 17, 12, tzinfo=timezone(timedelta(hours=2))), "2024-05-17T10:00:00Z"),
        (date(2024, 5, 17), "2024-05-17T00:00:00Z"),
        (Emulator, str(Emulator)),
    ],
)
def test_values_are_sent_in_rokkas_form(value: Any, expected: Any) -> None:
    row = Captioned()
    row.value = value  # type: ignore[attr-defined]
    if value is Emulator:
        row.value = type("Odd", (), {"__str__": lambda self: expected})()  # type: ignore[attr-defined]

    assert user_metadata.collect(row, {"x": "value"}) == {"x": expected}
