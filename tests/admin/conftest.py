"""An administrator's browser, and pictures for it to work on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile

from django_rokka.emulator import Emulator
from django_rokka.models import SourceImage
from example_project.gallery.models import Photo
from tests.pictures import demo

#: How a page is looked at: width in CSS pixels, and the colours that the system asks for.
VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture
def photos(rokka_emulator: Emulator) -> list[Photo]:
    """The demo's pictures, small, each shown by a row."""
    found = []
    for picture in demo(0.3):
        photo = Photo(title=picture.title, alt=picture.alt)
        photo.image.save(picture.filename, ContentFile(picture.content))
        found.append(photo)
    return found


@pytest.fixture
def image(photos: list[Photo]) -> SourceImage:
    """The mirror's row of one of them, the lighthouse."""
    photo = next(photo for photo in photos if photo.title == "Lighthouse")
    return photo.image.source_image


@pytest.fixture
def open_page(browser: Any, live_server: Any) -> Callable[..., Any]:
    """Open a page of the admin: ``open_page("/admin/…", width=390, scheme="dark", user=user)``.

    An administrator is logged in unless another ``user`` is given. An error of a script, or one that the
    browser reports (such as a Content Security Policy in the way), fails the test when the page is closed.
    """
    from importlib import import_module

    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    def cookie(user: Any) -> dict[str, Any]:
        session = import_module(settings.SESSION_ENGINE).SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        return {
            "name": settings.SESSION_COOKIE_NAME,
            "value": session.session_key,
            "url": live_server.url,
        }

    def open_page(
        path: str,
        *,
        width: int = 1280,
        scheme: str = "light",
        user: Any = None,
        javascript: bool = True,
        touch: bool = False,
    ) -> Any:
        users = get_user_model().objects
        user = user or users.filter(username="admin").first() or users.create_superuser("admin")
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=javascript,
            has_touch=touch,
        )
        context.add_cookies([cookie(user)])
        page = context.new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on(
            "console",
            lambda message: (
                page.errors.append(message.text)
                # A browser asks for the icon of a site by itself; ours has none.
                if message.type == "error" and "favicon.ico" not in message.location["url"]
                else None
            ),
        )
        page.goto(live_server.url + path)
        return page

    return open_page
