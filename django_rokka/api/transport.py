"""The one place that sends: session, credentials, timeouts and retries. `answers` makes errors, `log` lines.

* Connections are pooled and shared by threads: the session is never changed after it is made, and it
  keeps no cookies.
* 429, 502, 503, 504 and connection failures are tried again after growing, jittered pauses (tenacity
  does the counting); ``X-RateLimit-Retry-After``, a unix timestamp, is respected. A body is built anew
  for each try.
* Redirects are refused: ``requests`` would carry the ``Api-Key`` header along to another host.
* Bodies are read in bounds: a read timeout is for a single read, so it would let a drip go on for ever.
  Sending is not limited: a large file may take its time.

Source: rokka's documentation, guides on authentication and rate limiting.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests
import tenacity
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from .answers import error_of
from .errors import (
    InvalidArgument,
    RateLimited,
    RokkaConnectionError,
    RokkaError,
    RokkaTimeout,
    ServerError,
    UnexpectedAnswer,
    shown,
)
from .log import Call
from .secret import Secret
from .types import JSON

#: A body for each try, and the headers that belong to it.
Body = Callable[[], tuple[Any, Mapping[str, str]]]
Query = Mapping[str, str | int | bool | None]
#: Asked before each call with its method and path; raises what stands against it, such as `Refused`.
Guard = Callable[[str, str], None]

#: What a key or token can be made of.
IN_HEADER = re.compile(r"[\x21-\x7e]*")
#: A page of 2000 images has some 2 MB.
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 64 * 1024
#: Bytes a second: a body that comes more slowly, once the read timeout is over, is given up.
_SLOWEST = 8 * 1024
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class RetryPolicy:
    """When to try again. All times in seconds.

    ``attempts`` counts the first try. Pauses grow from ``first_pause`` to ``longest_pause``, each with
    jitter; a call gives up rather than pause longer than ``budget`` in all.
    """

    attempts: int = 6
    first_pause: float = 0.5
    longest_pause: float = 20.0
    budget: float = 60.0


@dataclass(frozen=True)
class Credentials(AuthBase):
    """An API key, or a token for ``Authorization: Bearer``; with both, the key is used. Never shown.

    Raises `InvalidArgument` for what a header cannot hold, such as a key that was read with its line end:
    the standard library would show it in its error.
    """

    api_key: str = ""
    token: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_key", Secret(self.api_key))
        object.__setattr__(self, "token", Secret(self.token))
        for name, secret in (("API key", self.api_key), ("token", self.token)):
            if not IN_HEADER.fullmatch(secret):
                raise InvalidArgument(
                    f"the {name} has a space, a line end or another character that it cannot have"
                )

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # Being an AuthBase also keeps requests from adding credentials of a .netrc file.
        if self.api_key:
            request.headers["Api-Key"] = self.api_key
        elif self.token:
            request.headers["Authorization"] = Secret(f"Bearer {self.token}")
        return request

    def __repr__(self) -> str:
        return "Credentials(…)"


class Transport:
    """Sends calls to one API host. Safe to share between threads, not between processes."""

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        timeout: tuple[float, float],
        retry: RetryPolicy | None,
        pool_size: int,
        guard: Guard | None = None,
    ) -> None:
        if urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).hostname:
            raise InvalidArgument(
                f"{base_url!r} is no base URL; expected one like 'https://api.rokka.io'"
            )
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.retry = retry or RetryPolicy()
        self._guard = guard
        self._session = _make_session(credentials, pool_size)

    def __repr__(self) -> str:
        return f"Transport({self.base_url!r})"

    def close(self) -> None:
        """Close the pooled connections; the next call opens new ones."""
        self._session.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: JSON = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send one call and return its answer, fully read. Raises a `RokkaError` for anything but 2xx.

        ``path`` must come from `path_of`. ``json`` is sent even if it is ``False`` or empty, but not if ``None``.
        """
        if self._guard is not None:
            self._guard(method, path)
        build, call = body or _json_body(json), Call(method, self.base_url, path)
        return self._retrying(call, lambda: self._send(call, path, query, build, headers))

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[Iterator[bytes]]:
        """GET a body in pieces of up to 64 KiB. Only opening it is tried again."""
        call = Call("GET", self.base_url, path, streamed=True)
        response = self._retrying(
            call, lambda: self._send(call, path, None, _json_body(None), None, stream=True)
        )
        with response:
            yield self._pieces(response, call)

    def fetch(self, path: str, *, accept: str, limit: int) -> bytes:
        """GET at most ``limit`` bytes; a body that breaks off is asked for again.

        ``path`` may have a query, and is sent as it is. Raises `UnexpectedAnswer` for a longer body.
        """
        call = Call("GET", self.base_url, path)

        def read() -> bytes:
            headers = {"Accept": accept}
            sent = self._send(call, path, None, _json_body(None), headers, stream=True)
            with sent as response:
                return self._body(response, call, limit)

        return self._retrying(call, read)

    def _retrying(self, call: Call, send: Callable[[], _Answer]) -> _Answer:
        maybe_done = False

        def send_and_note() -> _Answer:
            nonlocal maybe_done
            call.begin()
            try:
                return send()
            except RokkaError as error:
                error.maybe_done = maybe_done = maybe_done or error.maybe_done
                raise

        retrying = tenacity.Retrying(
            stop=self._gives_up,
            wait=self._pause,
            retry=tenacity.retry_if_exception(_may_pass),
            before_sleep=lambda state: call.pauses(_error(state), state.upcoming_sleep),
            reraise=True,
        )
        try:
            answer = retrying(send_and_note)
        except RokkaError as error:
            call.failed(error)
            raise
        call.done()
        return answer

    def _pause(self, state: tenacity.RetryCallState) -> float:
        retry_at: datetime | None = getattr(_error(state), "retry_at", None)
        growing = tenacity.wait_random_exponential(
            multiplier=self.retry.first_pause, max=self.retry.longest_pause
        )(state)
        # Never less than half a first pause: "random" may be next to nothing.
        pause = max(growing, self.retry.first_pause / 2)
        if retry_at is None:
            return pause
        return max((retry_at - datetime.now(timezone.utc)).total_seconds(), 0) + pause

    def _gives_up(self, state: tenacity.RetryCallState) -> bool:
        if state.attempt_number >= self.retry.attempts:
            return True
        return state.idle_for + state.upcoming_sleep > self.retry.budget

    def _send(
        self,
        call: Call,
        path: str,
        query: Query | None,
        build: Body,
        headers: Mapping[str, str] | None,
        *,
        stream: bool = False,
    ) -> requests.Response:
        data, body_headers = build()
        with _connection_errors(call):
            response = self._session.request(
                call.method,
                self.base_url + path,
                params=_query(query),
                data=data,
                headers={**body_headers, **(headers or {})},
                timeout=self.timeout,
                allow_redirects=False,
                stream=True,
            )
        call.answered(response)
        if not 200 <= response.status_code < 300:
            with response:
                raise error_of(response, self._pieces(response, call), str(call))
        if not stream:
            with response:
                # Read here, so that a cut body is tried again. `requests` has no other way to read in bounds.
                response._content = self._body(response, call, _MAX_ANSWER_BYTES)
        if _is_page(response) and (stream or response.content):
            response.close()
            raise UnexpectedAnswer("a web page came", call=str(call), status=call.status)
        return response

    def _body(self, response: requests.Response, call: Call, limit: int) -> bytes:
        body = bytearray()
        for piece in self._pieces(response, call):
            body += piece
            if len(body) > limit:
                raise UnexpectedAnswer(
                    f"more than {limit} bytes came", call=str(call), status=call.status
                )
        return bytes(body)

    def _pieces(self, response: requests.Response, call: Call) -> Iterator[bytes]:
        """A body as it comes. Raises `RokkaTimeout` if it comes too slowly; what a reader takes does not count."""
        received, waited = 0, 0.0
        while True:
            started = time.monotonic()
            with _connection_errors(call):
                # Unlike read(), it gives what has come, and does not wait for more.
                piece: bytes = response.raw.read1(_PIECE_BYTES, decode_content=True)
            if not piece:
                return
            received += len(piece)
            call.received += len(piece)
            waited += time.monotonic() - started
            if waited > self.timeout[1] + received / _SLOWEST:
                raise RokkaTimeout("the answer came too slowly", call=str(call))
            yield piece


def path_of(*segments: str) -> str:
    """Join path segments, each quoted whole: a segment can add neither a ``/`` nor a query."""
    for segment in segments:
        if segment in ("", ".", ".."):
            raise InvalidArgument(f"{segment!r} cannot be part of an API path")
    return "/" + "/".join(quote(_sendable(segment), safe=":") for segment in segments)


def _sendable(text: str) -> str:
    """Refuse a text with half of a letter in it, which has no bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{shown(text)} cannot be sent; it is no valid Unicode") from None
    return text


def _is_page(response: requests.Response) -> bool:
    """Whether it is HTML, which rokka never sends: a proxy or a login page has answered in its place."""
    return response.headers.get("Content-Type", "").lower().startswith("text/html")


def read_json(response: requests.Response) -> JSON:
    """Decode an answer's body. Raises `UnexpectedAnswer` if it is no JSON."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise UnexpectedAnswer(
            f"expected JSON, got {response.headers.get('Content-Type', 'no content type')}",
            call=call_of(response),
            status=response.status_code,
        ) from error


def write_json(value: JSON) -> bytes:
    """Encode a body. Raises `InvalidArgument` for what is no JSON, such as NaN, and for invalid Unicode."""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"this cannot be sent as JSON: {error}") from error


def call_of(response: requests.Response) -> str:
    """Name the call an answer belongs to, as errors do: without host, query or credentials."""
    return f"{response.request.method} {urlsplit(response.request.url or '').path}"


class _Adapter(HTTPAdapter):
    """Sends as requests does; its errors come without the frames below, where headers are local variables."""

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        handled = sys.exc_info()[1]
        try:
            return super().send(*args, **kwargs)
        except BaseException as error:
            _drop_frames(error, handled)
            raise error


def _drop_frames(error: BaseException, handled: BaseException | None) -> None:
    """Take the traceback from an error, and from those that led to it, but for what the caller had ``handled``."""
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is not None and one is not handled and one.__traceback__ is not None:
            one.__traceback__ = None
            left += [one.__cause__, one.__context__]


def _make_session(credentials: Credentials, pool_size: int) -> requests.Session:
    session = requests.Session()
    session.auth = credentials
    session.headers.update({"Api-Version": "1", "Accept": "application/json"})
    # Cookies would be the only state that calls change: without them threads can share the session.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_maxsize=pool_size)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _json_body(value: JSON) -> Body:
    if value is None:
        return lambda: (None, {})
    encoded = write_json(value)
    return lambda: (encoded, {"Content-Type": "application/json"})


def _query(query: Query | None) -> dict[str, str]:
    spelled = {True: "true", False: "false"}
    return {
        _sendable(key): spelled[value] if isinstance(value, bool) else _sendable(str(value))
        for key, value in (query or {}).items()
        if value is not None
    }


@contextlib.contextmanager
def _connection_errors(call: Call) -> Iterator[None]:
    handled = sys.exc_info()[1]
    try:
        yield
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise RokkaTimeout("no answer in time", call=str(call)) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise RokkaConnectionError(
            f"no answer: {_root_cause(error, handled)}", call=str(call)
        ) from error


def _root_cause(error: BaseException, handled: BaseException | None) -> str:
    """Say what happened in a few words: urllib3 wraps "connection refused" three times.

    What the caller had ``handled`` before comes last in the chain, and has nothing to do with it.
    """
    while (inner := error.__context__) is not None and inner is not handled:
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, ServerError):
        return error.status in (502, 503, 504)
    return isinstance(error, RateLimited | RokkaConnectionError)


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
