"""These tests need ``--ds=tests.settings_wagtail``: `tests.test_browser_wagtail` runs them so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.core.files.base import ContentFile

from django_rokka.emulator import Emulator
from tests.pictures import picture

if "wagtail" not in settings.INSTALLED_APPS:
    collect_ignore_glob = ["*.py"]


@pytest.fixture
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


@pytest.fixture
def site(db: None) -> Any:
    """What Wagtail's migrations make, which the flush after another test may have taken away; the home page."""
    from wagtail.models import Collection, Locale, Page, Site

    Locale.objects.get_or_create(language_code="en")
    if not Collection.objects.exists():
        Collection.add_root(name="Root")
    root = Page.objects.filter(depth=1).first() or Page.add_root(title="Root", slug="root")
    home = root.get_children().first() or root.add_child(instance=Page(title="Home", slug="home"))
    Site.objects.get_or_create(
        is_default_site=True, defaults={"hostname": "localhost", "root_page": home}
    )
    return home


@pytest.fixture
def new_image(site: Any, emulator: Emulator) -> Callable[..., Any]:
    """Make an image: ``new_image((1200, 800), focal=(x, y, width, height))``."""
    from wagtail.images.rect import Rect

    from django_rokka.wagtail.models import RokkaImage

    def new_image(
        size: tuple[int, int] = (1200, 800),
        content: bytes = b"",
        name: str = "dog.jpg",
        focal: tuple[float, float, float, float] | None = None,
        title: str = "Dog",
    ) -> Any:
        image = RokkaImage(title=title, file=ContentFile(content or picture(size), name))
        image.set_focal_point(Rect.from_point(*focal) if focal else None)
        image.save()
        return image

    return new_image
