"""`Probe`: a client that only reads, gives up soon, and remembers how far rokka's clock is from ours."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import requests

from .. import api
from ..api.transport import path_of, read_json
from ..api.types import as_list, as_object
from ..conf import Config

_Result = TypeVar("_Result")

#: Seconds that a connection, or a part of an answer, may take.
SECONDS = 5.0
_RETRY = api.RetryPolicy(attempts=2, first_pause=0.2, longest_pause=2, budget=4)
#: For many calls in a row, which rokka may slow down.
_PATIENT = api.RetryPolicy(attempts=4, first_pause=0.5, longest_pause=5, budget=15)


class Probe(api.RokkaClient):
    """A `RokkaClient` for looking: nothing is changed by it, at rokka or in the mirror.

    ``seconds`` limits a connection and a reading each. Raises `Refused` for a call that would change something.
    """

    def __init__(self, config: Config, *, seconds: float = SECONDS, patient: bool = False) -> None:
        super().__init__(
            config.organization,
            api_key=config.api_key,
            token=config.api_token,
            base_url=config.base_url,
            timeout=(seconds, seconds),
            retry=_PATIENT if patient else _RETRY,
            pool_size=config.pool_size,
            guard=_only_read,
        )
        #: How far our clock is ahead of rokka's, by its last answer; to the second.
        self.skew: timedelta | None = None
        # Also the answers that say no have a date: a token fails by a wrong clock.
        self._transport._session.hooks["response"].append(self._note_date)

    def _note_date(self, response: requests.Response, *args: Any, **kwargs: Any) -> None:
        try:
            theirs = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError, TypeError):
            return
        if theirs.tzinfo is not None:
            ours = datetime.now(timezone.utc) - response.elapsed / 2
            self.skew = ours - theirs

    def roles(self) -> tuple[str, ...]:
        """What the key's user may do in the organization, such as ``write``; empty if rokka does not say."""
        try:
            user = as_object(read_json(self._transport.call("GET", path_of("user"))))
            id = str(user.get("user_id") or user.get("id") or "")
            if not id:
                return ()
            path = path_of("organizations", self.organization, "memberships", id)
            membership = as_object(read_json(self._transport.call("GET", path)))
        except (api.RokkaAPIError, api.UnexpectedAnswer):
            return ()
        roles = membership.get("roles") or membership.get("role") or ()
        return (roles,) if isinstance(roles, str) else tuple(map(str, as_list(roles)))


def _only_read(method: str, path: str) -> None:
    if method not in ("GET", "HEAD"):
        raise api.Refused("a check changes nothing", call=f"{method} {path}")


def within(seconds: float, function: Callable[[], _Result]) -> _Result:
    """Call a function that may hang. Raises `TimeoutError` if it takes longer, and what it raises itself."""
    outcome: list[tuple[_Result | None, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((function(), None))
        except BaseException as error:
            outcome.append((None, error))

    # A thread that hangs does not keep the process from ending.
    thread = threading.Thread(target=run, daemon=True, name="rokka-doctor")
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer in {seconds:g} seconds")
    ((result, error),) = outcome
    if error is not None:
        raise error
    return result  # type: ignore[return-value]
