"""The system checks of a `RokkaImageField`: mistakes in a model, each with an id and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InvalidStorageError

from . import stacks, user_metadata
from .conf import aliases
from .spool import DEFERRED, DIRECT
from .storage import MIN_NAME_LENGTH, RokkaStorage

if TYPE_CHECKING:
    from .fields import RokkaImageField


def check(field: RokkaImageField) -> Iterator[CheckMessage]:
    """Everything that is wrong with a field, beside what Django finds."""
    yield from _check_storage(field)
    yield from _check_max_length(field)
    yield from _check_upload(field)
    yield from _check_user_metadata(field)


def _check_storage(field: RokkaImageField) -> Iterator[CheckMessage]:
    storage: object = field.storage
    if not isinstance(storage, RokkaStorage):
        yield Error(
            f"The storage of a RokkaImageField must be rokka, not {type(storage).__name__}.",
            hint="Leave storage out, or give a django_rokka.storage.RokkaStorage.",
            obj=field,
            id="rokka.E010",
        )
    # Without any alias the setting itself is at fault, and says so once.
    elif aliases() and storage.alias not in aliases():
        yield Error(
            f"The alias {storage.alias!r} is not in the ROKKA setting.",
            hint=f"Known aliases: {', '.join(aliases())}.",
            obj=field,
            id="rokka.E012",
        )
    elif problem := stacks.problem_of(storage.stack, storage.alias):
        yield Error(
            problem,
            hint="Correct the stack of the RokkaStorage, or declare it.",
            obj=field,
            id="rokka.E017",
        )
    elif aliases() and (problem := _fallback_problem(storage)):
        yield Error(
            problem,
            hint="Name the entry of STORAGES that has the files which are not at rokka yet.",
            obj=field,
            id="rokka.E018",
        )


def _fallback_problem(storage: RokkaStorage) -> str:
    try:
        fallback = storage.fallback_storage
    except InvalidStorageError as error:
        return str(error)
    except ImproperlyConfigured:
        return ""  # the setting's own check says so
    return "A RokkaStorage cannot fall back to rokka." if isinstance(fallback, RokkaStorage) else ""


def _check_max_length(field: RokkaImageField) -> Iterator[CheckMessage]:
    if field.max_length is not None and field.max_length < MIN_NAME_LENGTH:
        yield Error(
            f"max_length={field.max_length} cannot hold the name of a rokka image.",
            hint=f"It needs at least {MIN_NAME_LENGTH}; 255 is the default.",
            obj=field,
            id="rokka.E011",
        )


def _check_upload(field: RokkaImageField) -> Iterator[CheckMessage]:
    if field.upload not in (DIRECT, DEFERRED):
        yield Error(
            f"upload={field.upload!r} is not known.",
            hint=f"Known: {DIRECT!r} and {DEFERRED!r}.",
            obj=field,
            id="rokka.E013",
        )


def _check_user_metadata(field: RokkaImageField) -> Iterator[CheckMessage]:
    for name, attribute in field.user_metadata.items():
        if not user_metadata.NAME.fullmatch(name) or not hasattr(field.model, attribute):
            yield Error(
                f"user_metadata maps {name!r} to {attribute!r}, which cannot be.",
                hint="It maps a rokka field, such as 'title' or 'array:tags', to an attribute of the model.",
                obj=field,
                id="rokka.E014",
            )
