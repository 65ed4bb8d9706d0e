"""A mapping from a model's fields to rokka's user metadata, and what is sent and taken over by it.

``RokkaImageField(user_metadata={"title": "headline", "array:tags": "tag_names"})`` maps a user metadata
field, with its type prefix, to an attribute of the model, a field or a method.

Source: the user metadata chapter of rokka's documentation.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from . import references
from .api.types import JSON, parse_date
from .models import SourceImage

logger = logging.getLogger("django_rokka.user_metadata")

NAME = re.compile(r"((str|text|int|double|date|latlon|array|array_text):)?[a-z0-9_]{1,54}")


def collect(row: models.Model, mapping: Mapping[str, str]) -> dict[str, JSON]:
    """What a row says by a mapping, as rokka takes it; ``None`` where it says nothing."""
    return {name: _encoded(_value(row, attribute)) for name, attribute in mapping.items()}


def _value(row: models.Model, attribute: str) -> Any:
    value = getattr(row, attribute)
    return value() if callable(value) else value


def _encoded(value: Any) -> JSON:
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.astimezone()
        utc = aware.astimezone(timezone.utc).replace(tzinfo=None)
        return f"{utc.isoformat(timespec='seconds')}Z"
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00Z"
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, Iterable):
        return [said for said in map(_encoded, value) if said is not None] or None
    return str(value)


def missing(wanted: Mapping[str, JSON], image: SourceImage) -> dict[str, JSON]:
    """What has to be sent, so that an image says what is wanted; ``None`` deletes a field."""
    return {key: value for key, value in wanted.items() if image.user_metadata.get(key) != value}


def is_mapped(organization: str) -> bool:
    """Whether any field maps user metadata of the organization."""
    return any(
        getattr(place.field, "user_metadata", {}) for place in references.places(organization)
    )


def take_over(image: SourceImage, before: Mapping[str, JSON]) -> int:
    """Let rows follow what somebody else wrote into an image's user metadata; gives how many did.

    ``before`` is what it said. A row follows in a field that still says what was at rokka before; one
    that says something else keeps its own text. Only columns follow, and each is one UPDATE.
    """
    now = image.user_metadata
    names = {name for name in {*before, *now} if before.get(name) != now.get(name)}
    total = 0
    for place in references.places(image.organization) if names else ():
        for name, column in _columns(place.field, names):
            try:
                old, new = (_stored(column, said.get(name)) for said in (before, now))
            except (ValidationError, ValueError, AttributeError):
                logger.warning(
                    "%s.%s cannot hold what rokka says of %s.", place.field.model, column, name
                )
                continue
            rows = place.holding(image).filter(**{column.name: old})
            total += rows.update(**{column.name: new})
    return total


def _columns(
    field: models.Field[Any, Any], names: set[str]
) -> Iterator[tuple[str, models.Field[Any, Any]]]:
    mapping: Mapping[str, str] = getattr(field, "user_metadata", {})
    columns = {column.name: column for column in field.model._meta.local_concrete_fields}
    for name in sorted(names & set(mapping)):
        if mapping[name] in columns:
            yield name, columns[mapping[name]]


def _stored(column: models.Field[Any, Any], value: JSON) -> Any:
    """A value as the column keeps it: nothing is NULL where that is allowed, or the column's default.

    Raises `ValidationError`, `ValueError` or `AttributeError` for what it cannot keep, such as a long text.
    """
    if value is None:
        return None if column.null else column.get_default()
    if isinstance(column, models.DateField):  # and so a DateTimeField
        moment = parse_date(value)
        return moment if isinstance(column, models.DateTimeField) else moment.date()  # type: ignore[union-attr]
    kept = column.to_python(value)
    column.run_validators(kept)
    return kept
