"""Keys that must not be seen, and how to see them."""

from __future__ import annotations

import contextlib
import html
import re
import traceback
from collections.abc import Callable, Iterator

from django.test import RequestFactory
from django.views.debug import ExceptionReporter

API_KEY = "kX7Qp2Zr9LmW4tVb8NcY1sHd6GfJ3aEu"
TOKEN = "t5RgU0yKeP8vBzM3xDoA7hLqW2nSjC9i"
SIGNING_KEY = "wF4mTz6QaJ1uXs8EkRb0GvYpN5cHd3Lo"
ALL = (API_KEY, TOKEN, SIGNING_KEY)
#: So many letters of a key in a row are a leak: what prints long values breaks them in lines.
_PART = 8


def leaks(text: str) -> list[str]:
    """What a text shows of the keys, whatever markup and quotes stand between the letters."""
    plain = re.sub(r"[^0-9A-Za-z]", "", html.unescape(re.sub(r"<[^>]*>", "", text)))
    return [
        key[at : at + _PART]
        for key in ALL
        for at in range(len(key) - _PART + 1)
        if key[at : at + _PART] in plain
    ]


def raised(call: Callable[[], object]) -> BaseException:
    """The error that a call ends with."""
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("no error was raised")


def reports(error: BaseException) -> str:
    """An error as it is shown with all local variables: by Django's page and mail, and by others."""
    reporter = ExceptionReporter(RequestFactory().get("/"), type(error), error, error.__traceback__)
    texts = [reporter.get_traceback_html(), reporter.get_traceback_text()]
    return "\n".join([*texts, *_variables(error), repr(error), str(error), repr(error.__dict__)])


def _variables(error: BaseException | None) -> Iterator[str]:
    """The local variables of every frame, of those too that Django leaves out."""
    if error is None:
        return
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for value in frame.f_locals.values():
            # What was not made to its end may have no repr.
            with contextlib.suppress(Exception):
                yield repr(value)
    yield from _variables(error.__cause__ or error.__context__)
