"""What is done to images, in the words of an editor: labels, options, outcomes, durations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils import formats
from django.utils.functional import Promise
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from ..models import BulkOperation

Kind = BulkOperation.Kind

#: What an action, a button and a heading say.
LABELS: Mapping[str, str | Promise] = {
    Kind.COPY: gettext_lazy("Copy to another organization"),
    Kind.DELETE: gettext_lazy("Delete"),
    Kind.RESTORE: gettext_lazy("Restore"),
    Kind.SYNC: gettext_lazy("Sync now"),
    Kind.LOCK: gettext_lazy("Lock"),
    Kind.UNLOCK: gettext_lazy("Unlock"),
    Kind.PROTECT: gettext_lazy("Protect"),
    Kind.UNPROTECT: gettext_lazy("Unprotect"),
    Kind.USER_METADATA: gettext_lazy("Set user metadata"),
    Kind.DESCRIBE: gettext_lazy("Describe (alt text)"),
    Kind.PURGE: gettext_lazy("Purge CDN cache"),
}

_DONE: Mapping[str, Any] = {
    Kind.COPY: ngettext_lazy("%d image was copied.", "%d images were copied."),
    Kind.DELETE: ngettext_lazy("%d image was deleted.", "%d images were deleted."),
    Kind.RESTORE: ngettext_lazy("%d image was restored.", "%d images were restored."),
    Kind.SYNC: ngettext_lazy("%d image was synced.", "%d images were synced."),
    Kind.LOCK: ngettext_lazy("%d image was locked.", "%d images were locked."),
    Kind.UNLOCK: ngettext_lazy("%d image was unlocked.", "%d images were unlocked."),
    Kind.PROTECT: ngettext_lazy("%d image was protected.", "%d images were protected."),
    Kind.UNPROTECT: ngettext_lazy("%d image was unprotected.", "%d images were unprotected."),
    Kind.USER_METADATA: ngettext_lazy(
        "%d image has the user metadata now.", "%d images have the user metadata now."
    ),
    Kind.DESCRIBE: ngettext_lazy("%d image was described.", "%d images were described."),
    Kind.PURGE: ngettext_lazy(
        "The CDN was asked to forget %d image.", "The CDN was asked to forget %d images."
    ),
}

LANGUAGES: Mapping[str, str | Promise] = {
    "en": gettext_lazy("English"),
    "de": gettext_lazy("German"),
    "fr": gettext_lazy("French"),
    "it": gettext_lazy("Italian"),
}


def number(value: int) -> str:
    """A number as people write it, with its thousands set apart."""
    return formats.number_format(value, force_grouping=True)


def images(count: int) -> str:
    """``"1 image"``, ``"200,000 images"``."""
    return ngettext("%(count)s image", "%(count)s images", count) % {"count": number(count)}


def done(kind: str, count: int) -> str:
    """What was done to so many images: a sentence."""
    return str(_DONE[kind] % count)


def skipped(count: int) -> str:
    """How many images were skipped; the reasons follow."""
    text = ngettext("%(count)s image was skipped", "%(count)s images were skipped", count)
    return text % {"count": number(count)}


def failed(count: int) -> str:
    """For how many images it failed; the reasons follow."""
    text = ngettext("It failed for %(count)s image", "It failed for %(count)s images", count)
    return text % {"count": number(count)}


def options(operation: BulkOperation) -> list[str]:
    """What was chosen for an operation, a few words for each choice."""
    return list(_options(operation.kind, operation.options))


def _options(kind: str, chosen: Mapping[str, Any]) -> Iterator[str]:
    if kind == Kind.COPY:
        yield _("to %(organization)s") % {"organization": chosen.get("destination", "–")}
        yield _("write over what is there") if chosen.get("overwrite") else _("skip what is there")
    if kind == Kind.DELETE and chosen.get("used"):
        yield _("also images in use")
    if kind == Kind.DESCRIBE:
        named = [str(LANGUAGES.get(code, code)) for code in chosen.get("languages", [])]
        yield get_text_list(named, _("and"))
        yield (
            _("write over texts that exist") if chosen.get("force") else _("keep texts that exist")
        )
    if kind == Kind.USER_METADATA:
        yield from (_field(*item) for item in chosen.get("metadata", {}).items())


def _field(name: str, value: Any) -> str:
    if value is None:
        return _("%(name)s is removed") % {"name": name}
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{name} = {text}"


def duration(seconds: float) -> str:
    """About how long something takes."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return _("less than a minute")
    if minutes < 90:
        return ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}
    hours = round(minutes / 60)
    return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}
