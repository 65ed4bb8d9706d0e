"""What is checked on this site: settings, tables, and what a schedule should have seen to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.core import checks
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from .. import deferred
from ..bulk.operations import LOST
from ..conf import Config
from ..models import BulkOperation, SourceImage, SyncRun, mirror_database
from ..spool import spool_of
from .findings import Finding, found

#: A file or a deletion that has waited so long, and a sync that is so old, was forgotten by the schedule.
_UPLOADS, _DELETIONS, _SYNC = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
#: Files of the spool that are looked at.
_FILES = 100


def check_settings() -> Iterator[Finding]:
    """Our system checks, those that the settings silence left out."""
    messages = [item for item in checks.run_checks() if str(item.id).startswith("rokka.")]
    shown = [item for item in messages if not item.is_silenced()]
    for item in shown:
        code = "settings.error" if item.is_serious() else "settings.warning"
        yield found(code, f"{_where(item.obj)}{item.msg} ({item.id})", hint=item.hint or "")
    if not shown:
        yield found("settings.ok", "The system checks have nothing to say.")


def _where(thing: Any) -> str:
    """What a message is about, such as a field."""
    return f"{getattr(thing, '_meta', thing)}: " if thing else ""


# --- Schema -----------------------------------------------------------------------------------


def check_schema() -> Iterator[Finding]:
    """Whether the database has what the code needs."""
    using = mirror_database()
    labels = [
        app.label for app in apps.get_app_configs() if app.name.split(".")[0] == "django_rokka"
    ]
    executor = MigrationExecutor(connections[using])
    targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] in labels]
    plan = [
        f"{migration.app_label}.{migration.name}"
        for migration, _ in executor.migration_plan(targets)
        if migration.app_label in labels
    ]
    missing = sorted(_tables(labels) - set(connections[using].introspection.table_names()))
    if plan:
        seen = f"Not applied to the database {using!r}: {', '.join(plan)}."
        yield found("schema.unapplied", seen, database=using)
    elif missing:
        yield found("schema.tables", f"The database {using!r} lacks: {', '.join(missing)}.")
    else:
        yield found("schema.ok", f"The database {using!r} has all tables and migrations.")


def _tables(labels: Iterable[str]) -> set[str]:
    models = (model for label in labels for model in apps.get_app_config(label).get_models())
    return {
        model._meta.db_table for model in models if model._meta.managed and not model._meta.swapped
    }


# --- Schedule ---------------------------------------------------------------------------------


def check_schedule(config: Config) -> Iterator[Finding]:
    """Hints that beat or cron does not run. ``config`` is that of the alias that may write."""
    late = [
        *_late_sync(config),
        *_late_uploads(config),
        *_late_deletions(config),
        *_lost_bulk(config),
    ]
    yield from late
    if not late:
        yield found("schedule.ok", _last_sync(config), alias=config.alias)


def _runs(config: Config) -> Any:
    runs = SyncRun.objects.filter(organization=config.organization)
    return runs.filter(complete=True).order_by("-finished")


def _last_sync(config: Config) -> str:
    last = _runs(config).first()
    if last is None:
        return "Nothing waits. There was no sync yet, which finds what others change at rokka."
    return f"Nothing waits. The last sync ended at {last.finished:%Y-%m-%d %H:%M %Z}."


def _late_sync(config: Config) -> Iterator[Finding]:
    last = _runs(config).first()
    # A site that never had one may do without.
    if last is not None and last.finished < timezone.now() - _SYNC:
        seen = f"The last sync ended at {last.finished:%Y-%m-%d %H:%M %Z}."
        yield found("schedule.sync", seen, alias=config.alias)


def _lost_bulk(config: Config) -> Iterator[Finding]:
    running = BulkOperation.objects.filter(
        state=BulkOperation.State.RUNNING,
        heartbeat__lt=timezone.now() - LOST,
        items__image__organization=config.organization,
    )
    for operation in running.distinct().order_by("pk"):
        seen = f"{operation} is not finished, and nobody has worked on it since {operation.heartbeat:%H:%M %Z}."
        yield found("schedule.bulk", seen, alias=config.alias)


def _late_uploads(config: Config) -> Iterator[Finding]:
    waiting, spool = sorted(deferred.pending(config.alias)), spool_of(config)
    looked_at = waiting[:_FILES]
    lost = [name for name in looked_at if not spool.exists(name)]
    # As numbers: a storage may give naive times, and a site may have naive ones.
    before = (timezone.now() - _UPLOADS).timestamp()
    there = [name for name in looked_at if name not in lost]
    if any(spool.get_modified_time(name).timestamp() < before for name in there):
        seen = f"{len(waiting)} files wait in the spool, some for more than an hour."
        yield found("schedule.uploads", seen, alias=config.alias)
    if lost:
        seen = f"{len(lost)} rows show files that the spool does not have, such as {lost[0]}."
        yield found("schedule.lost", seen, alias=config.alias)


def _late_deletions(config: Config) -> Iterator[Finding]:
    if config.unreferenced == "keep" or config.read_only:
        return
    days = 0 if config.unreferenced == "delete" else int(config.unreferenced)
    before = timezone.now() - timedelta(days=days) - _DELETIONS
    images = SourceImage.objects.filter(organization=config.organization)
    if count := images.filter(unreferenced__lte=before).count():
        seen = f"{count} images that no row holds are to be deleted, and were not for a day."
        yield found("schedule.deletions", seen, alias=config.alias)
