"""A worker to be asked: ``celery -A tests.doctor.worker worker``. It knows our tasks, unless it shall not."""

from __future__ import annotations

import os

import django
from celery import Celery


def make_app(url: str, queue: str) -> Celery:
    """An app that keeps whatever it has at the broker under a name of its own."""
    app = Celery("doctor_tests", broker=url, set_as_current=False)
    app.conf.update(task_default_queue=queue)
    app.conf.update(control_exchange=f"{queue}-control", event_exchange=f"{queue}-events")
    app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=True)
    if url.startswith("redis:"):
        app.conf.broker_transport_options = {"global_keyprefix": f"{queue}/"}
    return app


if "ROKKA_TEST_BROKER" in os.environ:
    app = make_app(os.environ["ROKKA_TEST_BROKER"], os.environ["ROKKA_TEST_QUEUE"])
    app.set_current()
    django.setup()
    if os.environ.get("ROKKA_TEST_TASKS"):
        app.conf.include = ["django_rokka.tasks"]
