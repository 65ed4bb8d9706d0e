"""Rows whose picture is gone: every column that may hold one, against the mirror or against rokka.

A name that no image of rokka's can have (a file from before, one that waits in the spool) is no drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from django.db.models import Q

from .. import api, references
from ..api.names import HASH, HASH_LENGTH
from ..conf import Config
from ..models import SourceImage
from ..models.images import looks_like_hash
from ..references import Place, Reference, RichTextPlace
from .probe import SECONDS, Probe

#: Names that are looked at together.
_PORTION = 500
#: Names that rokka is asked about, unless it is said otherwise.
LIMIT = 10_000


@dataclass(frozen=True)
class Lost:
    """A picture that is not live at rokka, though rows show it.

    ``hash`` is what rows have, in full or short. ``image`` is the mirror's row, ``None`` if it has none;
    ``restorable`` tells whether it can be brought back, and ``binary_hash`` what its bytes were, if anybody knows.
    """

    organization: str
    hash: str
    image: SourceImage | None = None
    restorable: bool = False
    binary_hash: str = ""

    @property
    def stand_in(self) -> SourceImage:
        """The mirror's row, or an unsaved one to look for rows with."""
        return self.image or SourceImage(organization=self.organization, hash=self.hash)

    def rows(self) -> Iterator[Reference]:
        """The rows that show it."""
        return references.of(self.stand_in)


@dataclass
class Scan:
    """What a look at all columns has found so far: distinct names, of which ``unknown`` and ``unasked``.

    ``unknown`` are those that the mirror lacks, where only the mirror is asked; ``unasked`` those beyond
    the limit.
    """

    names: int = 0
    gone: int = 0
    unknown: int = 0
    unasked: int = 0


def scan(
    config: Config, *, ask: bool, limit: int | None = LIMIT, seconds: float = SECONDS
) -> Iterator[tuple[Scan, Lost | None]]:
    """Look for pictures that are gone: by the mirror alone, or with ``ask`` at rokka, some side by side.

    Gives each one as it is found, with the counts so far, and at the end the counts alone. Raises the errors
    of `django_rokka.api.errors` if rokka is in trouble.
    """
    counts, seen, told = Scan(), set[str](), set[Any]()
    looking = _at_rokka(config, seconds) if ask else _in_mirror(config)
    for hashes in _portions(config.organization):
        new = [hash for hash in hashes if hash not in seen]
        seen |= set(new)
        counts.names += len(new)
        if ask and limit is not None:
            room = max(limit - (counts.names - len(new)), 0)
            counts.unasked += len(new[room:])
            new = new[:room]
        for lost in looking(new, counts):
            # Rows may name one image by its hash and by its short hash.
            key = lost.image.pk if lost.image else lost.hash
            if key not in told:
                told.add(key)
                counts.gone += 1
                yield counts, lost
    yield counts, None


# --- Names in rows ----------------------------------------------------------------------------


def _portions(organization: str) -> Iterator[list[str]]:
    hashes = (
        hash for place in references.places(organization) for hash in _hashes(place, organization)
    )
    while portion := list(dict.fromkeys(islice(hashes, _PORTION))):
        yield portion


def _hashes(place: Place, organization: str) -> Iterator[str]:
    """Every hash that a column holds, as it is written there."""
    held = place.hashes(organization, place.using)
    if isinstance(place, RichTextPlace):
        # What is shorter may be the slug of a URL.
        yield from (hash for hash in sorted(held) if len(hash) == HASH_LENGTH)
        return
    # Read to the end: a repair writes while the others wait.
    names = set(map(str, held.values_list("rokka_hash", flat=True).distinct().iterator()))
    yield from sorted(hash for hash in names if _is_hash(place, hash))


def _is_hash(place: Place, text: str) -> bool:
    """Whether it is meant as a hash."""
    if not HASH.fullmatch(text):
        return False
    return len(text) == HASH_LENGTH or (not place.only_full_hashes and looks_like_hash(text))


# --- Looking ----------------------------------------------------------------------------------

_Looking = Callable[[list[str], Scan], Iterator[Lost]]


def _mirrored(organization: str, hashes: Iterable[str]) -> dict[str, SourceImage]:
    """The mirror's rows by what names say of them."""
    wanted = set(hashes)
    rows = SourceImage.objects.select_related("replaced_by")
    found = rows.filter(Q(hash__in=wanted) | Q(short_hash__in=wanted), organization=organization)
    return {prefix: image for image in found for prefix in image.prefixes if prefix in wanted}


def _in_mirror(config: Config) -> _Looking:
    def look(hashes: list[str], counts: Scan) -> Iterator[Lost]:
        known = _mirrored(config.organization, hashes)
        counts.unknown += len(hashes) - len(known)
        for hash, image in known.items():
            if image.deleted is not None:
                yield Lost(config.organization, hash, image, image.days_left > 0, image.binary_hash)

    return look


def _at_rokka(config: Config, seconds: float) -> _Looking:
    probe = Probe(config, seconds=seconds, patient=True)

    def look(hashes: list[str], counts: Scan) -> Iterator[Lost]:
        known = _mirrored(config.organization, hashes)
        for hash, answer in _asked(config, probe, hashes):
            if answer is None or answer.deleted:
                yield _lost(config, hash, known.get(hash), answer)

    return look


def _lost(config: Config, hash: str, image: Any, answer: api.SourceImage | None) -> Lost:
    said = (answer.binary_hash if answer else "") or (image.binary_hash if image else "")
    return Lost(config.organization, hash, image, answer is not None, said)


def _asked(
    config: Config, probe: Probe, hashes: list[str]
) -> Iterator[tuple[str, api.SourceImage | None]]:
    """What rokka says of each, some side by side; the first trouble ends it."""
    with ThreadPoolExecutor(config.pool_size, thread_name_prefix="rokka-doctor") as threads:
        answers = threads.map(lambda hash: _ask(probe, hash), hashes)
        try:
            yield from zip(hashes, answers, strict=True)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _ask(probe: Probe, hash: str) -> api.SourceImage | None:
    """A live image, a deleted one, or ``None`` for what rokka does not have at all."""
    try:
        return probe.get_source_image(hash)
    except api.NotFound:
        pass
    try:
        answer = probe.get_source_image(hash, deleted=True)
    except api.NotFound:
        return None
    # What rokka finds only among the deleted ones is one of them, whether it says so or not.
    return replace(answer, deleted=True)
