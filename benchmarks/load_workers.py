"""The part of ``load.py`` that has workers: our tasks, in the processes of a real Celery worker.

A picture's way: a row is saved, whose file waits in the spool; a task uploads it; then, one after the other, a
placeholder is made, user metadata is changed, the picture gets a subject area, and it is read anew; at last the
row is deleted, and the picture after it. There are always some more pictures on their way than workers.

The broker is Redis, where ``--redis`` says; the database PostgreSQL, where PGHOST and so on say, or a file of
SQLite. ``celery -A load_workers worker`` runs this module in the worker, which
finds in the environment what it needs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import django
import redis
from celery import Celery, chain, shared_task
from celery.signals import task_postrun
from django.apps import AppConfig
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection, models
from load import KEY, Load, picture
from sync import shared_database_of


@dataclass(frozen=True)
class Place:
    """Where everything is: for this process and for the worker's."""

    database: str
    url: str
    folder: str
    broker: str

    @property
    def prefix(self) -> str:
        """What the names of all keys at the broker begin with."""
        return f"{self.folder}/"


_VARIABLE = "ROKKA_LOAD"
place = Place(**json.loads(os.environ[_VARIABLE]))
_ENDED = Path(place.folder, "ended")

settings.configure(
    INSTALLED_APPS=["django_rokka", AppConfig("benchmark", sys.modules[__name__])],
    DATABASES={"default": shared_database_of(place.database)},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    MIGRATION_MODULES={"benchmark": None},
    MEDIA_ROOT=f"{place.folder}/media",
    ROKKA={
        "default": {
            "ORGANIZATION": "acme",
            "API_KEY": KEY,
            "BASE_URL": place.url,
            "RENDER_URL": f"{place.url}/render/{{organization}}",
            "CELERY": True,
            "UNREFERENCED": "delete",
        }
    },
)
django.setup()

from django_rokka import tasks  # noqa: E402
from django_rokka.fields import RokkaImageField  # noqa: E402
from django_rokka.spool import PREFIX  # noqa: E402

app = Celery("load", broker=place.broker)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    # Nothing is mixed with what others keep there.
    broker_transport_options={"global_keyprefix": place.prefix},
)
app.set_default()
app.autodiscover_tasks(["django_rokka"], force=True)


class Row(models.Model):
    """A picture on its way."""

    photo = RokkaImageField(upload="deferred")
    is_fresh = models.BooleanField(default=True)

    objects: models.Manager[Row] = models.Manager()

    class Meta:
        app_label = "benchmark"

    def __str__(self) -> str:
        return str(self.photo)


# --- In the worker ------------------------------------------------------------------------------


@shared_task
def let_go(pk: int) -> None:
    """Delete a row; its picture is deleted by a task of its own."""
    Row.objects.get(pk=pk).delete()


@task_postrun.connect
def _note(task: Any, state: str, retval: Any, **kwargs: Any) -> None:
    text = f"{state} {task.name.rpartition('.')[2]} {retval if state == 'FAILURE' else ''}"
    with _ENDED.open("a") as file:  # one write, which processes do not mix
        file.write(" ".join(text.split()) + "\n")


# --- Here ---------------------------------------------------------------------------------------


def _start(number: int) -> None:
    Row.objects.create(photo=ContentFile(picture(number), name=f"picture-{number}.jpg"))


def _go_on() -> None:
    """Give each picture that was just uploaded the rest of its tasks."""
    for row in Row.objects.filter(is_fresh=True).exclude(photo__startswith=PREFIX):
        Row.objects.filter(pk=row.pk).update(is_fresh=False)
        hash = row.photo.hash
        chain(
            tasks.fill_placeholder.si("default", hash),
            tasks.patch_user_metadata.si("default", hash, {"title": f"Picture {row.pk}"}),
            tasks.set_dynamic_metadata.si(
                "default", hash, "subject_area", {"x": 9, "y": 9, "width": 20, "height": 20}
            ),
            tasks.sync_source_image.si("default", hash),
            let_go.si(row.pk),
        ).delay()


def _feed(seconds: float, at_once: int) -> None:
    """Keep ``at_once`` pictures on their way, and wait for the last ones."""
    numbers = iter(range(sys.maxsize))
    started = time.monotonic()
    while (passed := time.monotonic() - started) < seconds or Row.objects.exists():
        if passed < seconds:
            for _ in range(at_once - Row.objects.count()):
                _start(next(numbers))
        elif passed > seconds + 120:
            raise RuntimeError(f"{Row.objects.count()} pictures never came to their end")
        _go_on()
        time.sleep(0.02)


@contextmanager
def _worker(processes: int) -> Iterator[list[int]]:
    """A Celery worker; gives the numbers of its processes."""
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "load_workers", "worker"]
    command += [f"--concurrency={processes}", "--pool=prefork", "--loglevel=ERROR"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    folder = Path(__file__).parent
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            yield _children(process.pid, processes)
        finally:
            process.terminate()
            process.wait()
            _tidy_up()


def _tidy_up() -> None:
    with redis.Redis.from_url(place.broker) as client:
        for key in client.scan_iter(match=f"{place.prefix}*"):
            client.delete(key)


def _children(process: int, expected: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    while len(found := path.read_text().split()) < expected:
        time.sleep(0.1)
    return [int(number) for number in found]


@dataclass(frozen=True)
class Worked:
    """What came of it."""

    tasks: Counter[str]
    errors: Counter[str]
    load: Load


def work(seconds: float, processes: int) -> Worked:
    """Keep the workers busy for some time."""
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Row)
    load = Load(place.url)
    with _worker(processes) as numbers:
        watching = Thread(target=load.watch, args=(seconds, lambda: numbers))
        watching.start()
        _feed(seconds, 2 * processes)
        watching.join()
        _wait_for_the_last_tasks()
    connection.close()
    lines = _ENDED.read_text().splitlines()
    ended = Counter(line.split()[0] for line in lines)
    return Worked(ended, Counter(line for line in lines if line.startswith("FAILURE")), load)


def _wait_for_the_last_tasks() -> None:
    """Those of pictures whose rows are gone: wait until nothing has ended for a second."""
    size = -1
    while size != (size := _ENDED.stat().st_size):
        time.sleep(1)
