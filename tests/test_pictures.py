"""What the tags write: every candidate that they name is fetched, and has the width that it is said to have."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
import requests
from django.core.files.base import ContentFile
from django.db import connection
from django.template import Context, Template, TemplateSyntaxError
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import translation

from django_rokka import stacks
from django_rokka.api import CropArea, InvalidArgument
from django_rokka.emulator import Emulator
from django_rokka.models import SourceImage
from django_rokka.prefetch import prefetch_source_images
from tests.library.models import Article, Captioned, Portrait, Snapshot
from tests.pictures import SVG, opened, picture

pytestmark = pytest.mark.django_db

BLUR = "data:image/webp;base64,UklGRg=="


def crop(width: int, height: int, **options: Any) -> dict[str, Any]:
    return {"name": "crop", "options": {"width": width, "height": height, **options}}


def resize(**options: Any) -> dict[str, Any]:
    return {"name": "resize", "options": options}


STACKS = {
    "hero": {"operations": [crop(16, 9, mode="ratio"), resize(width=1600)], "sizes": "50vw"},
    # First as large as the box at least, then what sticks out goes.
    "box": {"operations": [resize(width=300, height=200, mode="fill"), crop(300, 200)]},
    "late": {"operations": [resize(width=1200), crop(1, 1, mode="ratio")]},
    "portrait": {
        "operations": [crop(2, 3, mode="ratio"), resize(width=200)],
        "widths": [100, 200],
    },
    "trimmed": {"operations": [{"name": "trim"}, resize(width=100)]},
    "flexible": {
        "operations": [{"name": "resize", "expressions": {"width": "$w"}}],
        "variables": {"w": 300},
        "widths": [150, 300],
    },
}


def render(source: str, **context: Any) -> str:
    return Template("{% load rokka %}" + source).render(Context(context))


def tags(text: str, name: str) -> list[dict[str, str]]:
    """The attributes of each tag of this name, read as a browser does."""
    found = [
        dict(re.findall(r'([a-z-]+)="([^"]*)"', tag)) for tag in re.findall(f"<{name} [^>]*>", text)
    ]
    return [{key: html.unescape(value) for key, value in tag.items()} for tag in found]


def candidates(srcset: str) -> list[tuple[int, str]]:
    pairs = [item.split(" ") for item in srcset.split(", ")]
    return [(int(width.removesuffix("w")), url) for url, width in pairs]


def size_of(url: str) -> tuple[int, int]:
    answer = requests.get(url, timeout=10)
    assert answer.status_code == 200, (url, answer.text)
    return opened(answer.content).size


@pytest.fixture
def declared(rokka_emulator: Emulator, settings: Any) -> Emulator:
    """An organization that has the stacks above, and a site that declares them."""
    own = {**settings.ROKKA["default"], "STACKS": STACKS}
    settings.ROKKA = {
        **settings.ROKKA,
        "default": own,
        "stage": {**own, "ORGANIZATION": "acme-stage"},
    }
    assert all(outcome.ok for outcome in stacks.push())
    return rokka_emulator


@pytest.fixture
def article(declared: Emulator) -> Article:
    photo = ContentFile(picture(size=(900, 600)), name="dog.jpg")
    return Article.objects.create(title="Dog", photo=photo)


# --- Candidates and dimensions ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "size", "widest"),
    [
        ("", (900, 600), 900),
        ('"" width=300 height=300', (300, 300), 600),
        ('"hero"', (1600, 900), 900),
        ('"box"', (300, 200), 900),
        ('"late"', (800, 800), 600),
        ('"portrait"', (200, 300), 200),
        ('"flexible"', (300, 200), 300),
    ],
)
def test_each_candidate_is_as_wide_as_it_says_in_the_ratio_of_the_attributes(
    article: Article, arguments: str, size: tuple[int, int], widest: int
) -> None:
    (tag,) = tags(render("{% rokka_img a.photo " + arguments + " %}", a=article), "img")

    assert (int(tag["width"]), int(tag["height"])) == size
    found = candidates(tag["srcset"])
    assert found[-1] == (widest, tag["src"])
    for width, url in found:
        shown = size_of(url)
        assert shown[0] == width
        assert abs(shown[1] - width * size[1] / size[0]) <= 1


def test_without_a_width_a_declared_stack_gives_the_size_of_the_attributes(
    article: Article,
) -> None:
    for stack in ("hero", "box", "portrait", "flexible"):
        (tag,) = tags(render("{% rokka_img a.photo s %}", a=article, s=stack), "img")

        assert size_of(article.photo.render_url(stack)) == (int(tag["width"]), int(tag["height"]))


def test_a_size_that_cannot_be_told_is_not_guessed(article: Article) -> None:
    (tag,) = tags(render('{% rokka_img a.photo "trimmed" %}', a=article), "img")

    assert "width" not in tag
    assert size_of(tag["src"])[0] == candidates(tag["srcset"])[-1][0]


def test_without_its_size_a_stack_is_shown_as_it_is(article: Article) -> None:
    Article.objects.update(width=None, height=None)
    SourceImage.objects.all().delete()
    row = Article.objects.get()

    for stack, has_candidates in (("hero", True), ("box", False), ("flexible", False)):
        (tag,) = tags(render("{% rokka_img a.photo s widths='150' %}", a=row, s=stack), "img")

        assert "width" not in tag
        assert ("srcset" in tag) is has_candidates
        assert size_of(tag["src"])[0] == (150 if has_candidates else 300)


def test_a_drawing_stays_one_in_a_stack_that_only_resizes(declared: Emulator) -> None:
    row = Article.objects.create(title="x", photo=ContentFile(SVG, name="logo.svg"))

    (drawn,) = tags(render('{% rokka_img a.photo "flexible" %}', a=row), "img")
    (cropped,) = tags(render('{% rokka_img a.photo "portrait" %}', a=row), "img")

    assert "srcset" not in drawn
    assert b"<svg" in requests.get(drawn["src"], timeout=10).content
    assert [size_of(url)[0] for _, url in candidates(cropped["srcset"])] == [100, 200]


def test_an_image_of_the_mirror_is_shown_as_a_row_is(article: Article) -> None:
    image = SourceImage.objects.get()

    for tag in ("rokka_img", "rokka_url", "rokka_source", "rokka_preload", "rokka_background"):
        source = "{% " + tag + ' a "hero" %}'
        assert render(source, a=image) == render(source, a=article.photo)


@pytest.mark.parametrize("tag", ["url", "img", "source", "preload", "background", "placeholder"])
def test_what_is_no_picture_is_named(tag: str) -> None:
    with pytest.raises(InvalidArgument, match=r"'dog\.jpg' is no picture at rokka"):
        render("{% rokka_" + tag + " 'dog.jpg' %}")


def test_a_named_area_is_shown(article: Article) -> None:
    article.photo.set_multi_areas({"face": CropArea(x=0, y=0, width=200, height=300)})

    stack = render('{% rokka_img a.photo "portrait" area="face" %}', a=article)
    box = render('{% rokka_img a.photo "" width=200 height=300 area="face" %}', a=article)

    assert "/portrait/crop-area-face--resize-width-200/" in stack
    assert "/dynamic/crop-area-face-height-300-mode-ratio-width-200--resize-width-320/" in box
    for text in (stack, box):
        assert size_of(tags(text, "img")[0]["src"])[0] > 0
    with pytest.raises(InvalidArgument, match="'face' needs a width and a height"):
        render('{% rokka_img a.photo area="face" %}', a=article)


def test_variables_of_a_stack(article: Article) -> None:
    assert size_of(render('{% rokka_url a.photo "flexible" w=77 %}', a=article))[0] == 77
    assert "?v=" in render('{% rokka_url a.photo "flexible" text="Ja & nein" %}', a=article)


# --- What goes with it --------------------------------------------------------------------------


def test_what_comes_first_is_not_lazy(article: Article) -> None:
    first = render('{% rokka_img a.photo fetchpriority="high" %}', a=article)
    assert 'fetchpriority="high"' in first
    assert "loading" not in first
    assert 'loading="lazy"' in render('{% rokka_img a.photo fetchpriority="low" %}', a=article)


def test_the_alternative_text_is_what_the_row_says(declared: Emulator) -> None:
    photo = ContentFile(picture(), name="dog.jpg")
    row = Captioned.objects.create(headline="Dog", alt="A dog & a cat", photo=photo)

    with CaptureQueriesContext(connection) as queries:
        text = render("{% rokka_img a.photo %}", a=row)
        own = render("{% rokka_img a.photo alt='' %}", a=row)

    assert tags(text, "img")[0]["alt"] == "A dog & a cat"
    assert tags(own, "img")[0]["alt"] == ""
    assert len(queries) == 1  # for the dimensions: this model has no columns for them


def test_the_alternative_text_is_else_what_rokka_describes(article: Article) -> None:
    said = {"text:auto_description_en": "A blue area", "text:auto_description_de": "Blaue Fläche"}
    SourceImage.objects.update(user_metadata=said)
    source = "{% rokka_img a.photo %}"

    assert tags(render(source, a=article), "img")[0]["alt"] == ""  # nobody asks the mirror for it
    (row,) = prefetch_source_images(Article.objects.all())
    with translation.override("de-ch"):
        assert tags(render(source, a=row), "img")[0]["alt"] == "Blaue Fläche"
    with translation.override("fr"):
        assert tags(render(source, a=row), "img")[0]["alt"] == "A blue area"
    SourceImage.objects.update(user_metadata={**said, "text:alt": "Sky"})
    assert tags(render("{% rokka_img i %}", i=SourceImage.objects.get()), "img")[0]["alt"] == "Sky"


def test_placeholders(article: Article) -> None:
    SourceImage.objects.update(placeholder=BLUR, color="#336699", placeholder_tries=None)
    article = Article.objects.get()

    blur = render('{% rokka_img a.photo placeholder="blur" style="margin:0" %}', a=article)
    color = render('{% rokka_img a.photo placeholder="color" %}', a=article)

    expected = f"background:#336699 url({BLUR}) center/cover no-repeat;margin:0"
    assert tags(blur, "img")[0]["style"] == expected
    assert tags(color, "img")[0]["style"] == "background-color:#336699"
    assert render("{% rokka_placeholder a.photo %}", a=article) == BLUR
    with pytest.raises(InvalidArgument, match="'grey' is no kind of placeholder"):
        render('{% rokka_img a.photo placeholder="grey" %}', a=article)


def test_there_is_no_placeholder_behind_what_is_transparent(article: Article) -> None:
    SourceImage.objects.update(placeholder="", color="#336699", placeholder_tries=None)

    assert "style" not in render('{% rokka_img a.photo placeholder="color" %}', a=article)


def test_preload_asks_for_what_the_img_shows(article: Article) -> None:
    arguments = ' a.photo "hero" sizes="40vw" format="webp" %}'
    (img,) = tags(render("{% rokka_img" + arguments, a=article), "img")
    (link,) = tags(render("{% rokka_preload" + arguments, a=article), "link")

    assert (link["href"], link["imagesrcset"]) == (img["src"], img["srcset"])
    assert (link["imagesizes"], link["type"], link["as"]) == ("40vw", "image/webp", "image")


# --- picture ----------------------------------------------------------------------------------


def test_a_picture_for_each_screen_and_format(article: Article) -> None:
    text = render(
        '{% rokka_picture a.photo "hero" formats="avif webp" alt="Dog" class="top" %}'
        '{% rokka_source a.photo "portrait" media="(max-width: 40em)" formats="webp png" %}'
        "{% endrokka_picture %}",
        a=article,
    )

    assert re.sub("<(source|img) [^>]*>", r"<\1>", text) == (
        "<picture><source><source><source><source><source><img></picture>"
    )
    first, second, plain, third, fourth = tags(text, "source")
    assert (first["media"], first["type"]) == ("(max-width: 40em)", "image/webp")
    assert (first["width"], first["height"]) == ("200", "300")
    assert second["type"] == "image/png"
    assert plain["media"] == first["media"]
    assert "type" not in plain
    assert (third["type"], fourth["type"]) == ("image/avif", "image/webp")
    assert "media" not in third
    (img,) = tags(text, "img")
    assert (img["alt"], img["class"]) == ("Dog", "top")
    for tag, format in ((first, "WEBP"), (second, "PNG"), (third, "AVIF"), (img, "JPEG")):
        _, url = candidates(tag["srcset"])[0]
        assert opened(requests.get(url, timeout=10).content).format == format


def test_a_picture_of_a_drawing_has_no_other_formats(declared: Emulator) -> None:
    row = Article.objects.create(title="x", photo=ContentFile(SVG, name="logo.svg"))

    text = render(
        "{% rokka_picture a.photo formats='webp' %}{% rokka_source a.photo formats='webp' %}"
        "{% endrokka_picture %}",
        a=row,
    )

    assert [tag["srcset"] for tag in tags(text, "source")] == [tags(text, "img")[0]["src"]]


# --- Backgrounds ------------------------------------------------------------------------------


def urls_in(css: str) -> list[str]:
    return re.findall(r"url\(([^)]*)\)", css)


def test_a_background_for_plain_and_dense_screens(article: Article) -> None:
    text = html.unescape(render("{% rokka_background a.photo width=300 height=200 %}", a=article))

    plain, once, twice = urls_in(text)
    assert plain == once
    assert (size_of(once), size_of(twice)) == ((300, 200), (600, 400))
    assert text.endswith(" 2x)")
    assert ";background-image:image-set(" in text


def test_a_background_is_not_enlarged(article: Article) -> None:
    text = html.unescape(render("{% rokka_background a.photo width=800 %}", a=article))
    assert [size_of(url)[0] for url in urls_in(text)] == [800, 800, 900]
    text = html.unescape(render("{% rokka_background a.photo %}", a=article))
    assert [size_of(url)[0] for url in urls_in(text)] == [900]


def test_a_background_as_wide_as_the_page(article: Article) -> None:
    text = render(
        '{% rokka_background a.photo widths="300 600" selector="#top" nonce=n %}',
        a=article,
        n='a"b',
    )

    assert text.startswith('<style nonce="a&quot;b">#top{background-image:url(')
    assert "}@media(min-width:301px){#top{background-image:url(" in text
    assert [size_of(url)[0] for url in urls_in(text)] == [300, 300, 600, 600]
    with pytest.raises(InvalidArgument, match="is no selector"):
        render("{% rokka_background a.photo selector='}</style>' %}", a=article)


def test_a_background_that_is_one_file_for_all_screens_is_one_rule(declared: Emulator) -> None:
    row = Article.objects.create(title="x", photo=ContentFile(SVG, name="logo.svg"))

    text = render("{% rokka_background a.photo selector='#top' %}", a=row)

    (url,) = urls_in(text)
    assert text == f"<style>#top{{background-image:url({url})}}</style>"
    answer = requests.get(html.unescape(url).strip('"'), timeout=10)
    assert answer.headers["Content-Type"].startswith("image/svg+xml")


def test_a_background_is_placed_by_the_subject_area(article: Article) -> None:
    article.photo.set_subject_area(450, 120, width=90, height=60)
    (row,) = prefetch_source_images(Article.objects.all())

    assert render("{% rokka_background a.photo %}", a=row).endswith(
        "background-position:55.0% 25.0%"
    )
    percent = {"subject_area": {"x": 20, "y": 40, "width": 10, "height": 20, "percentage": True}}
    SourceImage.objects.update(dynamic_metadata=percent)
    (row,) = prefetch_source_images(Article.objects.all())
    assert render("{% rokka_background a.photo %}", a=row).endswith("25.0% 50.0%")
    assert "position" not in render('{% rokka_background a.photo "hero" %}', a=row)
    assert "position" not in render("{% rokka_background a.photo width=9 height=9 %}", a=row)


# --- Files that wait --------------------------------------------------------------------------


def test_a_file_that_waits_is_shown_as_it_is(
    declared: Emulator, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT, settings.MEDIA_URL = tmp_path, "/media (own)/"
    photo = ContentFile(picture(size=(90, 60)), name="dog.jpg")
    row = Snapshot.objects.create(photo=photo)
    source = (
        '{% rokka_picture a.photo "hero" formats="webp" %}{% rokka_source a.photo formats="webp" %}'
        "{% endrokka_picture %}|"
        "{% rokka_url a.photo %}|{% rokka_background a.photo %}|{% rokka_preload a.photo %}"
    )

    text = html.unescape(render(source, a=row))

    assert text.count(row.photo.url) == 4
    assert tags(text, "source") == [{"srcset": row.photo.url, "width": "90", "height": "60"}]
    assert tags(text, "img")[0]["width"] == "90"
    assert "background-image:url(/media%20%28own%29/" in text


# --- One query for a list ---------------------------------------------------------------------


@pytest.fixture
def portraits(declared: Emulator) -> list[Portrait]:
    """Rows that have no columns for the dimensions of their pictures."""
    colors = ("#f00", "#0f0", "#00f")
    for color in colors:
        Portrait.objects.create(picture=ContentFile(picture(color=color), name="dog.jpg"))
    Portrait.objects.create(picture="")
    return list(Portrait.objects.all())


ALL = "{% for row in rows %}{% rokka_img row.picture placeholder='color' %}{% endfor %}"


def test_a_list_costs_one_query(portraits: Any, settings: Any, declared: Emulator) -> None:
    own = {**settings.ROKKA["default"], "SIGNING_KEY": declared.signing_key}
    settings.ROKKA = {**settings.ROKKA, "default": own}
    declared.application.calls.clear()

    with CaptureQueriesContext(connection) as queries:
        text = render(ALL, rows=prefetch_source_images(Portrait.objects.all()))
    assert len(queries) == 2
    assert len(tags(text, "img")) == 3
    assert all(tag["width"] == "80" for tag in tags(text, "img"))
    assert declared.calls == []

    with CaptureQueriesContext(connection) as queries:
        assert render(ALL, rows=portraits) == text
    assert len(queries) == 3


def test_a_list_of_rows_and_names_of_fields(portraits: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert prefetch_source_images(portraits, "picture") is portraits
        assert prefetch_source_images([]) == []
        images = [row.picture.source_image for row in portraits if row.picture]
    assert len(queries) == 1
    assert [image.hash for image in images] == [
        row.picture.hash for row in portraits if row.picture
    ]
    with pytest.raises(AttributeError, match="Cannot find 'portrait'"):
        prefetch_source_images(portraits, "portrait")


def test_django_prefetches_it_too_in_portions_and_across_relations(portraits: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        rows = list(Portrait.objects.prefetch_related("picture").iterator(chunk_size=2))
        sizes = [row.picture.width for row in rows if row.picture]
    assert sizes == [80, 80, 80]
    assert len(queries) == 3


def test_a_short_hash_is_found(portraits: Any) -> None:
    name = portraits[0].picture.name
    Portrait.objects.filter(pk=portraits[0].pk).update(picture=name[:6] + name[40:])

    rows = prefetch_source_images(Portrait.objects.order_by("pk"))

    assert rows[0].picture.known == SourceImage.objects.get(hash=name[:40])


def test_a_row_that_changes_does_not_keep_what_was_fetched(portraits: Any) -> None:
    first, second = prefetch_source_images(Portrait.objects.order_by("pk"))[:2]
    assert first.picture.known

    first.picture.set_subject_area(1, 1)
    assert first.picture.known is None
    assert first.picture.source_image.dynamic_metadata
    second.refresh_from_db()
    assert second.picture.known is None
    third = prefetch_source_images(Portrait.objects.order_by("pk"))[2]
    third.picture = second.picture.name
    assert third.picture.known is None


# --- Stacks that nobody declares --------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        '{% rokka_img a.photo "hreo" %}',
        '{% rokka_url a.photo stack="hreo" %}',
        '{% rokka_picture a.photo "hreo" %}{% endrokka_picture %}',
        '{% if 0 %}{% rokka_source a.photo "hreo" media="print" %}{% endif %}',
        '{% rokka_preload a.photo "hreo" %}',
        '{% rokka_background a.photo "hreo" %}',
    ],
)
def test_an_unknown_stack_is_found_when_the_template_is_loaded(
    declared: Emulator, source: str
) -> None:
    with pytest.raises(TemplateSyntaxError, match=r"no stack 'hreo' .*did you mean 'hero'"):
        Template("{% load rokka %}" + source)


@pytest.mark.parametrize("source", ['"hero"', '"dynamic"', '""', "", "name", '"hreo"|lower'])
def test_other_stacks_are_left_alone(declared: Emulator, source: str) -> None:
    assert Template("{% load rokka %}{% rokka_img a.photo " + source + " %}")


def test_without_stacks_any_may_be_meant() -> None:
    with override_settings():
        assert Template('{% load rokka %}{% rokka_img a.photo "any" %}')
