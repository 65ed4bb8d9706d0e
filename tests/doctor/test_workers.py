"""Broker and workers: none, dead, deaf, of an older version, on other queues; and real ones."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from django_rokka.emulator import Emulator
from tests.conftest import missing

from .conftest import Doctor

if TYPE_CHECKING:
    from celery import Celery

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # Kombu leaves what it opened to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Configure = Callable[..., None]
BROKERS = {"redis": "redis://127.0.0.1:6379/0", "rabbitmq": "amqp://guest:guest@127.0.0.1:5672//"}
PASSWORD = "br0kerPasswordThatNobodyMustSee"


@pytest.fixture(autouse=True)
def _celery(site: Emulator, configure: Configure) -> Iterator[None]:
    if find_spec("celery") is None:
        missing("celery")
    from celery import _state

    before = _state._tls.current_app
    configure(CELERY=True)
    yield
    _state._set_current_app(before)


@pytest.fixture
def app_at() -> Callable[..., Celery]:
    """Make the Celery app of this process, with a broker at a URL."""
    from .worker import make_app

    def app_at(url: str, queue: str = "") -> Celery:
        app = make_app(url, queue or f"rokka-tests-{uuid.uuid4().hex}")
        app.set_current()
        return app

    return app_at


def test_tasks_that_run_at_once_need_no_broker(app_at: Any, doctor: Doctor) -> None:
    app_at("redis://127.0.0.1:9/0").conf.task_always_eager = True

    assert doctor().codes("broker") == ["broker.unused"]


def test_a_project_without_an_app(doctor: Doctor) -> None:
    from celery import Celery, _state

    app = Celery("default", set_as_current=False)
    _state._set_current_app(app)

    report = doctor()

    assert report.codes("broker") == ["broker.no_app"]
    assert report.codes("worker") == ["worker.skipped"]
    assert report.code == 1


#: Celery brings what speaks with RabbitMQ.
each_scheme = pytest.mark.parametrize(
    "scheme", [pytest.param("redis", marks=pytest.mark.servers), "amqp"], indirect=True
)


@pytest.fixture
def scheme(request: Any) -> str:
    """How a broker is spoken with; what that needs is there."""
    if request.param == "redis" and find_spec("redis") is None:
        missing("redis")
    return str(request.param)


@pytest.mark.parametrize("scheme", ["mongodb", "pigeon"])
def test_a_broker_that_nothing_here_can_speak_with(
    app_at: Any, doctor: Doctor, scheme: str
) -> None:
    app_at(f"{scheme}://user:{PASSWORD}@127.0.0.1:9/0")

    report = doctor()

    assert report.codes("broker") == ["broker.missing"]
    assert report.codes("worker") == ["worker.skipped"]
    assert scheme in report.one("broker.missing")["seen"]
    assert PASSWORD not in report.text


@each_scheme
def test_a_broker_that_is_not_there(app_at: Any, doctor: Doctor, scheme: str) -> None:
    app_at(f"{scheme}://user:{PASSWORD}@127.0.0.1:9/0")

    report = doctor()

    assert report.codes("broker") == ["broker.unreachable"]
    assert report.codes("worker") == ["worker.skipped"]
    assert "127.0.0.1:9" in report.one("broker.unreachable")["seen"]
    assert PASSWORD not in report.text


@each_scheme
def test_a_broker_that_says_nothing_is_given_up(app_at: Any, doctor: Doctor, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        app_at(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/0")
        started = time.monotonic()

        report = doctor("--timeout=1")

        assert time.monotonic() - started < 8
    assert report.codes("broker") == ["broker.unreachable"]


# --- With real servers ------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Any) -> Iterator[Callable[..., None]]:
    """Start a worker, and wait until it is ready."""
    started: list[subprocess.Popen[bytes]] = []
    log = tmp_path / "worker.log"

    def start(url: str, queue: str, *options: str, tasks: bool = True) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "ROKKA_TEST_BROKER": url,
            "ROKKA_TEST_QUEUE": queue,
            "ROKKA_TEST_TASKS": "1" if tasks else "",
        }
        command = "-m celery --app=tests.doctor.worker worker --pool=solo --without-gossip"
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - our own arguments
                [sys.executable, *command.split(), "--loglevel=INFO", *options],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        end = time.monotonic() + 60
        while " ready." not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(params=list(BROKERS))
def broker(request: Any) -> str:
    """A broker that is there."""
    from tests.workers.harness import answers

    if not answers(request.param):
        missing(request.param)
    return BROKERS[request.param]


@pytest.fixture
def app(broker: str, app_at: Any) -> Iterator[Celery]:
    """The app of this process, at a real broker; nothing is left there."""
    app = app_at(broker)
    yield app
    queue = app.conf.task_default_queue
    if broker.startswith("redis:"):
        import redis

        with redis.Redis.from_url(broker) as client:
            for key in client.scan_iter(match=f"{queue}/*"):
                client.delete(key)
    else:
        with app.connection_for_write() as connection:
            channel = connection.default_channel
            channel.queue_delete(queue)
            control = f"{queue}-control"
            for name in (queue, f"{queue}-events", f"{control}.pidbox", f"reply.{control}.pidbox"):
                channel.exchange_delete(name)
    app.close()


@pytest.mark.servers
def test_no_worker_and_then_one(app: Celery, broker: str, doctor: Doctor, start: Any) -> None:
    report = doctor()
    assert report.codes("broker") == ["broker.ok"]
    assert "guest:guest" not in report.text
    assert report.codes("worker") == ["worker.none"]
    assert "celery -A doctor_tests worker" in report.one("worker.none")["advice"]

    start(broker, app.conf.task_default_queue)
    report = doctor()
    assert report.codes("worker") == ["worker.ok"]
    assert "with all 1" in report.one("worker.ok")["seen"]


@pytest.mark.servers
def test_a_worker_without_our_tasks_on_another_queue(
    app: Celery, broker: str, doctor: Doctor, start: Any
) -> None:
    queue = app.conf.task_default_queue
    start(broker, queue, f"--queues={queue}-other", tasks=False)
    try:
        report = doctor()
    finally:
        if not broker.startswith("redis:"):
            with app.connection_for_write() as connection:
                connection.default_channel.queue_delete(f"{queue}-other")
                connection.default_channel.exchange_delete(f"{queue}-other")

    assert report.codes("worker") == ["worker.tasks", "worker.queues"]
    assert queue in report.one("worker.queues")["seen"]
    assert "autodiscover_tasks" in report.one("worker.tasks")["advice"]


@pytest.mark.servers
def test_workers_that_cannot_be_asked(app: Celery, doctor: Doctor) -> None:
    app.conf.worker_enable_remote_control = False

    assert doctor().codes("worker") == ["worker.unasked"]
