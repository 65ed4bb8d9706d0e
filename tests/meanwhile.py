"""What somebody else does while we are at work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def meanwhile(query: str, work: Callable[[], Any]) -> Iterator[None]:
    """Do some work just before the first query in the block that matches a regular expression."""
    done = False

    def wrapper(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        nonlocal done
        if not done and re.search(query, sql):
            done = True
            work()
        return execute(sql, *args)

    with connection.execute_wrapper(wrapper):
        yield
    assert done, f"no query matches {query!r}"
