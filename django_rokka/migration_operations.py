"""Operations for the migrations of a project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.backends.ddl_references import Statement
from django.db.migrations.operations import AlterField
from django.db.migrations.state import ProjectState
from django.db.models import F, Value
from django.db.models.functions import Concat, Length

from .moves import CannotMove
from .spool import PREFIX
from .storage import RokkaStorage

#: How a database finds the names of images; see `django_rokka.api.names`.
_OF_IMAGES = r"^[0-9a-f]{40}/[0-9a-z-]+\.[0-9a-z]+$"
#: Names that a message shows.
_SHOWN = 3


class AlterImageField(AlterField):
    """`AlterField`, for a column of files that becomes a ``RokkaImageField``, or is none any more.

    It looks at the names first, and raises `CannotMove` if some would not fit, or would be taken for names
    of images; where rokka is left, if rows still show images there. On PostgreSQL, in a migration with
    ``atomic = False``, the index is made concurrently: rows can be written meanwhile. If that is
    interrupted, run the migration again.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Look at the names, alter the column, make the index. Django calls it both ways."""
        old, new = self._fields(app_label, from_state, to_state)
        if not self.allow_migrate_model(schema_editor.connection.alias, new.model):
            return
        _check(schema_editor, old, new)
        with _index_apart(schema_editor, old, new):
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def _fields(self, app_label: str, *states: ProjectState) -> list[Any]:
        found = (state.apps.get_model(app_label, self.model_name) for state in states)
        return [model._meta.get_field(self.name) for model in found]


# --- Names ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Problem:
    """What can be wrong with names, and what to do about it: on the way to rokka, and from there."""

    what: str
    advice: str
    advice_back: str


_TOO_LONG = _Problem(
    "names of more than {new.max_length} characters",
    "Rename these files, or give the field a larger max_length.",
    "Rename these files.",
)
_LIKE_IMAGES = _Problem(
    "names of images at rokka",
    "Rename files that are called so. If they are images, use migrations.AlterField.",
    "Move them back by manage.py rokka_export.",
)
_LIKE_WAITING = _Problem(
    "names of files that wait to be uploaded",
    "Rename files that are called so.",
    "Upload them by manage.py rokka_pending, then move them back by manage.py rokka_export.",
)


def _check(editor: Any, old: Any, new: Any) -> None:
    """Raise `CannotMove` for the first problem that rows of the old column have."""
    if editor.collect_sql:  # sqlmigrate changes nothing
        return
    # As text: fields of other packages make objects of what is read, and of what is looked for.
    name = Concat(F(old.attname), Value(""), output_field=models.TextField())
    rows = models.QuerySet(old.model, using=editor.connection.alias).annotate(rokka_name=name)
    for problem, condition in _conditions(old, new):
        found = rows.alias(rokka_length=Length("rokka_name")).filter(**condition)
        if count := found.count():
            names = ", ".join(map(repr, found.values_list("rokka_name", flat=True)[:_SHOWN]))
            raise CannotMove(
                f"Rows of {old.model._meta.label}.{old.name} have {problem.what.format(new=new)}, "
                f"{count:,} in all, such as {names}. "
                f"{problem.advice_back if _is_rokkas(old) else problem.advice}"
            )


def _conditions(old: Any, new: Any) -> Iterator[tuple[_Problem, dict[str, Any]]]:
    # PostgreSQL cuts off what is too long where the type changes, as from text.
    if new.max_length is not None:
        yield _TOO_LONG, {"rokka_length__gt": new.max_length}
    if not (_is_rokkas(old) and _is_rokkas(new)):
        yield _LIKE_IMAGES, {"rokka_name__regex": _OF_IMAGES}
        yield _LIKE_WAITING, {"rokka_name__startswith": PREFIX}


def _is_rokkas(field: Any) -> bool:
    return isinstance(getattr(field, "storage", None), RokkaStorage)


# --- The index --------------------------------------------------------------------------------


@contextmanager
def _index_apart(editor: Any, old: Any, new: Any) -> Iterator[None]:
    """Make a new index on PostgreSQL afterwards and concurrently, where no transaction is open."""
    wanted = new.db_index and not (new.unique or old.db_index or old.unique)
    connection = editor.connection
    if not wanted or connection.vendor != "postgresql" or connection.in_atomic_block:
        yield
        return
    new.db_index = False
    try:
        yield
    finally:
        new.db_index = True
    for index in editor._field_indexes_sql(new.model, new):
        # What a run that was interrupted has left is not valid.
        editor.execute(editor.sql_delete_index_concurrently % {"name": index.parts["name"]})
        editor.execute(Statement(editor.sql_create_index_concurrently, **index.parts))
