"""Signed render URLs: what rokka wants to see before it shows a protected image or stack.

The signature covers path and query, byte for byte. The official clients disagree on the slug: PHP signs
it, JavaScript drops it first. **Choice**: it is dropped, so that a signed URL has none and both ways of
checking it agree. Source: the chapter on protected images, and what the official clients put out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from .errors import InvalidArgument
from .grammar import ALIAS, FORMAT, decode, encode, find_image, split, split_query, tail
from .names import HASH
from .secret import Secret

#: Time limits are rounded up to multiples of so many seconds, so that a URL stays the same for a while.
SLICE = 300

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIELDS = ("sig", "sigopts")
# Up to the image nothing begins with a lone "-", as a remote path does.
_WITH_HASH = re.compile(
    rf"(?P<stem>/[^/]+(?:/(?!-(?!-))[^/]+)*?/(?:{HASH.pattern}|{ALIAS.pattern}))(?:/[^/]+)?(?P<format>\.{FORMAT.pattern})"
)


def sign_url(
    url: str,
    key: str,
    *,
    until: datetime | None = None,
    slice: int = SLICE,
    base: str = "",
    keep_slug: bool = False,
) -> str:
    """Sign a render URL with a key of the organization. A signature that it has is replaced.

    With ``until`` it is valid up to then, rounded up to ``slice`` seconds: all moments of a slice give the
    same URL, which the CDN keeps. ``base`` is what rokka does not see of the URL, such as
    ``https://example.com/images`` before a proxy; without it the whole path is signed. The slug is dropped,
    unless ``keep_slug``. Raises `InvalidArgument`.

    >>> sign_url("https://acme.rokka.io/dynamic/c1b110/dog.jpg", "OCOuisGe30QyocYkQN1SPErGGKunyuhZ")
    'https://acme.rokka.io/dynamic/c1b110.jpg?sig=62e7a9ccd3dea053'
    """
    key = Secret(key)
    limit = "" if until is None else _time_limit(until, slice)
    return _signed(url, key, limit, base, keep_slug)


def sign_with_options(
    url: str,
    key: str,
    options: Mapping[str, str],
    *,
    base: str = "",
    keep_slug: bool = False,
) -> str:
    """Sign a render URL with these options of the signature, as they are: ``{"until": "2050-02-08T07:05:00Z"}``."""
    key = Secret(key)
    return _signed(url, key, _encoded(options), base, keep_slug)


def sign_again(url: str, key: str, *, base: str) -> str:
    """Sign a signed render URL whose image or operations were changed. Its time limit stays as it was."""
    key = Secret(key)
    _, _, query = split(url, base)
    options = split_query(query, _FIELDS)[1].get("sigopts")
    return _signed(url, key, f"sigopts={options}" if options else "", base, keep_slug=False)


def _signed(url: str, key: str, options: str, base: str, keep_slug: bool) -> str:
    if not key:
        raise InvalidArgument("A signing key is needed; the organization has them as signing_keys")
    base, path, query = split(url, base)
    path = path if keep_slug else _without_slug(path)
    fields = [split_query(query, _FIELDS)[0] if query else "", options]
    query = "&".join(filter(None, fields))
    target = f"{path}?{query}" if query else path
    return f"{base}{target}{'&' if query else '?'}sig={signature(target, key)}"


def signature(target: str, key: str) -> str:
    """16 hexadecimal digits for a path with its query, such as ``/dynamic/c1b110.jpg?a=b``."""
    if not target.startswith("/"):
        target = f"/{target}"
    return hashlib.sha256(f"{target}:{key}".encode()).hexdigest()[:16]


def round_up(until: datetime, slice: int = SLICE) -> datetime:
    """The end of the slice of time, in seconds since 1970, that ``until`` is in; in UTC."""
    if until.tzinfo is None:
        raise InvalidArgument(f"{until} has no time zone; expected an aware datetime")
    if slice < 1:
        raise InvalidArgument(f"{slice} is no length of a slice in seconds; expected 1 or more")
    step = timedelta(seconds=slice)
    try:
        return _EPOCH - (_EPOCH - until) // step * step
    except OverflowError:
        raise InvalidArgument(f"{until} is too late for a time limit") from None


@lru_cache(maxsize=64)
def _time_limit(until: datetime, slice: int) -> str:
    return _encoded({"until": round_up(until, slice).isoformat()})


def _encoded(options: Mapping[str, str]) -> str:
    text = json.dumps(dict(options), separators=(",", ":"))
    return f"sigopts={encode(text, '')}"


def _without_slug(path: str) -> str:
    if match := _WITH_HASH.fullmatch(path):
        return f"{match['stem']}{match['format']}"
    segments = path.split("/")
    first = 2 if path.startswith("/") else 1  # behind the stack
    index, id, _, format = find_image([decode(segment) for segment in segments], first)
    return "/".join([*segments[:index], tail(id, "", format)])
