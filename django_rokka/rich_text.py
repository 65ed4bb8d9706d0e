"""Render URLs inside a text: which image they show, and the same text with another one.

A URL is ``{render base}/{stack}/[{operations}/…]{hash}[/{slug}].{format}``; see `django_rokka.api.render`.
"""

from __future__ import annotations

import re
from functools import partial

from .api.names import HASH
from .api.signing import sign_again
from .conf import configs_of
from .models import SourceImage

#: What ends a URL in HTML, Markdown, CSS and plain text.
_URL_END = r"""\s"'<>()\\"""
_SIGNED = re.compile(r"[?&;]sig=")


def holds(text: str | None, image: SourceImage) -> bool:
    """Whether the text has a URL that shows the image, signed or not."""
    urls = _pattern(image.organization).finditer(text or "")
    return any(_segment(match["path"], image) is not None for match in urls)


def hashes(organization: str, text: str | None) -> set[str]:
    """Everything in the text's URLs that may be a hash, in full or cut short."""
    urls = _pattern(organization).finditer(text or "")
    stems = {part.partition(".")[0] for url in urls for part in url["path"].split("/")[2:]}
    return {stem for stem in stems if HASH.fullmatch(stem)}


def rewritten(text: str, old: SourceImage, new: SourceImage) -> str:
    """The text with ``new`` where it showed ``old``.

    A signed URL is signed anew, with its time limit; without a ``SIGNING_KEY`` it stays as it is.
    """
    return _pattern(old.organization).sub(partial(_with, old, new), text)


def _pattern(organization: str) -> re.Pattern[str]:
    # rokka's own host always works, also where the setting names another one.
    bases = {f"https://{organization}.rokka.io"} | {
        config.render_base for config in configs_of(organization)
    }
    hosts = "|".join(sorted(re.escape(base.partition("://")[2]) for base in bases))
    return re.compile(
        rf"(?P<base>(?:https?:)?//(?:{hosts}))(?P<path>/[^{_URL_END}?]+)(?P<query>[^{_URL_END}]*)"
    )


def _segment(path: str, image: SourceImage) -> int | None:
    """Which segment of a path is the image's hash. The first one is a stack, whatever it is called."""
    segments = path.split("/")
    for index, segment in enumerate(segments[2:], start=2):
        if image.means(segment.partition(".")[0]):
            return index
    return None


def _with(old: SourceImage, new: SourceImage, match: re.Match[str]) -> str:
    index = _segment(match["path"], old)
    if index is None:
        return match[0]
    segments = match["path"].split("/")
    _, dot, rest = segments[index].partition(".")
    segments[index] = f"{new.hash}{dot}{rest}"
    url = f"{match['base']}{'/'.join(segments)}{match['query']}"
    if not _SIGNED.search(match["query"]):
        return url
    return _signed(url, old.organization, match["base"]) or match[0]


def _signed(url: str, organization: str, base: str) -> str:
    keys = [config.signing_key for config in configs_of(organization) if config.signing_key]
    if not keys:
        return ""
    signed = sign_again(url.replace("&amp;", "&"), keys[0], base=base)
    return signed.replace("&", "&amp;") if "&amp;" in url else signed
