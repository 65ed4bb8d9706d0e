"""Templates: compiled, rendered with what the page has, and every picture in them fetched."""

from __future__ import annotations

import html
import re
from typing import Any

import requests
from django.template.backends.django import DjangoTemplates

from django_rokka.api import RenderURL, Stack, StackOperation
from django_rokka.conf import get_client

from .page import Block
from .site import Site


class Unknown(str):
    """The value of a name that a template's context does not have: an error, when it is put out."""

    def __mod__(self, name: Any) -> str:
        raise NameError(f"the template has {name!r}, and the page does not say what that is")


_ENGINE = DjangoTemplates(
    {
        "NAME": "documentation",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {"string_if_invalid": Unknown("%s")},
    }
)


def run(block: Block, site: Site) -> None:
    """A Django template; ours may leave out the line that loads our tags, after the first of a page."""
    load = "" if "{% load " in block.text else "{% load rokka %}"
    fetch_pictures(_ENGINE.from_string(load + block.text).render(site.context), site)


def run_jinja(block: Block, site: Site) -> None:
    """A template of Jinja2, with the extension that the page names."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, extensions=["django_rokka.jinja2.Rokka"]
    )
    fetch_pictures(environment.from_string(block.text).render(site.context), site)


def fetch_pictures(text: str, site: Site) -> None:
    """Every URL of a render in a page answers with a picture. The page's stacks are made first, where it does not."""
    base = site.emulator.render_url.format(organization="acme")
    urls = set(re.findall(rf"{re.escape(base)}/[^\s\"'<>()]+", html.unescape(text)))
    assert urls, "no picture is shown"
    _make_stacks({RenderURL.parse(url, base=base).stack for url in urls} - {"dynamic"})
    for url in urls:
        answer = requests.get(url, timeout=30)
        kind = answer.headers["Content-Type"]
        assert kind.startswith("image/"), f"{url}: {answer.status_code} {answer.text}"


def _make_stacks(names: set[str]) -> None:
    client = get_client()
    crop = StackOperation("crop", {"width": 3, "height": 2, "mode": "ratio"})
    resize = StackOperation("resize", {"width": 600})
    for name in names - {stack.name for stack in client.list_stacks()}:
        client.save_stack(Stack(name=name, operations=(crop, resize)))
