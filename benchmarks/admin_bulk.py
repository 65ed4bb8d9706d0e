"""How many calls and how long a bulk operation takes: ours, and one call after the other.

``python benchmarks/admin_bulk.py [--images 10000]``. The emulator, in a process of its own, answers each
call after 20 ms. Ours is what the admin does: an operation that a real Celery worker works on; its broker is
in memory, so that none is needed, and the mirror in PostgreSQL, where PGHOST, PGPORT, PGUSER and PGPASSWORD
say, in a database that is dropped at the end; or, where there is none, in a file of SQLite. The alternative is
a loop over the same client without a mirror.

* ``copy``: all images to another organization;
* ``lock``: a tenth of them, at least 400; there is no batch call, so only tasks side by side help;
* ``a pause every 10th call``: ours, while rokka answers every tenth call with 429.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from celery import Celery
from celery.contrib.testing.worker import start_worker
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from sync import _configure, _postgresql, _sqlite
from werkzeug.wrappers import Request

from django_rokka.api import RokkaClient
from django_rokka.emulator import Emulator
from django_rokka.emulator.faults import Fault
from django_rokka.emulator.state import Image

_LATENCY = 0.02
_KEY = "benchmark"
#: Ours has to make so many times fewer requests for a copy.
_FEWER = 50


# --- rokka, in a process of its own -------------------------------------------------------------


@dataclass(frozen=True)
class _EveryNth(Fault):
    """A fault that strikes every ``nth`` call; ``seen`` are the calls so far."""

    nth: int = 10
    seen: list[str] = field(default_factory=list)

    def matches(self, request: Request) -> bool:
        """Count a call, and tell whether it is one of them."""
        self.seen.append(request.path)
        return len(self.seen) % self.nth == 0


def _hash(number: int) -> str:
    return hashlib.sha1(str(number).encode()).hexdigest()


def _image(number: int) -> Image:
    hash = _hash(number)
    return Image(
        organization="acme",
        hash=hash,
        short_hash=hash[:12],
        binary_hash=hash,
        created=1_700_000_000.0 + number,
        name=f"picture-{number}.jpg",
        mimetype="image/jpeg",
        format="jpg",
        size=100_000 + number,
        width=1920,
        height=1080,
        opaque=True,
        animated=False,
        user_metadata={"title": f"Picture {number}", "array:tags": ["one", "two"]},
    )


def _serve(images: int, pauses: bool) -> None:
    with Emulator(organizations=["acme", "acme-stage"], api_key=_KEY) as emulator:
        state = emulator.application.state
        with state.transaction() as db:
            for number in range(images):
                state.put(db, _image(number))
        if pauses:
            emulator.add_fault(_EveryNth(status=429, times=sys.maxsize))
        emulator.add_fault(Fault(kind="hang", seconds=_LATENCY, times=sys.maxsize))
        print(emulator.api_url, flush=True)
        sys.stdin.read()


@contextmanager
def _rokka(images: int, *, pauses: bool = False) -> Iterator[str]:
    """The URL of an emulator that has these images, and whose calls take their time."""
    command = [sys.executable, __file__, "--serve", str(images), *(["pauses"] if pauses else [])]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        url = process.stdout.readline().strip()
        aliases = {"default": "acme", "stage": "acme-stage"}
        rokka = {
            alias: {"ORGANIZATION": name, "API_KEY": _KEY, "BASE_URL": url, "CELERY": True}
            for alias, name in aliases.items()
        }
        try:
            with override_settings(ROKKA=rokka):
                yield url
        finally:
            process.stdin.close()


# --- Both ways: each takes a client, which only the loops use, and the number of images ---------


def _ours(kind: str, images: int, **options: Any) -> None:
    """What the admin does; waits for the end."""
    from django_rokka import bulk
    from django_rokka.models import BulkOperation, SourceImage

    operation = bulk.create(kind, SourceImage.objects.all(), options=options)
    bulk.start(operation)
    while operation.state == BulkOperation.State.RUNNING:
        time.sleep(0.02)
        operation.refresh_from_db()
    found = bulk.progress(operation)
    if (found.total, found.done) != (images, images):
        raise RuntimeError(f"{operation}: {operation.state}, {found}")


def _copy(client: RokkaClient, images: int) -> None:
    _ours("copy", images, destination="acme-stage")


def _lock(client: RokkaClient, images: int) -> None:
    _ours("lock", images)


def _copy_each(client: RokkaClient, images: int) -> None:
    for number in range(images):
        client.copy_source_image(_hash(number), "acme-stage")


def _lock_each(client: RokkaClient, images: int) -> None:
    for number in range(images):
        client.set_locked(_hash(number), True)


def _copied(url: str) -> int:
    return _client(url, "acme-stage").list_source_images(limit=1).total or 0


def _locked(url: str) -> int:
    return sum(image.locked for image in _client(url, "acme").iter_source_images())


def _client(url: str, organization: str) -> RokkaClient:
    """A client that knows nothing of Django."""
    return RokkaClient(organization, api_key=_KEY, base_url=url)


# --- Measuring ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Measured:
    """What one way took, time in seconds."""

    requests: int
    seconds: float


def _measure(
    name: str,
    way: Callable[[RokkaClient, int], None],
    count: Callable[[str], int],
    images: int,
    *,
    pauses: bool = False,
) -> _Measured:
    with _rokka(images, pauses=pauses) as url:
        _fill_mirror(images)
        started = time.perf_counter()
        way(_client(url, "acme"), images)
        seconds = time.perf_counter() - started
        statuses = [call["status"] for call in requests.get(f"{url}/_emulator/calls").json()]
        if count(url) != images:
            raise RuntimeError(f"{name}: {count(url)} images instead of {images}")
    refused = statuses.count(429)
    print(f"{name:34}{images:>8,}{len(statuses):>10,}{refused:>8,}{seconds:>9.1f} s", flush=True)
    return _Measured(len(statuses), seconds)


def _fill_mirror(images: int) -> None:
    from django_rokka.models import BulkOperation, SourceImage

    BulkOperation.objects.all().delete()
    SourceImage.objects.all().delete()
    rows = (
        SourceImage(organization="acme", hash=_hash(number), short_hash=_hash(number)[:12])
        for number in range(images)
    )
    SourceImage.objects.bulk_create(rows, batch_size=1000)


def _compare(images: int) -> bool:
    """Measure and print; tells whether ours makes as few requests as it should."""
    few = max(images // 10, 400)
    print(f"{'':34}{'images':>8}{'requests':>10}{'of 429':>8}{'time':>11}")
    copy = _measure("copy, ours", _copy, _copied, images)
    copy_each = _measure("copy, one call each", _copy_each, _copied, images)
    lock = _measure("lock, ours", _lock, _locked, few)
    lock_each = _measure("lock, one call each", _lock_each, _locked, few)
    _measure("copy, a pause every 10th call", _copy, _copied, images, pauses=True)
    _measure("lock, a pause every 10th call", _lock, _locked, few, pauses=True)
    fewer, faster = copy_each.requests / copy.requests, copy_each.seconds / copy.seconds
    side_by_side = lock_each.seconds / lock.seconds
    print(f"copy: {fewer:.0f} x fewer requests, {faster:.0f} x faster")
    print(f"lock: as many requests, {side_by_side:.1f} x faster")
    return fewer >= _FEWER


# --- Database and worker ------------------------------------------------------------------------


@contextmanager
def _database() -> Iterator[None]:
    """PostgreSQL if it answers, else SQLite; gone afterwards."""
    with ExitStack() as stack:
        try:
            name = stack.enter_context(_postgresql())
        except Exception as error:
            print(f"SQLite, for want of PostgreSQL: {error}".strip())
            name = stack.enter_context(_sqlite())
        _configure(name, "http://127.0.0.1:9")
        if connection.vendor == "sqlite":
            # Tasks write side by side.
            connection.settings_dict["OPTIONS"] = {
                "timeout": 60,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
            }
        call_command("migrate", verbosity=0)
        stack.callback(connection.close)
        print(f"{connection.display_name}, {_LATENCY * 1000:.0f} ms a call")
        yield


@contextmanager
def _worker() -> Iterator[None]:
    """A Celery worker with as many threads as a bulk operation uses by default."""
    from django_rokka.conf import Config

    app = Celery("benchmark", broker="memory://")
    app.conf.update(
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        # In memory there is nobody who tells of a message: it is looked for.
        broker_transport_options={"polling_interval": 0.005},
    )
    app.set_default()
    app.autodiscover_tasks(["django_rokka"], force=True)
    with start_worker(
        app,
        pool="threads",
        concurrency=Config("").concurrency,
        perform_ping_check=False,
        loglevel="ERROR",
    ):
        yield


def main() -> int:
    """Measure and print. Exit code 1 if ours needs too many requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000, help="at least 500")
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(int(options.serve[0]), "pauses" in options.serve)
        return 0
    if options.images < 500:
        parser.error("--images must be at least 500")
    with ExitStack() as stack:
        stack.enter_context(_database())
        stack.enter_context(_worker())
        return 0 if _compare(options.images) else 1


if __name__ == "__main__":
    sys.exit(main())
