"""No value can change the path or the query of a call, or the host and path of a render's URL."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import requests
import responses
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_rokka import api
from django_rokka.api import ImageName, RokkaClient, Stack, SubjectArea, render_url, srcset
from django_rokka.api.transport import path_of

BASE = "https://api.example.com"
HASH = "0123456789abcdef0123456789abcdef01234567"
IMAGE = f"/sourceimages/acme/{HASH}"

#: What means something in a URL, also in more than one spelling.
NASTY = [
    "", ".", "..", "../..", "a/b", "a%2fb", "%2e%2e", "a?b=c", "a#b", "a&b=c", "a;b", "a\\b", "//evil.example",
    "@evil.example", "a\r\nX: y", "a\x00", "a b", "é", "\ud800", "/", "?", "a" * 41, "١" * 40, f"{HASH}\n",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=60),
    st.text("0123456789abcdef", min_size=5, max_size=41),
    st.text("abcXYZ019_-:./?#&=%\\@ \n", max_size=30),
)


@cache
def client() -> RokkaClient:
    return RokkaClient("acme", base_url=BASE, retry=api.RetryPolicy(attempts=1))


def sent(call: Callable[[], object]) -> requests.PreparedRequest | None:
    """The request that a call comes down to; ``None`` for one that is refused before anything is sent."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            server.add(method, re.compile("(?s).*"), status=500)
        try:
            call()
        except api.InvalidArgument:
            assert len(server.calls) == 0
            return None
        except api.ServerError:
            assert len(server.calls) == 1
            return server.calls[0].request
    raise AssertionError("the call was neither sent nor refused")


#: Methods by the path that a value belongs into, as one segment: ``{}``.
PLACES: dict[str, Callable[[str], object]] = {
    "/sourceimages/acme/{}": lambda value: client().get_source_image(value),
    "/sourceimages/acme/{}/restore": lambda value: client().restore_source_image(value),
    "/sourceimages/acme/{}/copy": lambda value: client().copy_source_image(value, "other"),
    "/sourceimages/acme/{}/name": lambda value: client().rename_source_image(value, "x"),
    "/sourceimages/acme/{}/meta/user": lambda value: client().delete_user_metadata(value),
    "/sourceimages/acme/{}/options/locked": lambda value: client().set_locked(value, True),
    "/sourceimages/acme/{}/cache": lambda value: client().purge_source_image_cache(value),
    "/sourceimages/acme/binaryhash/{}": lambda value: client().list_source_images_by_binary_hash(
        value
    ),
    f"{IMAGE}/meta/user/{{}}": lambda value: client().get_user_metadata_field(HASH, value),
    f"{IMAGE}/meta/dynamic/{{}}?deletePrevious": lambda value: client().delete_dynamic_metadata(
        HASH, value
    ),
    "/sourceimages/acme/{}/meta/dynamic/subject_area?deletePrevious": lambda value: (
        client().set_dynamic_metadata(value, SubjectArea(1, 1))
    ),
    "/sourceimages/acme/{}/options/protected?deletePrevious": lambda value: client().set_protected(
        value, True
    ),
    "/sourceimages/acme/alias/{}": lambda value: client().set_alias(value, HASH),
    "/sourceimages/acme/alias/{}/cache": lambda value: client().purge_alias_cache(value),
    "/stacks/acme/{}": lambda value: client().save_stack(Stack(name=value)),
    "/stacks/acme/{}/cache": lambda value: client().purge_stack_cache(value),
    "/stacks/{}": lambda value: RokkaClient(value, base_url=BASE).list_stacks(),
    "/organizations/{}": lambda value: RokkaClient(value, base_url=BASE).get_organization(),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_value_is_one_segment_of_the_path_or_refused(place: str) -> None:
    path, _, fields = place.partition("?")

    @settings(max_examples=40, deadline=None)
    @given(VALUES)
    @example(HASH)
    @example("logo")
    def check(value: str) -> None:
        request = sent(lambda: PLACES[place](value))
        if request is not None:
            url = urlsplit(str(request.url))
            assert f"{url.scheme}://{url.netloc}" == BASE
            assert url.path == path.format(value)
            assert [name for name, _ in parse_qsl(url.query)] == [fields] * bool(fields)

    check()
    # Not everything is refused.
    assert sent(lambda: PLACES[place](HASH)) or sent(lambda: PLACES[place]("logo"))


@settings(max_examples=100, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=3))
def test_whatever_is_joined_to_a_path_stays_one_segment_each(segments: list[str]) -> None:
    """For what no pattern has looked at, such as the name of somebody's own dynamic metadata."""
    try:
        path = path_of(*segments)
    except api.InvalidArgument:
        return
    url = urlsplit(str(requests.Request("GET", BASE + path).prepare().url))
    assert (url.netloc, url.query, url.fragment) == (urlsplit(BASE).netloc, "", "")
    assert [unquote(segment) for segment in url.path.split("/")] == ["", *segments]


def _names(request: requests.PreparedRequest) -> dict[str, str]:
    url = urlsplit(str(request.url))
    assert url.netloc == urlsplit(BASE).netloc
    assert not url.fragment
    pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@settings(max_examples=100, deadline=None)
@given(VALUES, VALUES, VALUES, VALUES, VALUES)
def test_a_search_has_the_fields_that_were_asked_for(
    name: str, value: str, cursor: str, order: str, facets: str
) -> None:
    request = sent(
        lambda: client().list_source_images(
            limit=7, offset=cursor, sort=order, facets=facets, filters={name: value}
        )
    )

    if request is not None:
        own = {"offset": cursor, "sort": order, "facets": facets}
        expected = {name: value, "limit": "7", **{key: own[key] for key in own if own[key]}}
        assert _names(request) == expected
        assert urlsplit(str(request.url)).path == "/sourceimages/acme"


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_deleting_by_binary_hash_asks_for_that_alone(value: str) -> None:
    request = sent(lambda: client().delete_source_images_by_binary_hash(value))

    assert request is None or _names(request) == {"binaryHash": value}


@settings(max_examples=60, deadline=None)
@given(VALUES)
@example("acme-stage")
def test_a_destination_is_a_header_or_refused(value: str) -> None:
    request = sent(lambda: client().copy_source_images([HASH], value))

    if request is not None:
        assert urlsplit(str(request.url)).path == "/sourceimages/acme/copy"
        assert request.headers["Destination"] == value
        assert re.fullmatch("[0-9a-z_-]+", value)


@settings(max_examples=60, deadline=None)
@given(VALUES, VALUES)
@example("next", "1000")
def test_the_next_page_is_only_a_place_in_the_same_listing(path: str, cursor: str) -> None:
    """What rokka answers cannot lead a client elsewhere either."""
    link = f"{path}?offset={cursor}&organization=evil"
    page = api.Page.from_json({"items": [], "links": {"next": {"href": link}}})

    if page.next is not None:
        after = page.next
        request = sent(lambda: client().list_source_images(offset=after))
        assert request is None or urlsplit(str(request.url)).path == "/sourceimages/acme"
        assert request is None or set(_names(request)) <= {"limit", "offset"}


# --- Renders ----------------------------------------------------------------------------------

RENDERS = "https://acme.rokka.io"
OPTION = st.dictionaries(VALUES, VALUES, max_size=2)


def _built(build: Callable[..., str], *args: Any, **options: Any) -> str | None:
    try:
        return build(RENDERS, *args, **options)
    except api.InvalidArgument:
        return None


@settings(max_examples=150, deadline=None)
@given(VALUES, VALUES, VALUES, VALUES, OPTION, OPTION, OPTION)
@example("hero", HASH, "dog", "jpg", {"width": "5"}, {"dpr": "2"}, {"text": "a/b?c"})
def test_a_render_keeps_host_stack_and_image(
    stack: str,
    hash: str,
    slug: str,
    format: str,
    operation: dict[str, Any],
    options: dict[str, Any],
    variables: dict[str, Any],
) -> None:
    name = f"{hash}/{slug}.jpg"
    built = _built(
        render_url,
        stack,
        name,
        operations={"resize": operation} if operation else None,
        options=options,
        variables=variables,
        format=format or None,
    )

    if built is not None:
        url = urlsplit(built)
        segments = url.path.split("/")[1:]
        assert f"{url.scheme}://{url.netloc}" == RENDERS
        assert not url.fragment
        assert re.fullmatch("(v=[^&]*)?", url.query)
        assert segments[0] == stack
        # A slug that cannot be one is left out.
        end = f".{format or 'jpg'}"
        tail = [unquote(segment) for segment in segments[-2:]]
        assert tail == [hash, f"{slug}{end}"] or tail[-1] == f"{hash}{end}"
        assert len(segments) <= 4
        assert not {".", ".."} & {unquote(segment) for segment in segments}
        assert not re.search("[\\x00-\\x20\"'<>\\\\\\x7f]", built)


@settings(max_examples=60, deadline=None)
@given(VALUES, VALUES)
@example("hero", f"{HASH}/dog.jpg")
def test_every_candidate_is_at_the_same_host(stack: str, name: str) -> None:
    built = _built(srcset, stack, name, [10, 20])

    if built is not None:
        candidates = built.split(", ")
        assert [each.rpartition(" ")[2] for each in candidates] == ["10w", "20w"]
        for each in candidates:
            assert each.startswith(f"{RENDERS}/{stack}/resize-width-")
            assert each.rpartition(" ")[0].endswith(name)


@settings(max_examples=100, deadline=None)
@given(VALUES)
@example(f"{HASH}/dog.jpg")
def test_what_is_taken_for_a_name_is_one(name: str) -> None:
    try:
        parsed = ImageName.parse(name)
    except api.InvalidArgument:
        return
    assert re.fullmatch(r"[0-9a-f]{6,40}/[0-9a-z-]+\.[0-9a-z]+", str(parsed), re.ASCII)
    assert str(parsed) == name
