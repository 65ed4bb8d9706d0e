from __future__ import annotations

import pytest
from django.core.files.utils import validate_file_name
from django.utils.text import get_valid_filename
from hypothesis import given
from hypothesis import strategies as st

from django_rokka.api import ImageName, InvalidArgument, RenderURL
from django_rokka.api.names import check_hash, slugify
from django_rokka.api.render import render_url

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


#: Of any letters and length, and what systems, browsers or Django treat in a way of their own.
FILE_NAMES = (
    st.text(max_size=500)
    | st.lists(
        st.sampled_from(
            [".", "..", "/", "\\", "\0", "\r\n", " ", "-", "_", "%00", "%2F", "?", "#", ":", "é", "e\u0301",
             "\u0301", "\u202e", "\u200d", "\ud800", "\udcff", "🌄", "👩‍👩‍👧", "شجرة", "木", "ß", "ﬁ", "CON", "aux",
             "dog", ".jpg", ".JPG", ".tar.gz", ".nothing", "a" * 300, "é" * 10_000]
        ),
        max_size=6,
    ).map("".join)
)  # fmt: skip


@given(FILE_NAMES, st.integers(47, 300), st.sampled_from(["jpg", "png", "svg", "webp"]))
def test_names_round_trip_and_fit(filename: str, max_length: int, format: str) -> None:
    name = ImageName.build(HASH, filename, format)
    name = name.fit(max(max_length, len(f"{HASH}/i.{format}")))

    assert ImageName.parse(str(name)) == name
    assert len(str(name)) <= min(max(max_length, 47), 100)
    # Once more changes nothing, and neither Django nor a URL does.
    again = ImageName.build(name.hash, str(name), name.format)
    assert again == name == name.fit(len(str(name)))
    assert validate_file_name(str(name), allow_relative_path=True) == str(name)
    assert get_valid_filename(f"{name.slug}.{format}") == f"{name.slug}.{format}"
    url = render_url("https://acme.rokka.io", "hero", str(name))
    assert url == f"https://acme.rokka.io/hero/{name}"
    read = RenderURL.parse(url)
    assert (read.hash, read.slug, read.format) == (name.hash, name.slug, name.format)


@given(st.text() | FILE_NAMES | st.from_regex(r"[0-9a-f]{6,40}/.*"))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = ImageName.parse(text)
    except InvalidArgument:
        return
    assert str(name) == text


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


@pytest.mark.parametrize(
    ("filename", "length", "slug"),
    [
        ("abc-def.jpg", 4, "abc"),
        ("X.jpg", 60, "x"),
        (f"-{'a' * 70}.jpg", 60, "a" * 60),
        (f"{'a' * 59}-b.jpg", 60, "a" * 59),
        ("🌄.png", 3, "ima"),
    ],
)
def test_a_slug_is_cut_after_a_letter(filename: str, length: int, slug: str) -> None:
    assert slugify(filename, length=length) == slug


@pytest.mark.parametrize(("hash", "length"), [("c" * 40, 54), ("c" * 34, 60), ("c" * 6, 60)])
def test_a_new_name_has_at_most_100_characters_and_a_slug_of_60(hash: str, length: int) -> None:
    name = ImageName.build(hash, "x" * 80, "jpeg")

    assert (name.slug, name.hash, name.format) == ("x" * length, hash, "jpeg")


@pytest.mark.parametrize(
    ("slug", "length", "cut"), [("dog", 12, "d"), ("ab-cd", 14, "ab"), ("--", 12, "i")]
)
def test_a_name_is_cut_to_one_letter_of_its_slug(slug: str, length: int, cut: str) -> None:
    assert ImageName("c03683", slug, "jpg").fit(length) == ImageName("c03683", cut, "jpg")
