"""What can go wrong between us and rokka.

::

    RokkaError                    everything below
    ├── RokkaConnectionError      no answer: dead host, cut connection, TLS
    │   └── RokkaTimeout          no answer in time
    ├── RokkaAPIError             an answer that says no; has a ``status``
    │   ├── BadCredentials        401, or 403 that says ``invalid_authentication``
    │   ├── NotAllowed            403: authenticated, but without the right
    │   ├── NotFound              404
    │   ├── Conflict              409, 412, 423: exists already, or locked
    │   ├── RateLimited           429; has ``retry_at``
    │   ├── InvalidRequest        any other 4xx: the request is at fault
    │   └── ServerError           5xx: rokka is at fault
    ├── UnexpectedAnswer          an answer that is not what the API promises, or a redirect
    ├── Refused                   this site must not make the call; nothing was sent
    └── InvalidArgument           a value that must not be sent; also a ValueError

Every error carries ``call`` (``"GET /sourceimages/acme/9c9d…"``), ``status`` (``None`` where no answer
came), ``message`` and ``maybe_done``: whether rokka may have done the work all the same, by this try or by an
earlier one of the same call. None carries a header, a body that was sent or the API key.

Source: the API document, and the source images and authentication chapters of rokka's documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any


class RokkaError(Exception):
    """Base of all errors of this package that concern rokka."""

    maybe_done = False

    def __init__(self, message: str, *, call: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.call = call
        self.status = status

    def __str__(self) -> str:
        parts = [self.call, "" if self.status is None else str(self.status)]
        where = " → ".join(part for part in parts if part)
        return f"{where}: {self.message}" if where else self.message

    def __reduce__(self) -> tuple[Callable[..., RokkaError], tuple[Any, ...]]:
        # Errors cross process borders (Celery results), and keyword-only arguments do not by themselves.
        return _rebuild, (type(self), self.__dict__)


def _rebuild(cls: type[RokkaError], state: dict[str, Any]) -> RokkaError:
    error = cls.__new__(cls, state["message"])
    error.__dict__.update(state)
    return error


class RokkaConnectionError(RokkaError):
    """No answer came: the host is unknown or dead, or the connection was cut."""

    maybe_done = True


class RokkaTimeout(RokkaConnectionError):
    """No answer came in time, or so slowly that it was given up."""


class RokkaAPIError(RokkaError):
    """rokka answered with a status that says no."""


class BadCredentials(RokkaAPIError):
    """The key or token is missing, wrong or expired."""


class NotAllowed(RokkaAPIError):
    """The key is good, but does not give this right in this organization."""


class NotFound(RokkaAPIError):
    """No such image, stack, alias or organization."""


class Conflict(RokkaAPIError):
    """What is there stands against the call: it exists already (409, 412) or is locked (423)."""


class RateLimited(RokkaAPIError):
    """Too many calls. ``retry_at`` is when rokka says to come back, if it says so."""

    def __init__(
        self,
        message: str,
        *,
        call: str = "",
        status: int | None = 429,
        retry_at: datetime | None = None,
    ) -> None:
        super().__init__(message, call=call, status=status)
        self.retry_at = retry_at


class InvalidRequest(RokkaAPIError):
    """rokka finds the request itself at fault, for example an unreadable picture."""


class ServerError(RokkaAPIError):
    """rokka is in trouble; the same call may work later."""

    maybe_done = True


class UnexpectedAnswer(RokkaError):
    """The answer is not what the API promises: no JSON, missing keys, a web page, or a redirect."""

    maybe_done = True


class Refused(RokkaError):
    """This site must not make the call: it is read-only, or the organization belongs to another one."""


class InvalidArgument(RokkaError, ValueError):
    """A value that must not be sent, such as a hash that is not one. Nothing was sent."""


def shown(value: object) -> str:
    """A value as errors name it: its ``repr``, of at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
