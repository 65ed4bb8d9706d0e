"""Placeholders: what a page shows until the picture is there, kept in the mirror.

Two renders are fetched for each picture, as a browser would: one of 64 pixels, for its dominant colour and
to see whether it is transparent; and its BlurHash, of which a picture of a few pixels is made, small
enough for a page. What is found stays: a hash always means the same picture.

A picture that fails is tried again by the next runs, `TRIES` times in all. Trouble at rokka is not held
against a picture: a run stops at it. With ``PLACEHOLDERS`` off no task makes any, only `fill_missing` does.
"""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import blurhash
from PIL import Image as Picture

from . import api
from .api.render import DYNAMIC, Options
from .conf import Config, config_of, get_config
from .later import start_after_commit
from .models import SourceImage, mirror_database

logger = logging.getLogger("django_rokka.placeholders")

#: How often a picture is tried, each time by another run.
TRIES = 5
#: How many pictures a task that runs by schedule sees to.
PORTION = 500
#: So many failures in a row that may pass are trouble at rokka, and not the pictures.
_IN_A_ROW = 5
#: What may pass by itself.
_TROUBLE = (api.RateLimited, api.ServerError, api.RokkaConnectionError)

#: The longest side of the render that is looked at, and of the placeholder, in pixels.
_SMALL, _TINY = 64, 24
#: The most bytes that are read of a render; one of 64 pixels has 16 KiB, unless it moves.
_MOST_OF_PICTURE, _MOST_OF_TEXT = 1024 * 1024, 1000
_QUALITY = 80
#: Into how many colours a picture is sorted before they are counted.
_COLORS = 8
#: From this opacity on a pixel counts for the colour.
_VISIBLE = 128

#: How the types begin that rokka renders: for any other file it shows a picture of its own.
_RENDERED = ("image/", "video/", "application/pdf", "application/postscript")
#: Dynamic metadata that change no pixel of a picture that is not cropped.
_UNSEEN = {"subject_area", "multi_areas", "version"}


@dataclass(frozen=True)
class Found:
    """What was found for one picture, by the names of the columns; empty where there is nothing."""

    blurhash: str = ""
    placeholder: str = ""
    color: str = ""


@dataclass
class Run:
    """How far a run is, in pictures.

    ``filled`` have a placeholder now, ``plain`` cannot have one (they are transparent, or no pictures),
    ``failed`` are tried again by the next runs, ``given_up`` are not any more. ``total`` is what waited.
    """

    total: int
    filled: int = 0
    plain: int = 0
    failed: int = 0
    given_up: int = 0
    #: Failures that may be trouble at rokka: the next success tells.
    doubtful: list[tuple[SourceImage, _Outcome]] = field(default_factory=list, repr=False)

    @property
    def seen(self) -> int:
        """How many pictures were seen to."""
        return self.filled + self.plain + self.failed + self.given_up + len(self.doubtful)


@dataclass(frozen=True)
class _Outcome:
    found: Found
    error: api.RokkaError | None = None


# --- Filling ----------------------------------------------------------------------------------


def fill(alias: str, hash: str) -> bool:
    """Make the placeholder of one image, unless it has one; tells if nothing is left to do.

    So it is too if ``PLACEHOLDERS`` is off. Raises `RateLimited`, `ServerError` and
    `RokkaConnectionError`: trying again may help. What else rokka says against it is noted and logged.
    """
    config = get_config(alias)
    if not config.placeholders:
        return True
    image = SourceImage.objects.of_hash(config.organization, hash).first()
    if image is None or image.deleted is not None or image.placeholder_tries is None:
        return True
    with _renders(config) as renders:
        outcome = _look(renders, image)
    if isinstance(outcome.error, _TROUBLE):
        raise outcome.error
    return _record(image, outcome) is None


def fill_missing(alias: str, *, limit: int | None = None) -> Generator[Run, None, None]:
    """Make the placeholders that are missing, at most ``limit``; gives the run after each picture.

    It makes ``CONCURRENCY`` calls at a time. Raises `RateLimited`, `ServerError` and
    `RokkaConnectionError` when rokka is in trouble; the next run goes on from there.
    """
    config = get_config(alias)
    waiting = count_missing(alias)
    run = Run(waiting if limit is None else min(waiting, limit))
    images = islice(_missing(config).one_by_one(), limit)
    with _renders(config) as renders, ThreadPoolExecutor(config.concurrency) as threads:
        # The threads only fetch: the database is left to this one.
        while portion := list(islice(images, config.concurrency * 4)):
            outcomes = threads.map(partial(_look, renders), portion)
            for image, outcome in zip(portion, outcomes, strict=True):
                _note(run, image, outcome)
                yield run
    _note_doubtful(run)
    yield run


def fill_portion(alias: str) -> int:
    """Make the next `PORTION` of placeholders that are missing; gives how many are still missing.

    Makes none if ``PLACEHOLDERS`` is off.
    """
    if not get_config(alias).placeholders:
        return count_missing(alias)
    with closing(fill_missing(alias, limit=PORTION)) as runs:
        *_, run = runs
    if run.total:
        logger.info("Placeholders of %s: %s", alias, run)
    return count_missing(alias)


def count_missing(alias: str) -> int:
    """How many images are still to be seen to."""
    count: int = _missing(get_config(alias)).count()
    return count


def try_again(alias: str) -> int:
    """Let the next run see to all images without a placeholder, also those given up; gives how many."""
    organization = get_config(alias).organization
    rows = SourceImage.objects.filter(organization=organization)
    return rows.filter(deleted=None, placeholder="", placeholder_tries=None).update(
        placeholder_tries=0
    )


def carry_over(old: SourceImage, new: SourceImage) -> None:
    """Give a picture that has another hash now what it had before, unless it may look different."""
    if new.placeholder_tries is None:
        return
    if old.color and old.placeholder_tries is None and _look_the_same(old, new):
        found = Found(old.blurhash, old.placeholder, old.color)
        _write(new, found, tries=None)
        return
    config = config_of(new.organization)
    if config.celery and config.placeholders:
        start_after_commit(mirror_database(), "fill_placeholder", config.alias, new.hash)


def _look_the_same(one: SourceImage, other: SourceImage) -> bool:
    """Whether two images have the same bytes, and differ in nothing that a plain resize shows."""
    seen = [
        {name: values for name, values in image.dynamic_metadata.items() if name not in _UNSEEN}
        for image in (one, other)
    ]
    return one.binary_hash == other.binary_hash != "" and seen[0] == seen[1]


def _missing(config: Config) -> Any:
    rows = SourceImage.objects.without_placeholder()
    return rows.filter(organization=config.organization)


def _renders(config: Config) -> api.RenderClient:
    return api.RenderClient(
        config.render_base,
        timeout=config.timeout,
        retry=api.RetryPolicy(attempts=config.attempts, budget=config.retry_budget),
        pool_size=config.pool_size,
    )


# --- Keeping ----------------------------------------------------------------------------------


def _note(run: Run, image: SourceImage, outcome: _Outcome) -> None:
    if isinstance(outcome.error, api.RateLimited):
        raise outcome.error
    if not isinstance(outcome.error, _TROUBLE):
        if outcome.error is None:
            _note_doubtful(run)
        _count(run, image, outcome)
        return
    run.doubtful.append((image, outcome))
    if len(run.doubtful) == _IN_A_ROW:
        # The first one pays, so that pictures that always fail cannot stop every run.
        _count(run, *run.doubtful[0])
        raise outcome.error


def _note_doubtful(run: Run) -> None:
    """Others went well, or these were few: they failed by themselves."""
    doubtful, run.doubtful = run.doubtful, []
    for image, outcome in doubtful:
        _count(run, image, outcome)


def _count(run: Run, image: SourceImage, outcome: _Outcome) -> None:
    tries = _record(image, outcome)
    if outcome.error is not None:
        run.failed += tries is not None
        run.given_up += tries is None
    else:
        run.filled += bool(outcome.found.placeholder)
        run.plain += not outcome.found.placeholder


def _record(image: SourceImage, outcome: _Outcome) -> int | None:
    """Write what became of a picture; gives its tries so far, ``None`` if there will be no other."""
    if outcome.error is None:
        _write(image, outcome.found, tries=None)
        return None
    tried = (image.placeholder_tries or 0) + 1
    tries = tried if tried < TRIES else None
    logger.warning("No placeholder for %s, try %d: %s", image.hash, tried, outcome.error)
    _write(image, outcome.found, tries=tries)
    return tries


def _write(image: SourceImage, found: Found, *, tries: int | None) -> None:
    rows = SourceImage.objects
    # Not if somebody else was quicker: this one may have failed.
    due = rows.filter(pk=image.pk, placeholder_tries__isnull=False)
    due.update(**asdict(found), placeholder_tries=tries)


# --- Looking ----------------------------------------------------------------------------------


def _look(renders: api.RenderClient, image: SourceImage) -> _Outcome:
    """Fetch what there is to find. Never raises a `RokkaError`."""
    found = Found()
    if image.mimetype and not image.mimetype.startswith(_RENDERED):
        return _Outcome(found)
    try:
        picture = _small_picture(renders, image)
        found = Found(color=dominant_color(picture))
        # What rokka says counts as well: a hole may be too small to be seen here.
        if image.opaque is not False and is_opaque(picture):
            text = _blurhash(renders, image)
            found = replace(found, blurhash=text, placeholder=tiny(text, picture.size))
    except api.RokkaError as error:
        return _Outcome(found, error)
    return _Outcome(found)


def _small_picture(renders: api.RenderClient, image: SourceImage) -> Picture.Image:
    url = _url(image, "png")
    content = renders.fetch(url, limit=_MOST_OF_PICTURE, accept="image/png")
    try:
        with Picture.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if max(picture.size) <= _SMALL:
                return picture.convert("RGBA")
            problem = f"a picture of {picture.width} × {picture.height} pixels came"
    except (OSError, SyntaxError, ValueError, Picture.DecompressionBombError) as error:
        raise _unexpected(url, "no PNG that can be read came") from error
    raise _unexpected(url, problem)


def _blurhash(renders: api.RenderClient, image: SourceImage) -> str:
    url = _url(image, "blur")
    content = renders.fetch(url, limit=_MOST_OF_TEXT)
    try:
        text = content.decode("ascii").strip()
        blurhash.decode(text, 1, 1)
    except (KeyError, ValueError) as error:
        raise _unexpected(url, f"no BlurHash came, but {content[:40]!r}") from error
    return text


def _url(image: SourceImage, format: str) -> str:
    box: Options = {"width": _SMALL, "height": _SMALL, "mode": "box"}
    return image.render_url(
        DYNAMIC, operations={"resize": box}, options={"autoformat": False}, format=format
    )


def _unexpected(url: str, problem: str) -> api.UnexpectedAnswer:
    return api.UnexpectedAnswer(problem, call=f"GET {url.partition('?')[0]}", status=200)


# --- Pictures ---------------------------------------------------------------------------------


def is_opaque(picture: Picture.Image) -> bool:
    """Whether every pixel of an RGBA picture is opaque."""
    return picture.getchannel("A").getextrema() == (255, 255)


def dominant_color(picture: Picture.Image) -> str:
    """The colour that most pixels of an RGBA picture have, or nearly have, as ``#rrggbb``.

    Transparent pixels do not count; ``""`` if there are no others.
    """
    raw = picture.tobytes()
    seen = b"".join(raw[at : at + 3] for at in range(0, len(raw), 4) if raw[at + 3] >= _VISIBLE)
    if not seen:
        return ""
    pixels = Picture.frombytes("RGB", (len(seen) // 3, 1), seen)
    sorted_in = pixels.quantize(_COLORS, Picture.Quantize.FASTOCTREE)
    counted: Any = sorted_in.getcolors()
    _, most = max(counted)
    red, green, blue = (sorted_in.getpalette() or [])[3 * most : 3 * most + 3]
    return f"#{red:02x}{green:02x}{blue:02x}"


def tiny(text: str, size: tuple[int, int]) -> str:
    """A BlurHash as the data URI of a picture of a few pixels, in the ratio of ``size``."""
    scale = _TINY / max(size)
    width, height = (max(round(side * scale), 1) for side in size)
    rows = blurhash.decode(text, width, height)
    raw = bytes(value for row in rows for pixel in row for value in pixel)
    target = io.BytesIO()
    Picture.frombytes("RGB", (width, height), raw).save(target, "WEBP", quality=_QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(target.getvalue()).decode()}"
