from __future__ import annotations

import re
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminFileWidget
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.forms import modelform_factory
from django.test.utils import CaptureQueriesContext

from django_rokka.chosen import Chosen
from django_rokka.emulator import Emulator, Fault
from django_rokka.fields import RokkaImageField as ModelField
from django_rokka.forms import (
    AdminRokkaImageField,
    AdminRokkaImageWidget,
    RokkaImageField,
    RokkaImageWidget,
)
from django_rokka.mirror import MirroringClient
from django_rokka.models import SourceImage
from example_project.gallery.models import Photo
from tests.library.models import Article, Attachment, Captioned, Portrait, Snapshot
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


# --- In the admin: uploads while the form is checked, and pictures that are named by a token -------------


def admin_form(model: Any, *fields: str, **options: Any) -> Any:
    """A form as the admin makes it: its file widget on every file field."""

    def formfield(field: Any, **kwargs: Any) -> Any:
        widget = {"widget": AdminFileWidget} if isinstance(field, ModelField) else {}
        return field.formfield(**{**widget, **kwargs})

    return modelform_factory(model, fields=fields, formfield_callback=formfield, **options)


def upload(name: str = "dog.jpg", content: bytes | None = None) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, picture((80, 60)) if content is None else content)


def token(html: str) -> str:
    found = re.search(r'name="photo-chosen" value="([^"]*)"', html)
    return found[1] if found else ""


@pytest.fixture
def row(rokka_emulator: Emulator) -> Article:
    return Article.objects.create(title="Dog", photo=upload())


@pytest.fixture
def cat(rokka_emulator: Emulator) -> SourceImage:
    """Another picture at rokka."""
    other = Article.objects.create(title="Cat", photo=upload("cat.jpg", picture((50, 40))))
    return other.photo.source_image


def chosen(image: SourceImage) -> str:
    return Chosen(image.organization, image.file_name, image.width, image.height).token


def test_a_file_is_uploaded_while_the_form_is_checked(rokka_emulator: Emulator) -> None:
    form = admin_form(Article, "title", "photo")({"title": "Dog"}, {"photo": upload()})

    assert form.is_valid(), form.errors
    assert [call.method for call in rokka_emulator.calls] == ["POST"]
    file = form.cleaned_data["photo"]
    assert (file.hash, file.read()) == (file.source_image.hash, picture((80, 60)))
    row = form.save()
    assert Article.objects.get().photo.name == row.photo.name == file.name
    assert (row.width, row.height) == (80, 60)
    assert len(rokka_emulator.calls) == 1


def test_an_invalid_form_comes_back_with_the_picture_and_does_not_upload_it_again(
    rokka_emulator: Emulator,
) -> None:
    form_class = admin_form(Article, "title", "photo")
    form = form_class({"title": ""}, {"photo": upload()})
    assert not form.is_valid()
    form.full_clean()

    html = str(form["photo"])
    assert "Chosen, not saved yet" in html
    assert "dog.jpg" in html
    assert "80 × 60" in html
    assert " required" not in html
    again = form_class({"title": "Dog", "photo-chosen": token(html)})

    assert again.is_valid(), again.errors
    assert again.save().width == 80
    assert len(rokka_emulator.calls) == 1


def test_trouble_at_rokka_is_a_message_of_the_form(
    rokka_emulator: Emulator, settings: Any, row: Article
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "ATTEMPTS": 1}}
    rokka_emulator.add_fault(Fault(status=503, body='{"error": {"message": "test-key is down"}}'))
    form_class = admin_form(Article, "title", "photo")

    form = form_class({"title": "New"}, {"photo": upload("cat.jpg", picture((5, 5)))}, instance=row)

    (message,) = form.errors["photo"]
    assert message.startswith("The picture could not be uploaded, so nothing was saved.")
    assert "Try again" in message
    assert "test-key" not in message
    row.refresh_from_db()
    assert row.title == "Dog"
    html = str(form["photo"])
    assert "dog.jpg" in html
    assert token(html) == ""


def test_a_dead_rokka_is_a_message_of_the_form(settings: Any) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "ATTEMPTS": 1}}

    form = admin_form(Article, "photo")({}, {"photo": upload()})

    assert "rokka cannot be reached" in str(form.errors["photo"])


def test_a_site_that_may_not_upload_says_so(rokka_emulator: Emulator, settings: Any) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "READ_ONLY": True}}

    form = admin_form(Article, "photo")({}, {"photo": upload()})

    assert "READ_ONLY" in str(form.errors["photo"])


def test_a_bad_file_is_refused_before_it_is_uploaded(rokka_emulator: Emulator) -> None:
    form = admin_form(Article, "photo")({}, {"photo": upload(content=b"This is text.")})

    assert "is not a picture that can be read" in str(form.errors["photo"])
    assert rokka_emulator.calls == []


def test_the_models_validators_speak_before_anything_is_uploaded(rokka_emulator: Emulator) -> None:
    def at_most_100_bytes(file: Any) -> None:
        if file.size > 100:
            raise forms.ValidationError("Too large.")

    field = ModelField(validators=[at_most_100_bytes])
    field.set_attributes_from_name("photo")
    field.model = Article
    form_field = field.formfield(widget=AdminFileWidget)

    with pytest.raises(forms.ValidationError, match="Too large"):
        form_field.clean(upload())
    assert rokka_emulator.calls == []


def test_a_picture_of_the_mirror_is_taken_without_an_upload(
    rokka_emulator: Emulator, row: Article, cat: SourceImage
) -> None:
    rokka_emulator.application.calls.clear()
    form = admin_form(Article, "photo")({"photo-chosen": chosen(cat)}, instance=row)

    assert form.has_changed()
    saved = form.save()
    assert (saved.photo.name, saved.width) == (cat.file_name, 50)
    assert "POST" not in {call.method for call in rokka_emulator.calls}


def test_choosing_the_rows_own_picture_is_no_change(rokka_emulator: Emulator, row: Article) -> None:
    form = admin_form(Article, "photo")(
        {"photo-chosen": chosen(row.photo.source_image)}, instance=row
    )

    assert not form.has_changed()
    assert form.save().photo.name == row.photo.name
    assert "not saved yet</span>" not in str(form["photo"])


@pytest.mark.parametrize("forged", ["nonsense", "WyJhY21lIl0:1a:b", "{changed}", "{other}"])
def test_a_forged_token_or_one_of_another_organization_is_refused(
    rokka_emulator: Emulator, row: Article, cat: SourceImage, forged: str
) -> None:
    other = Chosen("acme-stage", cat.file_name).token
    text = forged.format(changed=chosen(cat)[:-2] + "xx", other=other)

    form = admin_form(Article, "photo")({"photo-chosen": text}, instance=row)

    assert "names a picture that was not offered here" in str(form.errors["photo"])
    html = str(form["photo"])
    assert token(html) == ""
    assert "dog.jpg" in html


def test_a_deleted_picture_is_refused_and_not_shown_as_chosen(
    rokka_client: MirroringClient, row: Article, cat: SourceImage
) -> None:
    rokka_client.delete_source_image(cat.hash)

    form = admin_form(Article, "photo")({"photo-chosen": chosen(cat)}, instance=row)

    assert "“cat.jpg” is not at rokka any more" in str(form.errors["photo"])
    assert token(str(form["photo"])) == ""
    unknown = Chosen("acme", f"{'ab' * 20}/x.jpg").token
    form = admin_form(Article, "photo")({"photo-chosen": unknown}, instance=row)
    assert "is not at rokka any more" in str(form.errors["photo"])


def test_a_picture_whose_focal_point_was_moved_meanwhile_is_taken_as_it_is_now(
    rokka_emulator: Emulator, row: Article, cat: SourceImage
) -> None:
    text = chosen(cat)
    moved = cat.set_subject_area(1, 1)
    assert moved.hash != cat.hash

    form = admin_form(Article, "photo")({"photo-chosen": text}, instance=row)

    assert form.save().photo.hash == moved.hash


def test_a_file_counts_more_than_a_picture_chosen_before(
    rokka_emulator: Emulator, row: Article, cat: SourceImage
) -> None:
    new = upload("new.jpg", picture((7, 7)))

    form = admin_form(Article, "photo")({"photo-chosen": chosen(cat)}, {"photo": new}, instance=row)

    assert form.save().width == 7


def test_clearing_counts_more_than_a_picture_chosen_before_and_contradicts_a_file(
    rokka_emulator: Emulator, row: Article, cat: SourceImage
) -> None:
    form_class = admin_form(Article, "photo")
    data = {"photo-clear": "on", "photo-chosen": chosen(cat)}

    assert "not both" in str(form_class(data, {"photo": upload()}, instance=row).errors["photo"])
    assert not form_class(data, instance=row).save().photo


def test_a_required_picture_can_be_chosen_but_not_left_out(
    rokka_emulator: Emulator, cat: SourceImage
) -> None:
    form_class = admin_form(Portrait, "picture")

    assert "required" in str(form_class({}).errors["picture"])
    assert " required" in str(form_class()["picture"])
    form = form_class({"picture-chosen": chosen(cat)})
    assert form.save().picture.hash == cat.hash


def test_a_disabled_field_keeps_its_picture_whatever_is_sent_and_reads_nothing(
    rokka_emulator: Emulator, row: Article, cat: SourceImage
) -> None:
    rokka_emulator.application.calls.clear()
    form = admin_form(Article, "title", "photo")(
        {"title": "New", "photo-chosen": chosen(cat), "photo-clear": "on"}, instance=row
    )
    form.fields["photo"].disabled = True

    assert form.changed_data == ["title"]
    assert form.save().photo.name == row.photo.name
    assert str(form["photo"]).count(" disabled") == 3
    assert rokka_emulator.calls == []


def test_a_name_is_cut_to_what_the_column_holds(rokka_emulator: Emulator) -> None:
    image = Article.objects.create(title="x", photo=upload(f"{'long-' * 10}.jpg")).photo
    field = ModelField(max_length=50)
    field.set_attributes_from_name("photo")
    field.model = Article
    form_field = field.formfield(widget=AdminFileWidget)

    assert len(form_field.clean(chosen(image.source_image)).name) <= 50
    assert len(form_field.clean(upload(f"{'more-' * 6}.jpg")).name) <= 50


@pytest.mark.parametrize(
    "options",
    [
        {"upload": "deferred"},
        {"upload_to": lambda row, name: f"{row.pk}/{name}"},
        {"storage": default_storage},
    ],
)
def test_what_cannot_be_uploaded_before_its_row_is_passed_on(
    rokka_emulator: Emulator, options: Any
) -> None:
    field = ModelField(**options)
    field.set_attributes_from_name("photo")
    field.model = Article
    form_field = field.formfield(widget=AdminFileWidget)
    file = upload()

    assert form_field.clean(file) is file
    assert rokka_emulator.calls == []
    assert 'data-upload=""' in form_field.widget.render("photo", None)


def test_a_deferred_field_takes_a_picture_of_the_mirror(
    rokka_emulator: Emulator, cat: SourceImage
) -> None:
    form = admin_form(Snapshot, "photo")({"photo-chosen": chosen(cat)})

    assert form.save().photo.hash == cat.hash


def test_what_the_row_says_reaches_rokka_though_the_picture_was_there_first(
    rokka_emulator: Emulator, django_capture_on_commit_callbacks: Any
) -> None:
    form = admin_form(Captioned, "headline", "photo")({"headline": "Dog"}, {"photo": upload()})

    with django_capture_on_commit_callbacks(execute=True):
        row = form.save()

    image = row.photo.source_image
    assert image.user_metadata["title"] == "Dog"


def test_a_form_of_the_public_uploads_nothing_before_it_is_valid(rokka_emulator: Emulator) -> None:
    form = modelform_factory(Article, fields=["title", "photo"])({}, {"photo": upload()})

    assert not form.is_valid()
    assert type(form.fields["photo"]) is RokkaImageField
    assert rokka_emulator.calls == []


def test_a_form_of_the_public_comes_back_with_the_picture_that_the_row_has(row: Article) -> None:
    form_class = modelform_factory(Article, fields=["title", "photo"])
    kept, name = form_class({"title": ""}, instance=row), row.photo.name.rpartition("/")[2]
    assert "80 × 60" in str(kept["photo"])

    form = form_class({"title": ""}, {"photo": upload("new.jpg", picture((9, 9)))}, instance=row)

    html = str(form["photo"])
    assert name in html
    assert "new.jpg" not in html
    # The row has the new picture's size already.
    assert "×" not in html


@pytest.mark.parametrize("column", ["image", "plain"])
def test_a_widget_shows_what_is_in_a_column_of_djangos_own(
    rokka_emulator: Emulator, settings: Any, tmp_path: Any, column: str
) -> None:
    settings.MEDIA_ROOT = tmp_path
    file = getattr(Attachment(), column)
    file.save("dog.jpg", upload(), save=False)

    html = AdminRokkaImageWidget().render(column, file)

    assert f'<img src="{file.url}" alt="dog.jpg"' in html
    assert 'data-upload="" data-picker="" data-abilities=""' in html


@pytest.mark.parametrize("name", ["photo", "photo-clear", "photo-chosen"])
def test_a_widget_knows_whether_a_form_speaks_of_the_picture(name: str) -> None:
    widget = AdminRokkaImageWidget()
    data, files = ({}, {name: upload()}) if name == "photo" else ({name: ""}, {})

    assert not widget.value_omitted_from_data(data, files, "photo")
    assert widget.value_omitted_from_data({}, {}, "photo")


def test_a_widget_asks_the_database_nothing(rokka_emulator: Emulator, cat: SourceImage) -> None:
    row = Portrait.objects.create(picture=cat.file_name)
    unbound = admin_form(Portrait, "picture")(instance=row)
    bound = admin_form(Portrait, "picture")({"picture-chosen": chosen(cat)})
    assert bound.is_valid()
    public = modelform_factory(Portrait, fields=["picture"])(instance=row)
    rokka_emulator.application.calls.clear()

    with CaptureQueriesContext(connection) as queries:
        html = [str(form["picture"]) for form in (unbound, bound, public)]

    assert len(queries) == 0
    assert rokka_emulator.calls == []
    assert all(f"/dynamic/resize-width-320/{cat.file_name}" in text for text in html)


def test_without_our_admin_the_widget_has_no_picker_and_uploads_on_saving(
    rokka_emulator: Emulator, settings: Any, row: Article
) -> None:
    with_it = str(admin_form(Article, "photo")(instance=row)["photo"])
    settings.ROOT_URLCONF = "tests.admin.bare_site"

    html = str(admin_form(Article, "photo")(instance=row)["photo"])

    assert "/sourceimage/picker/library/article/photo/" in with_it
    for address in ("upload", "picker", "abilities"):
        assert f'data-{address}=""' in html
    assert "dog.jpg" in html


@pytest.mark.parametrize("name", ["photos/2019/old.jpg", "no slash"])
def test_a_name_from_before_is_shown_without_a_picture(rokka_emulator: Emulator, name: str) -> None:
    row = Article.objects.create(title="Old", photo=name)

    for form_class in (admin_form(Article, "photo"), modelform_factory(Article, fields=["photo"])):
        html = str(form_class(instance=row)["photo"])
        assert name.rpartition("/")[2] in html
        assert "src=" not in html


def test_a_project_may_bring_its_own_form_field_and_widget() -> None:
    class Own(AdminRokkaImageWidget):
        pass

    field = Article._meta.get_field("photo")

    own = field.formfield(widget=Own)
    assert (type(own), type(own.widget)) == (AdminRokkaImageField, Own)
    assert (
        type(field.formfield(widget=AdminFileWidget, form_class=forms.ImageField))
        is forms.ImageField
    )
