"""Changes that give a picture another hash, from code: who follows, what stays, what is resolved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
import responses
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone

from django_rokka import api, lifecycle, rehash
from django_rokka.changes import Change
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage
from django_rokka.signals import source_image_broken, source_image_rehashed
from django_rokka.storage import RokkaStorage
from tests.library.models import Article, Page, Portrait, Slide
from tests.meanwhile import meanwhile
from tests.pictures import picture

# What happens after a commit is the point.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


def article(title: str = "Dog", color: str = "#3366cc") -> Article:
    file = ContentFile(picture(color=color), name=f"{title}.jpg")
    return Article.objects.create(title=title, photo=file)


def fresh(row: Any) -> Any:
    return type(row)._base_manager.get(pk=row.pk)


def renders(emulator: Emulator, row: Article) -> bool:
    return requests.get(fresh(row).photo.render_url(width=10), timeout=30).status_code == 200


def is_live(hash: str) -> bool:
    client = RokkaStorage().client
    return hash in {image.hash for image in api.RokkaClient.iter_source_images(client)}


@pytest.fixture
def sent() -> Any:
    """The signals that were sent, in order."""
    found: list[tuple[str, dict[str, Any]]] = []

    def rehashed(**values: Any) -> None:
        found.append(("rehashed", values))

    def broken(**values: Any) -> None:
        found.append(("broken", values))

    source_image_rehashed.connect(rehashed, sender=SourceImage)
    source_image_broken.connect(broken, sender=SourceImage)
    yield found
    source_image_rehashed.disconnect(rehashed, sender=SourceImage)
    source_image_broken.disconnect(broken, sender=SourceImage)


# --- From the picture -------------------------------------------------------------------------


def test_from_the_picture_every_row_follows(emulator: Emulator, sent: Any) -> None:
    first, second, other = article("one"), article("two"), article("three", "#ff0000")
    hidden = Portrait.objects.create(hidden=True, picture=first.photo.name)
    page = Page.objects.create(body=f'<img src="{first.photo.url}">')
    old = first.photo.source_image

    new = old.set_subject_area(10, 20, width=30, height=5)

    assert new.hash != old.hash
    assert new.dynamic_metadata == {"subject_area": {"x": 10, "y": 20, "width": 30, "height": 5}}
    assert [fresh(row).photo.name for row in (first, second)] == [
        f"{new.hash}/one.jpg",
        f"{new.hash}/two.jpg",
    ]
    assert fresh(hidden).picture.hash == new.hash
    assert fresh(page).body == f'<img src="{fresh(first).photo.url}">'
    assert fresh(other).photo.name == other.photo.name
    assert all(renders(emulator, row) for row in (first, second, other))
    assert not is_live(old.hash)
    old.refresh_from_db()
    assert (old.replaced_by, old.deleted is None) == (new, False)
    assert [(name, values["old"], values["new"], values["row"]) for name, values in sent] == [
        ("rehashed", old, new, None)
    ]


def test_the_calls_come_in_the_safe_order(emulator: Emulator) -> None:
    old = article().photo.source_image
    emulator.application.calls.clear()

    new = old.set_subject_area(1, 2)

    image = "/sourceimages/acme"
    assert [(call.method, call.path, call.status) for call in emulator.calls] == [
        ("GET", f"{image}/{old.hash}", 200),
        ("PUT", f"{image}/{old.hash}/meta/dynamic/subject_area", 201),
        ("GET", f"{image}/{new.hash}", 200),
        ("DELETE", f"{image}/{old.hash}", 204),
    ]
    assert "deletePrevious=false" in emulator.calls[1].query


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda it: it.set_subject_area(1, 2), {"subject_area": {"x": 1, "y": 2, "width": 1, "height": 1}}),
        (lambda it: it.set_crop_area(1, 2, 3, 4), {"crop_area": {"x": 1, "y": 2, "width": 3, "height": 4}}),
        (lambda it: it.set_multi_areas({"wide": api.CropArea(0, 0, 9, 5)}),
         {"multi_areas": {"wide": {"crop_area": {"x": 0, "y": 0, "width": 9, "height": 5}}}}),
        (lambda it: it.set_version("mine"), {"version": {"text": "mine"}}),
        (lambda it: it.set_protected(True), {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("scope", ["row", "picture"])
def test_every_change_can_be_made_from_both_sides(
    scope: str, change: Callable[[Any], SourceImage], expected: dict[str, Any]
) -> None:
    row = article()
    old = row.photo.source_image

    new = change(row.photo if scope == "row" else old)

    assert new.dynamic_metadata == expected
    assert new.protected is (not expected)
    assert fresh(row).photo.hash == new.hash != old.hash
    assert not is_live(old.hash)


def test_deleting_metadata_leads_back_and_kinds_are_independent() -> None:
    row = article()
    plain = row.photo.source_image

    both = plain.set_subject_area(1, 2).set_version("v")
    assert set(both.dynamic_metadata) == {"subject_area", "version"}
    back = both.delete_dynamic_metadata("version").delete_dynamic_metadata("subject_area")

    assert back == plain
    assert fresh(row).photo.hash == plain.hash
    assert is_live(plain.hash)
    assert back.current == back
    assert {image.current for image in SourceImage.objects.all()} == {plain}


@pytest.mark.parametrize("location", ["relative", "absolute", "missing"])
def test_every_form_of_location_is_understood(emulator: Emulator, location: Any) -> None:
    emulator.location = location
    row = article()

    new = row.photo.source_image.set_subject_area(3, 4)

    assert fresh(row).photo.hash == new.hash
    assert is_live(new.hash)


def test_what_is_set_already_changes_nothing(emulator: Emulator, sent: Any) -> None:
    row = article()
    new = row.photo.source_image.set_subject_area(3, 4)
    emulator.application.calls.clear()
    sent.clear()

    assert new.set_subject_area(3, 4) == new

    assert [call.status for call in emulator.calls if call.method == "PUT"] == [204]
    assert [call for call in emulator.calls if call.method == "DELETE"] == []
    assert is_live(new.hash)
    assert sent == []


def test_an_old_copy_of_the_picture_leads_to_the_present_one() -> None:
    row = article()
    old = row.photo.source_image
    second = old.set_subject_area(3, 4)

    third = old.set_version("v")

    assert set(third.dynamic_metadata) == {"subject_area", "version"}
    assert fresh(row).photo.hash == third.hash
    chain = SourceImage.objects.get(pk=old.pk).replacements
    assert chain == [old, second, third]
    assert not is_live(second.hash)


def test_a_target_that_exists_keeps_its_texts_and_gets_what_it_lacks(emulator: Emulator) -> None:
    row = article()
    client = row.photo.storage.client
    old = row.photo.source_image
    client.patch_user_metadata(old.hash, {"title": "mine", "source": "dpa"})
    target = api.RokkaClient.set_dynamic_metadata(client, old.hash, api.SubjectArea(1, 2)).hash
    client.replace_user_metadata(target, {"title": "theirs"})

    new = old.set_subject_area(1, 2)

    assert new.hash == target
    assert client.get_user_metadata(target) == {"title": "theirs", "source": "dpa"}


def test_an_image_is_as_old_as_what_it_was_made_of_unless_it_was_uploaded_itself() -> None:
    row = article()
    old = row.photo.source_image
    new = old.set_subject_area(1, 2)
    assert new.uploaded == old.uploaded is not None
    uploaded = new.uploaded + timedelta(days=1)
    SourceImage.objects.filter(pk=old.pk).update(uploaded=uploaded)

    assert new.delete_dynamic_metadata("subject_area").uploaded == uploaded


def test_a_target_that_is_locked_is_taken_as_it_is(emulator: Emulator, caplog: Any) -> None:
    row = article()
    client = row.photo.storage.client
    old = row.photo.source_image
    target = client.set_dynamic_metadata(old.hash, api.SubjectArea(1, 2)).hash
    client.replace_user_metadata(old.hash, {"title": "mine"})
    client.set_locked(target, True)

    assert old.set_subject_area(1, 2).hash == target
    assert "lacks the user metadata ['title']" in caplog.text


@pytest.mark.parametrize("scope", ["row", "picture"])
def test_a_target_that_is_let_go_of_meanwhile_is_restored(scope: str, emulator: Emulator) -> None:
    row = article()
    old = row.photo.source_image
    target = row.photo.storage.client.set_dynamic_metadata(old.hash, api.SubjectArea(1, 2))
    image = SourceImage.objects.get(hash=target.hash)
    SourceImage.objects.create(organization="acme-stage", hash=image.hash)

    with meanwhile('SET "synced" = "', lambda: lifecycle.delete_unreferenced(image)):
        (row.photo if scope == "row" else old).set_subject_area(1, 2)

    assert fresh(row).photo.hash == image.hash
    assert is_live(image.hash)
    assert renders(emulator, row)


@pytest.mark.parametrize("revives", [True, False])
def test_a_target_that_was_deleted_is_restored(emulator: Emulator, revives: bool) -> None:
    row = article()
    client = row.photo.storage.client
    old = row.photo.source_image
    target = client.set_dynamic_metadata(old.hash, api.SubjectArea(1, 2)).hash
    client.delete_source_image(target)
    emulator.revives = revives

    new = old.set_subject_area(1, 2)

    assert (new.hash, new.deleted) == (target, None)
    assert is_live(target)
    assert renders(emulator, row)


def test_keep_hash_changes_in_place_and_warns(emulator: Emulator, caplog: Any) -> None:
    row = article()
    old = row.photo.source_image

    for scope in (old, row.photo):
        caplog.clear()
        assert scope.set_subject_area(len(caplog.text), 7, keep_hash=True) == old
        assert "up to a year" in caplog.text
    old.refresh_from_db()
    assert old.dynamic_metadata["subject_area"]["y"] == 7
    assert is_live(old.hash)
    with pytest.raises(api.InvalidArgument, match="always changes its hash"):
        rehash.change_image(old, Change("protected", True), keep_hash=True)


def test_a_failure_leaves_every_row_as_it_was(emulator: Emulator) -> None:
    row = article()
    old = row.photo.source_image
    emulator.add_fault(Fault(status=500, method="PUT", after_work=True))

    with pytest.raises(api.ServerError):
        old.set_subject_area(1, 2)

    assert fresh(row).photo.hash == old.hash
    assert renders(emulator, row)
    assert fresh(row).photo.hash == old.hash
    new = old.set_subject_area(1, 2)
    assert fresh(row).photo.hash == new.hash


def test_an_old_image_that_cannot_be_deleted_is_kept(emulator: Emulator, caplog: Any) -> None:
    row = article()
    old = row.photo.source_image
    row.photo.storage.client.set_locked(old.hash, True)

    old.set_subject_area(1, 2)

    assert is_live(old.hash)
    assert "is locked" in caplog.text
    old.refresh_from_db()
    assert old.deleted is None


def test_trouble_after_the_commit_is_logged_and_not_raised(emulator: Emulator, caplog: Any) -> None:
    row = article()
    old = row.photo.source_image
    emulator.add_fault(Fault(status=500, method="DELETE"))

    new = old.set_subject_area(1, 2)

    assert fresh(row).photo.hash == new.hash
    assert "Error calling" in caplog.text


def test_the_old_picture_may_be_uploaded_again_as_soon_as_it_is_replaced() -> None:
    row, uploaded = article(), []

    def upload(**values: Any) -> None:
        uploaded.append(article("again"))

    source_image_rehashed.connect(upload)
    try:
        new = row.photo.source_image.set_subject_area(1, 2)
    finally:
        source_image_rehashed.disconnect(upload)

    assert fresh(row).photo.hash == new.hash
    assert fresh(uploaded[0]).photo.hash == row.photo.hash != new.hash
    assert is_live(row.photo.hash)


def test_a_rollback_takes_everything_back(emulator: Emulator, sent: Any) -> None:
    row = article()
    old = row.photo.source_image

    with transaction.atomic():
        old.set_subject_area(1, 2)
        transaction.set_rollback(True)

    assert fresh(row).photo.hash == old.hash
    assert is_live(old.hash)
    assert sent == []


def test_a_receiver_that_fails_harms_nothing(caplog: Any) -> None:
    def fails(**kwargs: Any) -> None:
        raise ValueError("in a receiver")

    row = article()
    source_image_rehashed.connect(fails)
    try:
        new = row.photo.source_image.set_subject_area(1, 2)
    finally:
        source_image_rehashed.disconnect(fails)

    assert fresh(row).photo.hash == new.hash
    assert "in a receiver" in caplog.text


# --- From one row -----------------------------------------------------------------------------


def test_from_a_row_only_that_row_moves(emulator: Emulator, sent: Any) -> None:
    first, second = article("one"), article("two")
    old = first.photo.source_image

    new = first.photo.set_subject_area(10, 20)

    assert first.photo.name == fresh(first).photo.name == f"{new.hash}/one.jpg"
    assert fresh(second).photo.hash == old.hash
    assert is_live(old.hash)
    old.refresh_from_db()
    assert old.current == old
    told = [(values["row"], values["old"], values["new"]) for _, values in sent]
    assert told == [(first, old, new)]

    second.photo.set_subject_area(10, 20)
    assert fresh(second).photo.hash == new.hash
    assert not is_live(old.hash)
    old.refresh_from_db()
    assert old.current == new


def test_a_stale_copy_of_a_row_changes_what_the_row_shows_now() -> None:
    row = article()
    stale = fresh(row)
    row.photo.source_image.set_version("v")

    stale.photo.set_subject_area(1, 2)

    assert set(fresh(row).photo.source_image.dynamic_metadata) == {"version", "subject_area"}


def test_the_same_change_of_a_stale_copy_arrives_at_the_same_end() -> None:
    first, second = article("one"), article("two")
    stale, old = fresh(first), first.photo.hash
    new = first.photo.set_subject_area(1, 2)

    assert stale.photo.set_subject_area(1, 2) == new

    assert stale.photo.name == fresh(first).photo.name == f"{new.hash}/one.jpg"
    assert fresh(second).photo.hash == old
    assert is_live(old)
    assert is_live(new.hash)


def test_a_change_that_is_made_again_lets_go_of_what_was_left(emulator: Emulator) -> None:
    row = article()
    stale, old = fresh(row), row.photo.source_image
    emulator.add_fault(Fault(status=500, method="DELETE", times=1))
    new = row.photo.set_subject_area(1, 2)
    assert is_live(old.hash)

    assert stale.photo.set_subject_area(1, 2) == new

    assert not is_live(old.hash)
    assert SourceImage.objects.get(pk=old.pk).current == new


def test_a_change_that_leads_one_row_back_shows_what_it_showed() -> None:
    first, second = article("one"), article("two")
    plain = first.photo.source_image
    version = plain.set_version("v")

    assert fresh(first).photo.delete_dynamic_metadata("version") == plain

    shown = [fresh(row).photo.source_image for row in (first, second)]
    assert shown == [plain, version]
    assert all(is_live(image.hash) for image in shown)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_row_of_another_database_is_moved_there(settings: Any) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "DATABASES": []}}
    file = ContentFile(picture(), name="dog.jpg")
    row = Slide.objects.using("other").create(picture=file)
    old = row.picture.hash

    new = row.picture.set_subject_area(1, 2)

    assert Slide.objects.using("other").get().picture.name == f"{new.hash}/dog.jpg"
    assert not is_live(old)


@pytest.mark.parametrize(
    ("edit", "shown"),
    [
        (lambda row: Article.objects.update(photo=""), "nothing"),
        (lambda row: row.delete(), "nothing"),
        (lambda row: Article.objects.filter(pk=row.pk).update(photo="other.jpg"), "other.jpg"),
    ],
)
def test_a_row_that_does_not_show_the_picture_any_more_is_not_changed(
    edit: Callable[[Article], Any], shown: str
) -> None:
    row = article()
    Portrait.objects.create(picture=row.photo.name)
    stale, old = fresh(row), row.photo.hash
    target = row.photo.storage.client.set_dynamic_metadata(old, api.SubjectArea(1, 2)).hash
    SourceImage.objects.filter(hash=target).update(unreferenced=timezone.now())
    edit(row)

    with pytest.raises(rehash.PictureReplaced, match=f"'{shown}' by now, and not {old}"):
        stale.photo.set_subject_area(1, 2)

    # Nothing holds what was made either.
    assert SourceImage.objects.get(hash=target).unreferenced is not None


def test_a_row_that_shows_another_picture_by_now_is_left_alone() -> None:
    row = article()
    stale = fresh(row)
    row.photo = ContentFile(picture(color="#00ff00"), name="new.jpg")
    row.save()

    with pytest.raises((rehash.PictureReplaced, api.NotFound)):
        stale.photo.set_subject_area(1, 2)

    assert fresh(row).photo.name == row.photo.name


def test_a_row_that_is_not_saved_is_told_so() -> None:
    with pytest.raises(ValueError, match="no file"):
        Article(title="x").photo.set_subject_area(1, 2)
    with pytest.raises((ValueError, api.InvalidArgument)):
        Article(title="x", photo=ContentFile(picture(), name="a.jpg")).photo.set_subject_area(1, 2)
    saved = article()
    with pytest.raises(ValueError, match="Save the row first"):
        Article(title="x", photo=saved.photo.name).photo.set_subject_area(1, 2)


# --- Old names --------------------------------------------------------------------------------


def test_old_names_lead_to_the_present_image() -> None:
    row, storage = article(), RokkaStorage()
    old = row.photo.name
    row.photo.source_image.set_subject_area(1, 2).set_version("v")
    now = fresh(row).photo

    assert storage.url(old) == storage.url(now.name) == now.url
    assert storage.source_image(old) == now.source_image
    assert storage.exists(old)
    assert storage.size(old) == len(picture(color="#3366cc"))
    with storage.open(old) as file:
        assert file.read() == picture(color="#3366cc")
    assert row.photo.source_image == now.source_image
    assert row.photo.read() == picture(color="#3366cc")
    row.photo.close()


def test_a_cycle_of_replacements_does_not_hang() -> None:
    first, second = (
        SourceImage.objects.create(organization="acme", hash=hash * 40) for hash in "ab"
    )
    first.replaced_by, second.replaced_by = second, first
    first.save()
    second.save()

    assert SourceImage.objects.get(pk=first.pk).current == second
    assert RokkaStorage().url(f"{first.hash}/a.jpg").endswith(f"{second.hash}/a.jpg")


def test_uploading_the_old_picture_again_makes_it_a_picture_of_its_own() -> None:
    row = article()
    old = row.photo.source_image
    new = old.set_subject_area(1, 2)

    again = article("again")

    assert again.photo.hash == old.hash
    assert fresh(again).photo.source_image == old
    assert fresh(row).photo.hash == new.hash
    assert is_live(old.hash)
    assert is_live(new.hash)


def test_a_stale_copy_that_is_saved_follows_the_picture(emulator: Emulator) -> None:
    row = article()
    stale = fresh(row)
    new = row.photo.source_image.set_subject_area(1, 2)

    stale.title = "edited"
    stale.save()

    assert (fresh(row).title, fresh(row).photo.hash) == ("edited", new.hash)
    assert stale.photo.hash == new.hash
    assert renders(emulator, row)


# --- Rehashed by others -----------------------------------------------------------------------


def by_others(row: Article, *changes: api.DynamicMetadata, delete: bool = True) -> list[str]:
    """Let another client change a picture, each change from the same start; gives the new hashes."""
    client = row.photo.storage.client
    plain = api.RokkaClient("acme", api_key="test-key", base_url=client._transport.base_url)
    hash = fresh(row).photo.hash
    new = [plain.set_dynamic_metadata(hash, change).hash for change in changes]
    if delete:
        plain.delete_source_image(hash)
    return new


def test_one_live_image_with_the_same_bytes_takes_the_place(
    emulator: Emulator, sent: Any, caplog: Any
) -> None:
    row, other = article(), article("two")
    article(color="#ff0000")
    old = row.photo.source_image
    (new,) = by_others(row, api.SubjectArea(1, 2))
    SourceImage.objects.create(organization="acme-stage", hash=new)

    found = rehash.resolve(old)

    assert found is not None
    assert found.hash == new == fresh(row).photo.hash == fresh(other).photo.hash
    assert [name for name, _ in sent] == ["rehashed"]
    assert not SourceImage.objects.broken()
    assert "Of several" not in caplog.text


def test_a_row_of_an_old_dump_moves_to_what_this_site_replaced_its_picture_by() -> None:
    row = article()
    name, old = row.photo.name, row.photo.source_image
    new = old.set_subject_area(1, 2)
    # With the same bytes, and so it could be the one as well.
    by_others(row, api.CropArea(0, 0, 9, 9), delete=False)
    Article.objects.update(photo=name)

    assert rehash.resolve(old) == new

    assert fresh(row).photo.hash == new.hash


def test_a_picture_that_is_there_is_left_alone(sent: Any) -> None:
    row = article()

    assert rehash.resolve(row.photo.source_image) == row.photo.source_image
    assert sent == []


def test_of_several_the_one_whose_metadata_fits_is_taken(caplog: Any) -> None:
    row = article()
    row.photo.set_version("production")
    old = row.photo.source_image
    client = row.photo.storage.client
    staging = client.set_dynamic_metadata(old.hash, api.Version("staging")).hash
    (new,) = by_others(row, api.SubjectArea(1, 2))

    found = rehash.resolve(old)

    assert found is not None
    assert found.hash == new != staging
    assert fresh(row).photo.hash == new
    assert f"{new} fits" in caplog.text


@pytest.mark.parametrize(
    "tell_apart",
    [
        lambda client, hash: client.replace_user_metadata(hash, {"title": "theirs"}),
        lambda client, hash: client.rename_source_image(hash, "cat.jpg"),
    ],
)
def test_of_several_the_texts_and_the_name_tell_which(tell_apart: Callable[..., None]) -> None:
    row = article()
    old = row.photo.source_image
    client = row.photo.storage.client
    client.replace_user_metadata(old.hash, {"title": "mine"})
    mine, other = by_others(row, api.SubjectArea(1, 2), api.SubjectArea(3, 4))
    tell_apart(client, other)

    found = rehash.resolve(old)

    assert found is not None
    assert found.hash == mine == fresh(row).photo.hash


def test_of_several_that_fit_none_is_guessed(sent: Any) -> None:
    row = article()
    old = row.photo.source_image
    by_others(row, api.SubjectArea(1, 2), api.SubjectArea(3, 4))

    assert rehash.resolve(old) is None

    assert fresh(row).photo.hash == old.hash
    (broken,) = SourceImage.objects.broken()
    assert (broken, broken.broken) == (old, "ambiguous")
    assert [(name, values["image"]) for name, values in sent] == [("broken", old)]


def test_a_picture_that_nothing_can_replace_is_flagged(sent: Any, caplog: Any) -> None:
    row = article()
    old = row.photo.source_image
    by_others(row)

    assert rehash.resolve(old) is None

    assert SourceImage.objects.broken().get().broken == "gone"
    assert [name for name, _ in sent] == ["broken"]
    assert f"Rows show {old.hash}, which is gone: deleted, and nothing has its bytes" in caplog.text
    row.photo.storage.client.restore_source_image(old.hash)
    assert not SourceImage.objects.broken()


def test_a_picture_that_was_broken_is_not_any_more_when_another_takes_its_place(
    settings: Any,
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "UNREFERENCED": "keep"}}
    row = article()
    old = row.photo.source_image
    new = by_others(row, api.SubjectArea(1, 2))[0]
    client = row.photo.storage.client
    client.delete_source_image(new)
    assert rehash.resolve(old) is None
    assert SourceImage.objects.broken().get() == old
    client.restore_source_image(new)

    assert rehash.resolve(old) == SourceImage.objects.get(hash=new)

    assert not SourceImage.objects.broken()


def test_a_list_that_still_has_what_is_gone_makes_nothing_its_own_successor() -> None:
    row = article()
    image = row.photo.source_image
    by_others(row)
    images = f"{row.photo.storage.client._transport.base_url}/sourceimages/acme"
    item = {"hash": image.hash, "binary_hash": image.binary_hash, "organization": "acme"}

    with responses.RequestsMock() as rokka:
        rokka.get(f"{images}/{image.hash}", status=404)
        rokka.get(f"{images}/binaryhash/{image.binary_hash}", json={"total": 1, "items": [item]})
        assert rehash.resolve(image) is None


def test_a_lost_picture_that_nobody_shows_is_not_reported(sent: Any) -> None:
    row = article()
    old = row.photo.source_image
    by_others(row)
    Article.objects.all().delete()

    assert rehash.resolve(old) is None
    assert sent == []
    assert not SourceImage.objects.broken()


@responses.activate
def test_a_picture_of_unknown_bytes_is_flagged(settings: Any) -> None:
    hash = "a" * 40
    SourceImage.objects.create(organization="acme", hash=hash)
    Article.objects.create(title="x", photo=f"{hash}/a.jpg")
    base = settings.ROKKA["default"]["BASE_URL"]
    responses.get(f"{base}/sourceimages/acme/{hash}", status=404)

    assert rehash.resolve(SourceImage.objects.get()) is None
    assert SourceImage.objects.broken().get().broken == "gone"


@pytest.mark.parametrize(
    ("name", "value"),
    [("subject_area", {"x": 1}), ("nothing", {}), ("version", "text"), ("protected", None),
     ("multi_areas", {"a": {"other": {}}}), ("subject_area", [])],
)  # fmt: skip
def test_a_change_that_cannot_be_is_refused_before_anything_is_sent(name: str, value: Any) -> None:
    with pytest.raises(api.InvalidArgument):
        Change(name, value)
