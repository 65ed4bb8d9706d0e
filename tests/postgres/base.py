"""The backend; Django finds it by this module's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.postgresql import base, operations


class DatabaseOperations(operations.DatabaseOperations):
    """DELETE instead of TRUNCATE: tests have few rows, and TRUNCATE makes new files for every table and index."""

    def sql_flush(self, style: Any, tables: Sequence[str], **options: Any) -> list[str]:
        """Empty the tables, in any order."""
        deletes = [f"DELETE FROM {self.quote_name(table)};" for table in tables]  # noqa: S608
        # Foreign keys are not looked at; this needs a superuser, and ends with the transaction.
        return ["SET LOCAL session_replication_role = replica;", *deletes]


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, with these operations."""

    ops_class = DatabaseOperations
