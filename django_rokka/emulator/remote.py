"""Pictures that the emulator fetches for an upload by URL: from public addresses only, unless allowed.

The address that a name has is checked by the one who connects to it, for each redirect again, so a name
cannot mean another address a moment later. Proxies of the environment are not used.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import urllib.error
import urllib.request
from functools import partial
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from .answers import Refusal

_SECONDS = 30


def fetch(url: str, *, allow_private: bool) -> tuple[str, IO[bytes]]:
    """The name of a remote picture, and its bytes to read. Raises a 400 `Refusal`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise Refusal(400, "Only http and https URLs can be fetched.")
    if "@" in parts.netloc:
        raise Refusal(400, "A URL with credentials is not fetched.")
    try:
        stream: IO[bytes] = _opener(allow_private).open(url, timeout=_SECONDS)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise Refusal(400, f"The remote image could not be fetched: {reason}.") from error
    return unquote(parts.path).rpartition("/")[2], stream


def _opener(allow_private: bool) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        _Handler(allow_private),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Handler(urllib.request.HTTPSHandler, urllib.request.HTTPHandler):
    """Opens both kinds of URLs with connections that look where they go."""

    def __init__(self, allow_private: bool) -> None:
        super().__init__()
        self._allow_private = allow_private

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._connection, http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._connection, http.client.HTTPSConnection), request)

    def _connection(self, kind: Any, host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        if not self._allow_private:
            connection._create_connection = _connect_to_public
        return connection


def _connect_to_public(address: tuple[str, int], *args: Any) -> socket.socket:
    """Connect to one of the addresses that a host has. Raises a 400 `Refusal` if one is not public."""
    host, port = address
    found = [place[4][0] for place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not all(map(_is_public, found)):
        raise Refusal(
            400,
            f"{host} is no public address. The emulator fetches from such ones with --allow-private.",
        )
    return socket.create_connection((str(found[0]), port), *args)


def _is_public(address: str | int) -> bool:
    parsed = ipaddress.ip_address(address)
    inner = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None) or parsed
    return bool(inner.is_global and not inner.is_multicast)
