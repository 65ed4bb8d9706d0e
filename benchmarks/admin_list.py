"""How long the admin's list of images takes with a million of them: ours, and a `ModelAdmin` as it comes.

``python benchmarks/admin_list.py [--rows 1000000] [--sqlite]``. There are as many images as rows that show
them. They are in PostgreSQL, where PGHOST, PGPORT, PGUSER and PGPASSWORD say, in a database that is dropped
at the end; or, with ``--sqlite`` or if no PostgreSQL answers, in a file of a temporary directory. A time is
the median of what Django's test client takes for a page, queries and templates. The other way shows the
same columns and filters with what one writes first: the names of columns in ``list_filter`` and
``search_fields``, `references.count` for each row, and ``hash__in`` for what is used.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import django
from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError, connection, connections, models, transaction
from django.db.models.functions import Substr
from django.test import Client

settings.configure(
    SECRET_KEY="benchmark",
    ALLOWED_HOSTS=["testserver"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "django_rokka",
        AppConfig("benchmark", sys.modules[__name__]),
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ.get("PGHOST", "127.0.0.1"),
            "PORT": os.environ.get("PGPORT", "5432"),
            "USER": os.environ.get("PGUSER", "postgres"),
            "PASSWORD": os.environ.get("PGPASSWORD", ""),
        },
    },
    ROKKA={"default": {"ORGANIZATION": "acme"}},
    MIGRATION_MODULES={"benchmark": None},
    STATIC_URL="/static/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.urls import path  # noqa: E402
from sync import _postgresql, _sqlite  # noqa: E402

from django_rokka import references  # noqa: E402
from django_rokka.fields import RokkaImageField  # noqa: E402
from django_rokka.models import SourceImage  # noqa: E402

#: One image in so many is unused, deleted, protected, and a drawing.
_UNUSED, _DELETED, _PROTECTED, _SVG = 10, 50, 1000, 20_000
_START = datetime(2016, 1, 1, tzinfo=timezone.utc)
#: How often each page is asked for, our way and the other one, and how long PostgreSQL may take: milliseconds.
_OURS, _THEIRS, _LIMIT = 7, 3, 60_000


class Picture(models.Model):
    """The rows that show images."""

    title = models.CharField(max_length=100)
    photo = RokkaImageField()

    class Meta:
        app_label = "benchmark"

    def __str__(self) -> str:
        return self.title


# --- A million of each ------------------------------------------------------------------------


def _hash(number: int) -> str:
    return hashlib.sha1(str(number).encode()).hexdigest()


def _format(number: int) -> str:
    return "svg" if number % _SVG == 7 else "png" if number % 10 == 3 else "jpg"


def _image(number: int) -> dict[str, Any]:
    created = _START + timedelta(minutes=5 * number)
    format = _format(number)
    metadata = {"title": f"Picture {number}", "text:alt": "What it shows, in a line or so of text"}
    return {
        "organization": "acme",
        "hash": _hash(number),
        "short_hash": _hash(number)[:12],
        "binary_hash": _hash(-number),
        "name": f"picture-{number}.{format}",
        "format": format,
        "mimetype": f"image/{format}",
        "size": 100_000 + _shuffled(number),
        "width": 1920,
        "height": 1280,
        "created": created.isoformat(),
        "user_metadata": json.dumps(metadata),
        "dynamic_metadata": json.dumps({"subject_area": {"x": number % 1000, "y": 10}}),
        "static_metadata": "{}",
        "opaque": True,
        "protected": number % _PROTECTED == 1,
        "locked": False,
        "animated": False,
        "deleted": created.isoformat() if number % _DELETED == 9 else None,
        "synced": created.isoformat(),
        "broken": "",
    }


def _shuffled(number: int) -> int:
    return number * 7919 % 1_000_003


def _picture(number: int) -> dict[str, Any]:
    shown = number - 1 if number % _UNUSED == 0 else number
    return {"title": f"Picture {number}", "photo": f"{_hash(shown)}/picture-{number}.jpg"}


def _copy(table: str, rows: Iterator[dict[str, Any]]) -> None:
    first = next(rows)
    columns, marks = ", ".join(first), ", ".join(["%s"] * len(first))
    values = (list(row.values()) for row in rows)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(first.values()))
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in values:
                    copy.write_row(row)
        else:
            connection.connection.executemany(
                f"INSERT INTO {table} ({columns}) VALUES ({marks.replace('%s', '?')})", values
            )


def _fill(rows: int) -> None:
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Picture)
    _copy(SourceImage._meta.db_table, map(_image, range(1, rows + 1)))
    _copy(Picture._meta.db_table, map(_picture, range(1, rows + 1)))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


# --- Both ways --------------------------------------------------------------------------------


class _Use(admin.SimpleListFilter):
    """What is used, by the hashes of all rows."""

    title = parameter_name = "use"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("used", "used"), ("unused", "unused")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        shown: models.QuerySet[Any, Any] = models.QuerySet(Picture).values(
            hash=Substr("photo", 1, 40)
        )
        found = models.Q(hash__in=shown)
        return (
            queryset.filter(~found if self.value() == "unused" else found) if self.value() else None
        )


class _Plain(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = [
        "name",
        "width",
        "height",
        "size",
        "format",
        "organization",
        "use",
        "created",
        "deleted",
    ]
    list_filter = [
        "organization",
        "format",
        ("deleted", admin.EmptyFieldListFilter),
        "protected",
        "locked",
        _Use,
        "created",
    ]
    search_fields = ["name", "hash", "binary_hash"]
    ordering = ["-created"]

    def use(self, image: SourceImage) -> int:
        """How many times rows hold it."""
        return references.count(image)


plain = admin.AdminSite("plain")
plain.register(SourceImage, _Plain)
urlpatterns = [path("admin/", admin.site.urls), path("plain/", plain.urls)]

#: What is measured: its name, and what the address has after it, our way and the other one.
_PAGES = [
    ("first page", "", ""),
    ("page 50", "?p=50", "?p=50"),
    ("format png", "?format=png", "?format=png"),
    ("format svg", "?format=svg", "?format=svg"),
    ("deleted", "?state=deleted", "?deleted__isempty=0"),
    ("protected", "?state=protected", "?protected__exact=1"),
    ("used", "?use=used", "?use=used"),
    ("unused", "?use=unused", "?use=unused"),
    ("search, a hash", f"?q={_hash(4711)[:12]}", f"?q={_hash(4711)[:12]}"),
    ("search, a name", "?q=picture-4711", "?q=picture-4711"),
]


def _milliseconds(client: Client, url: str, times: int) -> float:
    """The median; infinite if the database gave up."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        try:
            response = client.get(url)
        except OperationalError:
            return float("inf")
        taken.append((time.perf_counter() - started) * 1000)
        if b'class="field-format' not in response.content:
            raise RuntimeError(f"{url} shows nothing: {response.status_code}")
    return statistics.median(taken)


def _measure(rows: int) -> Iterator[str]:
    """The lines of the table."""
    _fill(rows)
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {_LIMIT}")
    for site in ("admin", "plain"):
        client.get(f"/{site}/rokka/sourceimage/?q=warm-up")
    database = f"{connection.display_name} {'.'.join(map(str, connection.get_database_version()))}"
    yield f"{f'{database}, {rows:,} rows':34}{'ours':>12}{'plain':>15}{'ratio':>12}"
    for name, our, their in _PAGES:
        fast = _milliseconds(client, f"/admin/rokka/sourceimage/{our}", _OURS)
        slow = _milliseconds(client, f"/plain/rokka/sourceimage/{their}", _THEIRS)
        more = slow == float("inf")
        slow = min(slow, _LIMIT)
        yield f"{name:34}{fast:9.0f} ms{'>' * more:>2}{slow:10.0f} ms{'>' * more:>2}{slow / fast:8.1f} x"


def _postgresql_answers() -> bool:
    try:
        with connection._nodb_cursor():
            return True
    except (OperationalError, ImproperlyConfigured):
        return False


@contextmanager
def _database(*, sqlite: bool) -> Iterator[None]:
    """An empty database, which is gone afterwards."""
    own = connections.databases["default"]
    if sqlite or not _postgresql_answers():
        own["ENGINE"], opened = "django.db.backends.sqlite3", _sqlite
    else:
        opened = _postgresql
    del connections["default"]
    with opened() as own["NAME"]:
        try:
            yield
        finally:
            connection.close()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="at least 10000")
    parser.add_argument("--sqlite", action="store_true", help="leave PostgreSQL out")
    options = parser.parse_args()
    if options.rows < 10_000:
        parser.error("--rows must be at least 10000")
    with _database(sqlite=options.sqlite):
        for line in _measure(options.rows):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
