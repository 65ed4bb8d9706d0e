"""URLs as values: what is put in comes out again, and nothing gets into another part."""

from __future__ import annotations

import copy
import json
import pickle
import re
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from django_rokka.api import InvalidArgument, RenderURL, StackOperation, alias_id, remote_id
from django_rokka.api.grammar import spell
from django_rokka.api.render import render_url, srcset
from django_rokka.emulator import renders
from django_rokka.emulator.catalogue import OPTION_ALIASES

#: Many parts take their time on a busy machine.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
URL = RenderURL("https://acme.rokka.io", "hero", "c03683", "jpg", "dog")

# --- Any URL ----------------------------------------------------------------------------------

NAMES = st.from_regex(r"[0-9A-Za-z_.]{1,12}", fullmatch=True)
ANY_LETTER = st.characters(exclude_categories=["Cs"])
#: What a URL, a browser or a server treats in a way of its own, more often than by chance.
TEXT = st.text(
    st.sampled_from("-/\\?#%&;=+.'\"()<>[]{}|^`~ \t\n20aé🌄_:@,$!*") | ANY_LETTER, max_size=30
)
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = TEXT | NUMBERS | st.booleans()


def fits(value: Any) -> bool:
    text = spell(value)
    return bool(text) and not set(text) & set("-/\\?#%&;") and all(" " <= c != "\x7f" for c in text)


def is_operation(name: str) -> bool:
    # Neither a word of the grammar nor what looks like a hash.
    looks_like_a_hash = 6 <= len(name) <= 40 and set(name) <= set("0123456789abcdef")
    return name not in ("o", "options", "v", "variables") and not looks_like_a_hash


OPTIONS = st.dictionaries(NAMES, VALUES.filter(fits), max_size=4)
OPERATION_NAMES = st.from_regex(r"[0-9A-Za-z_]{1,12}", fullmatch=True).filter(is_operation)
OPERATIONS = st.lists(st.builds(StackOperation, OPERATION_NAMES, OPTIONS), max_size=3).map(tuple)
HASHES = st.from_regex(r"[0-9a-f]{6,40}", fullmatch=True)
ALIASES = st.from_regex(r"[0-9A-Za-z_]{1,10}", fullmatch=True).map(alias_id)
SEGMENTS = TEXT.filter(lambda text: text not in ("", ".", "..") and "/" not in text)
#: Of a query, beside those that have a meaning.
FIELDS = st.tuples(
    NAMES.filter(lambda name: name not in ("v", "sig", "sigopts")),
    TEXT.map(lambda text: text.replace("&", "").replace("#", "")),
).map("=".join)


@st.composite
def remote_ids(draw: st.DrawFn) -> str:
    path = "/".join(draw(st.lists(SEGMENTS, min_size=1, max_size=3)))
    try:
        return remote_id(path)
    except InvalidArgument:
        assume(False)
        raise


def urls(
    ids: st.SearchStrategy[str], bases: st.SearchStrategy[str]
) -> st.SearchStrategy[RenderURL]:
    return st.builds(
        RenderURL,
        bases,
        st.from_regex(r"[0-9A-Za-z_-]{1,12}", fullmatch=True),
        ids,
        st.from_regex(r"[0-9a-z]{1,5}", fullmatch=True),
        TEXT.filter(lambda slug: "/" not in slug),
        OPERATIONS,
        OPTIONS,
        st.dictionaries(NAMES, VALUES, max_size=4),
        st.lists(FIELDS, max_size=2).map("&".join),
    )


BASES = st.sampled_from(["https://acme.rokka.io", "http://127.0.0.1:80/render/acme", "", "//a.b"])
ANY_URL = urls(HASHES | ALIASES | remote_ids(), BASES)


@PATIENT
@given(ANY_URL)
def test_a_url_is_read_as_it_was_written(url: RenderURL) -> None:
    read = RenderURL.parse(str(url), base=url.base)

    assert read == url
    assert (str(read), hash(read)) == (str(url), hash(url))


@PATIENT
@given(ANY_URL)
def test_a_url_has_only_characters_that_nobody_changes(url: RenderURL) -> None:
    text = str(url)

    assert text.isascii()
    assert not set(text) & set(" \"'<>()\\^`{|}[]\n\t#")
    assert not re.search(r"%(?![0-9A-Fa-f]{2})", text)
    parts = urlsplit(text)
    assert parts.geturl() == text
    assert not {".", ".."} & set(parts.path.split("/"))
    assert "" not in parts.path.removeprefix("/").split("/")


@PATIENT
@given(urls(HASHES | ALIASES, st.just("https://acme.rokka.io")))
def test_rokka_reads_what_was_put_in(url: RenderURL) -> None:
    parts = urlsplit(str(url))
    read = renders.parse(parts.path)  # the emulator has a reader of its own

    assert (read.stack, read.hash, read.alias) == (url.stack, url.hash or "", url.alias or "")
    assert read.format in (url.format, {"jpeg": "jpg"}.get(url.format))
    assert read.steps == tuple((one.name, one.options) for one in url.operations)
    assert read.options == {OPTION_ALIASES.get(key, key): text for key, text in url.options.items()}
    asked = {**read.variables, **json.loads(parse_qs(parts.query).get("v", ["{}"])[0])}
    assert asked == url.variables
    others = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "v"]
    assert others == parse_qsl(url.query, keep_blank_values=True)


@PATIENT
@given(
    urls(HASHES | ALIASES | remote_ids(), st.just("https://acme.rokka.io")),
    st.lists(st.integers(1, 5000), max_size=3),
)
def test_the_quick_functions_give_the_same(url: RenderURL, widths: list[int]) -> None:
    steps = {one.name: one.options for one in url.operations}
    assume(len(steps) == len(url.operations) and not url.query)
    name = f"{url.id}/{url.slug}.{url.format}" if url.slug else f"{url.id}.{url.format}"
    given: dict[str, Any] = {"options": url.options, "variables": url.variables}
    expected = url if steps or url.stack != "dynamic" else url.with_operations({"noop": {}})

    assert render_url(url.base, url.stack, name, operations=steps, **given) == str(expected)
    assert srcset(url.base, url.stack, name, widths, operations=steps, **given) == url.srcset(
        [f"{width}w" for width in widths]
    )


@PATIENT
@given(TEXT)
def test_any_text_is_read_or_refused(text: str) -> None:
    for url in (text, f"https://a.b/{text}", f"https://a.b/hero/{text}/c03683.jpg?v={text}"):
        try:
            read = RenderURL.parse(url)
        except InvalidArgument:
            continue
        assert RenderURL.parse(str(read)) == read


# --- Reading ----------------------------------------------------------------------------------


def test_all_parts_are_read() -> None:
    url = RenderURL.parse(
        "https://acme.rokka.io/hero/resize-width-640--blur/options-dpr-2/v-w-3/c03683/dog-v2.JPG"
        "?foo=bar&v=%7B%22t%22%3A%22a+b%22%7D&sigopts=x&sig=0123456789abcdef"
    )

    assert url == RenderURL(
        base="https://acme.rokka.io",
        stack="hero",
        id="c03683",
        slug="dog-v2",
        format="jpg",
        operations=(StackOperation("resize", {"width": 640}), StackOperation("blur")),
        options={"dpr": 2},
        variables={"t": "a b", "w": 3},
        query="foo=bar",
    )
    assert (url.hash, url.alias, url.remote_path, url.version) == ("c03683", None, None, 2)


def test_an_alias_and_a_remote_image_stand_for_a_hash() -> None:
    alias = RenderURL.parse("https://acme.rokka.io/hero/-_logo_-/a.png")
    remote = RenderURL.parse("https://acme.rokka.io/hero/-some/facade/dog.jpg-/c03683.png")

    assert (alias.hash, alias.alias, alias.remote_path) == (None, "logo", None)
    assert (remote.hash, remote.alias, remote.remote_path) == (None, None, "some/facade/dog.jpg")
    assert (remote.slug, remote.format) == ("c03683", "png")


@pytest.mark.parametrize(
    ("path", "operations"),
    [
        ("dynamic/resize-width-1/crop-width-2", "resize-width-1"),
        ("hero/resize-width-1/crop-width-2", "resize-width-1--crop-width-2"),
        ("hero/o-dpr-2/resize-width-1", "resize-width-1--o-dpr-2"),
        ("hero/resize-width-1--resize-width-2/resize-height-3",
         "resize-height-3-width-1--resize-height-3-width-2"),
    ],
)  # fmt: skip
def test_a_further_segment_overrides(path: str, operations: str) -> None:
    url = RenderURL.parse(f"/{path}/c03683.jpg")
    assert str(url) == f"/{path.split('/')[0]}/{operations}/c03683.jpg"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://acme.rokka.io/hero/c03683", "it has no format"),
        ("https://acme.rokka.io/", "it has no format"),
        ("", "it has no format"),
        ("https://acme.rokka.io/c03683.jpg", "it has no hash"),
        ("https://acme.rokka.io/hero/dog.jpg", "it has no hash"),
        ("https://acme.rokka.io/hero/C03683.jpg", "it has no hash"),
        ("https://acme.rokka.io/hero/c03683/a/b.jpg", "it has no hash"),
        ("https://acme.rokka.io/hero/resize-width/c03683.jpg", "pairs of option and value"),
        ("https://acme.rokka.io/hero/resize-width-/c03683.jpg", "a value is not empty"),
        ("https://acme.rokka.io/hero/c03683.jpg#top", "without a fragment"),
        ("https://acme.rokka.io/hero/c03683/a%2Fb.jpg", "no encoded slash"),
        ("https://acme.rokka.io/hero/c03683/%FF.jpg", "percent-encoded UTF-8"),
        ("https://acme.rokka.io/hero/c03683.jpg?v=x", "a JSON object"),
        ("https://acme.rokka.io/hero/c03683.jpg?v=[1]", "a JSON object"),
        ("https://acme.rokka.io/hero/c03683.jpg?v={%22a%22:[1]}", "expected a text"),
        ("https://acme.rokka.io/hero/c03683.jpg?v={%22a%22:%22%FF%22}", "a JSON object"),
        (f"https://acme.rokka.io/hero/c03683.jpg?v={'[' * 100_000}", "a JSON object"),
        ("https://acme.rokka.io/he ro/c03683.jpg", "'he ro' cannot stand"),
    ],
)
def test_what_is_no_render_url_is_refused_with_the_reason(url: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        RenderURL.parse(url)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"base": "acme.rokka.io"}, "'acme.rokka.io' cannot stand"),
        ({"base": "https://acme.rokka.io/?"}, "cannot stand"),
        ({"stack": "a/b"}, "'a/b' cannot stand"),
        ({"id": "logo"}, "expected a hash"),
        ({"id": "-a-/b-"}, "expected a hash"),
        ({"id": "--a-"}, "expected a hash"),
        ({"slug": "a/b"}, "a slug has no '/'"),
        ({"format": "JPG"}, "'JPG' cannot stand"),
        ({"query": "v=1"}, "v are the variables"),
        ({"query": "a=b&s%69g=1"}, "come by signing"),
        ({"query": "sigopts=a=b"}, "come by signing"),
        ({"id": "--"}, "expected a hash"),
        ({"id": "-.-"}, "expected a hash"),
        ({"id": "-..-"}, "expected a hash"),
        ({"query": "a#b"}, "cannot stand"),
        ({"options": {"dpr": "1-2"}}, "a variable may"),
    ],
)
def test_a_part_that_would_be_another_one_is_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        replace(URL, **parts)


def test_ids_are_made_of_aliases_and_paths() -> None:
    assert (alias_id("logo"), remote_id("a/b.jpg")) == ("-_logo_-", "-a/b.jpg-")
    for refused in (lambda: alias_id("a-b"), lambda: remote_id("_a_"), lambda: remote_id("a//b")):
        with pytest.raises(InvalidArgument, match="cannot stand in a render URL"):
            refused()


def test_a_remote_path_may_be_short_and_end_in_a_dash() -> None:
    for path in ("a", "a-", "a/b-"):
        url = replace(URL, id=remote_id(path))
        assert (RenderURL.parse(str(url)), url.remote_path) == (url, path)


@pytest.mark.parametrize(
    ("value", "in_path"),
    [
        ("a" * 20, True),
        ("a" * 21, False),
        ("🌄" * 10, True),
        ("🌄" * 10 + "a", False),
        ("\uffff" * 20, True),
    ],
)
def test_a_variable_of_20_utf_16_units_is_in_the_path(value: str, in_path: bool) -> None:
    assert ("?" in str(URL.with_variables({"t": value}))) is not in_path


def test_a_base_has_no_slash_at_its_end() -> None:
    assert replace(URL, base="https://acme.rokka.io/") == URL


def test_a_base_can_have_a_path_of_its_own() -> None:
    base = "https://example.com/images/"
    url = RenderURL.parse("https://example.com/images/hero/c03683.jpg", base=base)

    assert (url.base, url.stack) == ("https://example.com/images", "hero")
    for other in (
        "https://example.com/hero/c03683.jpg",
        "https://example.com/imagesX/h/c03683.jpg",
    ):
        with pytest.raises(
            InvalidArgument, match=r"expected a render of https://example\.com/images"
        ):
            RenderURL.parse(other, base=base)


# --- Changing ---------------------------------------------------------------------------------


def test_changes_make_copies() -> None:
    changed = (
        URL.with_operations({"resize": {"width": 9}, "blur": {"sigma": 2}})
        .with_options({"dpr": 2, "af": True})
        .with_variables({"w": 3, "t": "a#"})
    )

    assert str(URL) == "https://acme.rokka.io/hero/c03683/dog.jpg"
    assert str(changed) == (
        "https://acme.rokka.io/hero/resize-width-9--blur-sigma-2--o-af-true-dpr-2--v-w-3"
        "/c03683/dog.jpg?v=%7B%22t%22:%22a%23%22%7D"
    )
    back = changed.with_options({"dpr": None, "af": None}).with_variables({"w": None, "t": None})
    assert replace(back, operations=()) == URL


def test_a_url_of_another_stack_has_nothing_of_the_old_one() -> None:
    full = URL.with_overrides("resize-width-9--o-dpr-2--v-w-3")
    full = replace(full, query="foo=bar")

    assert str(full.with_stack("card")) == "https://acme.rokka.io/card/c03683/dog.jpg?foo=bar"


def test_a_width_takes_the_height_away() -> None:
    url = URL.with_overrides("resize-height-5-upscale-false-width-5")

    assert str(url.with_width(9)).endswith("/hero/resize-upscale-false-width-9/c03683/dog.jpg")


@pytest.mark.parametrize(
    ("slug", "version", "changed"),
    [
        ("", None, "v3"),
        ("v2", 2, "v3"),
        ("dog", None, "dog-v3"),
        ("dog-v2", 2, "dog-v3"),
        ("dog_v12", 12, "dog-v3"),
        ("dov2", None, "dov2-v3"),
    ],
)
def test_a_version_is_the_end_of_the_slug(slug: str, version: int | None, changed: str) -> None:
    url = replace(URL, slug=slug)

    assert url.version == version
    assert url.with_version(3) == replace(URL, slug=changed)
    assert url.with_version(3).version == 3


@pytest.mark.parametrize(
    ("size", "overrides", "config"),
    [
        ("2x", "", "o-dpr-2"),
        ("1.5x", "", "o-dpr-1.5"),
        ("300w", "", "resize-width-300"),
        ("300w", "2x", "resize-width-150--o-dpr-2"),
        ("301w", "2x", "resize-width-151--o-dpr-2"),
        ("300w", "1.5x", "resize-width-200--o-dpr-1.5"),
        ("300w", "v-a-b--o-dpr-2", "resize-width-150--o-dpr-2--v-a-b"),
        ("300w", "o-dpr-2/v-a-b", "resize-width-150--o-dpr-2--v-a-b"),
    ],
)
def test_candidates_of_a_srcset(size: str, overrides: str, config: str) -> None:
    assert str(URL.sized(size, overrides)) == f"{URL.base}/hero/{config}/c03683/dog.jpg"
    assert URL.srcset({size: overrides}) == f"{URL.base}/hero/{config}/c03683/dog.jpg {size}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: URL.sized("300"), "expected '2x' or '300w'"),
        (lambda: URL.sized("0x"), "expected '2x' or '300w'"),
        (lambda: URL.sized("0w"), "is no width in pixels"),
        (lambda: URL.with_width(0), "is no width in pixels"),
        (lambda: URL.with_version(0), "is no version"),
        (lambda: URL.with_overrides("resize-width"), "pairs of option and value"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(change: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        change()


def test_a_width_counts_pixels_of_the_render_whatever_the_url_asks_for_already() -> None:
    dense = URL.with_options({"dpr": 2})

    assert dense.sized("300w", "v-a-b") == dense.with_width(300).with_variables({"a": "b"})
    assert URL.sized("300w") == URL.with_width(300)


def test_the_first_version_is_1() -> None:
    assert str(URL.with_version(1)).endswith("/dog-v1.jpg")


def test_urls_can_be_kept_and_sent() -> None:
    url = URL.with_overrides("resize-width-9--v-a-b")

    assert pickle.loads(pickle.dumps(url)) == copy.deepcopy(url) == url  # noqa: S301
    assert len({url, copy.copy(url), URL}) == len({hash(url), hash(URL)}) == 2
