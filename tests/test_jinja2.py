"""The tags as functions of Jinja2."""

from __future__ import annotations

from typing import Any

import pytest
from django.template import Context, Template, engines
from jinja2 import TemplateSyntaxError

from tests.library.models import Article

pytestmark = pytest.mark.django_db

NAME = f"{'a' * 40}/dog.jpg"


@pytest.fixture
def row() -> Article:
    """A row as it comes from the database, with no picture at rokka behind it."""
    Article.objects.bulk_create([Article(title="Dog", photo=NAME, width=1000, height=500)])
    return Article.objects.get()


@pytest.fixture
def jinja(settings: Any) -> Any:
    """The engine as a site has it, with declared stacks."""
    own = {**settings.ROKKA["default"], "STACKS": {"hero": {}, "tall": {}}}
    settings.ROKKA = {
        alias: {**values, "STACKS": own["STACKS"]} for alias, values in settings.ROKKA.items()
    }
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.jinja2.Jinja2",
            "OPTIONS": {"extensions": ["django_rokka.jinja2.Rokka"]},
        },
        *settings.TEMPLATES,
    ]
    return engines["jinja2"]


@pytest.mark.parametrize(
    ("function", "tag"),
    [
        ('rokka_url(a.photo, "hero", width=300)', 'rokka_url a.photo "hero" width=300'),
        (
            'rokka_img(a.photo, "hero", class="x", alt="<b>", placeholder="")',
            'rokka_img a.photo "hero" class="x" alt=b placeholder=""',
        ),
        ('rokka_source(a.photo, media="print")', 'rokka_source a.photo media="print"'),
        ("rokka_preload(a.photo)", "rokka_preload a.photo"),
        ("rokka_background(a.photo, width=300)", "rokka_background a.photo width=300"),
        ("rokka_placeholder(nothing)", "rokka_placeholder nothing"),
    ],
)
def test_a_function_gives_what_the_tag_gives(
    jinja: Any, row: Article, function: str, tag: str
) -> None:
    context = {"a": row, "b": "<b>"}

    shown = jinja.from_string("{{ " + function + " }}").render(context)

    assert shown == Template("{% load rokka %}{% " + tag + " %}").render(Context(context))


def test_a_picture_encloses_its_sources(jinja: Any, row: Article) -> None:
    source = (
        '{% call rokka_picture(a.photo, "hero", formats="webp") %}\n'
        '  {{ rokka_source(a.photo, "tall", media="print") }}\n{% endcall %}'
    )
    tag = (
        '{% load rokka %}{% rokka_picture a.photo "hero" formats="webp" %}\n'
        '  {% rokka_source a.photo "tall" media="print" %}\n{% endrokka_picture %}'
    )

    shown = jinja.from_string(source).render({"a": row})

    assert shown == Template(tag).render(Context({"a": row}))
    assert shown.count("<source") == 2
    alone = jinja.from_string('{{ rokka_picture(a.photo, formats="webp") }}').render({"a": row})
    assert alone.count("<source") == 1


@pytest.mark.parametrize(
    "source",
    [
        '{{ rokka_img(a.photo, "hreo") }}',
        '{{ rokka_img(photos["x"], "hreo", class="y") }}',
        '{{ rokka_url(first(a, "hero"), "hreo") }}',
        '{{ rokka_url(a.photo, width=300, stack="hreo") }}',
        '{% call rokka_picture(a.photo, "hreo") %}{% endcall %}',
        '\n{% if false %}{{ rokka_preload(a.photo, "hreo") }}{% endif %}',
    ],
)
def test_an_unknown_stack_is_found_when_the_template_is_loaded(jinja: Any, source: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=r"no stack 'hreo' .*did you mean 'hero'"):
        jinja.from_string(source)


@pytest.mark.parametrize(
    "source",
    [
        '{{ rokka_img(a.photo, "hero") }}',
        '{{ rokka_img(a.photo, stack ~ "hreo") }}',
        '{{ rokka_img(a.photo, alt="hreo") }}',
        '{{ rokka_img(a.photo, alt=_("hreo", "hreo")) }}',
        '{{ rokka_img(a.photo) }}{{ other("x", "hreo") }}',
        '{{ rokka_img(photos["hreo", "hreo"]) }}',
    ],
)
def test_other_texts_are_left_alone(jinja: Any, source: str) -> None:
    assert jinja.from_string(source)
