"""Locks by name, for work on rokka that two workers must not do at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, router, transaction

from .models import Lock


@contextmanager
def locked(key: str) -> Iterator[None]:
    """Hold a lock while the block runs; who comes second waits. A process that dies lets go of it.

    The block runs in a transaction of the mirror's database. SQLite has no row locks, and would keep all
    other writers waiting: there is no lock there, so the work has to stand being done twice at once.
    """
    using = router.db_for_write(Lock)
    if not connections[using].features.has_select_for_update:
        yield
        return
    with transaction.atomic(using=using):
        # A second insert of the key waits for this transaction. The row never outlives it.
        lock = Lock.objects.using(using).create(key=key)
        yield
        lock.delete()
