"""What a test tells its worker processes, and the files by which they tell each other what happens."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_VARIABLE = "ROKKA_TEST_WORKER"


@dataclass(frozen=True)
class Wiring:
    """One broker with one queue, and the test's databases, settings and folder. Times in seconds."""

    broker: str
    queue: str
    visibility_timeout: int
    longest_pause: int
    databases: dict[str, str]
    rokka: dict[str, dict[str, Any]]
    media_root: str
    folder: str
    #: How many tasks run at the same time.
    children: int = 1
    #: Images that a task of a bulk operation takes; 0 for as many as in production.
    chunk: int = 0

    @classmethod
    def from_environment(cls) -> Wiring:
        """Read it in a worker process."""
        return cls(**json.loads(os.environ[_VARIABLE]))

    def environment(self) -> dict[str, str]:
        """Environment variables for a worker process."""
        return {_VARIABLE: json.dumps(asdict(self))}

    @property
    def log(self) -> Path:
        """What the worker processes say."""
        return Path(self.folder, "worker.log")

    @property
    def plan(self) -> Path:
        """Holds where tasks are killed, as a `LineKiller` takes it."""
        return Path(self.folder, "plan")

    @property
    def places(self) -> Path:
        """Has a file for each line at which a process was killed."""
        return Path(self.folder, "places")

    def runs(self, process: int) -> Path:
        """Exists while a process works on a task."""
        return Path(self.folder, f"{process}.RUNS")

    def sent(self, task_id: str) -> Path:
        """Exists once a worker is about to start another task; says so when the broker has it."""
        return Path(self.folder, f"{task_id}.SENT")

    def ended(self, task_id: str, state: str) -> Path:
        """Exists once a task has ended for good, in the state ``SUCCESS`` or ``FAILURE``."""
        return Path(self.folder, f"{task_id}.{state}")
