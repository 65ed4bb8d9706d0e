"""The name of a source image as a database column holds it: ``<hash>/<slug>.<format>``.

It is the tail of a render URL, so a template builds any URL from the column alone. The slug is for
people and search engines: rokka ignores it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from .errors import InvalidArgument, shown

#: A full or short hash, as the API document gives it: 6 to 40 lower-case hexadecimal digits.
HASH = re.compile(r"[0-9a-f]{6,40}")
#: The digits of a full hash.
HASH_LENGTH = 40
#: rokka's clients split URLs at dots and underscores, so a slug has neither; 60 is their limit too.
SLUG_LENGTH = 60
#: Django's default ``max_length`` of a file field; our names keep below it without being asked.
NAME_LENGTH = 100

_NAME = re.compile(
    rf"(?P<hash>{HASH.pattern})/(?P<slug>[0-9a-z-]{{1,{SLUG_LENGTH}}})\.(?P<format>[0-9a-z]{{1,10}})"
)
_FORMAT = re.compile(r"[0-9a-z]{1,10}")
_SPECIAL_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "ae", "ø": "o", "Ø": "o", "œ": "oe", "Œ": "oe", "ł": "l", "Ł": "l"}
)
_SPECIAL_LETTERS |= str.maketrans({"@": " at "})
_UMLAUTS = str.maketrans({"ä": "ae", "Ä": "ae", "ö": "oe", "Ö": "oe", "ü": "ue", "Ü": "ue"})


def check_hash(value: str) -> str:
    """Return ``value`` if it is a full or short hash, else raise `InvalidArgument`."""
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise InvalidArgument(
            f"{shown(value)} is not a rokka hash; expected 6 to 40 characters of 0-9a-f"
        )
    return value


def names_image(text: str) -> bool:
    """Whether a text is the name of an image in full: files elsewhere may lie in a folder such as ``202401``."""
    match = _NAME.fullmatch(text)
    return match is not None and len(match["hash"]) == HASH_LENGTH


def slugify(filename: str, *, length: int = SLUG_LENGTH, language: str = "") -> str:
    """Return a slug of ``[0-9a-z-]`` for a file name without its directory and extension.

    In German (``language="de"``) an umlaut is two letters: ``zuerich``.

    >>> slugify("Zürich am Abend (2).JPG")
    'zurich-am-abend-2'
    >>> slugify("🌄.png")
    'image'
    """
    stem = PurePosixPath(filename.replace("\\", "/")).stem
    letters = _SPECIAL_LETTERS | (_UMLAUTS if language == "de" else {})
    plain = unicodedata.normalize("NFKD", stem.translate(letters))
    ascii_only = plain.encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^0-9a-z]+", "-", ascii_only).strip("-")
    return slug[:length].strip("-") or "image"[:length]


@dataclass(frozen=True)
class ImageName:
    """The parts of a name: ``hash`` (6-40 hex), ``slug`` (at most 60 of ``[0-9a-z-]``), ``format`` (extension)."""

    hash: str
    slug: str
    format: str

    @classmethod
    def build(cls, hash: str, filename: str, format: str) -> ImageName:
        """Name the image ``hash`` of format ``format`` after the file it was uploaded from."""
        if not _FORMAT.fullmatch(format):
            raise InvalidArgument(f"{shown(format)} is not a file format such as 'jpg'")
        room = NAME_LENGTH - len(hash) - len(format) - 2
        return cls(check_hash(hash), slugify(filename, length=min(room, SLUG_LENGTH)), format)

    @classmethod
    def parse(cls, name: str) -> ImageName:
        """Read a name back; raise `InvalidArgument` for anything else."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise InvalidArgument(
                f"{shown(name)} is not the name of a rokka image; "
                "expected <hash>/<slug>.<format>, as saving a file returns it"
            )
        return cls(**match.groupdict())

    def fit(self, length: int) -> ImageName:
        """Cut the slug so that the whole name has at most ``length`` characters."""
        room = length - (len(str(self)) - len(self.slug))
        if room < 1:
            raise InvalidArgument(
                f"{self} does not fit {length} characters; give the column a max_length of 100"
            )
        return replace(self, slug=self.slug[:room].strip("-") or "i")

    def __str__(self) -> str:
        return f"{self.hash}/{self.slug}.{self.format}"
