"""What goes over the wire: each method of the client makes this call, with nothing left out or added."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import responses
from requests_toolbelt import MultipartDecoder

from django_rokka.api import RokkaClient, Stack, StackOperation, SubjectArea, Upload, Version
from tests.pictures import picture

HASH = "0123456789abcdef0123456789abcdef01234567"
OTHER = "abcdef"
#: Reads as an image, a page, a stack or an organization.
ANSWER = {"hash": HASH, "name": "acme", "organization": "acme", "items": []}
STACK = Stack(name="hero", operations=(StackOperation("rotate", {"angle": 90}),))
STACK_JSON = {"operations": [{"name": "rotate", "options": {"angle": 90}}], "options": {}}
#: Sent by whatever sends.
ALWAYS = {"Api-Version": "1", "Accept": "application/json", "Api-Key": "s3cret-key"}
OF_REQUESTS = {"User-Agent", "Accept-Encoding", "Connection", "Content-Length"}

_Call = Callable[[RokkaClient], object]
_IMAGES = "/sourceimages/acme"
_IMAGE = f"{_IMAGES}/{HASH}"
_AREA = f"{_IMAGE}/meta/dynamic/subject_area"
_AREA_JSON = {"x": 1, "y": 2, "width": 1, "height": 1}
_EVERYTHING: dict[str, Any] = {
    "limit": 7, "offset": "abc", "sort": "size desc", "deleted": True, "facets": "user:str:alt",
    "operator": "or", "filters": {"format": "jpg", "user:int:year": 2024},
}  # fmt: skip
_SEARCH = (
    f"GET {_IMAGES}?format=jpg&user%3Aint%3Ayear=2024&limit=7&offset=abc&sort=size+desc"
    "&facets=user%3Astr%3Aalt&deleted=true&operator=or"
)

#: Calls, with the line that each sends.
WITHOUT_BODY: list[tuple[_Call, str]] = [
    (lambda client: client.get_source_image(HASH), f"GET {_IMAGE}"),
    (lambda client: client.get_source_image(HASH, deleted=True), f"GET {_IMAGE}?deleted=true"),
    (lambda client: client.list_source_images(), f"GET {_IMAGES}?limit=100"),
    (
        lambda client: client.list_source_images(limit=0, offset=20),
        f"GET {_IMAGES}?limit=0&offset=20",
    ),
    (lambda client: client.list_source_images(**_EVERYTHING), _SEARCH),
    (lambda client: list(client.iter_pages()), f"GET {_IMAGES}?limit=1000"),
    (lambda client: list(client.iter_pages(**_EVERYTHING)), _SEARCH),
    (lambda client: list(client.iter_raw_pages()), f"GET {_IMAGES}?limit=1000"),
    (lambda client: list(client.iter_raw_pages(**_EVERYTHING)), _SEARCH),
    (lambda client: list(client.iter_source_images()), f"GET {_IMAGES}?limit=1000"),
    (lambda client: list(client.iter_source_images(**_EVERYTHING)), _SEARCH),
    (
        lambda client: client.list_source_images_by_binary_hash(HASH),
        f"GET {_IMAGES}/binaryhash/{HASH}",
    ),
    (lambda client: client.delete_source_image(HASH), f"DELETE {_IMAGE}"),
    (
        lambda client: client.delete_source_images_by_binary_hash(HASH),
        f"DELETE {_IMAGES}?binaryHash={HASH}",
    ),
    (lambda client: client.restore_source_image(HASH), f"POST {_IMAGE}/restore"),
    (
        lambda client: client.delete_dynamic_metadata(HASH, "subject_area"),
        f"DELETE {_AREA}?deletePrevious=false",
    ),
    (
        lambda client: client.delete_dynamic_metadata(HASH, "subject_area", delete_previous=True),
        f"DELETE {_AREA}?deletePrevious=true",
    ),
    (
        lambda client: client.delete_dynamic_metadata(HASH, "subject_area", keep_hash=True),
        f"DELETE {_AREA}?deletePrevious=false&keepHash=true",
    ),
    (lambda client: client.get_user_metadata(HASH), f"GET {_IMAGE}/meta/user"),
    (lambda client: client.delete_user_metadata(HASH), f"DELETE {_IMAGE}/meta/user"),
    (
        lambda client: client.get_user_metadata_field(HASH, "int:year"),
        f"GET {_IMAGE}/meta/user/int:year",
    ),
    (
        lambda client: client.delete_user_metadata_field(HASH, "int:year"),
        f"DELETE {_IMAGE}/meta/user/int:year",
    ),
    (lambda client: client.purge_source_image_cache(HASH), f"DELETE {_IMAGE}/cache"),
    (lambda client: client.get_alias("Logo_1"), f"GET {_IMAGES}/alias/Logo_1"),
    (lambda client: client.delete_alias("Logo_1"), f"DELETE {_IMAGES}/alias/Logo_1"),
    (lambda client: client.purge_alias_cache("Logo_1"), f"DELETE {_IMAGES}/alias/Logo_1/cache"),
    (lambda client: client.list_stacks(), "GET /stacks/acme"),
    (lambda client: client.get_stack("Hero-1_"), "GET /stacks/acme/Hero-1_"),
    (lambda client: client.delete_stack("Hero-1_"), "DELETE /stacks/acme/Hero-1_"),
    (lambda client: client.purge_stack_cache("Hero-1_"), "DELETE /stacks/acme/Hero-1_/cache"),
    (lambda client: client.list_operations(), "GET /operations"),
    (lambda client: client.list_stack_options(), "GET /stackoptions"),
    (lambda client: client.get_organization(), "GET /organizations/acme"),
]

#: The same with a body of JSON.
WITH_BODY: list[tuple[_Call, str, Any]] = [
    (
        lambda client: client.set_dynamic_metadata(HASH, SubjectArea(1, 2)),
        f"PUT {_AREA}?deletePrevious=false",
        _AREA_JSON,
    ),
    (
        lambda client: client.set_dynamic_metadata(HASH, SubjectArea(1, 2), delete_previous=True),
        f"PUT {_AREA}?deletePrevious=true",
        _AREA_JSON,
    ),
    (
        lambda client: client.set_dynamic_metadata(HASH, SubjectArea(1, 2), keep_hash=True),
        f"PUT {_AREA}?deletePrevious=false&keepHash=true",
        _AREA_JSON,
    ),
    (
        lambda client: client.set_protected(HASH, True),
        f"PUT {_IMAGE}/options/protected?deletePrevious=false",
        True,
    ),
    (
        lambda client: client.set_protected(HASH, False, delete_previous=True),
        f"PUT {_IMAGE}/options/protected?deletePrevious=true",
        False,
    ),
    (lambda client: client.set_locked(HASH, True), f"PUT {_IMAGE}/options/locked", True),
    (lambda client: client.set_locked(HASH, False), f"PUT {_IMAGE}/options/locked", False),
    (lambda client: client.rename_source_image(HASH, "猫.jpg"), f"PUT {_IMAGE}/name", "猫.jpg"),
    (
        lambda client: client.replace_user_metadata(HASH, {"array:tags": ["a"]}),
        f"PUT {_IMAGE}/meta/user",
        {"array:tags": ["a"]},
    ),
    (lambda client: client.replace_user_metadata(HASH, {}), f"PUT {_IMAGE}/meta/user", {}),
    (
        lambda client: client.patch_user_metadata(HASH, {"alt": None, "int:year": 2024}),
        f"PATCH {_IMAGE}/meta/user",
        {"alt": None, "int:year": 2024},
    ),
    (
        lambda client: client.set_user_metadata_field(HASH, "int:year", 0),
        f"PUT {_IMAGE}/meta/user/int:year",
        0,
    ),
    (
        lambda client: client.autodescribe_source_image(HASH, ("en", "de")),
        f"POST {_IMAGE}/autodescription",
        {"languages": ["en", "de"], "force": False},
    ),
    (
        lambda client: client.autodescribe_source_image(HASH, ["fr"], force=True),
        f"POST {_IMAGE}/autodescription",
        {"languages": ["fr"], "force": True},
    ),
    (
        lambda client: client.set_alias("Logo_1", HASH),
        f"PUT {_IMAGES}/alias/Logo_1",
        {"hash": HASH},
    ),
    (
        lambda client: client.set_alias("Logo_1", HASH, overwrite=True),
        f"PUT {_IMAGES}/alias/Logo_1?overwrite=true",
        {"hash": HASH},
    ),
    (lambda client: client.save_stack(STACK), "PUT /stacks/acme/hero", STACK_JSON),
    (
        lambda client: client.save_stack(STACK, overwrite=True),
        "PUT /stacks/acme/hero?overwrite=true",
        STACK_JSON,
    ),
]


def sent(call: _Call, answer: Any = ANSWER) -> requests.PreparedRequest:
    """The one request that a call comes down to; the guard was asked for it."""
    asked: list[tuple[str, str]] = []
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            server.add(method, re.compile(".*"), json=answer)
        guard = lambda method, path: asked.append((method, path))  # noqa: E731
        with RokkaClient("acme", api_key="s3cret-key", guard=guard) as client:
            call(client)
        (made,) = server.calls
    assert asked == [(made.request.method, urlsplit(made.request.url).path)]
    return made.request


def line(request: requests.PreparedRequest) -> str:
    """Method, path and query."""
    return f"{request.method} {str(request.url).removeprefix('https://api.rokka.io')}"


def headers(request: requests.PreparedRequest) -> dict[str, str]:
    """What was sent along, without what `requests` adds by itself."""
    return {name: value for name, value in request.headers.items() if name not in OF_REQUESTS}


@pytest.mark.parametrize(("call", "expected"), WITHOUT_BODY, ids=[row[1] for row in WITHOUT_BODY])
def test_a_call_without_a_body(call: _Call, expected: str) -> None:
    request = sent(call)

    assert (line(request), request.body) == (expected, None)
    assert headers(request) == ALWAYS


@pytest.mark.parametrize(
    ("call", "expected", "body"), WITH_BODY, ids=[f"{row[1]} {row[2]}" for row in WITH_BODY]
)
def test_a_call_with_json(call: _Call, expected: str, body: Any) -> None:
    request = sent(call)

    assert line(request) == expected
    assert json.loads(request.body or "") == body
    assert headers(request) == {**ALWAYS, "Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"api_key": "k"}, {"Api-Key": "k"}),
        ({"token": "t"}, {"Authorization": "Bearer t"}),
        ({"api_key": "k", "token": "t"}, {"Api-Key": "k"}),
    ],
)
def test_credentials_are_one_header_or_none(
    given: dict[str, str], expected: dict[str, str]
) -> None:
    with responses.RequestsMock() as server, RokkaClient("acme", **given) as client:  # type: ignore[arg-type]
        server.get("https://api.rokka.io/operations", json={})
        client.list_operations()
        sent = headers(server.calls[0].request)

    assert sent == {"Api-Version": "1", "Accept": "application/json", **expected}


def test_a_list_of_stacks_may_come_bare() -> None:
    with responses.RequestsMock() as server, RokkaClient("acme") as client:
        server.get("https://api.rokka.io/stacks/acme", json=[{"name": "hero"}])
        assert [stack.name for stack in client.list_stacks()] == ["hero"]


def test_copying_says_where_to_and_whether_to_overwrite_in_headers() -> None:
    one = sent(lambda client: client.copy_source_image(HASH, "acme-stage"))
    kept = sent(lambda client: client.copy_source_image(HASH, "acme-stage", overwrite=False))
    hashes = [HASH] * 99 + [OTHER]
    many = sent(lambda client: client.copy_source_images(iter(hashes), "acme-stage"))
    many_kept = sent(
        lambda client: client.copy_source_images([HASH], "acme-stage", overwrite=False)
    )

    there = {**ALWAYS, "Destination": "acme-stage"}
    json_there = {**there, "Content-Type": "application/json"}
    assert (line(one), one.body, headers(one)) == (f"POST {_IMAGE}/copy", None, there)
    assert (line(kept), headers(kept)) == (line(one), {**there, "Overwrite": "F"})
    assert (line(many), headers(many)) == (f"POST {_IMAGES}/copy", json_there)
    assert json.loads(many.body or "") == hashes
    assert headers(many_kept) == {**json_there, "Overwrite": "F"}


def uploaded(call: _Call, images: int = 1) -> list[tuple[str, str, bytes]]:
    """The parts of an upload: which one, its type, its content."""
    request = sent(call, {"items": [ANSWER] * images})
    content_type = request.headers["Content-Type"]
    assert line(request) == f"POST {_IMAGES}"
    assert headers(request) == {**ALWAYS, "Content-Type": content_type}
    parts = []
    for part in MultipartDecoder(request.body, content_type).parts:
        named = {name.decode(): value.decode() for name, value in part.headers.items()}
        which = named["Content-Disposition"].removeprefix("form-data; ")
        parts.append((which, named.get("Content-Type", ""), part.content))
    return parts


def test_an_upload_has_a_part_for_each_thing_given_numbered_by_file() -> None:
    first, second = io.BytesIO(picture()), io.BytesIO(b"x")
    uploads = [
        Upload(
            file=first,
            name="dog.jpg",
            user_metadata={"alt": "Zürich"},
            dynamic_metadata=[SubjectArea(1, 2), Version("a")],
            static_metadata={"auto_description": ["en"]},
            protected=True,
        ),
        Upload(url="https://example.com/a.jpg", user_metadata={"a": 1}),
        Upload(file=second, protected=False),
    ]

    assert uploaded(lambda client: client.create_source_images(uploads), 3) == [
        ('name="meta_user[0]"', "", '{"alt": "Zürich"}'.encode()),
        (
            'name="meta_dynamic[0]"',
            "",
            json.dumps({"subject_area": _AREA_JSON, "version": {"text": "a"}}).encode(),
        ),
        ('name="meta_static[0]"', "", b'{"auto_description": ["en"]}'),
        ('name="options[0]"', "", b'{"protected": true}'),
        ('name="url[1]"', "", b"https://example.com/a.jpg"),
        ('name="meta_user[1]"', "", b'{"a": 1}'),
        ('name="options[2]"', "", b'{"protected": false}'),
        ('name="filedata[0]"; filename="dog.jpg"', "image/jpeg", first.getvalue()),
        ('name="filedata[2]"; filename="image"', "application/octet-stream", b"x"),
    ]


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("a/b/dog.jpg", "dog.jpg"),
        ("C:\\a\\dog.jpg", "dog.jpg"),
        ("do\udce9g.jpg", "do?g.jpg"),
        ("/", "image"),
    ],
)
def test_a_file_is_named_by_the_last_part_of_the_name_given(name: str, sent: str) -> None:
    ((part, _, _),) = uploaded(
        lambda client: client.create_source_image(io.BytesIO(b"x"), name=name)
    )

    assert part == f'name="filedata[0]"; filename="{sent}"'


def test_a_file_without_a_given_name_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "own.png").write_bytes(b"x")
    with (tmp_path / "own.png").open("rb") as file:
        (part,) = uploaded(lambda client: client.create_source_image(file))

    assert part == ('name="filedata[0]"; filename="own.png"', "image/png", b"x")


def test_what_can_only_be_read_is_a_file_too() -> None:
    class Readable:
        read = io.BytesIO(b"x").read

    file: Any = Readable()

    ((_, _, content),) = uploaded(lambda client: client.create_source_image(file))
    assert content == b"x"


@pytest.mark.parametrize(("given", "sent"), [(True, b"true"), ("jpg", b"jpg"), ("png", b"png")])
def test_optimizing_is_asked_for_once(given: Any, sent: bytes) -> None:
    def call(client: RokkaClient) -> object:
        return client.create_source_image(io.BytesIO(b"x"), name="a.tif", optimize_source=given)

    assert uploaded(call) == [
        ('name="optimize_source"', "", sent),
        ('name="filedata[0]"; filename="a.tif"', "image/tiff", b"x"),
    ]


def test_one_upload_passes_everything_on() -> None:
    def by_file(client: RokkaClient) -> object:
        return client.create_source_image(
            io.BytesIO(b"x"),
            name="a.png",
            user_metadata={"a": 1},
            dynamic_metadata=[Version("b")],
            static_metadata={"c": 2},
            protected=True,
        )

    def by_url(client: RokkaClient) -> object:
        return client.create_source_image_from_url(
            "http://localhost/a",
            user_metadata={"a": 1},
            dynamic_metadata=[Version("b")],
            allow_private=True,
        )

    described = [
        ('name="meta_user[0]"', "", b'{"a": 1}'),
        ('name="meta_dynamic[0]"', "", b'{"version": {"text": "b"}}'),
    ]
    assert uploaded(by_file) == [
        *described,
        ('name="meta_static[0]"', "", b'{"c": 2}'),
        ('name="options[0]"', "", b'{"protected": true}'),
        ('name="filedata[0]"; filename="a.png"', "image/png", b"x"),
    ]
    assert uploaded(by_url) == [('name="url[0]"', "", b"http://localhost/a"), *described]
