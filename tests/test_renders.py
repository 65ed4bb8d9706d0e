"""Which URL shows a picture: stack, address, and a signature where rokka wants one."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.core.files.base import ContentFile
from django.db import connection
from django.template import Context, Template
from django.test.utils import CaptureQueriesContext
from PIL import Image

from django_rokka.conf import get_client, get_config
from django_rokka.emulator import Emulator
from tests.library.models import Article
from tests.pictures import picture

pytestmark = pytest.mark.django_db

SQUARE = {
    "operations": [{"name": "crop", "options": {"width": 1, "height": 1, "mode": "ratio"}}],
    "options": {"protected": True},
}


@pytest.fixture
def article(rokka_emulator: Emulator) -> Article:
    """A row with a protected picture, 64 by 48 pixels."""
    photo = ContentFile(picture(size=(64, 48)), name="dog.jpg")
    article = Article.objects.create(title="Dog", photo=photo)
    article.photo.set_protected(True)
    return Article.objects.get()


@pytest.fixture
def signing(rokka_emulator: Emulator, settings: Any) -> Any:
    """Sign from now on: ``signing(STACKS=…)``."""

    def signing(**values: Any) -> None:
        own = {**settings.ROKKA["default"], "SIGNING_KEY": rokka_emulator.signing_key, **values}
        settings.ROKKA = {**settings.ROKKA, "default": own}

    return signing


def size_of(url: str) -> tuple[int, int]:
    answer = requests.get(url, timeout=10)
    answer.raise_for_status()
    return Image.open(BytesIO(answer.content)).size


def test_without_a_key_a_protected_picture_is_refused(article: Article) -> None:
    assert "sig=" not in article.photo.url
    assert requests.get(article.photo.url, timeout=10).status_code in (401, 403)


def test_with_a_key_every_way_to_show_a_protected_picture_works(
    article: Article, signing: Any
) -> None:
    signing()

    assert size_of(article.photo.url) == (64, 48)
    assert size_of(article.photo.render_url(width=32)) == (32, 24)
    assert size_of(article.photo.source_image.render_url(width=16, height=16)) == (16, 16)
    assert size_of(article.photo.storage.url(article.photo.name)) == (64, 48)


def test_each_candidate_of_a_srcset_is_signed(article: Article, signing: Any) -> None:
    signing()

    html = Template("{% load rokka %}{% rokka_img a.photo widths='16 32' %}").render(
        Context({"a": article})
    )
    candidates = html.split('srcset="')[1].split('"')[0].split(", ")

    assert [size_of(url.replace("&amp;", "&")) for url, _ in map(str.split, candidates)] == [
        (16, 12),
        (32, 24),
    ]


def test_a_public_picture_is_signed_only_in_a_protected_stack(
    rokka_emulator: Emulator, signing: Any
) -> None:
    signing(STACKS={"square": SQUARE})
    get_client().save_stack(get_config().stacks["square"].stack)
    photo = ContentFile(picture(size=(64, 48)), name="dog.jpg")
    article = Article.objects.create(title="Dog", photo=photo)

    assert "sig=" not in article.photo.url
    assert size_of(article.photo.render_url("square")) == (48, 48)
    unsigned = article.photo.render_url("square").partition("?")[0]
    assert requests.get(unsigned, timeout=10).status_code in (401, 403)


def test_a_time_limit_is_the_same_for_a_while(article: Article, signing: Any) -> None:
    signing(SIGNED_FOR=3600)

    urls = {article.photo.url for _ in range(20)}

    assert len(urls) <= 2  # a slice of five minutes may end in between
    url = urls.pop()
    assert "until" in parse_qs(urlsplit(url).query)["sigopts"][0]
    assert size_of(url) == (64, 48)


def test_only_with_a_key_the_mirror_is_asked_and_once(article: Article, signing: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert article.photo.url
    assert len(queries) == 0

    signing()
    with CaptureQueriesContext(connection) as queries:
        assert article.photo.url != article.photo.render_url(width=10)
    assert len(queries) == 1


def test_a_protected_stack_asks_nobody(article: Article, signing: Any) -> None:
    signing(STACKS={"square": SQUARE})

    with CaptureQueriesContext(connection) as queries:
        assert "sig=" in article.photo.render_url("square")
        text = Template("{% load rokka %}{% rokka_img a.photo 'square' %}")
        assert "sig=" in text.render(Context({"a": article}))

    assert len(queries) == 0


def test_the_key_does_not_show(article: Article, signing: Any, rokka_emulator: Emulator) -> None:
    signing()

    shown = f"{get_config()!r} {article.photo.url} {article.photo.storage!r}"

    assert rokka_emulator.signing_key not in shown
