"""What Wagtail's own pages say of pictures at rokka is in the editor's language."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from wagtail.models import Collection
from wagtail.users.models import UserProfile

from django_rokka.emulator import Emulator, Fault
from tests.pictures import picture
from tests.test_translations import check, each_language

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor(site: Any, emulator: Emulator) -> Any:
    return get_user_model().objects.create_superuser("editor")


def page(editor: Any, language: str, address: str, form: dict[str, Any]) -> str:
    UserProfile.objects.update_or_create(user=editor, defaults={"preferred_language": language})
    client = Client()
    client.force_login(editor)
    file = SimpleUploadedFile("dog.jpg", picture((400, 300)), "image/jpeg")
    form = {"title": "Dog", "collection": Collection.objects.get().pk, "tags": "", **form}
    answer = client.post(address, form if "focal_point_x" in form else {**form, "file": file})
    assert answer.status_code == 200
    return str(answer.text)


@each_language
def test_trouble_while_uploading(language: str, editor: Any, emulator: Emulator) -> None:
    emulator.add_fault(Fault(status=500, times=50))

    english, translated = (
        page(editor, code, reverse("wagtailimages:add"), {}) for code in ("en", language)
    )

    # Long enough to be no word that Wagtail has as well.
    check(language, english, translated, at_least=2, long=20)


@each_language
def test_trouble_with_the_focal_point(
    language: str, editor: Any, emulator: Emulator, new_image: Any
) -> None:
    address = reverse("wagtailimages:edit", args=[new_image().pk])
    emulator.add_fault(Fault(status=401, times=50))
    size = {"focal_point_width": 80, "focal_point_height": 60}
    form = {"focal_point_x": 200, "focal_point_y": 100, **size}

    english, translated = (page(editor, code, address, form) for code in ("en", language))

    # Long enough to be no word that Wagtail has as well.
    check(language, english, translated, at_least=2, long=20)
