"""Render URLs in texts."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from django_rokka import rich_text
from django_rokka.api import sign_url
from django_rokka.models import SourceImage

OLD = SourceImage(organization="acme", hash="a1" * 20, short_hash="a1a1a1a")
NEW = SourceImage(organization="acme", hash="b2" * 20)


@pytest.fixture(autouse=True)
def hosts(settings: Any) -> None:
    settings.ROKKA = {
        "default": {"ORGANIZATION": "acme", "RENDER_URL": "https://img.example.com/{organization}"}
    }


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.rokka.io/hero/HASH.jpg",
        "https://acme.rokka.io/hero/HASH/dog.jpg",
        "https://acme.rokka.io/hero/HASH/dog-v2.jpg",
        "http://acme.rokka.io/hero/resize-width-10--o-dpr-2/HASH/dog.jpg",
        "https://acme.rokka.io/dynamic/resize-width-10/v-a-b/HASH.webp?v=%7B%7D",
        "//acme.rokka.io/hero/HASH.jpg",
        "https://img.example.com/acme/hero/HASH/dog.jpg",
        "https://acme.rokka.io/a1a1a1a/HASH.jpg",  # a stack that is called like a short hash
    ],
)
@pytest.mark.parametrize("hash", [OLD.hash, OLD.short_hash, OLD.hash[:12]])
def test_the_hash_is_replaced_and_nothing_else(url: str, hash: str) -> None:
    text = (
        f'<p>See <img srcset="{url.replace("HASH", hash)} 320w" alt="{OLD.hash}"> {OLD.hash}.</p>'
    )

    assert rich_text.holds(text, OLD)
    moved = rich_text.rewritten(text, OLD, NEW)

    assert url.replace("HASH", NEW.hash) in moved
    assert moved.count(OLD.hash) == 2 + (hash == OLD.hash and moved.count(hash) > 2)
    assert not rich_text.holds(moved, OLD)
    assert rich_text.rewritten(moved, NEW, OLD).replace(OLD.hash, hash) == text.replace(
        OLD.hash, hash
    )


@pytest.mark.parametrize(
    "text",
    [
        f"https://other.rokka.io/hero/{OLD.hash}.jpg",
        f"https://acme.rokka.io.evil.example/hero/{OLD.hash}.jpg",
        f"https://acme.rokka.io/{OLD.hash}.jpg",
        f"https://acme.rokka.io/hero/{OLD.hash}0/dog.jpg",
        f"https://acme.rokka.io/hero/{OLD.hash[:6]}.jpg",  # shorter than the short hash: another image
        f"https://acme.rokka.io/hero/{NEW.hash}/{'x' * 5}.jpg",
        OLD.hash,
        "",
        None,
    ],
)
def test_other_texts_hold_nothing(text: Any) -> None:
    assert not rich_text.holds(text, OLD)
    if text:
        assert rich_text.rewritten(text, OLD, NEW) == text


def test_every_url_of_a_text_is_replaced() -> None:
    url = f"https://acme.rokka.io/hero/{OLD.hash}/a.jpg"
    text = f"![a]({url}) url('{url}') <a href={url}>{url}</a>"

    moved = rich_text.rewritten(text, OLD, NEW)

    assert moved == text.replace(OLD.hash, NEW.hash)
    assert moved.count(NEW.hash) == 4


@pytest.mark.parametrize(
    "query", ["?sig=0123456789abcdef", "?sigopts=x&sig=0", "?sigopts=x&amp;sig=0"]
)
def test_without_a_key_a_signed_url_stays_and_goes_on_holding_the_old_image(query: str) -> None:
    text = f"https://acme.rokka.io/hero/{OLD.hash}.jpg{query}"

    assert rich_text.rewritten(text, OLD, NEW) == text
    assert rich_text.holds(text, OLD)


@pytest.mark.parametrize("base", ["https://acme.rokka.io", "//img.example.com/acme"])
@pytest.mark.parametrize("amp", ["&", "&amp;"])
def test_with_a_key_a_signed_url_is_signed_anew(settings: Any, base: str, amp: str) -> None:
    key = "0123456789abcdef0123456789abcdef"
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "SIGNING_KEY": key}}
    until = datetime(2031, 1, 1, tzinfo=timezone.utc)

    def text(image: SourceImage) -> str:
        url = f"{base}/hero/{image.hash}/dog.jpg"
        urls = [sign_url(url, key, base=base), sign_url(url, key, base=base, until=until)]
        return f"<img src='{urls[0]}'> <a href='{urls[1].replace('&', amp)}'>"

    assert rich_text.rewritten(text(OLD), OLD, NEW) == text(NEW)
    assert not rich_text.holds(text(NEW), OLD)


def test_without_a_known_short_hash_only_the_full_one_counts() -> None:
    image = SourceImage(organization="acme", hash=OLD.hash)

    assert not rich_text.holds(f"https://acme.rokka.io/hero/{OLD.hash[:12]}.jpg", image)
    assert rich_text.holds(f"https://acme.rokka.io/hero/{OLD.hash}.jpg", image)
