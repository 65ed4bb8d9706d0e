"""What answers that are not 2xx mean: one error for each.

Source: rokka's documentation, guides on authentication and rate limiting.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from urllib.parse import urlsplit

import requests

from .errors import (
    BadCredentials,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotFound,
    RateLimited,
    RokkaAPIError,
    RokkaConnectionError,
    RokkaError,
    ServerError,
    UnexpectedAnswer,
)
from .types import JSON, as_object

_MAX_ERROR_BYTES = 64 * 1024
_STATUS_ERRORS: Mapping[int, type[RokkaAPIError]] = {
    401: BadCredentials,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    423: Conflict,
}


def error_of(response: requests.Response, pieces: Iterator[bytes], call: str) -> RokkaError:
    """Turn an answer that is not 2xx into the error that says what it means."""
    status = response.status_code
    if 300 <= status < 400:
        host = urlsplit(response.headers.get("Location", "")).hostname
        return UnexpectedAnswer(
            f"refused to follow a redirect to {host or 'another path'}", call=call, status=status
        )
    body = _error_body(pieces)
    message = _without_secret(_message(body) or response.reason or "no reason given", response)
    if status == 429:
        return RateLimited(message, call=call, retry_at=_retry_at(response))
    if status == 403 and body.get("invalid_authentication"):
        return BadCredentials(message, call=call, status=status)
    fallback = ServerError if status >= 500 else InvalidRequest
    return _STATUS_ERRORS.get(status, fallback)(message, call=call, status=status)


def _error_body(pieces: Iterator[bytes]) -> dict[str, JSON]:
    # Bounded: an error page may be huge, and only its message is of use.
    raw = b""
    with contextlib.suppress(RokkaConnectionError, ValueError, RecursionError):
        for piece in pieces:
            raw += piece
            if len(raw) > _MAX_ERROR_BYTES:
                return {}
        return as_object(json.loads(raw))
    return {}


def _message(body: Mapping[str, JSON]) -> str:
    error = body.get("error")
    nested = error.get("message") if isinstance(error, Mapping) else error
    return str(body.get("message") or nested or "")


def _without_secret(message: str, response: requests.Response) -> str:
    """The first 500 characters of what a server says, which may repeat the key that it was sent."""
    for header in ("Api-Key", "Authorization"):
        if secret := response.request.headers.get(header, "").removeprefix("Bearer "):
            message = message.replace(secret, "…")
    return message[:500]


def _retry_at(response: requests.Response) -> datetime | None:
    # A unix timestamp, unlike the standard Retry-After.
    value = response.headers.get("X-RateLimit-Retry-After", "")
    try:
        return datetime.fromtimestamp(float(value), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
