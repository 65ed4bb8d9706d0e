"""The columns whose files can be moved: file fields whose storage is rokka, and falls back to another one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.core.files.storage import Storage
from django.db import models
from django.db.models.functions import Length

from .. import api, references
from ..models import MovedFile
from ..models.moves import label_of
from ..references import Place
from ..storage import MIN_NAME_LENGTH, RokkaStorage
from ..url_storage import URLStorage

#: Rows that are read at a time.
_PORTION = 500
#: The characters of a name that the journal can hold.
_LONGEST = 500


class CannotMove(Exception):
    """A column that cannot be moved as the settings are; the message says what to do."""


@dataclass(frozen=True)
class Column:
    """A column in one database, with the storage that has its files at rokka and the one that it falls back to."""

    place: Place
    storage: RokkaStorage
    fallback: Storage

    @property
    def label(self) -> str:
        """``app.Model.field``."""
        return label_of(self.field)

    @property
    def field(self) -> models.FileField:
        """The model's field."""
        field: Any = self.place.field
        return field  # type: ignore[no-any-return]

    @property
    def max_length(self) -> int:
        """The characters that it, and the journal, can hold."""
        return min(self.field.max_length or 255, _LONGEST)

    @property
    def reads_only(self) -> bool:
        """Whether nothing can be written or deleted in the storage of before."""
        return isinstance(self.fallback, URLStorage)

    def journal(self, direction: str) -> models.QuerySet[MovedFile]:
        """What is noted of its files."""
        return MovedFile.objects.of(self.field, direction)

    def names(self) -> Iterator[str]:
        """The name of every row that has one."""
        return (name for _, name in chain.from_iterable(self._portions()))

    def together(self) -> Iterator[dict[str, int]]:
        """Every name once, with how many rows have it: in portions, by the key of the first row."""
        for portion in self._portions():
            names = {name: 0 for _, name in portion}
            # A name of many rows, such as that of a default picture, was in a portion before.
            earlier = self.having(names, pk__lt=portion[0][0])
            yield self._counted([name for name in names if name not in earlier])

    def having(self, names: Collection[str], **conditions: Any) -> set[str]:
        """Those of the names that rows have."""
        rows = self._rows_with(names).filter(**conditions)
        return set(rows.values_list(self.place.lookup, flat=True))

    def rows_of(self, names: Collection[str]) -> dict[str, models.Model]:
        """A row for each of the names: the first one."""
        rows = self._rows_with(names).order_by("-pk")
        return {getattr(row, self.field.attname).name: row for row in rows}

    def _rows_with(self, names: Collection[str]) -> models.QuerySet[Any]:
        return self.place.rows().filter(**{f"{self.place.lookup}__in": names})

    def _counted(self, names: Collection[str]) -> dict[str, int]:
        rows = self._rows_with(names).order_by().values_list(self.place.lookup)
        counts = dict(rows.annotate(models.Count("pk")))
        return {name: counts[name] for name in names if name in counts}

    def _portions(self) -> Iterator[list[tuple[Any, str]]]:
        """Keys and names in the order of the keys; each portion is read when the one before was gone through."""
        rows = self.place.rows().exclude(**{self.place.lookup: ""})
        rows = rows.exclude(**{f"{self.place.lookup}__isnull": True}).order_by("pk")
        portion = list(rows.values_list("pk", self.place.lookup)[:_PORTION])
        while portion:
            yield portion
            later = rows.filter(pk__gt=portion[-1][0])
            portion = list(later.values_list("pk", self.place.lookup)[:_PORTION])

    def rename(self, source: str, target: str, image: api.SourceImage | None = None) -> int:
        """Let the rows that still have the one name have the other; gives how many. One UPDATE."""
        values = {} if image is None else self._dimensions(image)
        return self.place.rename(source, target, **values)

    def _dimensions(self, image: api.SourceImage) -> dict[str, int]:
        sizes = {"width_field": image.width, "height_field": image.height}
        named = {getattr(self.field, name, None): size for name, size in sizes.items()}
        return {column: size for column, size in named.items() if column and size is not None}


def columns(label: str) -> list[Column]:
    """The column that ``app.Model.field`` names, once for each database that has its table.

    Raises `CannotMove` for one that does not exist, or does not fall back to another storage.
    """
    field = _field(label)
    storage = field.storage
    if not isinstance(storage, RokkaStorage):
        raise CannotMove(
            f"{label} keeps its files in {type(storage).__name__}. Make it a RokkaImageField, or give it "
            "storage=RokkaStorage(fallback='…'), where the fallback is the entry of STORAGES that has the "
            "files; deploy that, and run this again. Rows show their old file until they are moved."
        )
    fallback = storage.fallback_storage
    if fallback is None:
        raise CannotMove(
            f"{label} has no storage to fall back to: set ROKKA[{storage.alias!r}]['FALLBACK'] to the entry "
            "of STORAGES that has, or is to have, the files outside of rokka."
        )
    if (field.max_length or MIN_NAME_LENGTH) < MIN_NAME_LENGTH:
        raise CannotMove(
            f"{label} has a max_length of {field.max_length}, which cannot hold the name of an image at rokka; "
            f"give it at least {MIN_NAME_LENGTH}, better 100."
        )
    found = [
        Column(place, storage, fallback)
        for place in references.places(storage.organization)
        if place.field == field
    ]
    if not found:
        raise CannotMove(f"{label} has no table in the databases that are looked at (DATABASES).")
    for column in found:
        _check_lengths(column)
    return found


def _check_lengths(column: Column) -> None:
    if (column.field.max_length or 0) <= _LONGEST:
        return
    lookup = column.place.lookup
    long = column.place.rows().annotate(_length=Length(lookup)).filter(_length__gt=_LONGEST)
    name = long.values_list(lookup, flat=True).first()
    if name is not None:
        raise CannotMove(
            f"{column.label} has names of more than {_LONGEST} characters, which the journal of moves cannot "
            f"hold, such as {name[:80]!r}…; rename these files, or move their rows by hand."
        )


def _field(label: str) -> models.FileField:
    try:
        app, model, name = label.split(".")
        field = apps.get_model(app, model)._meta.get_field(name)
    except (ValueError, LookupError, FieldDoesNotExist) as error:
        raise CannotMove(f"{label!r} names no field; expected 'app.Model.field'.") from error
    if not isinstance(field, models.FileField):
        raise CannotMove(f"{label} is a {type(field).__name__}, and holds no files.")
    return field
