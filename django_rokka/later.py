"""Work for after the commit: in a Celery task where the alias has ``CELERY``, else here and at once."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from django.db import transaction

from .conf import get_config


def after_commit(using: str, task: str, alias: str, *args: Any) -> None:
    """Run a task of `django_rokka.tasks` once the database ``using`` has committed.

    What the task is about is saved by then, so an error (a dead broker, an unreachable rokka) is logged
    and not raised; the tasks that run by schedule find what was left undone.
    """
    transaction.on_commit(partial(_start, task, alias, *args), using=using, robust=True)


def _start(task: str, alias: str, *args: Any) -> None:
    # By name: services and fields start tasks, and tasks call services.
    function = getattr(import_module("django_rokka.tasks"), task)
    if get_config(alias).celery:
        function.delay(alias, *args)
    else:
        function(alias, *args)
