"""A column becomes a `RokkaImageField` by a migration, and is what it was before when that is undone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.db.migrations import AlterField
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import OperationWriter

from django_rokka.fields import RokkaImageField
from django_rokka.migration_operations import AlterImageField
from django_rokka.moves import CannotMove
from django_rokka.storage import RokkaStorage
from tests.meanwhile import meanwhile
from tests.test_concurrency import Workers, is_waiting, open_transaction, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

HASH = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Table:
    """A table with one column of files, before an operation and after it."""

    old: models.Field[Any, Any]
    new: models.Field[Any, Any] = field(default_factory=lambda: RokkaImageField(blank=True))

    options: dict[str, Any] = field(default_factory=dict)

    @property
    def operation(self) -> AlterImageField:
        return AlterImageField("picture", "file", self.new, **self.options)

    @property
    def before(self) -> ProjectState:
        return state_with(self.old)

    @property
    def after(self) -> ProjectState:
        state = self.before
        self.operation.state_forwards("shop", state)
        return state

    @property
    def model(self) -> Any:
        return self.before.apps.get_model("shop", "Picture")

    def create(self) -> None:
        with connection.schema_editor() as editor:
            editor.create_model(self.model)

    def drop(self) -> None:
        with connection.schema_editor() as editor:
            editor.delete_model(self.model)

    def put(self, *names: str | None) -> None:
        """Write rows as they are, past what fields make of names."""
        with connection.cursor() as cursor:
            rows = [[name] for name in names]
            cursor.executemany("INSERT INTO shop_picture (file) VALUES (%s)", rows)

    def names(self) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT file FROM shop_picture ORDER BY id")
            return [name for (name,) in cursor.fetchall()]

    def forwards(self, *, atomic: bool = True) -> None:
        with connection.schema_editor(atomic=atomic) as editor:
            self.operation.database_forwards("shop", editor, self.before, self.after)

    def backwards(self) -> None:
        with connection.schema_editor() as editor:
            self.operation.database_backwards("shop", editor, self.after, self.before)

    def indexes(self) -> set[str]:
        """The opclasses of the column's indexes on PostgreSQL; elsewhere that there is one."""
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, "shop_picture")
        own = [name for name, facts in found.items() if facts["columns"] == ["file"]]
        return {"like" if name.endswith("_like") else "plain" for name in own}


def state_with(field: models.Field[Any, Any]) -> ProjectState:
    state = ProjectState()
    columns = [("id", models.AutoField(primary_key=True)), ("file", field)]
    state.add_model(ModelState("shop", "Picture", columns))
    return state


@pytest.fixture
def table_of(transactional_db: None) -> Iterator[Callable[..., Table]]:
    """Make the table with a field; it is dropped after the test."""
    made: list[Table] = []

    def make(old: models.Field[Any, Any], **options: Any) -> Table:
        made.append(Table(old, **options))
        made[-1].create()
        return made[-1]

    yield make
    for table in made:
        table.drop()


@pytest.fixture
def table(table_of: Callable[..., Table]) -> Table:
    return table_of(models.ImageField(upload_to="photos"))


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(max_workers=3) as pool:
        yield pool


def every_index() -> set[str]:
    return {"plain", "like"} if connection.vendor == "postgresql" else {"plain"}


# --- There and back -----------------------------------------------------------------------------


@pytest.mark.parametrize("atomic", [True, False])
def test_rows_keep_their_names_and_get_an_index(table: Table, atomic: bool) -> None:
    table.put("photos/dog.jpg", "")

    table.forwards(atomic=atomic)

    assert table.names() == ["photos/dog.jpg", ""]
    assert table.indexes() == every_index()
    table.put("x" * 200)  # longer than the old column


def test_it_can_be_undone(table: Table) -> None:
    table.put("photos/dog.jpg")
    table.forwards()

    table.backwards()

    assert table.names() == ["photos/dog.jpg"]
    assert table.indexes() == set()
    table.forwards()
    assert table.indexes() == every_index()


def test_nothing_is_left_for_makemigrations(table: Table) -> None:
    model = state_with(RokkaImageField(blank=True))

    def changes(state: ProjectState) -> list[Any]:
        asked = MigrationQuestioner({"ask_initial": True})
        found = MigrationAutodetector(state, model, asked).changes(graph=MigrationGraph())
        return [op for migration in found.get("shop", []) for op in migration.operations]

    assert changes(table.after) == []
    assert [type(operation) for operation in changes(table.before)] == [AlterField]


def test_it_can_be_written_into_a_squashed_migration(table: Table) -> None:
    text, imports = OperationWriter(table.operation).serialize()

    assert text.strip().startswith("django_rokka.migration_operations.AlterImageField(")
    assert "import django_rokka.migration_operations" in imports


@pytest.mark.parametrize("atomic", [True, False])
def test_null_becomes_a_default_for_this_once(table_of: Callable[..., Table], atomic: bool) -> None:
    once = {"new": RokkaImageField(blank=True, default=""), "options": {"preserve_default": False}}
    table = table_of(models.ImageField(upload_to="photos", null=True), **once)
    table.put("photos/dog.jpg", None)

    table.forwards(atomic=atomic)

    assert table.names() == ["photos/dog.jpg", ""]
    changed = table.after.models["shop", "picture"].fields["file"]
    assert not changed.has_default()


def test_a_field_that_had_an_index_keeps_it(table_of: Callable[..., Table]) -> None:
    table = table_of(models.ImageField(upload_to="photos", db_index=True))

    table.forwards(atomic=False)

    assert table.indexes() == every_index()


def test_a_database_that_does_not_have_the_table_is_left_alone(table: Table, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [_Nowhere()]
    table.put(f"{HASH}/dog.jpg")

    with connection.execute_wrapper(_no_query):
        table.forwards(atomic=False)
        table.backwards()


class _Nowhere:
    def allow_migrate(self, *args: Any, **hints: Any) -> bool:
        return False


def _no_query(execute: Any, sql: str, *args: Any) -> Any:
    # The schema editor of SQLite turns foreign keys off and on.
    assert "PRAGMA" in sql or "shop" not in sql, sql
    return execute(sql, *args)


def test_sqlmigrate_looks_at_no_rows(table: Table) -> None:
    table.put(f"{HASH}/dog.jpg")

    with connection.schema_editor(collect_sql=True) as editor:
        table.operation.database_forwards("shop", editor, table.before, table.after)

    assert "shop_picture" in "".join(editor.collected_sql)
    assert table.names() == [f"{HASH}/dog.jpg"]


# --- Names that cannot be -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            f"{HASH}/dog.jpg",
            f"Rows of shop.Picture.file have names of images at rokka, 2 in all, such as '{HASH}/dog",
        ),
        ("deferred/dog.jpg", "names of files that wait to be uploaded, 2 in all"),
    ],
)
def test_names_that_would_be_taken_for_something_else_are_refused(
    table: Table, name: str, message: str
) -> None:
    table.put("photos/dog.jpg", name, name)

    with pytest.raises(CannotMove, match=message):
        table.forwards()
    assert table.indexes() == set()


@pytest.mark.parametrize(
    "name", [f"{HASH[:39]}/dog.jpg", f"{HASH}/dog", f"a/{HASH}/dog.jpg", "deferred.jpg", HASH]
)
def test_names_that_only_look_a_little_like_it_are_none(table: Table, name: str) -> None:
    table.put(name)

    table.forwards()

    assert table.names() == [name]


def test_names_that_do_not_fit_are_refused_and_not_cut_off(table_of: Callable[..., Table]) -> None:
    table = table_of(models.TextField())
    long = "https://example.com/" + 250 * "x"
    table.put("short.jpg", long)

    with pytest.raises(CannotMove, match="255 characters, 1 in all, such as 'https:"):
        table.forwards()
    assert table.names() == ["short.jpg", long]


def test_the_way_back_waits_until_no_row_shows_an_image(table: Table) -> None:
    table.forwards()
    table.put(f"{HASH}/dog.jpg")

    with pytest.raises(CannotMove, match="rokka_export"):
        table.backwards()
    assert table.indexes() == every_index()


def test_another_migration_may_be_the_way_back(table_of: Callable[..., Table]) -> None:
    table = table_of(RokkaImageField(blank=True), new=models.ImageField(upload_to="photos"))
    table.put(f"{HASH}/dog.jpg")
    with pytest.raises(CannotMove, match="rokka_export"):
        table.forwards()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE shop_picture SET file = 'photos/dog.jpg'")

    table.forwards()

    assert table.indexes() == set()


def test_the_way_back_does_not_cut_names_off(table: Table) -> None:
    table.forwards()
    table.put("x" * 101)

    with pytest.raises(CannotMove, match="of more than 100 characters"):
        table.backwards()


def test_a_column_of_rokkas_may_have_such_names(table_of: Callable[..., Table]) -> None:
    table = table_of(models.ImageField(storage=RokkaStorage()))
    table.put(f"{HASH}/dog.jpg", "deferred/dog.jpg")

    table.forwards()
    table.backwards()

    assert table.names() == [f"{HASH}/dog.jpg", "deferred/dog.jpg"]


# --- PostgreSQL ---------------------------------------------------------------------------------


@pytest.mark.servers
@pytest.mark.usefixtures("postgres")
def test_without_a_transaction_rows_can_be_written_while_the_index_is_made(
    table: Table, workers: Workers
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        reached.set()
        go_on.wait(20)

    def run() -> None:
        with meanwhile("CREATE INDEX", pause):
            table.forwards(atomic=False)

    future = workers.start(run)
    assert reached.wait(20)
    with open_transaction(workers, partial(table.put, "a.jpg")):
        go_on.set()
        assert wait_for(is_waiting)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '3s'")
            table.put("b.jpg")
    future.result(30)

    assert table.indexes() == {"plain", "like"}
    assert len(table.names()) == 2


@pytest.mark.servers
@pytest.mark.usefixtures("postgres")
def test_an_index_that_was_interrupted_is_made_anew(table: Table) -> None:
    class Interrupted(Exception):
        pass

    def interrupt() -> None:
        raise Interrupted

    with pytest.raises(Interrupted), meanwhile("_like.*varchar_pattern_ops", interrupt):
        table.forwards(atomic=False)
    assert table.indexes() == {"plain"}
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false "
            "WHERE indrelid = 'shop_picture'::regclass AND NOT indisprimary"
        )

    table.forwards(atomic=False)

    assert table.indexes() == {"plain", "like"}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index "
            "WHERE indrelid = 'shop_picture'::regclass AND NOT indisprimary"
        )
        assert cursor.fetchall() == [(True,), (True,)]
