"""Why a file could not be moved, in the journal's words."""

from __future__ import annotations

import mimetypes
from typing import IO, Any

from django.db import DatabaseError
from PIL import Image

from .. import api
from ..models import MovedFile

Reason = MovedFile.Reason
_TOO_LARGE = 413
_REFUSED = (400, 415, 422)


class Failure(Exception):
    """A file that cannot be moved: the ``reason``, and more of it in the message."""

    def __init__(self, reason: MovedFile.Reason, message: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def read(error: Exception) -> Failure:
    """What an error says of the file. Errors of storages are whatever their libraries raise."""
    if isinstance(error, Failure):
        return error
    said = (
        f"{type(error).__name__}: {error}" if not isinstance(error, api.RokkaError) else str(error)
    )
    return Failure(_reason(error), said)


def _reason(error: Exception) -> MovedFile.Reason:
    if isinstance(error, FileNotFoundError):
        return Reason.MISSING
    if isinstance(error, api.InvalidRequest) and error.status == _TOO_LARGE:
        return Reason.TOO_LARGE
    if isinstance(error, api.RokkaError | DatabaseError):
        return Reason.TROUBLE
    return Reason.UNREADABLE


def refused(error: api.InvalidRequest, file: IO[Any], name: str) -> Failure:
    """What it means that rokka refuses a file: that it is a damaged picture, or of a kind it does not take."""
    if error.status not in _REFUSED:
        return read(error)
    kind = mimetypes.guess_type(name)[0] or "image/unknown"
    damaged = kind.startswith("image/") and not _is_picture(file)
    return Failure(Reason.UNREADABLE if damaged else Reason.UNSUPPORTED, str(error))


def _is_picture(file: IO[Any]) -> bool:
    try:
        file.seek(0)
        with Image.open(file) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True
