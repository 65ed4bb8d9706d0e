"""What the log says of calls: a line for each try, whose numbers are fields of the record as well.

* ``INFO``: the call has ended, with whatever answer; a 404 may be all that somebody wanted to know.
* ``WARNING``: the call is tried again after a pause, or was given up because of rokka's trouble or limits.

The fields are in `Call.fields`. None of them, and no text, has a query, a body, a header or a key.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from .errors import InvalidArgument, RateLimited, RokkaConnectionError, RokkaError, ServerError

logger = logging.getLogger("django_rokka.api")

_TROUBLE = (RateLimited, RokkaConnectionError, ServerError)


@dataclass
class Call:
    """One call, of which the numbers are those of its last try. ``path`` may be given with its query.

    ``sent`` and ``received`` are the bytes of bodies. They are not known of a body without a ``Content-Length``,
    and of an answer that is ``streamed``: its line is written before it is read.
    """

    method: str
    base_url: str
    path: str
    streamed: bool = False
    attempt: int = field(default=0, init=False)
    status: int | None = field(default=None, init=False)
    sent: int | None = field(default=None, init=False)
    received: int = field(default=0, init=False)
    _started: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        # A query may hold a signature, which nobody else should read in a log.
        self.path = self.path.partition("?")[0]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def begin(self) -> None:
        """The next try begins."""
        self.attempt += 1
        self.status, self.sent, self.received = None, None, 0
        self._started = time.perf_counter()

    def answered(self, response: requests.Response) -> None:
        """The headers of an answer are there."""
        length = response.request.headers.get("Content-Length", "")
        self.status, self.sent = response.status_code, int(length) if length.isdigit() else None

    def fields(self) -> dict[str, Any]:
        """What the record of a line has. Times in seconds, sizes in bytes."""
        return {
            "rokka_method": self.method,
            "rokka_host": urlsplit(self.base_url).hostname,
            "rokka_path": self.path,
            "rokka_status": self.status,
            "rokka_attempt": self.attempt,
            "rokka_seconds": round(time.perf_counter() - self._started, 6),
            "rokka_sent": self.sent,
            "rokka_bytes": None if self.streamed else self.received,
        }

    # --- Lines --------------------------------------------------------------------------------

    def done(self) -> None:
        """It went well."""
        logger.info("%s → %s", self, self.status, extra=self.fields())

    def pauses(self, error: BaseException | None, seconds: float) -> None:
        """It is tried again."""
        extra = {**self.fields(), "rokka_error": type(error).__name__, "rokka_pause": seconds}
        logger.warning("%s; trying again in %.1f s", error, seconds, extra=extra)

    def failed(self, error: RokkaError) -> None:
        """It ends with an error. Of a value that must not be sent there is no line: there was no call."""
        if isinstance(error, InvalidArgument):
            return
        level = logging.WARNING if isinstance(error, _TROUBLE) else logging.INFO
        extra = {**self.fields(), "rokka_error": type(error).__name__}
        logger.log(level, "%s", error, extra=extra)
