from __future__ import annotations

import pickle
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_rokka import api
from django_rokka.api.types import as_list, as_object, parse_date, read_dynamic_metadata

HASH = "a" * 40


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2019-12-10T10:45:32+00:00", datetime(2019, 12, 10, 10, 45, 32, tzinfo=timezone.utc)),
        ("2017-01-18T14:10:40+0000", datetime(2017, 1, 18, 14, 10, 40, tzinfo=timezone.utc)),
        ("2017-01-18T14:10:40Z", datetime(2017, 1, 18, 14, 10, 40, tzinfo=timezone.utc)),
        (
            "2017-01-18T14:10:40.5+0200",
            datetime(2017, 1, 18, 14, 10, 40, 500000, tzinfo=timezone(timedelta(hours=2))),
        ),
        (
            {"date": "2015-08-20 08:50:32.000000", "timezone_type": 3, "timezone": "UTC"},
            datetime(2015, 8, 20, 8, 50, 32, tzinfo=timezone.utc),
        ),
        (
            {"date": "2015-08-20 08:50:32.000000", "timezone_type": 1, "timezone": "+02:00"},
            datetime(2015, 8, 20, 8, 50, 32, tzinfo=timezone(timedelta(hours=2))),
        ),
        (
            {"date": "2015-08-20 08:50:32.000000"},
            datetime(2015, 8, 20, 8, 50, 32, tzinfo=timezone.utc),
        ),
        ("2017-01-18 14:10:40", datetime(2017, 1, 18, 14, 10, 40, tzinfo=timezone.utc)),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("yesterday", None),
        (None, None),
        (1500000000, None),
    ],
)
def test_every_date_form_is_read(value: Any, expected: datetime | None) -> None:
    assert parse_date(value) == expected


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31, 23, 59)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["T", " "]),
)
def test_a_moment_is_the_same_in_every_form(naive: datetime, minutes: int, between: str) -> None:
    zone = timezone(timedelta(minutes=minutes))
    moment, text = naive.replace(tzinfo=zone), naive.isoformat(between, "microseconds")
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    php = {"date": text, "timezone_type": 1, "timezone": offset}

    for spelled in (text + offset, text + offset.replace(":", ""), php):
        assert parse_date(spelled) == moment
    seconds = naive.replace(microsecond=0, tzinfo=timezone.utc)
    for spelled in (text + "Z", text, {**php, "timezone_type": 3, "timezone": "UTC"}):
        assert parse_date(spelled) == naive.replace(tzinfo=timezone.utc)
    for zone_text in ("Z", "", "+0000", "+00:00"):
        assert parse_date(text.partition(".")[0] + zone_text) == seconds


@given(st.text() | st.from_regex(r"[0-9]{1,5}-[0-9]{2}-[0-9]{2}([T ].*)?"))
def test_any_text_is_a_date_or_none(text: str) -> None:
    for value in (text, {"date": text, "timezone": text}):
        moment = parse_date(value)
        assert moment is None or moment.astimezone(timezone.utc) == moment


def test_phps_empty_lists_are_objects_and_its_objects_lists() -> None:
    assert as_object([]) == {}
    assert as_object(["a"]) == {"0": "a"}
    assert as_object(None) == {}
    assert as_list({"0": "a", "1": "b"}) == ["a", "b"]
    assert as_list(None) == []


def test_unknown_keys_are_kept_and_missing_ones_have_defaults() -> None:
    image = api.SourceImage.from_json(
        {"hash": HASH, "organization": "acme", "user_metadata": [], "new_key": 1, "size": "12"}
    )

    assert image.extra == {"new_key": 1}
    assert image.user_metadata == {}
    assert image.size == 12
    assert image.width is None


@pytest.mark.parametrize(
    ("said", "protected"),
    [(True, True), ("true", True), (1, True), (False, False), ("false", False), (None, False)],
)
def test_a_switch_may_be_a_text_or_a_number(said: Any, protected: bool) -> None:
    image = api.SourceImage.from_json(
        {"hash": HASH, "organization": "acme", "name": None, "protected": said}
    )

    assert (image.protected, image.name) == (protected, "")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "expected a SourceImage, got list"),
        ({"hash": "Dog", "organization": "acme"}, "expected a hash, got 'Dog'"),
    ],
)
def test_an_odd_answer_is_described(data: Any, message: str) -> None:
    with pytest.raises(api.UnexpectedAnswer) as error:
        api.SourceImage.from_json(data)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "x",
        {"hash": HASH},
        {"organization": "acme"},
        {"hash": "/../x", "organization": "a"},
    ],
)
def test_an_answer_that_is_no_image_is_an_error(data: Any) -> None:
    with pytest.raises(api.UnexpectedAnswer):
        api.SourceImage.from_json(data)


def test_results_are_frozen() -> None:
    image = api.SourceImage(hash=HASH, organization="acme")

    with pytest.raises(AttributeError):
        image.hash = "b" * 40  # type: ignore[misc]


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ({"next": {"href": "/sourceimages/acme?limit=20&offset=120"}}, "120"),
        ({"next": {"href": "https://elsewhere.example/x?offset=abc%3D"}}, "abc="),
        ({"prev": {"href": "/sourceimages/acme?offset=0"}}, None),
        ([], None),
        ({}, None),
        ({"next": []}, None),
        (None, None),
    ],
)
def test_the_next_page_is_only_an_offset(links: Any, expected: str | None) -> None:
    assert api.Page.from_json({"items": [], "links": links}).next == expected


def test_a_stack_is_read_from_the_words_of_an_answer() -> None:
    stack = api.Stack.from_json(
        {
            "name": "thumb",
            "organization": "acme",
            "stack_operations": [{"name": "resize", "options": {"width": 10}}],
            "stack_options": [],
            "stack_expressions": [],
            "stack_variables": {},
        }
    )

    assert stack.operations == (api.StackOperation("resize", {"width": 10}),)
    assert stack.as_json() == {
        "operations": [{"name": "resize", "options": {"width": 10}}],
        "options": {},
    }


def test_dynamic_metadata_is_spelled_as_the_api_takes_it() -> None:
    areas = api.MultiAreas(
        {"wide": api.CropArea(1, 2, 3, 4), "face": api.SubjectArea(5, 6, percentage=True)}
    )

    assert areas.as_json() == {
        "wide": {"crop_area": {"x": 1, "y": 2, "width": 3, "height": 4}},
        "face": {"subject_area": {"x": 5, "y": 6, "width": 1, "height": 1, "percentage": True}},
    }
    assert api.Version("draft").as_json() == {"text": "draft"}
    assert api.DetectionFace().as_json() == {}


@pytest.mark.parametrize(
    "metadata",
    [
        api.SubjectArea(5, 6, percentage=True),
        api.CropArea(1, 2, 3, 4),
        api.MultiAreas({"wide": api.CropArea(1, 2, 3, 4), "face": api.SubjectArea(5, 6)}),
        api.Version("draft"),
        api.DetectionFace(),
    ],
)
def test_dynamic_metadata_is_read_back(metadata: api.DynamicMetadata) -> None:
    assert read_dynamic_metadata(metadata.name, metadata.as_json()) == metadata


@pytest.mark.parametrize("name", ["subject_area", "multi_areas", "colour"])
def test_what_is_no_dynamic_metadata_is_named(name: str) -> None:
    with pytest.raises(api.InvalidArgument) as error:
        read_dynamic_metadata(name, {"a": 1})
    assert str(error.value) == f"{{'a': 1}} is no dynamic metadata {name!r}"


def test_all_that_an_answer_says_is_a_dictionary() -> None:
    image = api.SourceImage.from_json({"hash": HASH, "organization": "acme", "new_key": 1})

    said = image.as_dict()
    assert (said["hash"], said["extra"], said["width"]) == (HASH, {"new_key": 1}, None)


def test_an_organizations_signing_keys_are_not_in_its_repr() -> None:
    organization = api.Organization.from_json({"name": "acme", "signing_keys": [{"key": "s3cret"}]})

    assert organization.signing_keys == ("s3cret",)
    assert "s3cret" not in repr(organization)


def test_errors_survive_pickling() -> None:
    retry_at = datetime(2030, 1, 1, tzinfo=timezone.utc)
    error = api.RateLimited("slow down", call="GET /x", retry_at=retry_at)

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert (copy.message, copy.call, copy.status, copy.retry_at) == (
        "slow down",
        "GET /x",
        429,
        retry_at,
    )
    assert str(copy) == "GET /x → 429: slow down"
    assert repr(copy) == repr(error) == "RateLimited('slow down')"
    assert str(api.RateLimited("slow down")) == "429: slow down"
