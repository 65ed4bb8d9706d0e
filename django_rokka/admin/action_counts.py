"""What a user should know before an action: how many images there are of each condition, and what that means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, Q
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import references
from ..models import BulkOperation
from .detail import RESTORABLE
from .words import number

Kind = BulkOperation.Kind
Images = Any


def suitable(kind: str, images: Images) -> Images:
    """Those of the images that an action can be done to: rokka does nothing with what is deleted."""
    if kind == Kind.SYNC:
        return images
    return images.filter(_restorable()) if kind == Kind.RESTORE else images.filter(deleted=None)


def _restorable() -> Q:
    return Q(deleted__gt=timezone.now() - RESTORABLE, purged=None)


def count_used(images: Images) -> int:
    """How many of the images rows show: one query."""
    return references.used(images).count()


@dataclass(frozen=True)
class Counts:
    """How many images there are of each condition; ``locked`` and ``protected`` are live ones."""

    total: int
    live: int
    restorable: int
    locked: int
    protected: int

    @classmethod
    def of(cls, images: Images) -> Counts:
        """Count: one query, however many images there are."""
        live = Q(deleted=None)
        conditions = {
            "total": Q(),
            "live": live,
            "restorable": _restorable(),
            "locked": live & Q(locked=True),
            "protected": live & Q(protected=True),
        }
        counted = {name: Count("pk", filter=found) for name, found in conditions.items()}
        return cls(**images.order_by().aggregate(**counted))

    def suitable(self, kind: str) -> int:
        """How many of them the action can be done to."""
        if kind == Kind.SYNC:
            return self.total
        return self.restorable if kind == Kind.RESTORE else self.live


class Fact(NamedTuple):
    """Something that the user should know; ``grave`` if it may not be what is wanted."""

    text: str
    grave: bool = False


def facts(kind: str, counts: Counts, *, left_out: int, used: int) -> list[Fact]:
    """All that is worth saying before an action."""
    return [
        *_about_left_out(left_out),
        *_about_deleted(kind, counts),
        *_about_locked(kind, counts.locked),
        *(_about_used(used) if kind == Kind.DELETE else ()),
        *_about_kind(kind, counts),
    ]


def _about_left_out(count: int) -> Iterator[Fact]:
    text = ngettext(
        "%(count)s image is left out, because you may not do this with it.",
        "%(count)s images are left out, because you may not do this with them.",
        count,
    )
    if count:
        yield Fact(text % {"count": number(count)}, grave=True)


def _about_deleted(kind: str, counts: Counts) -> Iterator[Fact]:
    deleted = counts.total - counts.live
    if kind == Kind.RESTORE:
        yield from _about_lost(deleted - counts.restorable, counts.live)
    elif deleted and kind != Kind.SYNC:
        text = ngettext(
            "%(count)s image is deleted already, and left out.",
            "%(count)s images are deleted already, and left out.",
            deleted,
        )
        yield Fact(text % {"count": number(deleted)})


def _about_lost(lost: int, live: int) -> Iterator[Fact]:
    if lost:
        text = ngettext(
            "%(count)s image was deleted too long ago, and cannot be restored any more.",
            "%(count)s images were deleted too long ago, and cannot be restored any more.",
            lost,
        )
        yield Fact(text % {"count": number(lost)}, grave=True)
    if live:
        text = ngettext(
            "%(count)s image is not deleted, and left out.",
            "%(count)s images are not deleted, and left out.",
            live,
        )
        yield Fact(text % {"count": number(live)})


def _about_locked(kind: str, locked: int) -> Iterator[Fact]:
    if locked and kind in (Kind.DELETE, Kind.USER_METADATA):
        text = ngettext(
            "%(count)s image is locked: rokka refuses this until it is unlocked.",
            "%(count)s images are locked: rokka refuses this until they are unlocked.",
            locked,
        )
        yield Fact(text % {"count": number(locked)}, grave=True)
    if locked and kind == Kind.LOCK:
        text = ngettext(
            "%(count)s image is locked already.", "%(count)s images are locked already.", locked
        )
        yield Fact(text % {"count": number(locked)})


def _about_used(used: int) -> Iterator[Fact]:
    if not used:
        yield Fact(_("None of them is in use on this site."))
        return
    text = ngettext(
        "%(count)s image is in use on this site: it is kept, unless you insist.",
        "%(count)s images are in use on this site: they are kept, unless you insist.",
        used,
    )
    yield Fact(text % {"count": number(used)}, grave=True)


def _about_kind(kind: str, counts: Counts) -> Iterator[Fact]:
    if kind == Kind.DELETE:
        last = formats.date_format(_local(timezone.now() + RESTORABLE), "DATE_FORMAT")
        text = _("Deleted images can be restored for 30 days, until %(date)s.")
        yield Fact(text % {"date": last})
    if kind in (Kind.PROTECT, Kind.UNPROTECT):
        yield from _about_protected(kind, counts.protected)
    for text in _NOTES.get(kind, list)():
        yield Fact(text)


def _local(moment: datetime) -> datetime:
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment


def _about_protected(kind: str, protected: int) -> Iterator[Fact]:
    if protected and kind == Kind.PROTECT:
        text = ngettext(
            "%(count)s image is protected already.",
            "%(count)s images are protected already.",
            protected,
        )
        yield Fact(text % {"count": number(protected)})
    if kind == Kind.PROTECT:
        yield Fact(
            _("What shows them needs signed URLs then; other URLs show nothing."), grave=True
        )
    yield Fact(_("The images get new hashes. Every row that shows one of them follows."))


_NOTES: dict[str, Any] = {
    Kind.LOCK: lambda: [
        _("A locked image can neither be deleted nor get other user metadata, until it is unlocked.")
    ],
    Kind.DESCRIBE: lambda: [
        _("rokka looks at each image, and writes what it sees into the user metadata."),
        _("It does so for organizations that pay."),
    ],
    Kind.PURGE: lambda: [
        _("rokka allows 5 images an hour, for organizations that pay; the others fail, and can be "
          "tried again."),
        _("The CDN may take some minutes to forget."),
    ],
    Kind.USER_METADATA: lambda: [
        _("Each field gets the same value in all images. Other fields stay as they are."),
        _("A field without a value is removed."),
    ],
    Kind.SYNC: lambda: [_("rokka is asked what it knows of each image, one after the other.")],
}  # fmt: skip
