from __future__ import annotations

import re
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminFileWidget
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import modelform_factory

from django_rokka.emulator import Emulator
from django_rokka.forms import AdminRokkaImageWidget, RokkaImageField, RokkaImageWidget
from example_project.gallery.models import Photo
from tests.library.models import Article
from tests.pictures import HEIC, PDF, SVG, animation, picture

pytestmark = pytest.mark.django_db


def clean(name: str, content: bytes) -> Any:
    return RokkaImageField().clean(SimpleUploadedFile(name, content))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jpg", picture()),
        ("a.png", picture(format="PNG", color=(1, 2, 3, 4))),
        ("a.webp", picture(format="WEBP")),
        ("a.gif", animation()),
        ("A.SVG", SVG),
        ("a.svg", b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- x -->\n' + SVG),
        ("a.pdf", PDF),
        ("a.heic", HEIC),
        ("a.psd", b"8BPS" + b"\0" * 30),
        ("a.tif", picture(format="TIFF")),
    ],
)
def test_pictures_are_accepted_and_left_at_their_start(name: str, content: bytes) -> None:
    assert clean(name, content).read() == content


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jpg", b"This is text.", "“a.jpg” is not a picture that can be read"),
        ("a.jpg", picture()[:200], "is not a picture that can be read"),
        ("a.jpg", b"", "empty"),
        ("a.svg", b"<html>", "it is no SVG file"),
        ("a.pdf", picture(), "ends in .pdf, but it is no PDF file"),
        ("a.exe", picture(), "File extension “exe” is not allowed"),
        ("a", picture(), "File extension “” is not allowed"),
    ],
)
def test_anything_else_is_refused_with_a_clear_message(
    name: str, content: bytes, message: str
) -> None:
    with pytest.raises(forms.ValidationError) as caught:
        clean(name, content)
    assert message in " ".join(caught.value.messages)


def test_a_model_form_saves_keeps_and_clears(rokka_emulator: Emulator) -> None:
    form_class = modelform_factory(Article, fields=["title", "photo"])
    file = SimpleUploadedFile("x" * 500 + "../🌄.jpg", picture((80, 60)))

    form = form_class({"title": "Dog"}, {"photo": file})
    assert form.is_valid(), form.errors
    row = form.save()
    assert row.width == 80

    kept = form_class({"title": "Cat"}, instance=row).save()
    assert kept.photo.name == row.photo.name
    assert len(rokka_emulator.calls) == 1
    cleared = form_class({"title": "Cat", "photo-clear": "on"}, instance=row).save()
    assert not cleared.photo


def test_the_widget_shows_a_preview(rokka_emulator: Emulator) -> None:
    row = Article.objects.create(
        title="Dog", photo=SimpleUploadedFile("dog.jpg", picture((800, 600)))
    )
    form = modelform_factory(Article, fields=["photo"])(instance=row)

    html = str(form["photo"])

    assert f"/dynamic/resize-width-320/{row.photo.name}" in html
    assert 'name="photo-clear"' in html
    assert 'accept="image/*,.svg' in html
    assert "django_rokka/widget.css" in str(form.media)
    assert "<img" not in str(modelform_factory(Article, fields=["photo"])()["photo"])


def test_the_admins_widget_is_swapped_and_others_stay() -> None:
    model_admin = admin.site._registry[Photo]
    field = model_admin.formfield_for_dbfield(Photo._meta.get_field("image"), request=None)

    assert isinstance(field, RokkaImageField)
    assert type(field.widget) is AdminRokkaImageWidget
    assert isinstance(field.widget, AdminFileWidget)
    formfield = Photo._meta.get_field("image").formfield
    assert type(formfield().widget) is RokkaImageWidget
    assert type(formfield(widget=forms.HiddenInput).widget) is forms.HiddenInput


def test_a_file_name_cannot_inject_markup(rokka_emulator: Emulator) -> None:
    file = SimpleUploadedFile('"><script>alert(1)</script>.jpg', picture())
    row = Article.objects.create(title="Dog", photo=file)

    html = str(modelform_factory(Article, fields=["photo"])(instance=row)["photo"])

    assert "<script" not in html
    assert re.fullmatch(r"[0-9a-f]{40}/[0-9a-z-]+\.jpg", row.photo.name)
