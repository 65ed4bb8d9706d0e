from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from django_rokka import api, bulk, lifecycle
from django_rokka.bulk import operations
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.emulator.faults import Fault
from django_rokka.models import BulkItem, BulkOperation, SourceImage
from tests.library.models import Article
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)

Kind, State = BulkOperation.Kind, BulkItem.State


@pytest.fixture
def images(rokka_emulator: Emulator) -> list[SourceImage]:
    """Six images that no row holds; no calls are noted of them."""
    client = get_client()
    for red in range(6):
        client.create_source_image(
            SimpleUploadedFile(f"{red}.jpg", picture(color=(red * 40, 0, 0)))
        )
    rokka_emulator.application.calls.clear()
    return list(SourceImage.objects.order_by("pk"))


def run(kind: str, images: Any = None, **options: Any) -> BulkOperation:
    """Create an operation and work on it to its end."""
    chosen = SourceImage.objects.all() if images is None else images
    operation = bulk.create(kind, chosen, options=options)
    while bulk.work(operation, "me"):
        pass
    operation.refresh_from_db()
    return operation


def outcomes(operation: BulkOperation) -> list[tuple[int, str]]:
    return list(operation.items.order_by("pk").values_list("state", "reason"))


def calls(emulator: Emulator) -> list[str]:
    return [f"{call.method} {call.path.rpartition('/')[2]}" for call in emulator.calls]


def test_the_selection_is_noted_as_it_was(images: list[SourceImage]) -> None:
    user = get_user_model().objects.create_user("ann")

    operation = bulk.create(
        Kind.LOCK, SourceImage.objects.filter(pk__in=[images[1].pk, images[4].pk]), user=user
    )

    assert operation.total == 2
    assert operation.user_name == "ann"
    assert list(operation.items.values_list("image", "state")) == [
        (images[1].pk, State.WAITING),
        (images[4].pk, State.WAITING),
    ]


def test_a_copy_takes_one_call(images: list[SourceImage], rokka_emulator: Emulator) -> None:
    operation = run(Kind.COPY, destination="acme-stage")

    assert operation.state == BulkOperation.State.FINISHED
    assert calls(rokka_emulator) == ["POST copy"]
    assert outcomes(operation) == [(State.DONE, "")] * 6
    assert get_client("stage").list_source_images().total == 6


def test_a_copy_that_cannot_overwrite_is_a_failure(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    rokka_emulator.add_fault(Fault(status=409, path="/copy"))
    one = SourceImage.objects.filter(pk=images[0].pk)

    ((state, reason),) = outcomes(run(Kind.COPY, one, destination="acme-stage", overwrite=True))

    assert state == State.FAILED
    assert reason.startswith("rokka refuses")


def test_a_copy_that_rokka_refuses_is_a_failure_of_each_image(images: list[SourceImage]) -> None:
    reasons = outcomes(run(Kind.COPY, destination="nowhere"))

    assert {state for state, _ in reasons} == {State.FAILED}
    assert all("No organization 'nowhere'" in reason for _, reason in reasons)


def test_a_copy_can_leave_what_is_there(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    lifecycle.copy("default", images[2].hash, "acme-stage")

    operation = run(Kind.COPY, destination="acme-stage", overwrite=False)

    assert [state for state, _ in outcomes(operation)].count(State.DONE) == 5
    assert outcomes(operation)[2] == (State.SKIPPED, "is there already")


def test_a_copy_that_overwrites_what_is_there_is_done(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    lifecycle.copy("default", images[2].hash, "acme-stage")

    operation = run(Kind.COPY, destination="acme-stage", overwrite=True)

    assert outcomes(operation) == [(State.DONE, "")] * 6


def test_nothing_can_be_copied_of_what_is_gone(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    client = get_client(mirrors=False)
    for image in images:
        client.delete_source_image(image.hash)

    operation = run(Kind.COPY, destination="acme-stage", overwrite=False)

    assert outcomes(operation) == [(State.FAILED, "rokka does not have it any more.")] * 6


def test_one_image_that_is_gone_does_not_keep_others_from_being_copied(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    get_client(mirrors=False).delete_source_image(images[0].hash)

    operation = run(Kind.COPY, destination="acme-stage", overwrite=False)

    gone, *others = outcomes(operation)
    assert gone == (State.FAILED, "rokka does not have it any more.")
    assert others == [(State.DONE, "")] * 5
    assert get_client("stage").list_source_images().total == 5
    assert calls(rokka_emulator).count("POST copy") == 1


def test_images_of_two_organizations_are_copied_with_a_call_each(
    images: list[SourceImage], rokka_emulator: Emulator, settings: Any
) -> None:
    get_client("stage").create_source_image(SimpleUploadedFile("a.jpg", picture(color="#0f0")))
    rokka_emulator.application.calls.clear()

    operation = run(Kind.COPY, destination="acme-stage")

    assert calls(rokka_emulator).count("POST copy") == 2
    assert operation.state == BulkOperation.State.FINISHED


def test_a_deletion_spares_what_rows_show(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    Article.objects.create(photo=images[0].file_name)
    lifecycle.delete_unreferenced(images[1])

    operation = run(Kind.DELETE)

    assert outcomes(operation) == [
        (State.SKIPPED, "1 row shows it"),
        (State.SKIPPED, "is deleted already"),
        *[(State.DONE, "")] * 4,
    ]
    assert SourceImage.objects.live().get() == images[0]


def test_a_deletion_can_be_insisted_on_and_undone(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    Article.objects.create(photo=images[0].file_name)

    run(Kind.DELETE, used=True)

    images[0].refresh_from_db()
    assert images[0].deleted
    assert images[0].broken == SourceImage.Broken.GONE
    assert not SourceImage.objects.live().exists()
    assert outcomes(run(Kind.RESTORE)) == [(State.DONE, "")] * 6
    assert SourceImage.objects.live().count() == 6
    assert not SourceImage.objects.exclude(broken="").exists()
    assert get_client().list_source_images().total == 6
    assert outcomes(run(Kind.RESTORE)) == [(State.SKIPPED, "is not deleted")] * 6


def test_a_sync_notes_what_others_deleted(images: list[SourceImage]) -> None:
    get_client(mirrors=False).delete_source_image(images[0].hash)

    operation = run(Kind.SYNC)

    assert outcomes(operation) == [(State.SKIPPED, "is gone at rokka"), *[(State.DONE, "")] * 5]
    images[0].refresh_from_db()
    assert images[0].deleted


def test_a_locked_image_fails_alone(images: list[SourceImage], rokka_emulator: Emulator) -> None:
    get_client().set_locked(images[3].hash, True)

    operation = run(Kind.DELETE)

    states = [state for state, _ in outcomes(operation)]
    assert states.count(State.DONE) == 5
    assert states[3] == State.FAILED
    assert "unlock it first" in outcomes(operation)[3][1]


def test_locking_protecting_and_describing(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    one = SourceImage.objects.filter(pk=images[0].pk)

    assert outcomes(run(Kind.LOCK, one)) == [(State.DONE, "")]
    assert outcomes(run(Kind.LOCK, one)) == [(State.SKIPPED, "is locked already")]
    assert outcomes(run(Kind.UNLOCK, one)) == [(State.DONE, "")]
    assert outcomes(run(Kind.UNLOCK, one)) == [(State.SKIPPED, "is not locked")]
    assert outcomes(run(Kind.USER_METADATA, one, metadata={"title": "Dog"})) == [(State.DONE, "")]
    assert outcomes(run(Kind.USER_METADATA, one, metadata={"title": "Dog"})) == [
        (State.SKIPPED, "says so already")
    ]
    assert outcomes(run(Kind.DESCRIBE, one, languages=["en"])) == [(State.DONE, "")]
    assert outcomes(run(Kind.SYNC, one)) == [(State.DONE, "")]
    images[0].refresh_from_db()
    assert images[0].user_metadata["title"] == "Dog"
    assert "text:auto_description_en" in images[0].user_metadata
    assert outcomes(run(Kind.PROTECT, one)) == [(State.DONE, "")]
    images[0].refresh_from_db()
    assert images[0].replaced_by
    assert images[0].replaced_by.protected
    assert outcomes(run(Kind.PROTECT, one)) == [(State.SKIPPED, "is protected already")]
    assert outcomes(run(Kind.UNPROTECT, one)) == [(State.DONE, "")]


def test_a_pause_of_an_hour_is_a_failure_and_a_short_one_is_waited_for(
    images: list[SourceImage], rokka_emulator: Emulator, settings: Any
) -> None:
    settings.ROKKA = {alias: {**values, "ATTEMPTS": 2} for alias, values in settings.ROKKA.items()}
    operation = run(Kind.PURGE)

    states = [state for state, _ in outcomes(operation)]
    assert states == [State.DONE] * 5 + [State.FAILED]
    assert "no more such calls until" in outcomes(operation)[5][1]

    rokka_emulator.add_fault(Fault(status=429, times=50))
    waiting = bulk.create(Kind.LOCK, SourceImage.objects.all())
    with pytest.raises(api.RateLimited):
        bulk.work(waiting, "me")
    waiting.refresh_from_db()
    assert "asks for a pause" in waiting.error
    assert {state for state, _ in outcomes(waiting)} == {State.TAKEN}
    rokka_emulator.application.faults.clear()
    assert not bulk.work(waiting, "me")
    waiting.refresh_from_db()
    assert (waiting.state, waiting.error) == (BulkOperation.State.FINISHED, "")


@pytest.fixture
def _one_attempt(rokka_emulator: Emulator, settings: Any) -> None:
    settings.ROKKA = {alias: {**values, "ATTEMPTS": 1} for alias, values in settings.ROKKA.items()}


@pytest.mark.usefixtures("_one_attempt")
def test_trouble_with_one_image_fails_it_and_trouble_with_all_pauses(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    rokka_emulator.add_fault(Fault(status=500, path=images[1].hash))
    assert [state for state, _ in outcomes(run(Kind.LOCK))] == [
        State.DONE, State.FAILED, *[State.DONE] * 4,
    ]  # fmt: skip

    rokka_emulator.add_fault(Fault(status=500, times=3))
    operation = bulk.create(Kind.UNLOCK, SourceImage.objects.all())
    with pytest.raises(api.ServerError):
        bulk.work(operation, "me")
    # The second was never locked, so rokka was not asked about it.
    assert [state for state, _ in outcomes(operation)] == [
        State.RUNNING, State.SKIPPED, State.RUNNING, State.RUNNING, State.TAKEN, State.TAKEN,
    ]  # fmt: skip
    assert not bulk.work(operation, "me")
    assert bulk.progress(operation).done == 5


@pytest.mark.usefixtures("_one_attempt")
def test_trouble_with_a_batch_is_trouble_with_one_image_or_with_all(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    rokka_emulator.add_fault(Fault(status=500, path="/acme/copy", after_work=True))
    rokka_emulator.add_fault(Fault(status=500, path=images[1].hash))
    operation = run(Kind.COPY, destination="acme-stage", overwrite=False)
    # What the failed call did counts as done.
    assert [state for state, _ in outcomes(operation)] == [
        State.DONE, State.FAILED, *[State.DONE] * 4,
    ]  # fmt: skip

    rokka_emulator.application.calls.clear()
    rokka_emulator.add_fault(Fault(status=500, times=4))
    operation = bulk.create(
        Kind.COPY, SourceImage.objects.all(), options={"destination": "acme-stage"}
    )
    with pytest.raises(api.ServerError):
        bulk.work(operation, "me")
    assert bulk.progress(operation).waiting == 6
    assert not bulk.work(operation, "me")
    assert bulk.progress(operation).done == 6
    # A batch, three images, and the batch again.
    assert len(calls(rokka_emulator)) == 5


@pytest.mark.usefixtures("_one_attempt")
def test_a_batch_that_fails_when_time_is_up_is_not_gone_on_with(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    rokka_emulator.add_fault(Fault(kind="silence", seconds=0.3, path="/acme/copy"))
    operation = bulk.create(
        Kind.COPY, SourceImage.objects.all(), options={"destination": "acme-stage"}
    )

    assert bulk.work(operation, "web", seconds=0.2)
    assert bulk.progress(operation).waiting == 6
    assert get_client("stage").list_source_images().total == 0

    assert not bulk.work(operation, "web", seconds=10)
    assert bulk.progress(operation).done == 6


@pytest.mark.usefixtures("_one_attempt")
def test_a_pause_does_not_make_an_interrupted_try_forgotten(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())
    first = operations._take(operation, "me")[0]
    BulkItem.objects.filter(pk=first.pk).update(state=State.RUNNING)
    get_client().set_locked(first.image.hash, True)
    rokka_emulator.add_fault(Fault(status=429))

    with pytest.raises(api.RateLimited):
        bulk.work(operation, "me")
    assert not bulk.work(operation, "me")

    assert outcomes(operation) == [(State.DONE, "")] * 6


@pytest.mark.usefixtures("_one_attempt")
def test_a_deletion_that_failed_is_not_taken_for_done_when_it_is_tried_again(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    """The mirror keeps the mark of a deletion that may have been made."""
    rokka_emulator.add_fault(Fault(status=500, method="DELETE", path=images[2].hash))
    operation = run(Kind.DELETE)
    assert outcomes(operation)[2][0] == State.FAILED

    bulk.take_up(operation)

    assert outcomes(operation) == [(State.DONE, "")] * 6
    assert get_client(mirrors=False).list_source_images().total == 0


@pytest.mark.usefixtures("_one_attempt")
def test_a_wrong_key_stops_everything(images: list[SourceImage], rokka_emulator: Emulator) -> None:
    body = '{"code": 403, "message": "no", "invalid_authentication": true}'
    rokka_emulator.add_fault(Fault(status=403, times=3, body=body))
    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())

    with pytest.raises(api.BadCredentials):
        bulk.work(operation, "me")

    operation.refresh_from_db()
    assert operation.state == BulkOperation.State.STOPPED
    assert "does not accept this site's key" in operation.error
    bulk.take_up(operation)
    operation.refresh_from_db()
    assert operation.state == BulkOperation.State.FINISHED
    assert bulk.progress(operation).done == 6


def test_work_is_shared_and_nothing_is_taken_twice(
    images: list[SourceImage], rokka_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "CHUNK", 2)
    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())

    first, second = operations._take(operation, "a"), operations._take(operation, "b")
    again = operations._take(operation, "a")

    assert [item.pk for item in first] == [item.pk for item in again]
    assert not {item.pk for item in first} & {item.pk for item in second}
    assert bulk.work(operation, "a")
    assert not bulk.work(operation, "c")
    assert BulkItem.objects.filter(state=State.TAKEN).count() == 2
    assert bulk.progress(operation).done == 4
    assert not bulk.work(operation, "b")
    operation.refresh_from_db()
    assert operation.state == BulkOperation.State.FINISHED
    assert len(calls(rokka_emulator)) == 6


def test_no_more_tasks_work_than_the_setting_says(
    images: list[SourceImage], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "CHUNK", 1)
    settings.ROKKA = {**settings.ROKKA, "default": {**settings.ROKKA["default"], "CONCURRENCY": 2}}
    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())

    assert [len(operations._take(operation, name)) for name in "abc"] == [1, 1, 0]


def test_a_stopped_operation_leaves_the_rest_and_can_be_taken_up(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())
    bulk.stop(operation)

    assert not bulk.work(operation, "me")
    assert bulk.progress(operation).waiting == 6
    assert calls(rokka_emulator) == []
    bulk.take_up(operation)
    assert bulk.progress(operation).done == 6


def test_what_failed_is_tried_again(images: list[SourceImage], rokka_emulator: Emulator) -> None:
    get_client().set_locked(images[0].hash, True)
    operation = run(Kind.DELETE)
    get_client().set_locked(images[0].hash, False)

    bulk.take_up(operation)

    assert outcomes(operation) == [(State.DONE, "")] * 6


@pytest.mark.parametrize(
    ("kind", "options", "act"),
    [
        (Kind.LOCK, {}, lambda client, hash: client.set_locked(hash, True)),
        (
            Kind.USER_METADATA,
            {"metadata": {"title": "Dog"}},
            lambda client, hash: client.patch_user_metadata(hash, {"title": "Dog"}),
        ),
    ],
)
def test_a_lost_task_is_replaced(
    images: list[SourceImage],
    kind: str,
    options: dict[str, Any],
    act: Callable[[api.RokkaClient, str], Any],
) -> None:
    operation = bulk.create(kind, SourceImage.objects.all(), options=options)
    items = operations._take(operation, "dead")
    BulkItem.objects.filter(pk=items[0].pk).update(state=State.RUNNING)
    act(get_client(), items[0].image.hash)

    assert bulk.resume_lost("default") == 0
    long_ago = timezone.now() - operations.LOST - timedelta(seconds=1)
    BulkOperation.objects.update(heartbeat=long_ago)
    operation.refresh_from_db()
    assert bulk.progress(operation).lost
    assert bulk.resume_lost("stage") == 0
    assert bulk.resume_lost("default") == 1

    # The one that was running had been done by the lost task: it counts as done, not as skipped.
    assert outcomes(operation) == [(State.DONE, "")] * 6


def test_a_task_that_was_thought_lost_does_nothing_more(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())
    items = operations._take(operation, "slow")
    operations._give_back(BulkItem.objects.all())
    assert not bulk.work(operation, "quick")
    rokka_emulator.application.calls.clear()

    BulkOperation.objects.update(state=BulkOperation.State.RUNNING)
    operations._Shift(operation, "slow", None).work_on_all(items)

    assert calls(rokka_emulator) == []


def test_without_celery_a_web_request_works_for_some_seconds(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    rokka_emulator.add_fault(Fault(kind="hang", seconds=0.3, times=100))
    operation = bulk.create(Kind.LOCK, SourceImage.objects.all())

    assert bulk.work(operation, "web", seconds=0.5)

    found = bulk.progress(operation)
    assert 1 <= found.done <= 3
    assert found.seconds_left
    assert not BulkItem.objects.exclude(holder="").filter(state__in=BulkItem.OPEN).exists()


def test_an_unexpected_error_fails_one_image(
    images: list[SourceImage], rokka_emulator: Emulator
) -> None:
    operation = run(Kind.COPY, SourceImage.objects.filter(pk=images[0].pk))  # no destination

    assert outcomes(operation)[0][0] == State.FAILED
    assert "KeyError" in outcomes(operation)[0][1]
