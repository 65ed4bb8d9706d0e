from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.template import Context, Template
from django.test.utils import CaptureQueriesContext

from django_rokka.api import InvalidArgument
from django_rokka.emulator import Emulator
from tests.library.models import Article
from tests.pictures import SVG, picture

pytestmark = pytest.mark.django_db

HASH = "a" * 40
NAME = f"{HASH}/dog.jpg"
BASE = "http://127.0.0.1:9/render/acme"


def render(source: str, **context: Any) -> str:
    return Template("{% load rokka %}" + source).render(Context(context))


def attributes(html: str) -> dict[str, str]:
    return dict(re.findall(r'([a-z-]+)="([^"]*)"', html))


@pytest.fixture
def row() -> Article:
    """A row as it comes from the database, with no picture at rokka behind it."""
    Article.objects.bulk_create([Article(title="Dog", photo=NAME, width=1000, height=500)])
    return Article.objects.get()


def test_urls(row: Article) -> None:
    assert render("{% rokka_url a.photo %}", a=row) == f"{BASE}/dynamic/noop/{NAME}"
    assert (
        render('{% rokka_url a.photo "hero" format="webp" %}', a=row)
        == f"{BASE}/hero/{HASH}/dog.webp"
    )
    assert (
        render("{% rokka_url a.photo width=400 %}", a=row)
        == f"{BASE}/dynamic/resize-width-400/{NAME}"
    )


def test_an_image_is_responsive(row: Article) -> None:
    html = render('{% rokka_img a.photo widths="320 640 1280" sizes="50vw" alt="A dog" %}', a=row)

    found = attributes(html)
    urls = [f"{BASE}/dynamic/resize-width-{width}/{NAME}" for width in (320, 640, 1000)]
    assert found["srcset"] == f"{urls[0]} 320w, {urls[1]} 640w, {urls[2]} 1000w"
    assert found["src"] == urls[2]
    assert (found["sizes"], found["alt"], found["loading"]) == ("50vw", "A dog", "lazy")
    assert (found["width"], found["height"]) == ("1000", "500")


def test_the_default_widths_are_the_setting(row: Article, settings: Any) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "WIDTHS": [100, 200]}}

    assert "200w" in render("{% rokka_img a.photo %}", a=row)
    assert render("{% rokka_img a.photo %}", a=row).count("w,") == 1


def test_a_box_crops_to_its_ratio(row: Article) -> None:
    found = attributes(
        render('{% rokka_img a.photo width=300 height=300 widths="300 600" %}', a=row)
    )

    crop = "crop-height-300-mode-ratio-width-300"
    assert f"{BASE}/dynamic/{crop}--resize-width-300/{NAME} 300w" in found["srcset"]
    assert f"{BASE}/dynamic/{crop}--resize-width-500/{NAME} 500w" in found["srcset"]
    assert (found["width"], found["height"]) == ("300", "300")


def test_a_named_stack_decides_the_look(row: Article) -> None:
    found = attributes(
        render('{% rokka_img a.photo "square" width=100 height=100 widths="100" %}', a=row)
    )

    assert found["srcset"] == f"{BASE}/square/resize-width-100/{NAME} 100w"
    assert (found["width"], found["height"]) == ("100", "100")


def test_one_side_gives_the_other(row: Article) -> None:
    found = attributes(render("{% rokka_img a.photo width=200 %}", a=row))
    assert (found["width"], found["height"]) == ("200", "100")
    found = attributes(render("{% rokka_img a.photo height=50 %}", a=row))
    assert (found["width"], found["height"]) == ("100", "50")


def test_a_drawing_is_one_file_for_all_sizes(rokka_emulator: Emulator) -> None:
    row = Article.objects.create(title="x", photo=ContentFile(SVG, name="logo.svg"))

    html = render(
        "{% rokka_img a.photo %}{% rokka_img a.photo width=9 height=9 widths='9' %}", a=row
    )

    assert html.count("srcset") == 1
    assert "/dynamic/noop/" in html
    assert f"{row.photo.hash}/logo.png 9w" in html


def test_nothing_is_shown_where_there_is_no_picture() -> None:
    empty = Article(title="x")

    assert render("{% rokka_url a.photo %}|{% rokka_img a.photo %}", a=empty) == "|"
    assert render("{% rokka_img None %}{% rokka_url missing %}") == ""
    assert render("{% rokka_background a.photo %}{% rokka_preload a.photo %}", a=empty) == ""
    source = "{% rokka_source a.photo media='print' %}"
    assert render("{% rokka_picture a.photo %}" + source + "{% endrokka_picture %}", a=empty) == ""


@pytest.mark.parametrize("value", ['" onload="alert(1)', "<script>", "'"])
def test_no_value_can_break_out_of_its_attribute(row: Article, value: str) -> None:
    html = render(
        "{% rokka_img a.photo alt=v sizes=v loading=v class=v data_id=v %}", a=row, v=value
    )

    assert html.count("<") == 1
    assert "<script>" not in html
    assert ' onload="' not in html
    assert "data-id=" in html


@pytest.mark.parametrize(
    "source",
    [
        "{% rokka_img a.photo width='wide' %}",
        "{% rokka_img a.photo widths='320 wide' %}",
        "{% rokka_url a.photo width=0 %}",
    ],
)
def test_a_wrong_size_is_named(row: Article, source: str) -> None:
    with pytest.raises(InvalidArgument, match="is no width or height in pixels"):
        render(source, a=row)


def test_a_list_of_rows_costs_one_query_and_no_http(rokka_emulator: Emulator) -> None:
    for number in range(5):
        photo = ContentFile(picture(color=f"#{number * 40:02x}0000"), name="dog.jpg")
        Article.objects.create(title=str(number), photo=photo)
    rokka_emulator.application.calls.clear()

    with CaptureQueriesContext(connection) as queries:
        html = render(
            "{% for a in all %}{% rokka_img a.photo %}{% endfor %}", all=Article.objects.all()
        )

    assert html.count("<img") == 5
    assert len(queries) == 1
    assert rokka_emulator.calls == []


def test_a_declared_stack_brings_widths_and_sizes(row: Article, settings: Any) -> None:
    hero = {"widths": [200, 400], "sizes": "50vw"}
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "STACKS": {"hero": hero}}}

    found = attributes(render('{% rokka_img a.photo "hero" %}', a=row))
    assert found["srcset"].count("w,") == 1
    assert found["srcset"].endswith(f"{BASE}/hero/resize-width-400/{NAME} 400w")
    assert (found["src"], found["sizes"]) == (f"{BASE}/hero/resize-width-400/{NAME}", "50vw")

    found = attributes(render('{% rokka_img a.photo "hero" widths="300" sizes="9px" %}', a=row))
    assert found["srcset"].endswith(" 300w")
    assert found["sizes"] == "9px"


def test_attributes_without_a_value(row: Article) -> None:
    html = render("{% rokka_img a.photo hidden=True inert=False lang=None %}", a=row)

    assert html.endswith(' alt="" hidden>')


def test_what_is_escaped_already_stays_as_it_is(row: Article) -> None:
    html = render('{% rokka_img a.photo alt="Cat &amp; dog" title=t %}', a=row, t="Cat & dog")

    assert 'alt="Cat &amp; dog"' in html
    assert 'title="Cat &amp; dog"' in html
