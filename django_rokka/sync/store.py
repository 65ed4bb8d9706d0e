"""Writing many images at once: with ``COPY`` and one merge on PostgreSQL, else as the database likes best."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connections, models, transaction

from ..models import SourceImage, mirror_database

#: An answer's columns, and those that it resets.
_COLUMNS = ["organization", "hash", *SourceImage.RECORDED_FIELDS, *SourceImage.RESET_FIELDS]
_JSON = [field.name for field in SourceImage._meta.fields if isinstance(field, models.JSONField)]

#: A row by the names of its columns, as `SourceImage.values_from_api` makes it.
Row = dict[str, Any]


def write(rows: Sequence[Row]) -> None:
    """Insert or update rows, in the order of their keys, so that two writers cannot block each other."""
    if not rows:
        return
    rows = sorted(rows, key=lambda row: str(row["hash"]))
    with transaction.atomic(using=mirror_database()):
        if _can_copy():
            _copy_and_merge(rows)
        elif connections[mirror_database()].vendor == "sqlite":
            _upsert(rows)
        else:
            _bulk_create(rows)


def _can_copy() -> bool:
    if connections[mirror_database()].vendor != "postgresql":
        return False
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)


def _copy_and_merge(rows: Sequence[Row]) -> None:
    columns = _names(_COLUMNS)
    with connections[mirror_database()].cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS rokka_stage ON COMMIT DROP AS "  # noqa: S608 - our own names  # nosec B608
            f"SELECT {columns} FROM {SourceImage._meta.db_table} WITH NO DATA"
        )
        cursor.execute("TRUNCATE rokka_stage")
        with cursor.copy(f"COPY rokka_stage ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(_encoded(row))
        cursor.execute(_insert(f"SELECT {columns}, '' FROM rokka_stage ORDER BY hash"))  # noqa: S608  # nosec B608


def _upsert(rows: Sequence[Row]) -> None:
    connection = connections[mirror_database()]
    adapt = connection.ops.adapt_datetimefield_value
    values = [
        [adapt(value) if isinstance(value, datetime) else value for value in _encoded(row)]
        for row in rows
    ]
    marks = ", ".join(["%s"] * len(_COLUMNS))
    with connection.cursor() as cursor:
        cursor.executemany(_insert(f"VALUES ({marks}, '')"), values)


def _bulk_create(rows: Sequence[Row]) -> None:
    targets = connections[mirror_database()].features.supports_update_conflicts_with_target
    SourceImage.objects.bulk_create(
        [SourceImage(**row) for row in rows],
        update_conflicts=True,
        unique_fields=["organization", "hash"] if targets else None,
        update_fields=_COLUMNS[2:],
    )


def _insert(source: str) -> str:
    """The statement that writes what ``source`` gives: our columns, and an empty text."""
    changes = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in _COLUMNS[2:])
    return (
        f"INSERT INTO {SourceImage._meta.db_table} "  # nosec B608
        f'({_names(_COLUMNS)}, "broken") {source} '
        f"ON CONFLICT (organization, hash) DO UPDATE SET {changes}"
    )


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _encoded(row: Row) -> list[Any]:
    for name in _JSON:
        row[name] = json.dumps(row[name]) if row[name] else "{}"
    return [row.get(name) for name in _COLUMNS]
