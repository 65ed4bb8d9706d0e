from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_rokka.api import ImageName, InvalidArgument
from django_rokka.api.names import check_hash, slugify

HASH = "c03683" + "a" * 34


@pytest.mark.parametrize(
    ("filename", "slug"),
    [
        ("Zürich am Abend (2).JPG", "zurich-am-abend-2"),
        ("C:\\pictures\\dog.png", "dog"),
        ("../../etc/passwd", "passwd"),
        ("Straße & Œuvre.webp", "strasse-oeuvre"),
        ("🌄.png", "image"),
        ("", "image"),
        ("___.jpg", "image"),
        ("a" * 500 + ".jpg", "a" * 60),
        ("me@home.jpg", "me-at-home"),
    ],
)
def test_a_slug_is_made_from_any_file_name(filename: str, slug: str) -> None:
    assert slugify(filename) == slug


def test_an_umlaut_is_two_letters_in_german() -> None:
    assert slugify("Zürich Öl.jpg", language="de") == "zuerich-oel"


@given(st.text(max_size=500), st.integers(47, 300))
def test_names_round_trip_and_fit(filename: str, max_length: int) -> None:
    name = ImageName.build(HASH, filename, "jpg").fit(max_length)

    assert ImageName.parse(str(name)) == name
    assert len(str(name)) <= min(max_length, 100)


@pytest.mark.parametrize(
    "value", ["", "abc12", "ABCDEF", "g" * 40, "a" * 41, "../abcdef", "abcdef\n"]
)
def test_what_is_no_hash_is_refused(value: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a rokka hash"):
        check_hash(value)


@pytest.mark.parametrize(
    "name", ["photo.jpg", f"{HASH}.jpg", f"{HASH}/a_b.jpg", f"{HASH}/a.JPG", ""]
)
def test_what_is_no_name_is_refused_with_advice(name: str) -> None:
    with pytest.raises(InvalidArgument, match="expected <hash>"):
        ImageName.parse(name)


def test_a_column_that_is_too_short_is_named() -> None:
    with pytest.raises(InvalidArgument, match="does not fit 20 characters"):
        ImageName.build(HASH, "dog", "jpg").fit(20)


def test_a_format_that_would_break_the_name_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="not a file format"):
        ImageName.build(HASH, "dog", "../x")
