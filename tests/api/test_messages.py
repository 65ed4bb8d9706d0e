"""What is refused before anything is sent: word for word, since the message is all that a developer sees.

Each names the value, cut where it is long, and says what would be right.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from django.core.files.base import ContentFile

from django_rokka.api import (
    ImageName,
    InvalidArgument,
    RenderClient,
    RenderURL,
    RokkaClient,
    SubjectArea,
    Upload,
    remote_id,
    sign_url,
    srcset,
)
from django_rokka.api.grammar import (
    check_id,
    decode,
    find_image,
    name_tail,
    operation_name,
    path_value,
    read_config,
    read_variables,
    spell,
    split,
    tail,
)
from django_rokka.api.names import check_hash
from django_rokka.api.remote import check_url
from django_rokka.api.signing import round_up
from django_rokka.api.transport import path_of, write_json

NAME = ImageName("c03683", "dog", "jpg")
URL = RenderURL.parse("/hero/c03683.jpg")
CLIENT = RokkaClient("acme")
HASH = "a" * 40
NOON = datetime(2030, 1, 1, 12)
LATEST = datetime.max.replace(tzinfo=timezone.utc)
IN_URL = "cannot stand in a render URL; "
#: 78 characters and two quotes are shown in full, more are not.
FITS, LONG, CUT = "é" * 78, "é" * 79, "é" * 76

MESSAGES: list[tuple[Callable[[], Any], str]] = [
    (lambda: check_hash("dog"), "'dog' is not a rokka hash; expected 6 to 40 characters of 0-9a-f"),
    (
        lambda: check_hash(FITS),
        f"'{FITS}' is not a rokka hash; expected 6 to 40 characters of 0-9a-f",
    ),
    (
        lambda: check_hash(LONG),
        f"'{CUT}… is not a rokka hash; expected 6 to 40 characters of 0-9a-f",
    ),
    (
        lambda: ImageName.build("c03683", "dog.jpg", "J/G"),
        "'J/G' is not a file format such as 'jpg'",
    ),
    (
        lambda: ImageName.parse("dog.jpg"),
        "'dog.jpg' is not the name of a rokka image; "
        "expected <hash>/<slug>.<format>, as saving a file returns it",
    ),
    (
        lambda: NAME.fit(11),
        "c03683/dog.jpg does not fit 11 characters; give the column a max_length of 100",
    ),
    (lambda: spell(float("nan")), f"nan {IN_URL}expected a text, a number, True or False"),
    (lambda: spell([]), f"[] {IN_URL}expected a text, a number, True or False"),  # type: ignore[arg-type]
    (
        lambda: operation_name("o"),
        f"'o' {IN_URL}expected the name of an operation, such as 'resize'",
    ),
    (lambda: operation_name(LONG), f"'{CUT}… {IN_URL}expected [0-9A-Za-z_]+"),
    (
        lambda: path_value("a-b"),
        rf"'a-b' {IN_URL}a value is not empty and has none of - / \ ? # % & ; "
        "but a variable may: '[$name]'",
    ),
    (lambda: path_value("\ud800"), rf"'\ud800' {IN_URL}it is no valid Unicode"),
    (
        lambda: read_config("resize-width"),
        f"'resize-width' {IN_URL}expected a name and pairs of option and value, all joined by '-'",
    ),
    (lambda: read_variables("[]"), f"'?v=[]' {IN_URL}expected a JSON object of variables"),
    (lambda: remote_id("_a_"), f"'_a_' {IN_URL}as a remote path it would be read as an alias"),
    (
        lambda: check_id("dog"),
        f"'dog' {IN_URL}expected a hash of 6 to 40 characters of 0-9a-f, '-_alias_-' or '-path-'",
    ),
    (lambda: tail("c03683", "a/b", "jpg"), f"'a/b' {IN_URL}a slug has no '/'"),
    (
        lambda: name_tail("hero/c03683.jpg"),
        f"'hero/c03683.jpg' {IN_URL}expected a name such as 'c03683/dog.jpg'",
    ),
    (
        lambda: find_image(["hero", "c03683"]),
        f"'hero/c03683' {IN_URL}it has no format; expected an end such as '.jpg'",
    ),
    (
        lambda: find_image(["hero", "dog.jpg"]),
        f"'hero/dog.jpg' {IN_URL}it has no hash, alias or remote path where the image should be",
    ),
    (lambda: decode("%FF"), f"'%FF' {IN_URL}it is no percent-encoded UTF-8"),
    (lambda: decode("a%2Fb"), f"'a%2Fb' {IN_URL}a part of a path has no encoded slash"),
    (
        lambda: split("/a#b", ""),
        f"'/a#b' {IN_URL}expected a render of some host, without a fragment",
    ),
    (
        lambda: split("/a", "https://acme.rokka.io/"),
        f"'/a' {IN_URL}expected a render of https://acme.rokka.io, without a fragment",
    ),
    (
        lambda: RenderURL.parse("/hero/c03683.jpg").with_options({"sig": 1}).sign(""),
        "A signing key is needed; the organization has them as signing_keys",
    ),
    (
        lambda: RenderURL("", "hero", "c03683", "jpg", query="v=1"),
        f"'v=1' {IN_URL}v are the variables, sig and sigopts come by signing",
    ),
    (lambda: URL.with_width(0), "0 is no width in pixels; expected 1 or more"),
    (lambda: URL.with_version(-1), "-1 is no version; expected 1 or more"),
    (lambda: URL.sized("x"), "'x' is no size in a srcset; expected '2x' or '300w'"),
    (
        lambda: srcset("", "hero", "c03683.jpg", [3, -2]),
        "-2 is no width in pixels; expected 1 or more",
    ),
    (
        lambda: sign_url("/hero/c03683.jpg", "key", until=NOON),
        "2030-01-01 12:00:00 has no time zone; expected an aware datetime",
    ),
    (
        lambda: round_up(NOON.replace(tzinfo=timezone.utc), 0),
        "0 is no length of a slice in seconds; expected 1 or more",
    ),
    (lambda: round_up(LATEST), f"{LATEST} is too late for a time limit"),
    (lambda: RokkaClient("Acme"), "'Acme' is no organization; expected [0-9a-z][0-9a-z_-]*"),
    (
        lambda: CLIENT.copy_source_image(HASH, "A"),
        "'A' is no organization; expected [0-9a-z][0-9a-z_-]*",
    ),
    (lambda: CLIENT.get_stack("é"), "'é' is no stack name; expected [0-9a-zA-Z_-]+"),
    (lambda: CLIENT.get_alias("a-b"), "'a-b' is no alias; expected [0-9a-zA-Z_]+"),
    (
        lambda: CLIENT.get_user_metadata_field(HASH, "Year"),
        "'Year' is no user metadata field; expected ([a-z_]+:)?[0-9a-z_]{1,54}",
    ),
    (
        lambda: CLIENT.delete_dynamic_metadata(HASH, "area1"),
        "'area1' is no dynamic metadata name; expected [a-z_]+",
    ),
    (
        lambda: CLIENT.list_source_images_by_binary_hash("a" * 39),
        f"'{'a' * 39}' is no binary hash; expected [0-9a-f]{{40}}",
    ),
    (
        lambda: CLIENT.set_user_metadata_field(HASH, "year", None),
        "None cannot be set as 'year'; delete the field instead",
    ),
    (
        lambda: CLIENT.copy_source_images([], "acme-stage"),
        "a batch copy takes 1 to 100 hashes, got 0",
    ),
    (
        lambda: CLIENT.set_dynamic_metadata(
            HASH, SubjectArea(1, 1), keep_hash=True, delete_previous=True
        ),
        "delete_previous and keep_hash exclude each other",
    ),
    (
        lambda: CLIENT.create_source_images([Upload()]),
        "each upload needs either a file or a url",
    ),
    (
        lambda: CLIENT.create_source_image(io.BytesIO()),
        "the file '(unnamed)' is empty; was it read or closed before?",
    ),
    (
        lambda: CLIENT.create_source_image(ContentFile(b"", name="dog.jpg")),
        "the file 'dog.jpg' is empty; was it read or closed before?",
    ),
    (
        lambda: check_url("ftp://example.com/"),
        "only a http or https URL can be fetched, with a host and without spaces and the like",
    ),
    (
        lambda: check_url("http://user:password@example.com/"),
        "the URL at 'example.com' has credentials in it, which rokka would keep",
    ),
    (
        lambda: check_url("http://10.1.2.3/"),
        "'10.1.2.3' is no public address; with allow_private=True rokka is asked all the same",
    ),
    (
        lambda: RokkaClient("acme", base_url="api.rokka.io"),
        "'api.rokka.io' is no base URL; expected one like 'https://api.rokka.io'",
    ),
    (
        lambda: RokkaClient("acme", api_key="a\n"),
        "the API key has a space, a line end or another character that it cannot have",
    ),
    (
        lambda: RokkaClient("acme", token="a b"),
        "the token has a space, a line end or another character that it cannot have",
    ),
    (lambda: path_of("a", ""), "'' cannot be part of an API path"),
    (lambda: path_of("a", "."), "'.' cannot be part of an API path"),
    (lambda: path_of("a", ".."), "'..' cannot be part of an API path"),
    (lambda: path_of("\ud800"), r"'\ud800' cannot be sent; it is no valid Unicode"),
    (
        lambda: write_json({"tags": {1}}),
        "this cannot be sent as JSON: Object of type set is not JSON serializable",
    ),
    (
        lambda: RenderClient("https://acme.rokka.io").fetch("/a.jpg?sig=1?v", limit=1),
        "'/a.jpg' is no render at https://acme.rokka.io",
    ),
]


@pytest.mark.parametrize(("refused", "message"), MESSAGES, ids=[text[:60] for _, text in MESSAGES])
def test_what_is_refused_is_named_with_the_way_out(
    refused: Callable[[], Any], message: str
) -> None:
    with pytest.raises(InvalidArgument) as error:
        refused()
    assert str(error.value) == message
