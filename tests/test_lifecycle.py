"""How images come and go: what is deleted, what is kept, and what a row is saved with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_rokka import api, lifecycle, sync, tasks
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage
from django_rokka.storage import RokkaStorage
from tests.library.models import Article, Attachment, Headline, Page, Portrait, Poster
from tests.meanwhile import meanwhile
from tests.pictures import picture

# What happens after a commit is the point.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


@pytest.fixture
def configure(settings: Any, emulator: Emulator) -> Callable[..., None]:
    """Change settings of the alias ``default``."""

    def change(**values: Any) -> None:
        settings.ROKKA = {**settings.ROKKA, "default": {**settings.ROKKA["default"], **values}}

    return change


def file(color: str = "#3366cc", name: str = "dog.jpg") -> ContentFile[bytes]:
    return ContentFile(picture(color=color), name=name)


def article(title: str = "Dog", **values: Any) -> Article:
    return Article.objects.create(title=title, photo=values.pop("photo", file()), **values)


def others() -> api.RokkaClient:
    """A client that our mirror does not hear of."""
    return get_client(mirrors=False)


def is_live(hash: str) -> bool:
    return hash in {image.hash for image in others().iter_source_images()}


# --- Letting go -------------------------------------------------------------------------------


def test_the_last_row_takes_its_image_along() -> None:
    first, second = article("one"), article("two")
    hash = first.photo.hash

    first.delete()
    assert is_live(hash)
    second.delete()
    assert not is_live(hash)
    assert SourceImage.objects.get().deleted is not None


def test_a_queryset_a_proxy_and_a_child_delete_as_well() -> None:
    article()
    proxied = Headline.objects.create(title="proxy", photo=file("#00ff00"))
    child = Poster.objects.create(picture=file("#ff0000"), back=file("#0000ff"))
    hashes = [proxied.photo.hash, child.picture.hash, child.back.hash]
    assert all(map(is_live, hashes))

    proxied.delete()
    Poster.objects.all().delete()
    Article.objects.all().delete()

    assert list(others().iter_source_images()) == []


def test_a_replaced_picture_goes_after_the_commit() -> None:
    row = article()
    old = row.photo.hash

    with transaction.atomic():
        row.photo = file("#ff0000", "new.jpg")
        row.save()
        assert is_live(old)
    assert not is_live(old)
    assert is_live(row.photo.hash)


@pytest.mark.parametrize("how", ["assign", "clear", "save", "stale"])
def test_every_way_to_replace_a_picture_lets_go_of_the_old_one(how: str) -> None:
    row = Article.objects.get(pk=article().pk)
    old = row.photo.hash
    if how == "save":
        row.photo.save("new.jpg", file("#ff0000"))
    else:
        row.photo = file("#ff0000") if how == "assign" else ""
        row.save(update_fields=["photo"] if how == "stale" else None)

    assert not is_live(old)


def test_a_rollback_deletes_nothing() -> None:
    row = article()
    hash = row.photo.hash

    with transaction.atomic():
        row.photo = file("#ff0000")
        row.save()
        row.delete()
        transaction.set_rollback(True)

    assert is_live(hash)
    assert Article.objects.get().photo.hash == hash


def test_saving_other_columns_lets_go_of_nothing(emulator: Emulator) -> None:
    row = article()
    emulator.application.calls.clear()

    row.title = "new"
    row.save()
    row.refresh_from_db()
    row.save()
    Article.objects.only("title").get().save()
    row.save(update_fields=["title"])

    assert emulator.calls == []


def test_an_unchanged_save_costs_one_query_more() -> None:
    row = Article.objects.get(pk=article().pk)

    with CaptureQueriesContext(connection) as queries:
        row.save()

    assert len(queries) == 2, [query["sql"] for query in queries]


def test_a_file_that_is_deleted_in_a_transaction_goes_with_its_commit() -> None:
    rows = [article(), article(photo=file("#ff0000"))]
    hashes = [row.photo.hash for row in rows]

    for row, rolls_back in zip(rows, [True, False], strict=True):
        with transaction.atomic():
            name = row.photo.name
            row.delete()
            RokkaStorage().delete(name)
            assert is_live(name[:40])
            transaction.set_rollback(rolls_back)

    assert [is_live(hash) for hash in hashes] == [True, False]
    assert Article.objects.get().photo.hash == hashes[0]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_file_waits_for_the_transaction_of_any_database() -> None:
    name = RokkaStorage().save("left.jpg", file())

    with transaction.atomic(using="other"):
        RokkaStorage().delete(name)
        assert is_live(name[:40])
    assert not is_live(name[:40])


@pytest.mark.parametrize(
    "hold",
    [
        lambda name: Portrait.objects.create(hidden=True, picture=name),
        lambda name: Attachment.objects.create(file=name),
        lambda name: Page.objects.create(hero=name),
        lambda name: Page.objects.create(data={"blocks": [{"image": name}]}),
        lambda name: Page.objects.create(body=f"https://acme.rokka.io/hero/{name}"),
    ],
    ids=["hidden", "plain", "column", "json", "text"],
)
def test_whatever_holds_an_image_keeps_it(hold: Callable[[str], Any]) -> None:
    row = article()
    hash = row.photo.hash
    holder = hold(row.photo.name)

    row.delete()
    assert is_live(hash)

    type(holder)._base_manager.all().delete()
    tasks.release("default", hash)
    assert not is_live(hash)


@pytest.mark.parametrize(
    "query", ['^UPDATE "rokka_sourceimage" SET "deleted"', '"deleted" IS NOT NULL']
)
def test_a_row_that_takes_an_image_while_it_is_let_go_of_keeps_it(query: str, caplog: Any) -> None:
    """Before the deletion is noted, and after it."""
    row = article()
    name, image = row.photo.name, row.photo.source_image
    Article.objects.all()._raw_delete("default")

    with caplog.at_level("INFO"), meanwhile(query, lambda: article("late", photo=name)):
        assert not lifecycle.delete_unreferenced(image)

    assert Article.objects.get().photo.name == name
    assert is_live(image.hash)
    assert SourceImage.objects.live().get() == image
    assert f"Kept {image.hash}" in caplog.text


def test_a_row_without_a_picture_is_deleted_without_a_call(emulator: Emulator) -> None:
    row = article(photo="")

    row.photo.delete()
    row.delete()

    assert not Article.objects.exists()
    assert emulator.calls == []


@pytest.mark.parametrize("how", ["cleared", "replaced", "unread", "moved"])
def test_a_row_takes_the_picture_along_that_it_has_in_the_database(how: str) -> None:
    row = article()
    hash = row.photo.hash
    if how == "cleared":
        row.photo.delete(save=False)
    elif how == "replaced":
        row.photo = file("#ff0000")
    elif how == "unread":
        row = Article.objects.only("title").get()
    else:
        hash = Article.objects.get().photo.set_subject_area(1, 2).hash

    row.delete()

    assert not is_live(hash)


def test_a_picture_that_is_cleared_and_not_saved_yet_is_kept() -> None:
    row = article()
    hash = row.photo.hash

    row.photo.delete(save=False)
    assert not row.photo
    assert Article.objects.get().photo.hash == hash
    assert is_live(hash)

    row.save()
    assert not Article.objects.get().photo
    assert not is_live(hash)


def test_what_is_locked_or_gone_is_no_error(caplog: Any) -> None:
    locked, gone = article(), article(photo=file("#ff0000"))
    get_client().set_locked(locked.photo.hash, True)
    others().delete_source_image(gone.photo.hash)
    hash = locked.photo.hash

    locked.delete()
    gone.delete()

    assert is_live(hash)
    assert f"Kept {hash}" in caplog.text
    assert [image.hash for image in SourceImage.objects.live()] == [hash]


def test_what_is_gone_already_counts_as_deleted() -> None:
    image = SourceImage.objects.get(hash=upload_for_no_row("#ff0000"))
    others().delete_source_image(image.hash)

    assert lifecycle.delete_unreferenced(image)
    assert SourceImage.objects.deleted().get() == image


def test_an_explicit_deletion_says_what_stands_against_it(configure: Any) -> None:
    name = RokkaStorage().save("dog.jpg", file())
    get_client().set_locked(name[:40], True)

    with pytest.raises(api.Conflict):
        RokkaStorage().delete(name)
    assert SourceImage.objects.live()


def test_trouble_at_rokka_leaves_the_row_deleted_and_the_rest_for_later(
    emulator: Emulator, caplog: Any
) -> None:
    row = article()
    hash = row.photo.hash
    emulator.add_fault(Fault(status=500, method="DELETE", times=1))

    row.delete()

    assert not Article.objects.exists()
    assert is_live(hash)
    assert "Error calling" in caplog.text
    # Unknown whether it is gone, so a row that takes it restores it; the next sweep deletes it.
    assert not SourceImage.objects.live()
    assert lifecycle.delete_due("default") == 1
    assert not is_live(hash)
    assert lifecycle.delete_due("default") == 0


# --- Policies ---------------------------------------------------------------------------------


def test_keep_keeps(configure: Any) -> None:
    configure(UNREFERENCED="keep")
    row = article()
    hash = row.photo.hash

    row.delete()

    assert lifecycle.delete_due("default") == 0
    assert is_live(hash)
    assert SourceImage.objects.get().unreferenced is not None


def test_days_delete_when_they_are_over(configure: Any) -> None:
    configure(UNREFERENCED=7)
    row, again = article(), article(photo=file("#ff0000"))
    hash, name = row.photo.hash, again.photo.name
    row.delete()
    again.delete()

    assert lifecycle.delete_due("default") == 0
    SourceImage.objects.update(unreferenced=timezone.now() - timedelta(days=7, seconds=1))
    article("taken up again", photo=name)

    assert lifecycle.delete_due("default") == 1
    assert not is_live(hash)
    assert is_live(name[:40])
    assert SourceImage.objects.live().get().unreferenced is None


def test_an_explicit_deletion_does_not_wait(configure: Any) -> None:
    configure(UNREFERENCED="keep")
    row = article()
    hash = row.photo.hash

    row.photo.delete()

    assert not is_live(hash)


def test_an_image_that_is_deleted_on_purpose_is_broken_if_a_row_shows_it() -> None:
    shown, free = article().photo.source_image, upload_for_no_row("#ff0000")

    for image in (shown, SourceImage.objects.get(hash=free)):
        lifecycle.delete_used(image)

    assert list(others().iter_source_images()) == []
    assert SourceImage.objects.broken().get() == shown


def test_a_deletion_that_stops_half_way_is_due_since_no_row_holds_the_image(
    configure: Any, emulator: Emulator
) -> None:
    configure(UNREFERENCED=7)
    long_ago = timezone.now() - timedelta(days=8)
    hashes = [upload_for_no_row("#ff0000"), upload_for_no_row("#00ff00")]
    SourceImage.objects.filter(hash=hashes[1]).update(unreferenced=long_ago, broken="gone")
    emulator.add_fault(Fault(status=500, method="DELETE", times=2))
    for hash in hashes:
        with pytest.raises(api.ServerError):
            lifecycle.delete_unreferenced(SourceImage.objects.get(hash=hash))

    assert SourceImage.objects.exclude(unreferenced=None).count() == 2
    assert not SourceImage.objects.broken()
    assert lifecycle.delete_due("default") == 1
    assert [is_live(hash) for hash in hashes] == [True, False]


def test_only_what_belongs_to_the_organization_is_due() -> None:
    long_ago = timezone.now() - timedelta(days=99)
    SourceImage.objects.create(
        organization="acme-stage", hash="a" * 40, uploaded=long_ago, unreferenced=long_ago
    )

    row = article()
    SourceImage.objects.create(organization="acme-stage", hash=row.photo.hash)

    row.delete()

    assert lifecycle.delete_due("default") == 0
    assert found() == set()
    assert SourceImage.objects.deleted().get().organization == "acme"


def test_what_is_due_and_locked_stays_and_the_rest_goes(configure: Any, caplog: Any) -> None:
    configure(UNREFERENCED=1)
    locked, free = article(), article(photo=file("#ff0000"))
    hashes = locked.photo.hash, free.photo.hash
    get_client().set_locked(hashes[0], True)
    locked.delete()
    free.delete()
    SourceImage.objects.update(unreferenced=timezone.now() - timedelta(days=2))

    assert lifecycle.delete_due("default") == 1

    assert [is_live(hash) for hash in hashes] == [True, False]
    assert f"Kept {hashes[0]}" in caplog.text


def test_a_copy_leaves_alone_what_is_there() -> None:
    hash = article().photo.hash

    assert lifecycle.copy("default", hash, "acme-stage")
    assert not lifecycle.copy("default", hash, "acme-stage", overwrite=False)
    assert lifecycle.copy("default", hash, "acme-stage")


def test_a_copy_that_cannot_overwrite_is_an_error(emulator: Emulator) -> None:
    hash = article().photo.hash
    emulator.add_fault(Fault(status=409, path="/copy"))

    with pytest.raises(api.Conflict):
        lifecycle.copy("default", hash, "acme-stage")


# --- Taking -----------------------------------------------------------------------------------


def test_an_upload_of_what_somebody_deletes_meanwhile_is_restored(emulator: Emulator) -> None:
    """The mirror says deleted when the answer to the upload, which says live, is recorded."""
    row = article()
    hash = row.photo.hash
    get_client().delete_source_image(hash)
    emulator.application.calls.clear()

    again = article("again")

    assert [call.path.rpartition("/")[2] for call in emulator.calls] == ["acme", "restore"]
    assert again.photo.hash == hash
    assert is_live(hash)
    assert SourceImage.objects.get().deleted is None


def test_a_name_that_is_assigned_brings_its_image_back() -> None:
    row = article()
    name = row.photo.name
    row.delete()
    assert not is_live(name[:40])

    assert article("again", photo=name).photo.name == name
    assert is_live(name[:40])


def test_a_row_that_is_made_with_a_name_has_the_dimensions_of_its_picture() -> None:
    row = Article.objects.create(title="again", photo=article().photo.name)

    assert Article.objects.filter(pk=row.pk, width=80, height=60).exists()


def test_a_row_that_is_saved_after_it_was_deleted_brings_its_picture_back() -> None:
    row = article()
    hash = row.photo.hash

    row.delete()
    row.save()

    assert Article.objects.get().photo.hash == hash
    assert is_live(hash)


@pytest.mark.parametrize("how", ["replaced", "cleared", "deleted"])
def test_a_stale_copy_brings_back_what_its_row_has_let_go_of(how: str) -> None:
    row = article()
    stale, hash = Article.objects.get(), row.photo.hash
    if how == "deleted":
        row.delete()
    else:
        row.photo = file("#ff0000") if how == "replaced" else ""
        row.save()
    assert not is_live(hash)

    stale.title = "late"
    stale.save()

    assert Article.objects.get().photo.hash == hash
    assert is_live(hash)


def test_a_picture_that_rokka_cannot_bring_back_now_is_not_saved(emulator: Emulator) -> None:
    row = article()
    name = row.photo.name
    row.delete()
    emulator.add_fault(Fault(status=500, path="restore"))

    with pytest.raises(api.ServerError):
        article("again", photo=name)

    assert not Article.objects.exists()
    assert article("again", photo=name).photo.name == name
    assert is_live(name[:40])


def test_a_former_crop_can_be_assigned_again() -> None:
    row = article()
    old = row.photo.name
    new = row.photo.source_image.set_subject_area(1, 2)

    row = Article.objects.get()
    row.photo = old
    row.save()

    assert Article.objects.get().photo.name == old
    assert is_live(old[:40])
    assert not is_live(new.hash)
    assert SourceImage.objects.get(hash=old[:40]).current.hash == old[:40]


def test_what_cannot_be_brought_back_does_not_keep_a_row_from_being_saved(
    emulator: Emulator, caplog: Any
) -> None:
    row = article()
    name = row.photo.name
    row.delete()
    emulator.add_fault(Fault(status=404, path="restore"))

    assert article("again", photo=name).photo.name == name
    assert "could not be restored" in caplog.text


def test_a_picture_deleted_on_purpose_stays_deleted_when_its_row_is_edited() -> None:
    row = article()
    hash = row.photo.hash
    get_client().delete_source_image(hash)

    row = Article.objects.get()
    row.title = "edited"
    row.save()

    assert not is_live(hash)


def test_names_from_before_rokka_can_be_saved_and_left() -> None:
    row = article(photo="photos/2019/dog.jpg")

    row.title = "edited"
    row.save()
    row.photo = file()
    row.save()
    row.photo = "photos/2020/cat.jpg"
    row.save()
    row.delete()

    assert list(others().iter_source_images()) == []


def test_restoring_makes_an_image_stand_for_itself_again() -> None:
    row = article()
    old = row.photo.source_image
    old.set_subject_area(1, 2)

    restored = lifecycle.restore(old)

    assert (restored.deleted, restored.replaced_by) == (None, None)
    assert is_live(old.hash)


def test_restoring_makes_what_was_noted_untrue(configure: Any, emulator: Emulator) -> None:
    configure(UNREFERENCED="keep")
    row = article()
    image = row.photo.source_image
    lifecycle.delete_used(image)
    row.delete()
    image.refresh_from_db()
    assert (image.deleted, image.unreferenced) != (None, None)
    assert image.broken == "gone"

    restored = lifecycle.restore(image)

    assert (restored.deleted, restored.unreferenced, restored.broken) == (None, None, "")
    emulator.application.calls.clear()
    assert lifecycle.restore(restored) == image
    assert emulator.calls == []


def test_a_replaced_picture_that_is_lost_for_good_is_taken_as_its_replacement(
    emulator: Emulator, caplog: Any
) -> None:
    row = article()
    name = row.photo.name
    new = row.photo.source_image.set_subject_area(1, 2)
    emulator.add_fault(Fault(status=404, path="restore"))

    assert article("again", photo=name).photo.name == f"{new.hash}/dog.jpg"
    assert "A row takes dog.jpg, which is deleted and could not be restored" in caplog.text


# --- Isolation and orphans ---------------------------------------------------------------------


def test_isolated_sites_have_hashes_of_their_own(configure: Any) -> None:
    plain = article().photo.hash
    configure(ENVIRONMENT="production", ISOLATE=True)
    own = article("own")
    configure(ENVIRONMENT="staging", ISOLATE=True)
    theirs = article("theirs")

    assert len({plain, own.photo.hash, theirs.photo.hash}) == 3
    assert own.photo.source_image.dynamic_metadata == {"version": {"text": "production"}}
    assert own.photo.source_image.user_metadata == {"uploaded_by": "production"}


def upload_of(site: str, color: str = "#3366cc") -> SourceImage:
    """What another site of the organization uploads, as this site's mirror sees it."""
    client = get_client()
    mark, version = {"uploaded_by": site}, api.Version(site)
    found = others().create_source_image(
        file(color), user_metadata=mark, dynamic_metadata=[version]
    )
    client.get_source_image(found.hash)
    return SourceImage.objects.get(hash=found.hash)


@pytest.mark.parametrize(
    "delete",
    [
        lifecycle.delete_unreferenced,
        lifecycle.delete_used,
        lambda image: RokkaStorage().delete(image.file_name),
    ],
)
def test_an_isolated_site_deletes_no_picture_of_another_one(
    configure: Any, delete: Callable[[SourceImage], Any]
) -> None:
    configure(ENVIRONMENT="production", ISOLATE=True)
    theirs = upload_of("staging")

    with pytest.raises(api.Refused, match="uploaded by the environment 'staging'"):
        delete(theirs)

    assert is_live(theirs.hash)
    assert SourceImage.objects.live().filter(hash=theirs.hash)


def test_an_isolated_site_deletes_what_nobody_has_marked(configure: Any) -> None:
    configure(ENVIRONMENT="production", ISOLATE=True)
    hash = others().create_source_image(file()).hash
    get_client().get_source_image(hash)

    assert lifecycle.delete_unreferenced(SourceImage.objects.get(hash=hash))

    assert not is_live(hash)


def test_an_isolated_site_deletes_what_it_uploaded_under_another_name(configure: Any) -> None:
    configure(ENVIRONMENT="production", ISOLATE=True)
    row = article()
    configure(ENVIRONMENT="renamed", ISOLATE=True)
    call_command("rokka_claim", verbosity=0)

    row.delete()

    assert not is_live(row.photo.name[:40])


def test_a_change_of_another_sites_picture_leaves_it_where_it_is(configure: Any) -> None:
    configure(ENVIRONMENT="production", ISOLATE=True)
    theirs = upload_of("staging")

    assert theirs.set_subject_area(1, 2).hash != theirs.hash

    assert is_live(theirs.hash)


def test_rows_do_not_follow_to_another_sites_picture(configure: Any) -> None:
    configure(ENVIRONMENT="production", ISOLATE=True)
    row = article()
    image = row.photo.source_image
    upload_of("staging")
    others().delete_source_image(image.hash)

    assert sync.sync_image(image) is None

    assert Article.objects.get().photo.hash == image.hash
    assert SourceImage.objects.get(hash=image.hash).broken == SourceImage.Broken.GONE


def upload_for_no_row(color: str) -> str:
    return RokkaStorage().save("left.jpg", file(color))[:40]


def found(days: float = 0) -> set[str]:
    return {image.hash for image in lifecycle.orphans("default", older_than=timedelta(days=days))}


def test_orphans_are_what_this_site_uploaded_and_no_row_holds(configure: Any) -> None:
    configure(ENVIRONMENT="production")
    held = article()
    with transaction.atomic():
        rolled_back = article(photo=file("#ff0000")).photo.hash
        transaction.set_rollback(True)
    left = upload_for_no_row("#00ff00")
    strange = others().create_source_image(file("#0000ff"))
    strange_mark = others().create_source_image(
        file("#00ffff"), user_metadata={"uploaded_by": "staging"}
    )
    get_client().list_source_images()

    assert found() == {rolled_back, left}
    assert found(days=1) == set()
    assert is_live(held.photo.hash)
    assert is_live(strange.hash)
    assert is_live(strange_mark.hash)


def test_the_last_upload_says_whose_orphan_it_is(configure: Any) -> None:
    configure(ENVIRONMENT="production")
    hash = upload_for_no_row("#00ff00")
    assert found() == {hash}

    others().patch_user_metadata(hash, {"uploaded_by": "staging"})
    get_client().get_source_image(hash)

    assert found() == set()


def test_an_upload_that_the_mirror_has_not_seen_is_as_old_as_rokka_says(
    configure: Any, emulator: Emulator
) -> None:
    configure(ENVIRONMENT="production")
    noted = SourceImage.objects.get(hash=upload_for_no_row("#00ff00"))
    unseen = upload_of("production").hash
    elsewhere = SourceImage.objects.create(organization="acme-stage", hash=unseen)
    with emulator.application.state.transaction() as db:
        db.execute("UPDATE images SET created = created - 86400")

    assert found(days=0.5) == {unseen}

    assert SourceImage.objects.get(pk=noted.pk).uploaded == noted.uploaded
    assert SourceImage.objects.get(pk=elsewhere.pk).uploaded is None


def test_without_an_environment_orphans_are_those_the_mirror_knows() -> None:
    article()
    assert found() == set()
    assert found() | {upload_for_no_row("#00ff00")} == found()
