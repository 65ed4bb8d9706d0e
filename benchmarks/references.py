"""How long it takes to find the rows that hold an image and to move them: ours, and ``contains``.

``python benchmarks/references.py [--rows 1000000] [--sqlite-only]``. All rows are in one table, and ten of
them hold each image. SQLite has its file in a temporary directory; PostgreSQL is where PGHOST, PGPORT,
PGUSER and PGPASSWORD say, and gets a database that is dropped at the end. The plans of our statements are
shown, so that one sees the index used.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from django.apps import AppConfig
from django.conf import settings
from django.db import connections, models, transaction
from django.db.models import Value
from django.db.models.functions import Replace
from django.test import override_settings

settings.configure(
    INSTALLED_APPS=["django_rokka", AppConfig("benchmark", sys.modules[__name__])],
    DATABASES={
        "default": {},
        "sqlite": {"ENGINE": "django.db.backends.sqlite3"},
        "postgresql": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": f"rokka_benchmark_{os.getpid()}",
            "HOST": os.environ.get("PGHOST", "127.0.0.1"),
            "PORT": os.environ.get("PGPORT", "5432"),
            "USER": os.environ.get("PGUSER", "postgres"),
            "PASSWORD": os.environ.get("PGPASSWORD", ""),
        },
    },
)
django.setup()

from django_rokka import references  # noqa: E402
from django_rokka.fields import RokkaImageField  # noqa: E402
from django_rokka.models import SourceImage  # noqa: E402

_ROWS_PER_IMAGE = 10
#: How many images are looked up our way, and the slow way.
_OURS, _THEIRS = 50, 5
_EXPLAIN = {"postgresql": "EXPLAIN (ANALYZE, BUFFERS OFF)", "sqlite": "EXPLAIN QUERY PLAN"}
_INDEX_USED = {"postgresql": ("Index",), "sqlite": ("USING INDEX", "USING COVERING INDEX")}


class Picture(models.Model):
    """The table of the benchmark."""

    title = models.CharField(max_length=100)
    photo = RokkaImageField()

    class Meta:
        app_label = "benchmark"

    def __str__(self) -> str:
        return self.title


@dataclass(frozen=True)
class _Router:
    """Everything is in one database, as it is at most sites."""

    using: str

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        return self.using

    db_for_write = db_for_read


def _hash(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def _image(hash: str) -> SourceImage:
    return SourceImage(organization="acme", hash=hash, short_hash=hash[:6])


# --- Both ways: each takes an image and gives how many rows it found or moved -------------------

_Way = Callable[[SourceImage], int]


def _containing(image: SourceImage) -> models.QuerySet[Picture]:
    return models.QuerySet(Picture).filter(photo__contains=image.hash)


def _repoint(image: SourceImage) -> int:
    return references.repoint(image, _image(_hash(image.hash)))


def _replace(image: SourceImage) -> int:
    new = Replace("photo", Value(image.hash), Value(_hash(image.hash)))
    return _containing(image).update(photo=new)


#: What is measured: its name, both ways, and the number that must come out.
_MEASURED: list[tuple[str, _Way, _Way, int]] = [
    (
        "count(image, limit=1)",
        lambda image: references.count(image, limit=1),
        lambda image: _containing(image)[:1].count(),
        1,
    ),
    (
        "list(of(image))",
        lambda image: len(list(references.of(image))),
        lambda image: len(list(_containing(image))),
        _ROWS_PER_IMAGE,
    ),
    ("repoint(old, new)", _repoint, _replace, _ROWS_PER_IMAGE),
]


# --- The database -----------------------------------------------------------------------------


@contextmanager
def _database(using: str) -> Iterator[None]:
    """An empty database, which is gone afterwards."""
    connection = connections[using]
    with tempfile.TemporaryDirectory() as directory:
        if using == "sqlite":
            connection.settings_dict["NAME"] = Path(directory) / "benchmark.sqlite3"
        else:
            _administer("CREATE DATABASE")
        try:
            yield
        finally:
            connection.close()
            if using == "postgresql":
                _administer("DROP DATABASE")


def _administer(command: str) -> None:
    with connections["postgresql"]._nodb_cursor() as cursor:
        cursor.execute(f"{command} {connections['postgresql'].settings_dict['NAME']}")


def _fill(using: str, rows: int) -> None:
    connection, table, images = connections[using], Picture._meta.db_table, rows // _ROWS_PER_IMAGE
    values = (
        (f"Picture {row}", f"{_hash(str(row % images))}/picture-{row}.jpg") for row in range(rows)
    )
    # The editor makes the indexes when it is left, so that they are built once.
    with connection.schema_editor() as editor, connection.cursor() as cursor:
        editor.create_model(Picture)
        if using == "sqlite":
            insert = f"INSERT INTO {table} (title, photo) VALUES (?, ?)"
            connection.connection.executemany(insert, values)
        else:
            with cursor.copy(f"COPY {table} (title, photo) FROM STDIN") as copy:
                for value in values:
                    copy.write_row(value)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if using == "sqlite" else "VACUUM ANALYZE")


# --- Measuring --------------------------------------------------------------------------------


def _plan(using: str, way: _Way, image: SourceImage) -> list[str]:
    """How the database runs the very statements that ``way`` makes. Nothing is changed."""
    statements: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if Picture._meta.db_table in sql:
            statements.append((sql, params))
        return execute(sql, params, many, context)

    lines: list[str] = []
    with transaction.atomic(using=using), connections[using].execute_wrapper(note):
        way(image)
        transaction.set_rollback(True, using=using)
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        for sql, params in statements:
            cursor.execute(f"{_EXPLAIN[using]} {sql}", params)
            lines += [str(row[-1]) for row in cursor.fetchall()]
        transaction.set_rollback(True, using=using)
    return lines


def _milliseconds(way: _Way, images: list[SourceImage], expected: int) -> float:
    """The median."""
    times = []
    for image in images:
        started = time.perf_counter()
        found = way(image)
        times.append((time.perf_counter() - started) * 1000)
        if found != expected:
            raise RuntimeError(f"{found} rows instead of {expected}")
    return statistics.median(times)


def _measure(using: str, rows: int) -> tuple[list[str], bool]:
    """The lines of the table, and whether all our statements use an index."""
    database = connections[using].display_name
    print(f"{database} {'.'.join(map(str, connections[using].get_database_version()))}")
    _fill(using, rows)
    numbers = random.Random(0).sample(range(rows // _ROWS_PER_IMAGE), _OURS + _THEIRS)
    images = [_image(_hash(str(number))) for number in numbers]
    lines, indexed = [], True
    for name, ours, theirs, expected in _MEASURED:
        plan = _plan(using, ours, images[0])
        print(f"  {name}", *plan, sep="\n    ", end="\n\n")
        indexed &= any(words in line for words in _INDEX_USED[using] for line in plan)
        fast = _milliseconds(ours, images[:_OURS], expected)
        slow = _milliseconds(theirs, images[_OURS:], expected)
        label = f"{database}, {name}"
        lines.append(f"{label:34}{fast:9.2f} ms{slow:14.1f} ms{slow / fast:12.0f} x")
    return lines, indexed


def main() -> int:
    """Measure and print. Exit code 1 if a statement of ours uses no index."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="at least 10000")
    parser.add_argument("--sqlite-only", action="store_true", help="leave PostgreSQL out")
    options = parser.parse_args()
    if options.rows < 10_000:
        parser.error("--rows must be at least 10000")
    lines, indexed = [f"{f'{options.rows:,} rows':34}        ours    __contains       ratio"], True
    for using in ["sqlite"] if options.sqlite_only else ["postgresql", "sqlite"]:
        rokka = {"default": {"ORGANIZATION": "acme", "DATABASES": [using]}}
        routers = [_Router(using)]
        with override_settings(ROKKA=rokka, DATABASE_ROUTERS=routers), _database(using):
            measured, good = _measure(using, options.rows)
        lines, indexed = lines + measured, indexed and good
    print(*lines, "" if indexed else "A statement of ours uses no index.", sep="\n")
    return 0 if indexed else 1


if __name__ == "__main__":
    sys.exit(main())
