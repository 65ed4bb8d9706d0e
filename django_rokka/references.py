"""Which rows hold an image, in every model and database, and how they are moved to another one.

rokka is content-addressed, so two rows with the same picture share one hash, and deleting the file of one
must never take the other's picture. A row holds an image by name (``<hash>/<slug>.<format>``) in a file
field whose storage keeps the organization's files; by name or hash in a ``REFERENCES`` column or JSON
path; or by a render URL in a ``RICH_TEXT`` column. No manager is asked, so none can hide a row.
"""

from __future__ import annotations

import functools
import json
import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import connections, models, router, transaction
from django.db.models import Count, Exists, F, Func, OuterRef, Q, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Concat, NullIf, StrIndex, Substr

from . import rich_text
from .conf import configs_of, organizations
from .models import SourceImage, SourceImageQuerySet

_TEXT = models.CharField()


@dataclass(frozen=True)
class Reference:
    """A row that holds an image, and where: the name of a field, or the path of a JSON value."""

    row: models.Model
    field: str


@dataclass(frozen=True)
class Place:
    """A column of one database that holds names or hashes of images."""

    field: models.Field[Any, Any]
    using: str

    @property
    def lookup(self) -> str:
        """How a query names the value."""
        return str(self.field.name)

    def rows(self) -> models.QuerySet[Any]:
        """All rows of the column's table."""
        return models.QuerySet(self.field.model, using=self.using)

    def holding(self, image: SourceImage) -> models.QuerySet[Any]:
        """The rows that hold the image. The condition can use an index."""
        return self.rows().filter(self._is_one_of(self._prefixes(image)))

    @property
    def only_full_hashes(self) -> bool:
        """Whether a short hash means nothing here: a folder of the storage of before may look like one."""
        return bool(getattr(getattr(self.field, "storage", None), "fallback_storage", None))

    def _prefixes(self, image: SourceImage) -> tuple[str, ...]:
        """How names begin that mean the image."""
        return (image.hash,) if self.only_full_hashes else image.prefixes

    def counts(self, hashes: Collection[str]) -> Mapping[str, int]:
        """How many rows hold each of these hashes, full or short ones; those that none holds may lack."""
        # Without an index each row is read once, instead of being compared with each hash.
        by_hash = Q(rokka_hash__in=hashes)
        condition = self._is_one_of(hashes) if self._has_index else by_hash
        rows = self._with_hashes().filter(condition).order_by().values_list("rokka_hash")
        return dict(rows.annotate(rokka_rows=Count("*")))

    @property
    def _has_index(self) -> bool:
        """Whether the column has Django's own index, which on PostgreSQL serves beginnings too."""
        field: Any = self.field
        return bool(field.db_index or field.unique)

    def _is_one_of(self, hashes: Collection[str]) -> Q:
        """Whether the value begins with one of the hashes and a slash."""
        if connections[self.using].vendor in _RANGES:
            return Q(_BeginsWith(self._value(), tuple(hashes)))
        return _any(Q((f"{self.lookup}__startswith", f"{hash}/")) for hash in hashes)

    def holds(self, organization: str, using: str) -> Q:
        """Whether a row holds an image of a query to the mirror in the database ``using``."""
        if self.using == using and self._has_index and connections[using].vendor in _RANGES:
            # For each image that is looked at: the first 100 of a million are found at once.
            return self._exists(OuterRef("hash")) | self._exists(_SHORT_HASH)
        held = self.hashes(organization, using)
        return Q(hash__in=held) | Q(short_hash__in=held)

    def _exists(self, hash: Any) -> Q:
        return Q(Exists(self.rows().filter(_BeginsWith(self._value(), hash))))

    def hashes(self, organization: str, using: str) -> Any:
        """All hashes that are held, as a query where the database is the same, else as they are."""
        # What is no picture must not be taken for an image without a short hash.
        found = self._with_hashes().exclude(rokka_hash="").order_by().values("rokka_hash")
        return found if self.using == using else set(found.values_list("rokka_hash", flat=True))

    def _with_hashes(self) -> models.QuerySet[Any]:
        """The rows that hold something, with the part of it that should be a hash."""
        name = Concat(self._value(), Value("/"), output_field=_TEXT)
        hash = Substr(name, 1, StrIndex(name, Value("/")) - 1)
        rows: models.QuerySet[Any] = self.rows().annotate(rokka_hash=hash)
        return rows.exclude(rokka_hash=None)

    def _value(self) -> Any:
        return F(self.lookup)

    def move(self, old: SourceImage, new: SourceImage) -> int:
        """Let all rows that hold ``old`` hold ``new``, each with its own slug: one UPDATE."""
        return self.holding(old).update(**{str(self.field.name): self._moved(new.hash)})

    def _moved(self, hash: str) -> Any:
        return _with_hash(self._value(), hash)

    def rename(self, old: str, new: str, **values: Any) -> int:
        """Let all rows that hold exactly one name hold another one."""
        return self.rows().filter(**{self.lookup: old}).update(**{self.field.name: new, **values})


class NamePlace(Place):
    """A column of a setting: it may hold a name or a bare hash."""

    def _is_one_of(self, hashes: Collection[str]) -> Q:
        return super()._is_one_of(hashes) | Q((f"{self.lookup}__in", hashes))

    def _exists(self, hash: Any) -> Q:
        return super()._exists(hash) | Q(Exists(self.rows().filter((self.lookup, hash))))


@dataclass(frozen=True)
class JSONPlace(Place):
    """A value in a JSON column: a name or a bare hash."""

    path: tuple[str, ...]

    @property
    def lookup(self) -> str:
        return "__".join((str(self.field.name), *self.path))

    @property
    def _has_index(self) -> bool:
        return False

    def _is_one_of(self, hashes: Collection[str]) -> Q:
        return super()._is_one_of(hashes) | Q((f"{self.lookup}__in", hashes))

    def _value(self) -> Any:
        return KT(self.lookup)

    def _moved(self, hash: str) -> Any:
        return _JSONSet(F(self.field.name), self.path, super()._moved(hash))


class RichTextPlace(Place):
    """A text column with render URLs in it, of any stack, with a full or a short hash."""

    def holding(self, image: SourceImage) -> models.QuerySet[Any]:
        """The rows whose text has a URL of the image: each that may have one is read."""
        return self.rows().filter(pk__in=self._found(image))

    @property
    def _has_index(self) -> bool:
        return False

    def hashes(self, organization: str, using: str) -> Any:
        """All hashes in URLs, in full; each text is read."""
        texts = self.rows().values_list(self.lookup, flat=True).iterator()
        found = set().union(*(rich_text.hashes(organization, text) for text in texts))
        mirrored = SourceImage.objects.filter(organization=organization)
        for short in [hash for hash in found if len(hash) < 40]:
            found |= set(mirrored.filter(hash__startswith=short).values_list("hash", flat=True))
        return found

    def _found(self, image: SourceImage) -> list[Any]:
        """The keys of the rows."""
        candidates = self.rows().filter(**{f"{self.lookup}__contains": image.prefixes[-1]})
        texts = candidates.values_list("pk", self.lookup).iterator()
        return [pk for pk, text in texts if rich_text.holds(text, image)]

    def move(self, old: SourceImage, new: SourceImage) -> int:
        """Rewrite the URLs, row by row: each only if its text is still the one that was read."""
        return sum(self._rewrite(pk, old, new) for pk in self._found(old))

    def _rewrite(self, pk: Any, old: SourceImage, new: SourceImage) -> bool:
        row = self.rows().filter(pk=pk)
        while (text := row.values_list(self.lookup, flat=True).first()) is not None:
            moved = rich_text.rewritten(text, old, new)
            if moved == text:
                return False
            if row.filter(**{self.lookup: text}).update(**{self.lookup: moved}):
                return True
        return False


def _any(conditions: Iterable[Q]) -> Q:
    return functools.reduce(operator.or_, conditions)


#: The short hash of an image in a query around this one; none is no hash.
_SHORT_HASH = NullIf(OuterRef("short_hash"), Value(""))
#: How databases compare texts byte by byte, as the index does that serves the beginnings of texts.
_RANGES = {"postgresql": ("~>=~", "~<~"), "sqlite": (">=", "<")}


class _BeginsWith(models.Lookup):
    """Whether a text begins with a hash, an expression or one of a tuple, and a slash. An index can be used."""

    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        text, before = self.process_lhs(compiler, connection)
        one = None if self.rhs_is_direct_value() else self.process_rhs(compiler, connection)
        hashes = [one] if one else [("%s", [hash]) for hash in self.rhs]
        since, until = _RANGES[connection.vendor]
        # "0" comes after "/".
        ranges = [
            f"({text} {since} ({hash} || '/') AND {text} {until} ({hash} || '0'))"
            for hash, _ in hashes
        ]
        params = [param for _, after in hashes for param in [*before, *after] * 2]
        return f"({' OR '.join(ranges)})", params


def _with_hash(value: Any, hash: str) -> Any:
    """An expression: what follows the first slash of ``value`` stays, before it stands ``hash``."""
    # The slash that is added is found if the value is a bare hash.
    slash = StrIndex(Concat(value, Value("/"), output_field=_TEXT), Value("/"))
    return Concat(Value(hash), Substr(value, slash), output_field=_TEXT)


class _JSONSet(Func):
    """A JSON document with another text at a path."""

    def __init__(self, document: Any, path: tuple[str, ...], text: Any) -> None:
        self.path = path
        super().__init__(document, text, output_field=models.JSONField())

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> Any:  # type: ignore[override]
        steps = (f"[{key}]" if key.isdigit() else f".{json.dumps(key)}" for key in self.path)
        return self._filled(compiler, "JSON_SET({}, %s, {})", ["$" + "".join(steps)])

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        keys = ", ".join(["%s"] * len(self.path))
        template = f"jsonb_set({{}}, ARRAY[{keys}]::text[], to_jsonb(({{}})::text))"
        return self._filled(compiler, template, list(self.path))

    def _filled(self, compiler: Any, template: str, path: list[str]) -> Any:
        (document, before), (text, after) = map(compiler.compile, self.get_source_expressions())
        return template.format(document, text), [*before, *path, *after]


# --- Which columns there are ------------------------------------------------------------------

if TYPE_CHECKING:
    _Column = tuple[models.Field[Any, Any], type[Place], tuple[str, ...]]


def all_file_columns(organization: str) -> Iterator[Place]:
    """Every column of files, of whatever storage, in the databases that hold images of the organization."""
    databases, tables = _databases_of(organization), functools.cache(_tables)
    for model in apps.get_models(include_auto_created=True):
        fields = [] if model._meta.proxy else model._meta.local_concrete_fields
        for field in fields:
            if isinstance(field, models.FileField):
                yield from (Place(field, using) for using in _databases(model, databases, tables))


def _databases_of(organization: str) -> set[str]:
    named = {name for config in configs_of(organization) for name in config.databases}
    return named or set(connections)


def places(organization: str) -> Iterator[Place]:
    """Every column, in every database, that may hold images of the organization."""
    configs = configs_of(organization)
    databases = _databases_of(organization)
    named = {
        *(("references", path) for config in configs for path in config.references),
        *(("rich_text", path) for config in configs for path in config.rich_text),
    }
    fields: list[_Column] = [(field, Place, ()) for field in file_fields(organization)]
    fields += [_named(kind, path) for kind, path in sorted(named)]
    tables, seen = functools.cache(_tables), set()
    for field, kind, path in fields:
        for using in _databases(field.model, databases, tables):
            column = (using, field.model._meta.db_table, field.column, kind, path)
            # Two models may stand for one table.
            if column not in seen:
                seen.add(column)
                yield kind(field, using, *([path] if path else []))


def file_fields(organization: str) -> Iterator[models.FileField]:
    """The fields, of all models, whose files are at rokka."""
    for model in apps.get_models(include_auto_created=True):
        if model._meta.proxy:
            continue
        # Local fields only: a field that is inherited belongs to the parent's table.
        for field in model._meta.local_concrete_fields:
            # A storage that has no organization is not ours.
            if isinstance(field, models.FileField) and (
                getattr(field.storage, "organization", None) == organization
            ):
                yield field


def _named(kind: str, path: str) -> _Column:
    field, keys = find_field(path)
    if kind == "rich_text":
        return field, RichTextPlace, ()
    return (field, JSONPlace, keys) if keys else (field, NamePlace, ())


def find_field(path: str) -> tuple[models.Field[Any, Any], tuple[str, ...]]:
    """The column that ``"app.Model.field"`` or ``"app.Model.field__key__key"`` names, and the keys.

    Raises `ImproperlyConfigured` for one that does not exist.
    """
    try:
        app, model, name = path.split(".")
        name, *keys = name.split("__")
        field = apps.get_model(app, model)._meta.get_field(name)
    except (ValueError, LookupError, FieldDoesNotExist) as error:
        raise ImproperlyConfigured(
            f"{path!r} names no field; expected 'app.Model.field', or 'app.Model.field__key' "
            "for a value in a JSONField"
        ) from error
    if not isinstance(field, models.CharField | models.TextField | models.JSONField) or (
        isinstance(field, models.JSONField) != bool(keys)
    ):
        raise ImproperlyConfigured(
            f"{path!r} is a {type(field).__name__}; expected a CharField, a TextField, or keys in a JSONField"
        )
    return field, tuple(keys)


def _databases(
    model: type[models.Model], allowed: Iterable[str], tables: Callable[[str], Mapping[str, str]]
) -> Iterator[str]:
    """Where the model has a table: the databases that migrations may put one into."""
    home = router.db_for_write(model)
    for using in sorted(allowed):
        # Its own table needs no look; elsewhere there may be none, or only a view.
        sure = using == home and model._meta.managed
        if sure or (router.allow_migrate_model(using, model) and _is_table(model, tables(using))):
            yield using


def _tables(using: str) -> Mapping[str, str]:
    """The tables and views of a database, with their type."""
    connection = connections[using]
    with connection.cursor() as cursor:
        return {info.name: info.type for info in connection.introspection.get_table_list(cursor)}


def _is_table(model: type[models.Model], tables: Mapping[str, str]) -> bool:
    """Whether there is such a table. A view shows the rows of tables, which are asked themselves."""
    name = model._meta.db_table
    # A quoted name may lead to another schema, which is not listed.
    return tables.get(name, "t" if '"' in name else "") in ("t", "p")


# --- Asking and moving ------------------------------------------------------------------------


def of(image: SourceImage) -> Iterator[Reference]:
    """Every row that holds the image, read in portions; a row that holds it twice comes twice."""
    for place in places(image.organization):
        for row in place.holding(image).iterator(chunk_size=500):
            yield Reference(row, place.lookup)


def count(image: SourceImage, *, limit: int | None = None) -> int:
    """How many times rows hold the image; with ``limit`` it counts no further than that."""
    total = 0
    for place in places(image.organization):
        total += place.holding(image)[:limit].count()
        if limit is not None and total >= limit:
            return limit
    return total


def counts(images: Iterable[SourceImage]) -> dict[int, int]:
    """How many times rows hold each of the images, by primary key: one query a column.

    ``RICH_TEXT`` is left out, because every text would have to be read; `count` has it. It is for the
    images of one page: each makes the queries longer.
    """
    found: dict[int, int] = {}
    ordered = sorted(images, key=lambda image: image.organization)
    for organization, group in groupby(ordered, key=lambda image: image.organization):
        own = {image.pk: image.prefixes for image in group}
        held = _held(organization, {prefix for prefixes in own.values() for prefix in prefixes})
        found |= {pk: sum(held[prefix] for prefix in prefixes) for pk, prefixes in own.items()}
    return found


def _held(organization: str, hashes: Collection[str]) -> Counter[str]:
    total: Counter[str] = Counter()
    for place in places(organization):
        if not isinstance(place, RichTextPlace):
            total.update(place.counts(hashes))
    return total


def used(images: SourceImageQuerySet) -> SourceImageQuerySet:
    """Those of the images that a row holds."""
    conditions = list(_conditions(images.db))
    return images.filter(_any(conditions)) if conditions else images.none()


def unreferenced(images: SourceImageQuerySet) -> SourceImageQuerySet:
    """Those of the images that no row holds, in whatever organization."""
    conditions = list(_conditions(images.db))
    return images.exclude(_any(conditions)) if conditions else images


def _conditions(using: str) -> Iterator[Q]:
    """By what an image is held, for each organization. Of one that no alias has, nothing is known to be held."""
    for organization in organizations():
        held = [place.holds(organization, using) for place in places(organization)]
        if held:
            yield Q(organization=organization) & _any(held)


def repoint(old: SourceImage, new: SourceImage) -> int:
    """Let every row that holds ``old`` hold ``new``, each with its own slug; gives how many moved.

    One UPDATE a column, in one transaction for each database. Render URLs in rich text are rewritten, but
    for signed ones: their signature is for the old URL, so they go on holding the old image.
    """
    found = list(places(old.organization))
    with ExitStack() as transactions:
        for using in sorted({place.using for place in found}):
            transactions.enter_context(transaction.atomic(using=using))
        return sum(place.move(old, new) for place in found)
