"""Pages of a listing, the next one fetched while the last one is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Page = TypeVar("_Page")


def ahead(pages: Iterator[_Page]) -> Iterator[_Page]:
    """Give what ``pages`` gives; a thread is one page ahead. Its errors come when their page is due."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="rokka-pages") as thread:
        coming = thread.submit(next, pages, end)
        while (page := coming.result()) is not end:
            coming = thread.submit(next, pages, end)
            yield page  # type: ignore[misc]
