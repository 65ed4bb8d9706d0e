"""How a cell of the grid is filled: make the fault happen, look what comes of it, and that no harm is done."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django_rokka.api import Conflict, NotFound, RetryPolicy, RokkaClient, RokkaError
from django_rokka.emulator import Call, Emulator
from django_rokka.testing import API_KEY

from .faults import DONE, FAULTS, SHORT, THIEF, Trouble
from .scenarios import Reported, Scenario, World
from .thief import Thief

#: Seconds that a cell may take, pauses between tries not counted: a call waits for one answer at most.
BOUND = 5.0
#: Calls that trouble may make necessary: a batch is divided, what was made is looked at.
MORE = 2
#: A timeout that no answer needs.
PATIENT = 5.0
_VARYING = ("created", "deleted_date", "extra")


@dataclass(frozen=True)
class Healthy:
    """What comes of a scenario without a fault."""

    result: Any
    state: Mapping[str, Any]
    calls: int


@dataclass
class Pauses:
    """In the place of ``time``, for the pauses between two tries: none of them is slept."""

    slept: list[float] = field(default_factory=list)
    #: Clients that are in a hurry, until a first try has failed: no other answer has to come so soon.
    hasty: list[RokkaClient] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Note a pause."""
        self.slept.append(seconds)
        self.set_timeout(PATIENT)

    def set_timeout(self, seconds: float) -> None:
        """Let the clients wait so long for an answer."""
        for client in self.hasty:
            client._transport.timeout = (PATIENT, seconds)


@dataclass
class Grid:
    """Runs scenarios against the emulator, with a client that knows nothing of Django."""

    emulator: Emulator
    thief: Thief
    pauses: Pauses
    logged: Any
    problems: list[str] = field(default_factory=list)

    def client(self) -> RokkaClient:
        """The client to call with, whose connections are closed after a scenario."""
        client = RokkaClient("acme", api_key=API_KEY, base_url=self.emulator.api_url)
        self.pauses.hasty = [client]
        return client

    def clean(self) -> None:
        """An empty world."""
        self.emulator.reset()
        self.pauses.slept.clear()
        self.logged.clear()

    def state(self) -> dict[str, Any]:
        """Everything that a call may change, without dates."""
        with self.emulator.application.state.reading() as db:
            images = db.execute("SELECT * FROM images ORDER BY organization, hash").fetchall()
            stacks = db.execute("SELECT body FROM stacks ORDER BY name").fetchall()
            aliases = db.execute("SELECT * FROM aliases ORDER BY alias").fetchall()
        dates = ("created", "added")
        return {
            "images": [
                {**dict(row), **dict.fromkeys(dates), "deleted": row["deleted"] is not None}
                for row in images
            ],
            "stacks": [{**json.loads(row["body"]), "created": None} for row in stacks],
            "aliases": [tuple(row) for row in aliases],
        }

    def live(self) -> set[str]:
        """The hashes that can be shown."""
        with self.emulator.application.state.reading() as db:
            rows = db.execute(
                "SELECT hash FROM images WHERE organization = 'acme' AND deleted IS NULL"
            )
            return {hash for (hash,) in rows}

    def check_nothing_is_lost(self, scenario: Scenario) -> None:
        """What must hold at any moment, whatever went wrong."""

    # --- A row, cell by cell ------------------------------------------------------------------

    def row(self, scenario: Scenario) -> dict[str, str]:
        """What comes of each fault. Whatever is not as it should be is noted in ``problems``."""
        healthy = self._healthy(scenario)
        cells = {}
        for name, trouble in FAULTS.items():
            expected = _expected(scenario, name, trouble)
            try:
                cells[name] = outcome = self._cell(scenario, trouble, healthy)
                assert outcome in expected.split(" or "), f"{outcome}, expected {expected}"
            except Exception as error:
                cells.setdefault(name, "!")
                detail = error if isinstance(error, AssertionError) else traceback.format_exc()
                self.problems.append(f"{name}: {detail}")
        return cells

    def _healthy(self, scenario: Scenario) -> Healthy:
        self.clean()
        with self.client() as client:
            world = self._prepared(scenario, client)
            result = _plain(scenario.call(world))
        calls = self._calls()
        struck = [call for call in calls if _is_struck(scenario, call)]
        assert len(struck) > scenario.skip, f"the fault would strike nothing of {calls}"
        return Healthy(result, self.state(), len(calls))

    def _prepared(self, scenario: Scenario, client: RokkaClient) -> World:
        world = World(self.emulator, client)
        scenario.prepare(world)
        self.emulator.application.calls.clear()
        self.emulator.application.renders.clear()
        return world

    def _calls(self) -> list[Call]:
        return [*self.emulator.calls, *self.emulator.renders]

    def _cell(self, scenario: Scenario, trouble: Trouble, healthy: Healthy) -> str:
        self.clean()
        with self.client() as client:
            world = self._prepared(scenario, client)
            self._add_fault(scenario, trouble)
            self.pauses.set_timeout(SHORT if trouble.takes_time else PATIENT)
            started = time.monotonic()
            outcome = self._outcome(scenario, world, healthy)
            self._check_bounds(time.monotonic() - started, healthy)
            self._check_secrets()
            self.check_nothing_is_lost(scenario)
            self.emulator.clear_faults()
            self.pauses.set_timeout(PATIENT)
            if outcome not in (DONE, "as sent"):
                self._check_recovery(scenario, world, healthy)
        return outcome

    def _add_fault(self, scenario: Scenario, trouble: Trouble) -> None:
        headers = {
            name: value.replace(THIEF, self.thief.url)
            for name, value in trouble.fault.headers.items()
        }
        self.emulator.add_fault(
            replace(
                trouble.fault,
                headers=headers,
                method=scenario.method,
                path=scenario.path,
                skip=scenario.skip,
            )
        )

    def _outcome(self, scenario: Scenario, world: World, healthy: Healthy) -> str:
        try:
            result = _plain(scenario.call(world))
        except Reported:
            return "reported"
        except RokkaError as error:
            _check_secret(f"{''.join(traceback.format_exception(error))} {error!r}")
            return type(error).__name__
        if self.state() != healthy.state:
            return "later"
        return DONE if result == healthy.result else "as sent"

    # --- What must hold in each of them -------------------------------------------------------

    def _check_bounds(self, seconds: float, healthy: Healthy) -> None:
        policy = RetryPolicy()
        assert seconds < BOUND, f"it took {seconds:.1f} s"
        calls = self._calls()
        assert len(calls) <= (healthy.calls + MORE) * policy.attempts, f"{len(calls)} calls"
        assert sum(self.pauses.slept) <= policy.budget * (healthy.calls + MORE)

    def _check_secrets(self) -> None:
        """The key goes to rokka's API and nowhere else."""
        assert self.thief.heard == [], "something was sent elsewhere"
        assert all(call.authenticated for call in self.emulator.calls)
        assert not any(call.authenticated for call in self.emulator.renders)
        _check_secret(self.logged.text)

    def _check_recovery(self, scenario: Scenario, world: World, healthy: Healthy) -> None:
        """Doing it again comes to the same as if nothing had happened: nothing is lost or doubled."""
        # Where it was done before, there may be nothing to do now.
        with contextlib.suppress(NotFound, Conflict):
            (scenario.again or scenario.call)(world)
        self.check_nothing_is_lost(scenario)
        state = self.state()
        differing = {
            key: (state[key], healthy.state[key])
            for key in state
            if state[key] != healthy.state[key]
        }
        assert not differing, f"after doing it again: {differing}"


def _expected(scenario: Scenario, name: str, trouble: Trouble) -> str:
    by_rule = trouble.expected(reads=scenario.reads)
    return scenario.unlike.get(name) or (by_rule != DONE and scenario.instead) or by_rule


def _check_secret(text: str) -> None:
    assert API_KEY not in text, text


def _is_struck(scenario: Scenario, call: Call) -> bool:
    return scenario.method in (None, call.method) and bool(re.search(scenario.path, call.path))


def _plain(value: Any) -> Any:
    """A result that can be compared: without dates, and lists for whatever is like one."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(item) for key, item in vars(value).items() if key not in _VARYING}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
