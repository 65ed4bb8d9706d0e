"""The code blocks of the page about Wagtail work: see `tests.doc_blocks`."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.base import ContentFile
from wagtail.images.models import Image

from django_rokka.emulator import Emulator
from django_rokka.wagtail.models import RokkaImage
from tests.doc_blocks import run_page
from tests.doc_blocks.page import ROOT
from tests.doc_blocks.site import site_for
from tests.pictures import picture


@pytest.mark.django_db(transaction=True)
def test_the_blocks_of_the_page_work(
    new_image: Callable[..., Any], emulator: Emulator, settings: Any
) -> None:
    page = SimpleNamespace(photo=new_image())
    old = Image(
        pk=1234, title="Old", file=ContentFile(picture((640, 480), color="#080"), "old.jpg")
    )
    old.save()
    old.tags.add("harbour")

    with site_for(emulator, settings) as here:
        here.namespace["page"] = page
        run_page(ROOT / "docs" / "wagtail.md", here)

    moved = RokkaImage.objects.get(pk=old.pk)
    assert (moved.title, moved.width, moved.tags.get().name) == ("Old", 640, "harbour")
