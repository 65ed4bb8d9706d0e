"""Trouble on demand: answers that fail, hang, drip or break off, so that a client can be tested."""

from __future__ import annotations

import errno
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from werkzeug.wrappers import Request, Response

Kind = Literal["status", "hang", "silence", "cut", "slow", "truncate", "replace"]


@dataclass(frozen=True)
class Fault:
    """What to do to the next ``times`` calls that match ``method`` and ``path`` (a regular expression).

    The first ``skip`` of them pass unharmed.

    * ``status``: answer ``status`` with ``body`` and ``headers``;
    * ``hang``: wait ``seconds``, then go on as usual;
    * ``silence``: wait ``seconds``, then close the connection without an answer;
    * ``cut``: close it at once;
    * ``slow``: send the answer in small pieces over ``seconds``;
    * ``truncate``: announce the whole answer, send half and close;
    * ``replace``: send ``body`` in place of the answer's, unless it is ``""``, and ``headers`` in place of those
      that the answer has; ``{}`` in one stands for what the answer has there.

    With ``after_work`` the call is carried out before ``status``, ``hang``, ``silence`` or ``cut`` strikes.
    """

    kind: Kind = "status"
    status: int = 500
    times: int = 1
    skip: int = 0
    method: str | None = None
    path: str = ""
    seconds: float = 60.0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    after_work: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fault:
        """Read a fault as another process sends it. Raises `ValueError` for an unknown key."""
        known = {item.name for item in fields(cls)}
        if unknown := set(data) - known:
            raise ValueError(f"unknown {sorted(unknown)}; known: {sorted(known)}")
        return cls(**data)

    def matches(self, request: Request) -> bool:
        """Whether this fault is meant for the call."""
        if self.method and self.method != request.method:
            return False
        return re.search(self.path, request.path) is not None


class Faults:
    """The faults that wait to happen, shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Each with how many calls it has matched.
        self._waiting: list[tuple[Fault, int]] = []
        #: Set when the emulator stops, so that no hanging call holds it up.
        self.stopping = threading.Event()

    def add(self, fault: Fault) -> None:
        """Let a fault happen to the next calls that match."""
        with self._lock:
            self._waiting.append((fault, 0))

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._waiting.clear()

    def take(self, request: Request) -> Fault | None:
        """The fault for this call, if any; counts it as used."""
        with self._lock:
            for index, (fault, seen) in enumerate(self._waiting):
                if not fault.matches(request):
                    continue
                self._waiting[index] = (fault, seen + 1)
                if seen >= fault.skip:
                    if seen + 1 == fault.skip + fault.times:
                        del self._waiting[index]
                    return fault
        return None

    def wait(self, seconds: float) -> None:
        """Sleep, unless the emulator stops."""
        self.stopping.wait(seconds)

    def slowed(self, response: Response, seconds: float) -> Response:
        """The same answer, sent in 20 pieces over ``seconds``."""
        response.response = self._drip(_body_of(response), seconds)
        return response

    def _drip(self, body: bytes, seconds: float) -> Iterator[bytes]:
        step = max(len(body) // 20, 1)
        for start in range(0, len(body), step):
            # The headers go with the first piece, at once.
            yield body[start : start + step]
            self.wait(seconds / 20)


def cut() -> ConnectionResetError:
    """The error that makes the server close the connection without an answer."""
    return ConnectionResetError(errno.ECONNRESET, "cut by a fault")


def replaced(response: Response, fault: Fault) -> Response:
    """The same answer with another body or other headers; a 204, which has no body, becomes a 200."""
    if fault.body:
        response.close()  # a file, perhaps
        response.set_data(fault.body)
        response.status_code = 200 if response.status_code == 204 else response.status_code
    for name, value in fault.headers.items():
        if name in response.headers:
            response.headers[name] = value.replace("{}", response.headers[name])
    return response


def truncated(response: Response) -> Response:
    """Announce the whole body, send half of it, and close the connection."""
    body = _body_of(response)
    half = Response(_half_of(body), response.status_code, response.headers)
    half.headers["Content-Length"] = str(max(len(body), 1))
    return half


def _body_of(response: Response) -> bytes:
    response.direct_passthrough = False
    body = b"".join(response.iter_encoded())
    response.close()
    return body


def _half_of(body: bytes) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    raise cut()
