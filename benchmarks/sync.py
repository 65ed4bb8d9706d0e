"""How fast, and in how much memory, the mirror is filled and kept: ours, and what else one could do.

``python benchmarks/sync.py [--images 1000000] [--sqlite-only]``. A server on this machine gives ready-made
pages, so that the client is what is measured; each measurement has a process and, first, an empty mirror of
its own. PostgreSQL is where PGHOST, PGPORT, PGUSER and PGPASSWORD say; its database is dropped at the end.

* ``floor``: read the pages, parse them, and write them with ``COPY`` (SQLite: ``executemany``), no more;
* ``first run`` and ``nothing changed``: `django_rokka.sync`;
* ``update_or_create``: row by row, on a sample;
* ``first run, 50 ms a page``: the same first run, on a sample, with a server that takes its time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django
import requests
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

PAGE = 2000
_SAMPLE, _LATENCY = 5_000, 0.05


# --- A server of ready-made pages ---------------------------------------------------------------


def _item(number: int) -> dict[str, Any]:
    """An image as rokka lists it; numbers are in the order of their hashes."""
    digest = hashlib.sha1(str(number).encode()).hexdigest()
    hash = f"{number:010x}{digest[:30]}"
    return {
        "hash": hash,
        "short_hash": hash[:12],
        "binary_hash": digest,
        "created": "2019-12-10T10:45:32+00:00",
        "name": f"picture-{number}.jpg",
        "mimetype": "image/jpeg",
        "format": "jpg",
        "size": 100_000 + number,
        "width": 1920,
        "height": 1080,
        "organization": "acme",
        "link": f"/sourceimages/acme/{hash}",
        "opaque": True,
        "user_metadata": {"title": f"Picture {number}", "array:tags": ["one", "two"]},
        "dynamic_metadata": {
            "subject_area": {"x": number % 1000, "y": 10, "width": 1, "height": 1}
        },
    }


def _write_pages(directory: Path, images: int) -> None:
    for page, start in enumerate(range(0, images, PAGE)):
        items = [_item(number) for number in range(start, min(start + PAGE, images))]
        more = start + PAGE < images
        href = f"/sourceimages/acme?limit={PAGE}&offset=page{page + 1}"
        links = {"next": {"href": href}} if more else {}
        body = {"total": images, "items": items, "links": links}
        (directory / f"page{page}").write_text(json.dumps(body))


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    directory: Path
    latency = 0.0

    def do_GET(self) -> None:
        time.sleep(self.latency)
        offset = parse_qs(urlsplit(self.path).query).get("offset", ["page0"])[0]
        body = (self.directory / offset).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _serve(directory: str, latency: float) -> None:
    _Pages.directory, _Pages.latency = Path(directory), latency
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def _server(images: int, latency: float = 0.0) -> Iterator[str]:
    """The URL of a server, in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        _write_pages(Path(directory), images)
        command = [sys.executable, __file__, "--serve", directory, str(latency)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
            finally:
                process.terminate()


# --- What is measured, in a process of its own --------------------------------------------------


def database_of(name: str) -> dict[str, Any]:
    """The setting of a database: a file of SQLite, or one of PostgreSQL, where PGHOST and so on say."""
    if name.endswith(".sqlite3"):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        "PORT": os.environ.get("PGPORT", "5432"),
        "USER": os.environ.get("PGUSER", "postgres"),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
    }


def shared_database_of(name: str) -> dict[str, Any]:
    """The same, for processes that write side by side."""
    setting = database_of(name)
    if name.endswith(".sqlite3"):
        setting["OPTIONS"] = {
            "timeout": 60,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        }
    return setting


def _configure(database: str, url: str) -> None:
    settings.configure(
        INSTALLED_APPS=["django_rokka"],
        DATABASES={"default": database_of(database)},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        ROKKA={"default": {"ORGANIZATION": "acme", "API_KEY": "none", "BASE_URL": url}},
    )
    django.setup()


def _read_pages(url: str) -> Iterator[list[dict[str, Any]]]:
    path: str | None = f"/sourceimages/acme?limit={PAGE}"
    with requests.Session() as session:
        while path:
            page = session.get(url + path, timeout=60).json()
            yield page["items"]
            path = page["links"].get("next", {}).get("href")


def _columns() -> list[str]:
    from django_rokka.models import SourceImage

    return ["organization", "hash", *SourceImage.RECORDED_FIELDS, "broken"]


def _values(item: dict[str, Any], columns: list[str]) -> list[Any]:
    fixed = {"static_metadata": "{}", "protected": False, "locked": False, "animated": False}
    own = {
        **item,
        **fixed,
        "synced": "2026-01-01T00:00:00+00:00",
        "broken": "",
        "user_metadata": json.dumps(item["user_metadata"]),
        "dynamic_metadata": json.dumps(item["dynamic_metadata"]),
    }
    return [own.get(name) for name in columns]


def _floor(url: str) -> int:
    names, count = _columns(), 0
    columns, marks = ", ".join(names), ", ".join(["%s"] * len(names))
    with connection.cursor() as cursor:
        for items in _read_pages(url):
            rows = [_values(item, names) for item in items]
            count += len(rows)
            if connection.vendor == "postgresql":
                with cursor.copy(f"COPY rokka_sourceimage ({columns}) FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
            else:
                sql = f"INSERT INTO rokka_sourceimage ({columns}) VALUES ({marks})"
                with transaction.atomic():
                    cursor.executemany(sql, rows)
    return count


def _ours(url: str) -> int:
    from django_rokka.sync import sync_organization

    run = sync_organization("default")
    return int(run.created + run.unchanged)


def _row_by_row(url: str) -> int:
    from django_rokka.api import SourceImage as Image
    from django_rokka.models import SourceImage

    count = 0
    for items in _read_pages(url):
        for item in items[: _SAMPLE - count]:
            row = SourceImage.from_api(Image.from_json(item))
            values = {name: getattr(row, name) for name in SourceImage.RECORDED_FIELDS}
            SourceImage.objects.update_or_create(
                organization=row.organization, hash=row.hash, defaults=values
            )
            count += 1
        if count >= _SAMPLE:
            break
    return count


_WAYS: dict[str, Callable[[str], int]] = {
    "floor": _floor,
    "first run": _ours,
    "nothing changed": _ours,
    "update_or_create": _row_by_row,
}


def _measure(way: str, database: str, url: str) -> None:
    _configure(database, url)
    if way != "nothing changed":
        call_command("migrate", verbosity=0)
        call_command("flush", verbosity=0, interactive=False)
    connection.ensure_connection()
    started = time.perf_counter()
    count = _WAYS[way](url)
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"count": count, "seconds": seconds, "megabytes": peak / 1024}))


# --- Side by side -------------------------------------------------------------------------------


def _run(way: str, database: str, url: str, expected: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", way, database, url]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(found.stderr)
    result: dict[str, float] = json.loads(found.stdout)
    if result["count"] != expected:
        raise RuntimeError(f"{way}: {result['count']} images instead of {expected}")
    return result


@contextmanager
def _postgresql() -> Iterator[str]:
    import psycopg

    name = f"rokka_benchmark_{os.getpid()}"
    where = {
        "host": os.environ.get("PGHOST", "127.0.0.1"),
        "user": os.environ.get("PGUSER", "postgres"),
        "dbname": "postgres",
    }
    with psycopg.connect(**where, autocommit=True) as server:  # type: ignore[arg-type]
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:
        yield f"{directory}/mirror.sqlite3"


def _line(database: str, way: str, images: int, result: dict[str, float], floor: float) -> str:
    rate = result["count"] / result["seconds"]
    return (
        f"{database:12}{way:26}{images:>10,}{result['seconds']:9.1f} s{rate:10,.0f}/s"
        f"{rate / floor:8.2f} x{result['megabytes']:8.0f} MB"
    )


def _compare(database: str, name: str, images: int) -> Iterator[str]:
    """One line for each way, its rate as a ratio to the floor's."""
    small = min(10_000, images)
    with _server(small) as url:
        memory = _run("first run", name, url, small)
    with _server(images) as url:
        floor = _run("floor", name, url, images)
        rate = floor["count"] / floor["seconds"]
        yield _line(database, "floor", images, floor, rate)
        for way in ("first run", "nothing changed"):
            yield _line(database, way, images, _run(way, name, url, images), rate)
        sample = min(_SAMPLE, images)
        yield _line(
            database, "update_or_create", sample, _run("update_or_create", name, url, sample), rate
        )
    yield _line(database, "first run", small, memory, rate)
    slow = min(200_000, images)
    with _server(slow, _LATENCY) as url:
        yield _line(
            database, "first run, 50 ms a page", slow, _run("first run", name, url, slow), rate
        )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--sqlite-only", action="store_true", help="leave PostgreSQL out")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(options.serve[0], float(options.serve[1]))
    elif options.measure:
        _measure(*options.measure)
    else:
        databases = [("SQLite", _sqlite)]
        databases = databases if options.sqlite_only else [("PostgreSQL", _postgresql), *databases]
        print(f"{'':38}{'images':>10}{'time':>11}{'rate':>12}{'to floor':>10}{'peak':>11}")
        for database, opened in databases:
            with opened() as name:
                for line in _compare(database, name, options.images):
                    print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
