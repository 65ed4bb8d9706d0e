"""Errors in the words of an editor: what happened, and what to do."""

from __future__ import annotations

import re

from django.core.exceptions import ImproperlyConfigured
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from . import api

_HASH = re.compile(r"\s*\b[0-9a-f]{40}\b")


def explain(error: Exception) -> str:
    """What an error means for somebody who works with pictures. It never holds a key or an address."""
    if isinstance(error, api.RateLimited):
        return _rate_limited(error)
    for kind, text in _texts():
        if isinstance(error, kind):
            message = str(getattr(error, "message", error))
            # An editor knows the picture, and the same reason should be the same text for each of them.
            return text % {"message": _HASH.sub("", message)}
    return _("An unexpected error: %(kind)s. The log has the details.") % {
        "kind": type(error).__name__
    }


def _rate_limited(error: api.RateLimited) -> str:
    if error.retry_at is None:
        return _(
            "rokka asks for a pause, because there were too many calls. Try again in a minute."
        )
    moment = formats.date_format(timezone.localtime(error.retry_at), "DATETIME_FORMAT")
    return _("rokka allows no more such calls until %(moment)s.") % {"moment": moment}


def _texts() -> list[tuple[type[Exception], str]]:
    return [
        (api.NotFound, _("rokka does not have it any more.")),
        (api.Conflict, _("rokka refuses: %(message)s If the image is locked, unlock it first.")),
        (api.BadCredentials, _("rokka does not accept this site's key. Tell your administrator.")),
        (api.NotAllowed, _("This site's key may not do that at rokka: %(message)s")),
        (api.Refused, _("This site must not do that: %(message)s.")),
        (api.RokkaTimeout, _("rokka did not answer in time. Try again.")),
        (api.RokkaConnectionError, _("rokka cannot be reached. Try again in a minute.")),
        (api.ServerError, _("rokka is in trouble. Try again in a minute.")),
        (api.UnexpectedAnswer, _("rokka gave an answer that makes no sense: %(message)s")),
        (api.RokkaError, _("rokka refuses: %(message)s")),
        (ImproperlyConfigured, _("The settings are wrong: %(message)s")),
    ]


__all__ = ["explain"]
