"""`Rig`: a broker's queue, a worker process that can be killed, and the tasks that a test waits for."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from werkzeug.wrappers import Request

from django_rokka.emulator import Emulator
from django_rokka.emulator.faults import Fault
from tests.workers.wiring import Wiring

BROKERS = {
    "redis": "redis://127.0.0.1:6379/0",
    "rabbitmq": "amqp://guest:guest@127.0.0.1:5672//",
}
PORTS = {"redis": 6379, "rabbitmq": 5672}
#: How long a task may take, with its recovery.
PATIENCE = 60.0


def answers(broker: str) -> bool:
    """Whether somebody listens at the broker's port."""
    try:
        socket.create_connection(("127.0.0.1", PORTS[broker]), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass
class Tally:
    """What a test has counted; a line of the table at the end."""

    scenario: str
    broker: str
    trouble: str
    rows: int = 0
    places: list[str] = field(default_factory=list)
    broken: int = 0
    doubled: int = 0

    #: Those of the test that is running.
    every: ClassVar[list[Tally]] = []

    def __post_init__(self) -> None:
        self.every.append(self)

    @property
    def line(self) -> tuple[str | int, ...]:
        """What the table shows; see `tests.conftest`."""
        counts = (len(self.places), len(set(self.places)), self.broken, self.doubled)
        return (self.scenario, self.broker, self.trouble, self.rows, *counts)


@dataclass(frozen=True)
class NthCall(Fault):
    """A fault that strikes the ``nth`` call of the API, whatever it is; ``seen`` are the calls so far."""

    nth: int = 1
    seen: list[str] = field(default_factory=list)

    def matches(self, request: Request) -> bool:
        """Count a call, and tell whether it is the one."""
        if not request.path.startswith("/sourceimages/"):
            return False
        self.seen.append(f"{request.method} {request.path}")
        return len(self.seen) == self.nth


class Rig:
    """One queue of one broker and one worker process. `close` it."""

    def __init__(self, wiring: Wiring, emulator: Emulator) -> None:
        from tests.workers.app import make_app

        self.wiring, self.emulator = wiring, emulator
        self.app = make_app(
            wiring.broker, wiring.queue, visibility_timeout=wiring.visibility_timeout
        )
        self.awaited: list[str] = []
        self.log = wiring.log
        self._hanging = _notice_hanging(emulator)
        self._worker: subprocess.Popen[bytes] | None = None
        self._places: set[str] = set()

    # --- The worker process -------------------------------------------------------------------

    def start_worker(self) -> None:
        """Start a worker with its children, in a process group of its own."""
        options = "worker --pool=prefork --loglevel=INFO --without-gossip"
        with self.log.open("ab") as log:
            self._worker = subprocess.Popen(  # noqa: S603 - our own arguments
                [
                    *(sys.executable, "-m", "celery", "--app=tests.workers.worker"),
                    *options.split(),
                    f"--concurrency={self.wiring.children}",
                    *("--without-mingle", "--without-heartbeat", f"--hostname={self.wiring.queue}"),
                ],
                env={
                    **os.environ,
                    **self.wiring.environment(),
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill_worker(self) -> None:
        """Kill the worker with all its children."""
        if self._worker is not None:
            os.killpg(self._worker.pid, signal.SIGKILL)
            self._worker.wait()
            self._worker = None
            for marker in self._running():
                marker.unlink()
            # A message that was not sent does not come; the task that wanted it does so again.
            for task in self._sent():
                if not self.wiring.sent(task).read_text():
                    self.wiring.sent(task).unlink()

    def close(self) -> None:
        """Kill the worker, and leave nothing at the broker."""
        from tests.workers.app import remove_queue

        self.kill_worker()
        remove_queue(self.app, self.wiring.queue)
        self.app.close()

    # --- Tasks --------------------------------------------------------------------------------

    def start(self, action: Callable[[], object]) -> None:
        """Do what starts tasks: they go to this queue, and `settle` waits for them."""
        from celery import _state
        from celery.signals import before_task_publish

        def note(headers: dict[str, Any], **kwargs: Any) -> None:
            self.awaited.append(headers["id"])

        before, _ = _state._tls.current_app, self.app.set_current()
        before_task_publish.connect(note, weak=False)
        try:
            action()
        finally:
            before_task_publish.disconnect(note)
            _state._set_current_app(before)

    def settle(self, patience: float = PATIENCE) -> None:
        """Wait until every task has succeeded, with those that tasks have started, and none runs any more.

        One that was delivered twice may run again after it has succeeded.
        """
        while self.awaited:
            self._wait_for(self._has_ended, "end of a task", patience)
            self.awaited.pop()
            if not self.awaited:
                self._wait_for(lambda: not self._running(), "end of what runs", patience)
            self.awaited += [task for task in self._sent() if not self._succeeded(task)]

    def run(self, action: Callable[[], object]) -> None:
        """Do what starts tasks, and wait for them."""
        self.start(action)
        self.settle()

    def lose_messages(self) -> None:
        """Let the broker forget every task that waits, or that a worker has and did not acknowledge."""
        from tests.workers.app import remove_queue

        remove_queue(self.app, self.wiring.queue)
        with self.app.connection_for_write() as connection:
            self.app.amqp.queues[self.wiring.queue](connection.default_channel).declare()
        self.awaited.clear()
        for task in self._sent():
            self.wiring.sent(task).unlink()

    def _sent(self) -> list[str]:
        return [path.stem for path in Path(self.wiring.folder).glob("*.SENT")]

    def _running(self) -> list[Path]:
        return [*Path(self.wiring.folder).glob("*.RUNS")]

    def _has_ended(self) -> bool:
        failed = self.wiring.ended(self.awaited[-1], "FAILURE")
        assert not failed.exists(), "a task failed"
        return self._succeeded(self.awaited[-1])

    def _succeeded(self, task: str) -> bool:
        return self.wiring.ended(task, "SUCCESS").exists()

    def _wait_for(
        self, condition: Callable[[], bool], what: str, patience: float = PATIENCE
    ) -> None:
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end, f"no {what} in time"
            time.sleep(0.005)

    # --- Kills --------------------------------------------------------------------------------

    def plan_kills(
        self, rest: int, divisor: int, files: Sequence[str] = (), *, once: bool = False
    ) -> None:
        """Let tasks be killed where none was before, as `tests.workers.worker.LineKiller` says."""
        plan = {"rest": rest, "divisor": divisor, "files": files, "once": once}
        self.wiring.plan.write_text(json.dumps(plan))

    def places(self) -> list[str]:
        """Where tasks were killed since this was last asked; no more are from now on."""
        self.wiring.plan.unlink(missing_ok=True)
        found = {path.name for path in self.wiring.places.iterdir()}
        new, self._places = found - self._places, found
        return sorted(new)

    def forget_places(self) -> None:
        """Let tasks be killed again where some were."""
        for path in self.wiring.places.iterdir():
            path.unlink()
        self._places = set()

    def plan_hang(self, nth_call: int, *, after_work: bool) -> NthCall:
        """Let the emulator hang at the ``nth_call`` of the next tasks."""
        self._hanging.clear()
        fault = NthCall("hang", seconds=3600, after_work=after_work, nth=nth_call)
        self.emulator.add_fault(fault)
        return fault

    def hangs(self) -> bool:
        """Wait until a call hangs, or until all tasks have ended without."""
        self._wait_for(lambda: self._hanging.is_set() or self._all_ended(), "call that hangs")
        return self._hanging.is_set()

    def _all_ended(self) -> bool:
        return all(map(self._succeeded, {*self.awaited, *self._sent()}))


def _notice_hanging(emulator: Emulator) -> threading.Event:
    """An event that is set when a call begins to hang; with ``after_work`` its work is done by then."""
    event, faults = threading.Event(), emulator.application.faults
    wait = faults.wait

    def noticed(seconds: float) -> None:
        event.set()
        wait(seconds)

    faults.wait = noticed  # type: ignore[method-assign]
    return event
