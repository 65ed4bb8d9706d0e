"""`WrittenManager`: our tables are read where they are written, because what decides on pictures must not be late."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models, router

_Row = TypeVar("_Row", bound=models.Model)


class WrittenManager(models.Manager[_Row]):
    """Reads from the database that the router writes to, never from a replica, unless somebody names another."""

    def get_queryset(self) -> Any:
        """All rows, with the database chosen."""
        rows = super().get_queryset()
        return rows if self._db else rows.using(router.db_for_write(self.model))
