"""Items of a listing: whether they can be read, and whether they say something new."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterator, Mapping
from typing import Any

from .. import api
from ..api.names import HASH
from ..api.types import JSON

_OBJECTS = ("user_metadata", "dynamic_metadata", "static_metadata")
_NUMBERS = ("size", "width", "height")


def fingerprint(item: JSON) -> int:
    """A number of 64 bits, with a sign, that is another one if the item says anything else."""
    # Version 2 of the format writes equal values as equal bytes.
    digest = hashlib.blake2b(marshal.dumps(item, 2), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def hash_of(item: JSON) -> str:
    """The item's hash, or ``""`` if it has none."""
    hash = item.get("hash") if isinstance(item, Mapping) else None
    return hash if isinstance(hash, str) and len(hash) == 40 and HASH.fullmatch(hash) else ""


def read(organization: str, item: JSON) -> api.SourceImage:
    """The image that an item describes. Raises `UnexpectedAnswer`, saying what cannot be read.

    `SourceImage.from_json` is lenient where this is not: what it would leave out must not get lost in
    the mirror.
    """
    image = api.SourceImage.from_json(item)
    for problem in _problems(organization, image, item):
        raise api.UnexpectedAnswer(f"{image.hash}: {problem}")
    return image


def _problems(organization: str, image: api.SourceImage, item: Mapping[str, Any]) -> Iterator[str]:
    if image.organization != organization:
        yield f"the organization is {image.organization!r}"
    if image.created is None and item.get("created") is not None:
        yield f"{item['created']!r} is no date"
    for key in _OBJECTS:
        value = item.get(key)
        # PHP writes an empty object as an empty list.
        if value and not isinstance(value, Mapping):
            yield f"{key} is no object"
    for key in _NUMBERS:
        value = item.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            yield f"{key} is no number: {value!r}"
