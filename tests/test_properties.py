"""Properties that hold for anything that is put in: client, emulator, mirror and rows together.

What one module promises by itself is tested beside it: slugs and names in `tests/api/test_names.py`, URLs in
`tests/api/test_render_urls.py`, dates in `tests/api/test_types.py`.
"""

from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.utils import validate_file_name
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from django_rokka import api, sync
from django_rokka.api import InvalidArgument, RenderURL
from django_rokka.api.types import parse_date
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, renders
from django_rokka.emulator.answers import Refusal
from django_rokka.models import SourceImage
from django_rokka.storage import MIN_NAME_LENGTH, RokkaStorage
from tests.api.test_names import FILE_NAMES
from tests.library.models import Captioned
from tests.pictures import picture

pytestmark = pytest.mark.django_db


def examples(number: int) -> settings:
    """So many, each with some calls over a socket; the fixtures may be shared by them."""
    return settings(max_examples=number, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def image(rokka_emulator: Emulator) -> SourceImage:
    name = RokkaStorage().save("dog.png", ContentFile(picture((4, 4), "PNG")))
    return SourceImage.objects.get(hash=name[:40])


# --- Names ------------------------------------------------------------------------------------


@examples(60)
@given(FILE_NAMES, st.integers(MIN_NAME_LENGTH, 300))
def test_a_file_of_any_name_is_saved_and_shown(
    rokka_emulator: Emulator, filename: str, max_length: int
) -> None:
    storage = RokkaStorage()
    try:
        name = storage.save(filename, ContentFile(picture((4, 4), "PNG")), max_length=max_length)
    except SuspiciousFileOperation:
        with pytest.raises(SuspiciousFileOperation):
            validate_file_name(filename.replace("\\", "/"), allow_relative_path=True)
        return

    assert len(name) <= max_length
    assert storage.exists(name)
    assert storage.generate_filename(name) == name
    assert storage.get_available_name(name, max_length) == name
    shown = urlsplit(storage.url(name)).path
    assert shown.endswith(f"/{name}")
    assert renders.parse(shown.removeprefix("/render/acme")).hash == name[:40]


# --- URLs -------------------------------------------------------------------------------------

_WORDS = st.sampled_from(
    ["resize", "crop", "o", "options", "v", "variables", "width", "w", "dpr", "a.b"]
)
_TEXTS = st.sampled_from(
    ["1", "0.5", "true", "left_top", "[$w]", "é", "a b", "x,y", "+", "%", "%41", ""]
)
_PARTS = st.builds(
    lambda name, pairs: "-".join([name, *(f"{key}-{value}" for key, value in pairs)]),
    _WORDS,
    st.lists(st.tuples(_WORDS, _TEXTS), max_size=3),
)


@examples(300)
@given(
    stack=st.sampled_from(["hero", "dynamic", "a-b_c"]),
    parts=st.lists(_PARTS, max_size=3),
    id=st.sampled_from(["c03683", "c0" * 20, "-_logo_-"]),
    slug=st.sampled_from(["", "dog", "c03683", "a.b", "é v2"]),
    format=st.sampled_from(["jpg", "JPEG", "webp"]),
    encode=st.booleans(),
)
def test_what_rokka_accepts_is_read_as_rokka_reads_it(
    stack: str, parts: list[str], id: str, slug: str, format: str, encode: bool
) -> None:
    """Written by somebody else: in any order, with words of either client, encoded or not."""
    path = "/".join(filter(None, [stack, "--".join(parts), id, slug])) + f".{format}"
    path = quote(path) if encode else path
    try:
        expected = renders.parse(f"/{path}")
        url = RenderURL.parse(f"https://acme.rokka.io/{path}")
    except (Refusal, InvalidArgument):
        return

    for read in (renders.parse(urlsplit(str(url)).path), expected):
        variables = parse_qs(urlsplit(str(url)).query).get("v", ["{}"])[0]
        asked = {**read.variables, **(json.loads(variables) if read is not expected else {})}
        assert (read.stack, read.hash, read.alias) == (url.stack, url.hash or "", url.alias or "")
        assert read.steps == tuple((one.name, one.options) for one in url.operations)
        assert (read.options, asked) == (url.options, url.variables)
    assert str(RenderURL.parse(str(url))) == str(url)


# --- User metadata ----------------------------------------------------------------------------

#: Without halves of letters, which are no Unicode.
# PostgreSQL has no U+0000 in a text.
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
# PostgreSQL keeps numbers as their digits, so beyond 2**53 a whole float comes back as a whole number beside it.
_NUMBER = st.integers(-(10**30), 10**30) | st.floats(-1e15, 1e15)
_ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=_ZONES)
_COORDINATE = st.floats(-180, 180).map("{:.6f}".format)
_VALUES = {
    "": _TEXT | _NUMBER,
    "str:": _TEXT | _NUMBER,
    "text:": _TEXT | _NUMBER,
    "int:": st.integers(-(10**30), 10**30),
    "double:": _NUMBER,
    "date:": _MOMENTS.map(lambda moment: moment.isoformat(timespec="seconds")),
    "latlon:": st.tuples(_COORDINATE, _COORDINATE).map(",".join),
    "array:": st.lists(_TEXT | _NUMBER, max_size=4),
    "array_text:": st.lists(_TEXT, max_size=4),
}
METADATA = st.fixed_dictionaries(
    {}, optional={f"{prefix}field": values for prefix, values in _VALUES.items()}
)


@examples(40)
@given(METADATA, METADATA)
def test_user_metadata_comes_back_as_it_went(
    image: SourceImage, metadata: dict[str, Any], patch: dict[str, Any]
) -> None:
    client = get_client()

    client.replace_user_metadata(image.hash, metadata)
    image.refresh_from_db()
    assert image.user_metadata == metadata
    client.patch_user_metadata(image.hash, patch)
    image.refresh_from_db()
    noted = image.user_metadata  # what we sent, and now what rokka says
    client.get_source_image(image.hash)
    image.refresh_from_db()

    assert noted == image.user_metadata == client.get_user_metadata(image.hash)
    assert image.user_metadata == {**metadata, **patch}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\ud800", {1, 2}, date.max])
def test_what_is_no_json_is_refused_before_it_is_sent(
    image: SourceImage, rokka_emulator: Emulator, value: Any
) -> None:
    client, file = get_client(), ContentFile(picture(), name="dog.jpg")
    rokka_emulator.application.calls.clear()

    for send in (
        lambda: client.replace_user_metadata(image.hash, {"double:x": value}),
        lambda: client.set_user_metadata_field(image.hash, "x", [value]),
        lambda: client.create_source_image(file, user_metadata={"array:x": [value]}),
    ):
        with pytest.raises(InvalidArgument, match="cannot be sent as JSON"):
            send()
    assert rokka_emulator.calls == []


_LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=100)
_SAID = st.fixed_dictionaries(
    {},
    optional={
        "title": _LINE,
        "text:alt": _LINE,
        "date:taken": st.dates(date(2, 1, 1), date(9998, 12, 31)),
        "array:keywords": st.lists(_LINE.filter(bool), min_size=1, max_size=3),
    },
)


@examples(30)
@given(_SAID, _SAID)
def test_rows_and_rokka_say_the_same(
    rokka_emulator: Emulator, own: dict[str, Any], others: dict[str, Any]
) -> None:
    """What a row says is what rokka is told; what somebody else tells rokka is what the row says."""
    Captioned.objects.all()._raw_delete("default")  # type: ignore[attr-defined]
    SourceImage.objects.all()._raw_delete("default")  # type: ignore[attr-defined]
    rokka_emulator.reset()
    columns = {
        "headline": "title",
        "alt": "text:alt",
        "taken": "date:taken",
        "keywords": "array:keywords",
    }
    values = {column: own[name] for column, name in columns.items() if name in own}
    file = ContentFile(picture((4, 4), "PNG"), name="dog.png")
    row = Captioned.objects.create(photo=file, **values)

    assert _without_length(row.photo.source_image.user_metadata) == _as_rokka_has(own)

    get_client(mirrors=False).replace_user_metadata(row.photo.hash, _as_rokka_has(others))
    sync.sync_image(row.photo.source_image)
    row.refresh_from_db()
    nothing = {"headline": "", "alt": "", "taken": None, "keywords": []}
    for column, name in columns.items():
        assert getattr(row, column) == others.get(name, nothing[column])


def _as_rokka_has(said: dict[str, Any]) -> dict[str, Any]:
    texts = {
        name: f"{value.isoformat()}T00:00:00Z" if isinstance(value, date) else value
        for name, value in said.items()
    }
    return {name: value for name, value in texts.items() if value != ""}


def _without_length(metadata: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if name != "int:length"}


# --- Dates ------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBER | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["date", "timezone", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
_ANY_DATE = st.datetimes(timezones=st.none() | _ZONES).map(str) | _JSON


@examples(100)
@given(_ANY_DATE)
@example("0001-01-01T00:00:00+14:00")
@example("9999-12-31T23:59:59-12:00")
def test_the_mirror_keeps_any_date_that_rokka_sends(image: SourceImage, value: Any) -> None:
    answer = {"hash": image.hash, "organization": "acme", "created": value, "deleted_date": value}

    SourceImage.objects.record([api.SourceImage.from_json({**answer, "deleted": True})])

    image.refresh_from_db()
    assert image.created == parse_date(value)
    assert image.deleted is not None
