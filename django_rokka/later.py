"""Work for after the commit: what it is about is saved by then, so an error is logged and not raised."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.db import transaction

from .conf import get_config


def call_after_commit(using: str, function: Callable[..., Any], *args: Any, **values: Any) -> None:
    """Call a function once the database ``using`` has committed."""

    def call() -> None:
        function(*args, **values)

    transaction.on_commit(call, using=using, robust=True)


def start_after_commit(using: str, task: str, alias: str, *args: Any) -> None:
    """Run a task of `django_rokka.tasks`: in a worker where the alias has ``CELERY``, else here, at once.

    What a dead broker or an unreachable rokka leaves undone is found by the tasks that run by schedule.
    """
    call_after_commit(using, _start, task, alias, *args)


def _start(task: str, alias: str, *args: Any) -> None:
    # By name: services and fields start tasks, and tasks call services.
    function = getattr(import_module("django_rokka.tasks"), task)
    if get_config(alias).celery:
        function.delay(alias, *args)
    else:
        function(alias, *args)
