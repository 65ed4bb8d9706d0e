"""The tasks, run at once: that each does its work, may be delivered twice, and is retried for the right reasons."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Retry
from celery.signals import before_task_publish
from django.core.files.base import ContentFile

from django_rokka import api, bulk, lifecycle, tasks
from django_rokka.bulk import operations
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage
from django_rokka.sync import runs
from tests.library.models import Article, Snapshot
from tests.pictures import picture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("celery_app")]

#: Every task of ours, by name.
TASKS = {
    name: task for name, task in vars(tasks).items() if hasattr(task, "delay") and name[0] != "_"
}


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


@pytest.fixture
def row() -> Article:
    file = ContentFile(picture(), name="dog.jpg")
    return Article.objects.create(title="Dog", photo=file)


def shown() -> str:
    return Article.objects.get().photo.hash


def is_live(hash: str) -> bool:
    return hash in {image.hash for image in get_client(mirrors=False).iter_source_images()}


AREA = {"x": 1, "y": 2, "width": 1, "height": 1}


def arguments(row: Article) -> dict[str, list[Any]]:
    """What each task can be called with, for an image that one row holds."""
    hash, pk = row.photo.hash, row.pk
    operation = bulk.create("sync", SourceImage.objects.all())
    return {
        "set_dynamic_metadata": ["default", hash, "subject_area", AREA],
        "delete_dynamic_metadata": ["default", hash, "subject_area"],
        "set_protected": ["default", hash, True],
        "change_row": ["default", hash, "library.Article", pk, "photo", "subject_area", AREA],
        "release": ["default", hash],
        "delete_unreferenced": ["default", hash],
        "delete_due": ["default"],
        "restore": ["default", hash],
        "copy": ["default", hash, "acme-stage"],
        "sync_source_image": ["default", hash],
        "sync_organization": ["default"],
        "resolve_rehash": ["default", hash],
        "patch_user_metadata": ["default", hash, {"title": "x", "gone": None}],
        "fill_placeholder": ["default", hash],
        "fill_placeholders": ["default"],
        "work_on_bulk_operation": ["default", operation.pk],
        "resume_bulk_operations": ["default"],
        "upload_deferred": ["default", "deferred/0/none.jpg"],
        "upload_pending": ["default"],
    }


def test_every_task_is_tried_here(row: Article) -> None:
    assert set(arguments(row)) == set(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_carries_ids_alone_and_may_be_delivered_twice(name: str, row: Article) -> None:
    args = arguments(row)[name]
    assert json.loads(json.dumps(args)) == args
    assert "test-key" not in json.dumps(args)

    first = TASKS[name].delay(*args).get()
    images = list(get_client(mirrors=False).iter_source_images())
    second = TASKS[name].delay(*args).get()

    assert json.loads(json.dumps(first)) == first
    assert second == first or name == "sync_organization"  # there is less to do the second time
    assert list(get_client(mirrors=False).iter_source_images()) == images
    assert is_live(shown())
    assert Article.objects.get().photo.name.endswith("/dog.jpg")


@pytest.mark.parametrize("name", TASKS)
def test_a_task_survives_its_worker_and_retries_with_jitter(name: str) -> None:
    task = TASKS[name]

    assert task.name == f"django_rokka.tasks.{name}"
    assert task.acks_late
    assert task.reject_on_worker_lost
    assert task.retry_jitter
    assert set(task.autoretry_for) == {api.RateLimited, api.ServerError, api.RokkaConnectionError}


@pytest.mark.parametrize(
    ("fault", "retried"),
    [
        (Fault(status=429, times=9), True),
        (Fault(status=500), True),
        (Fault(status=503, times=9), True),
        (Fault(kind="cut", times=9), True),
        (Fault(status=403), False),
        (Fault(status=400), False),
        (Fault(status=404), False),
    ],
)
def test_only_what_may_pass_is_tried_again(
    fault: Fault, retried: bool, row: Article, emulator: Emulator, settings: Any, celery_app: Celery
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "ATTEMPTS": 2, "RETRY_BUDGET": 1}}
    hash = row.photo.hash
    emulator.add_fault(fault)

    error = _outcome(celery_app, hash)

    assert isinstance(error, Retry) is retried, error
    if isinstance(error, Retry):
        assert 0 <= error.when <= 2
    emulator.clear_faults()
    assert is_live(shown())


def _outcome(app: Celery, hash: str) -> BaseException | None:
    """What a worker sees when it runs the task once."""
    task = app.tasks["django_rokka.tasks.set_dynamic_metadata"]
    task.push_request(called_directly=False, id="1", args=(), kwargs={}, retries=0, is_eager=True)
    try:
        task.run("default", hash, "version", {"text": "x"})
    except BaseException as error:
        return error
    finally:
        task.pop_request()
    return None


def test_a_change_for_one_row_moves_that_row(row: Article) -> None:
    other = Article.objects.create(title="other", photo=row.photo.name)
    args = arguments(row)["change_row"]

    hash = tasks.change_row(*args)

    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.photo.hash, other.photo.hash) == (hash, args[1])
    assert hash != args[1]


def test_a_change_for_a_row_that_went_on_is_dropped(row: Article, caplog: Any) -> None:
    args = arguments(row)["change_row"]
    row.photo = ContentFile(picture(color="#ff0000"), name="new.jpg")
    row.save()
    now = row.photo.name
    SourceImage.objects.get(hash=args[1]).refresh_from_db()
    get_client().restore_source_image(args[1])

    with caplog.at_level("INFO"):
        assert tasks.change_row(*args) is None
    assert "was not changed" in caplog.text
    assert Article.objects.get().photo.name == now
    Article.objects.all().delete()
    assert tasks.change_row(*args) is None


@pytest.fixture
def sent(celery_app: Celery) -> Iterator[list[tuple[str, str]]]:
    """The tasks that a broker gets, by name and arguments; there is no worker."""
    celery_app.conf.update(task_always_eager=False, broker_url="memory://")
    found: list[tuple[str, str]] = []

    def note(headers: Any, **kwargs: Any) -> None:
        found.append((headers["task"], headers["argsrepr"]))

    before_task_publish.connect(note)
    yield found
    before_task_publish.disconnect(note)


def test_with_celery_the_web_process_leaves_the_work_to_a_worker(
    row: Article, settings: Any, sent: list[tuple[str, str]]
) -> None:
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "CELERY": True}}
    hash = row.photo.hash

    row.delete()

    assert sent == [("django_rokka.tasks.release", f"('default', '{hash}')")]
    assert is_live(hash)


@pytest.mark.parametrize("celery", [True, False])
def test_a_task_of_a_bulk_operation_starts_the_next_where_there_is_celery(
    celery: bool, settings: Any, sent: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "CHUNK", 1)
    for color in ("#f00", "#0f0"):
        get_client().create_source_image(ContentFile(picture(color=color), name="dog.jpg"))
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "CELERY": celery}}
    operation = bulk.create("lock", SourceImage.objects.all())

    assert tasks.work_on_bulk_operation("default", operation.pk)

    assert bulk.progress(operation).done == 1
    following = ("django_rokka.tasks.work_on_bulk_operation", f"('default', {operation.pk})")
    assert sent == ([following] if celery else [])


def test_a_sync_leaves_the_listing_to_one_that_is_under_way() -> None:
    runs.begin("acme", "full")

    assert tasks.sync_organization("default") is None


def test_a_dead_broker_is_logged_and_the_row_is_saved(
    settings: Any, caplog: Any, tmp_path: Any, row: Article, celery_app: Celery
) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "CELERY": True}}
    hash = row.photo.hash
    # Port 9 discards: nothing answers there.
    celery_app.conf.update(
        task_always_eager=False,
        task_publish_retry=False,
        broker_url="amqp://127.0.0.1:9",
        broker_transport_options={"max_retries": 0},
    )

    snapshot = Snapshot.objects.create(photo=ContentFile(picture(color="#0f0"), name="dog.jpg"))
    row.delete()

    assert "Error calling" in caplog.text
    assert snapshot.photo.deferred
    assert is_live(hash)
    # What runs by schedule finds both.
    celery_app.conf.task_always_eager = True
    assert tasks.upload_pending("default") == 1
    assert not Snapshot.objects.get().photo.deferred
    (orphan,) = lifecycle.orphans("default", older_than=timedelta())
    assert orphan.hash == hash


def test_without_celery_the_tasks_are_functions() -> None:
    program = (
        "import sys; sys.modules['celery'] = None\n"
        "import django; from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['django_rokka'], ROKKA={})\n"
        "django.setup()\n"
        "from django_rokka import tasks\n"
        "assert not hasattr(tasks.release, 'delay')\n"
        "try: tasks.release('default', 'x')\n"
        "except Exception as error: print(type(error).__name__)\n"
    )
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout == "ImproperlyConfigured\n"
