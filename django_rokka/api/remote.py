"""URLs that rokka is to fetch: which ones are handed on."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from .errors import InvalidArgument

#: Names that mean something else to each machine, or nothing outside of a house.
_PRIVATE_NAMES = {"localhost", "local", "internal", "localdomain"}

# What some take for a "/", and others for a part of the host; and halves of letters.
_WELL_FORMED = re.compile(r"[^\x00-\x20\x7f\\\ud800-\udfff]*")


def check_url(url: str, *, allow_private: bool = False) -> None:
    """Refuse what is not ``http`` or ``https``, has credentials, or names a private address.

    rokka resolves the name, and not we: only what the URL itself says is looked at. Raises `InvalidArgument`.
    """
    try:
        parts = urlsplit(url if _WELL_FORMED.fullmatch(url) else "")
        # As who fetches it reads it: full-width digits are digits.
        host = (parts.hostname or "").encode("idna").decode().rstrip(".")
    except (UnicodeError, ValueError):
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidArgument(
            "only a http or https URL can be fetched, with a host and without spaces and the like"
        )
    if "@" in parts.netloc:
        raise InvalidArgument(f"the URL at {host!r} has credentials in it, which rokka would keep")
    if not allow_private and not _is_public(host):
        raise InvalidArgument(
            f"{host!r} is no public address; with allow_private=True rokka is asked all the same"
        )


def _is_public(host: str) -> bool:
    address = _address(host)
    if address is None:
        return host.rpartition(".")[2] not in _PRIVATE_NAMES
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
    return bool(inner.is_global and not inner.is_multicast)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is, also in its old spellings, such as ``127.1``; ``None`` for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.ip_address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
