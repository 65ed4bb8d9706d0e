"""Signed URLs: that rokka shows what they ask for, and nobody can ask for anything else."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from django_rokka.api import InvalidArgument, RenderURL, RokkaClient, sign_url
from django_rokka.api.signing import round_up, sign_again, sign_with_options, signature
from django_rokka.emulator import Emulator
from tests.pictures import picture

KEY = "OCOuisGe30QyocYkQN1SPErGGKunyuhZ"
NOW = datetime(2030, 1, 1, 12, 3, 7, 5, tzinfo=timezone.utc)
#: Everything that a browser or a server may treat in a way of its own.
ODD = 'a\'b "c" <d> {e} `f` ^g|h [i] é\n;&=+%20?#/\\'


@pytest.fixture
def protected(client: RokkaClient, emulator: Emulator) -> RenderURL:
    """The URL of a protected image on the emulator, with everything that a URL can have."""
    image = client.create_source_image(io.BytesIO(picture()), name="dog.jpg", protected=True)
    return RenderURL(
        emulator.render_url.format(organization="acme"),
        "dynamic",
        image.hash,
        "jpg",
        "dog's",
        options={"jpg.quality": 50},
        variables={"w": 10, "text": ODD, "short": "a'b(c)"},
        query="foo=b'ar&baz",
    ).with_overrides("resize-width-[$w]")


def status(url: str) -> int:
    return int(requests.get(url, timeout=30).status_code)


@pytest.mark.parametrize("keep_slug", [False, True])
@pytest.mark.parametrize("minutes", [None, 1])
def test_rokka_shows_a_protected_image_by_a_signed_url_alone(
    protected: RenderURL, emulator: Emulator, minutes: int | None, keep_slug: bool
) -> None:
    key = emulator.signing_key
    until = None if minutes is None else datetime.now(timezone.utc) + timedelta(minutes=minutes)
    signed = protected.sign(key, until=until, keep_slug=keep_slug)

    assert status(str(protected)) == 403
    assert status(signed) == 200
    assert ("dog%27s" in signed) is keep_slug
    # Also where it is signed with what stands before it, and without the query.
    assert status(sign_url(str(protected), key, until=until, keep_slug=keep_slug)) == 200
    assert status(replace(protected, variables={"w": 9}, query="").sign(key, until=until)) == 200


def test_a_signed_url_cannot_be_changed_or_used_later(
    protected: RenderURL, emulator: Emulator
) -> None:
    key = emulator.signing_key
    past = datetime.now(timezone.utc) - timedelta(minutes=6)
    signed = protected.sign(key)

    assert status(protected.sign(key, until=past)) == 403
    assert status(protected.sign("another key")) == 403
    assert status(signed.replace("quality-50", "quality-90")) == 403
    assert status(signed.replace("foo=", "fo=")) == 403
    assert status(f"{signed}&more=1") == 403
    assert status(str(RenderURL.parse(signed, base=protected.base))) == 403


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_browser_sends_the_bytes_that_were_signed(
    protected: RenderURL, emulator: Emulator, browser: Any
) -> None:
    page = browser.new_page()
    for keep_slug in (False, True):
        answer = page.goto(protected.sign(emulator.signing_key, keep_slug=keep_slug))
        assert answer.status == 200


@given(st.integers(0, 299), st.integers(0, 999_999), st.sampled_from([-5, 0, 5.75]))
def test_a_time_limit_gives_one_url_for_all_moments_of_a_slice(
    seconds: int, microseconds: int, hours: float
) -> None:
    end = datetime(2030, 1, 1, 12, 5, tzinfo=timezone.utc)
    until = (end - timedelta(seconds=seconds)).replace(microsecond=0)
    until = min(until + timedelta(microseconds=microseconds), end)
    zone = timezone(timedelta(hours=hours))

    url = "https://acme.rokka.io/hero/c03683.jpg"
    assert round_up(until.astimezone(zone)) == end
    assert sign_url(url, KEY, until=until.astimezone(zone)) == sign_url(url, KEY, until=end)
    assert sign_url(url, KEY, until=end + timedelta(microseconds=1)) != sign_url(
        url, KEY, until=end
    )


@given(
    st.datetimes(timezones=st.just(timezone.utc), max_value=datetime(9999, 1, 1)),
    st.integers(1, 10**7),
)
def test_a_time_limit_is_never_shorter_than_asked_for(until: datetime, slice: int) -> None:
    end = round_up(until, slice)

    assert timedelta(0) <= end - until < timedelta(seconds=slice)
    assert (end - datetime(1970, 1, 1, tzinfo=timezone.utc)) % timedelta(
        seconds=slice
    ) == timedelta(0)


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("/dynamic/c1b110/facade.jpg", "/dynamic/c1b110.jpg"),
        ("/facade/c1b110.jpg", "/facade/c1b110.jpg"),
        ("/hero/o-dpr-2/-_logo_-/a.b.jpg", "/hero/o-dpr-2/-_logo_-.jpg"),
        ("/hero/-a/facade/b.jpg-/dog.png", "/hero/-a/facade/b.jpg-.png"),
        ("/hero/-a/facade/b.jpg-.png", "/hero/-a/facade/b.jpg-.png"),
        ("/hero/-My dog.jpg-/x.png", "/hero/-My%20dog.jpg-.png"),
        ("/hero//c1b110/dog.jpg", "/hero//c1b110.jpg"),
        ("/facade/-b-.png", "/facade/-b-.png"),
        ("facade/-b-/dog.png", "facade/-b-.png"),
        ("//acme.rokka.io/hero/c1b110/dog.jpg", "//acme.rokka.io/hero/c1b110.jpg"),
        ("/hero/c1b110.jpg?", "/hero/c1b110.jpg"),
        ("/hero/c1b110.jpg?a=5%&b=%2&c=%20'", "/hero/c1b110.jpg?a=5%25&b=%252&c=%20%27"),
        ("/hero/c1b110.jpg?&a=1&&sig=x", "/hero/c1b110.jpg?a=1"),
        ("/hero/c1b110.jpg?s%69g=1&sigopts=2&sigo=3", "/hero/c1b110.jpg?sigo=3"),
    ],
)
def test_slug_and_old_signature_are_dropped_and_nothing_else(url: str, signed: str) -> None:
    target = signed.removeprefix("//acme.rokka.io")
    expected = f"{signed}{'&' if '?' in signed else '?'}sig={signature(target, KEY)}"

    assert sign_url(url, KEY) == expected
    assert sign_url(expected, KEY) == expected


def test_a_slug_that_stays_is_signed_as_a_browser_sends_it() -> None:
    sent = "/hero/c1b110/my%20dog%27s%25.jpg"

    signed = sign_url("/hero/c1b110/my dog's%.jpg", KEY, keep_slug=True)

    assert signed == f"{sent}?sig={signature(sent, KEY)}"


def test_options_of_a_signature_are_one_json_object() -> None:
    signed = sign_with_options("/hero/c1b110/dog.jpg", KEY, {"until": "2050", "other": "1"})

    sent = "/hero/c1b110.jpg?sigopts=%7B%22until%22%3A%222050%22%2C%22other%22%3A%221%22%7D"
    assert signed == f"{sent}&sig={signature(sent, KEY)}"


@pytest.mark.parametrize("until", [None, NOW])
@pytest.mark.parametrize("base", ["https://example.com/images", "https://acme.rokka.io"])
def test_a_changed_url_is_signed_again_for_the_same_time(base: str, until: datetime | None) -> None:
    url = f"{base}/hero/c1b110/dog.jpg?a=1"
    signed = sign_url(url, KEY, until=until, base=base, keep_slug=True)

    changed = sign_again(signed.replace("c1b110", "c1b111"), KEY, base=base)

    assert changed == sign_url(f"{base}/hero/c1b111.jpg?a=1", KEY, until=until, base=base)


def test_what_a_proxy_adds_is_not_signed() -> None:
    url, base = "https://example.com/images/hero/c1b110/dog.jpg", "https://example.com/images"
    expected = f"{base}/hero/c1b110.jpg?sig={signature('/hero/c1b110.jpg', KEY)}"

    assert sign_url(url, KEY, base=base) == expected
    assert RenderURL.parse(url, base=base).sign(KEY) == expected


def test_a_url_is_signed_for_slices_of_any_length() -> None:
    url = RenderURL.parse("/hero/c1b110.jpg")

    for slice in (60, 3600):
        assert url.sign(KEY, until=NOW, slice=slice) == sign_url(
            str(url), KEY, until=NOW, slice=slice
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: sign_url("/hero/c1b110.jpg", ""), "A signing key is needed"),
        (lambda: sign_url("/hero/c1b110", KEY), "has no format"),
        (lambda: sign_url("/hero/dog.jpg", KEY), "has no hash"),
        (lambda: sign_url("/hero/c1b110.jpg#x", KEY), "without a fragment"),
        (lambda: sign_url("/hero/c1b110.jpg", KEY, base="https://a.b"), "a render of https://a.b"),
        (lambda: sign_url("/hero/c1b110.jpg", KEY, until=NOW, slice=0), "is no length of a slice"),
        (lambda: sign_url("/hero/c1b110.jpg", KEY, until=NOW.replace(tzinfo=None)), "no time zone"),
        (
            lambda: round_up(datetime.max.replace(tzinfo=timezone.utc)),
            "is too late for a time limit",
        ),
    ],
)
def test_what_cannot_be_signed_is_refused_without_telling_the_key(
    change: Callable[[], str], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message) as refused:
        change()
    assert KEY not in str(refused.value)
