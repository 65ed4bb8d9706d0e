"""Whether Celery's broker and workers are there, where an alias has ``CELERY``. Bounded in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from .. import tasks
from ..conf import Config
from .findings import Finding, found
from .probe import SECONDS, within

#: Kombu's own name for what is made where a project has no app.
_NO_APP = "default"


def check_workers(configs: Sequence[Config], *, seconds: float = SECONDS) -> Iterator[Finding]:
    """The broker, and then the workers. Takes at most some three times ``seconds``."""
    if reason := _not_needed(configs):
        yield found("broker.unused", reason)
        yield found("worker.unused", reason)
    elif find_spec("celery") is None:
        yield found("broker.missing", "CELERY is on, and Celery is not installed.")
        yield found("worker.skipped", "Without Celery there is nobody to ask.")
    else:
        from celery import current_app

        # The app itself: another thread may have another current one.
        proxy: Any = current_app
        yield from _check(proxy._get_current_object(), seconds)


def _not_needed(configs: Sequence[Config]) -> str:
    if not any(config.celery for config in configs):
        return "No alias has CELERY."
    return ""


def _check(app: Any, seconds: float) -> Iterator[Finding]:
    if app.conf.task_always_eager:
        reason = "Tasks run at once, in the process that starts them (task_always_eager)."
        yield found("broker.unused", reason)
        yield found("worker.unused", reason)
        return
    if app.main == _NO_APP and not app.conf.broker_url:
        yield found("broker.no_app", "There is no Celery app, so tasks go nowhere.")
        yield found("worker.skipped", "Without an app nobody can be asked.")
        return
    if lacking := _lacking(app):
        yield found("broker.missing", lacking)
        yield found("worker.skipped", "Without the broker nobody can be asked.")
        return
    try:
        address = within(seconds, lambda: _connected(app, seconds))
    except Exception as error:
        yield _unreachable(app, error)
        yield found("worker.skipped", "Without the broker nobody can be asked.")
    else:
        yield found("broker.ok", f"The broker answers at {address}.")
        yield from _check_workers(app, seconds)


def _lacking(app: Any) -> str:
    """Why the broker of this URL cannot be spoken with, if so: a library that is missing, or a word that is wrong."""
    try:
        # Kombu imports and makes what it needs for that, and does not connect yet.
        app.connection_for_write().transport  # noqa: B018
    except Exception as error:
        scheme = str(app.conf.broker_url).partition(":")[0]
        return f"A broker of the kind {scheme!r} cannot be spoken with: {error or type(error).__name__}."
    return ""


def _unreachable(app: Any, error: Exception) -> Finding:
    address = app.connection_for_write().as_uri()
    return found("broker.unreachable", f"No broker at {address}: {error or type(error).__name__}.")


def _connection(app: Any, seconds: float) -> Any:
    connection = app.connection_for_write(connect_timeout=seconds / 2)
    if "redis" in connection.transport_cls or "sentinel" in connection.transport_cls:
        limits = {"socket_connect_timeout": seconds / 2, "socket_timeout": seconds}
        connection.transport_options = {**connection.transport_options, **limits}
    return connection


def _connected(app: Any, seconds: float) -> str:
    """Connect; the broker's address, without its password."""
    with _connection(app, seconds) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=seconds)
        return str(connection.as_uri())


# --- Workers ----------------------------------------------------------------------------------


def _check_workers(app: Any, seconds: float) -> Iterator[Finding]:
    if not app.conf.worker_enable_remote_control or not _can_broadcast(app):
        seen = "Workers cannot be asked: remote control is off, or the broker does not have it."
        yield found("worker.unasked", seen)
        return
    known, queues = within(2 * seconds, lambda: _asked(app, seconds / 2))
    name = app.main or "your_project"
    if not known:
        yield found("worker.none", f"No worker answered in {seconds / 2:g} seconds.", app=name)
        return
    bad = [*_unknown_tasks(known), *_unserved_queues(app, queues, name)]
    yield from bad
    if not bad:
        workers = ", ".join(sorted(known))
        yield found("worker.ok", f"{workers} answered, with all {len(_names())} tasks.")


def _can_broadcast(app: Any) -> bool:
    return "fanout" in app.connection_for_write().transport.implements.exchange_type


def _asked(app: Any, seconds: float) -> tuple[dict[str, set[str]], set[str]]:
    """The tasks that each worker knows, and the queues that any of them takes from."""
    with _connection(app, 2 * seconds) as connection:
        alive = app.control.inspect(timeout=seconds, connection=connection).ping() or {}
        if not alive:
            return {}, set()
        # So many answers are waited for, and no longer.
        asked = app.control.inspect(
            [*alive], timeout=seconds, connection=connection, limit=len(alive)
        )
        tasks, queues = asked.registered() or {}, asked.active_queues() or {}
    known = {worker: {text.partition(" ")[0] for text in tasks.get(worker, ())} for worker in alive}
    return known, {queue["name"] for found in queues.values() for queue in found}


def _names() -> set[str]:
    """The names of our tasks."""
    found = (
        task for name, task in vars(tasks).items() if name[0] != "_" and hasattr(task, "delay")
    )
    return {str(task.name) for task in found}


def _unknown_tasks(known: Mapping[str, set[str]]) -> Iterator[Finding]:
    for worker, names in sorted(known.items()):
        if lacking := sorted(_names() - names):
            seen = f"{worker} does not know {len(lacking)} of our tasks, such as {lacking[0]}."
            yield found("worker.tasks", seen)


def _unserved_queues(app: Any, served: set[str], name: str) -> Iterator[Finding]:
    used = {app.amqp.router.route({}, task)["queue"].name for task in _names()}
    if lacking := sorted(used - served):
        queues = ",".join(lacking)
        yield found("worker.queues", f"No worker takes from: {queues}.", app=name, queues=queues)
