"""What a minute of load does to us: errors, memory and connections, with threads and with workers.

``python benchmarks/load.py [--seconds 60] [--threads 32] [--workers 8]``. The emulator, in a process of its
own, refuses every 23rd call (429), fails at every 41st (502) and cuts every 59th off.

* Threads share one client, and each does the same round until the time is over: upload a picture, get it, list,
  change its user metadata, give it a subject area, fetch a render, delete what came of it. The alternatives do
  the same round under the same faults, for a quarter of the time: the generated client, which has no way to try
  again, and ``requests`` without a session, which opens a connection for each call.
* Workers, each a process of a real Celery worker, do our tasks: see ``load_workers.py``.

Exit code 1 for any error of ours, for memory that grows, and for more connections than the pool may hold. Memory
and connections are read from ``/proc``, so this needs Linux.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import requests
from PIL import Image
from sync import _postgresql, _sqlite
from werkzeug.wrappers import Request

from django_rokka.api import RenderClient, RokkaClient, SubjectArea
from django_rokka.emulator import Emulator
from django_rokka.emulator.faults import Fault, Faults

KEY = "benchmark"
#: So much of the time passes before memory is looked at for the first time.
_WARM_UP = 0.25
#: Megabytes that a process may have more at the end than after the warm-up.
GROWTH = 12.0
_TROUBLE = ((23, Fault(status=429)), (41, Fault(status=502)), (59, Fault(kind="cut")))
_AREA = SubjectArea(x=10, y=10, width=20, height=20)


# --- rokka, in a process of its own ---------------------------------------------------------------


class _Trouble(Faults):
    """Faults that strike every so many calls, for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.struck = 0

    def take(self, request: Request) -> Fault | None:
        """The fault for this call, if it is one of those."""
        with self._lock:
            self.calls += 1
            found = next((fault for nth, fault in _TROUBLE if self.calls % nth == 0), None)
            self.struck += found is not None
            return found


def _serve() -> None:
    trouble = _Trouble()
    emulator = Emulator(organizations=["acme"], api_key=KEY)
    emulator.application.faults = trouble
    with emulator:
        print(emulator.api_url, flush=True)
        for _ in sys.stdin:
            print(json.dumps([trouble.calls, trouble.struck]), flush=True)


@dataclass(frozen=True)
class Rokka:
    """The emulator that runs: its URL, and how many calls came."""

    url: str
    _process: subprocess.Popen[str]

    def counts(self) -> Counter[str]:
        """The calls so far, and how many of them had to be tried again."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        calls, struck = json.loads(self._process.stdout.readline())
        return Counter(calls=calls, struck=struck)


@contextmanager
def _rokka() -> Iterator[Rokka]:
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield Rokka(process.stdout.readline().strip(), process)
        finally:
            process.stdin.close()


# --- What is measured ---------------------------------------------------------------------------


def megabytes(process: int | str = "self") -> float:
    """The memory that a process has now."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) / 1024


def connections(url: str) -> Counter[str]:
    """The connections of this machine to the emulator: those that are open, and those that are left behind."""
    states = {"01": "open", "06": "left"}
    port = f":{int(url.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return Counter(states[row[3]] for row in rows if row[2].endswith(port) and row[3] in states)


@dataclass
class Load:
    """What was seen while something worked: memory of its processes, by number, and open connections."""

    url: str
    before: dict[int, float] = field(default_factory=dict)
    after: dict[int, float] = field(default_factory=dict)
    open: int = 0
    left: int = 0

    def watch(self, seconds: float, processes: Callable[[], list[int]]) -> None:
        """Look on for some time."""
        started = time.monotonic()
        while (passed := time.monotonic() - started) < seconds:
            seen = connections(self.url)
            self.open, self.left = max(self.open, seen["open"]), max(self.left, seen["left"])
            if not self.before and passed > seconds * _WARM_UP:
                self.before = self._memory(processes())
            time.sleep(0.1)
        self.after = self._memory(processes())

    def _memory(self, processes: list[int]) -> dict[int, float]:
        return {process: megabytes(process) for process in processes}

    @property
    def growth(self) -> float:
        """Megabytes by which the process grew that grew most."""
        return max(self.after[process] - self.before[process] for process in self.before)

    def line(self) -> str:
        """For people."""
        memory = f"{sum(self.before.values()):.0f} → {sum(self.after.values()):.0f} MB"
        return f"{memory:>16}{self.open:>8}{self.left:>8}"


# --- The round, in three ways -------------------------------------------------------------------


class _Way(Protocol):
    """How the calls are made. A method raises if its call fails."""

    def upload(self, content: bytes) -> str: ...
    def get(self, hash: str) -> object: ...
    def list(self) -> object: ...
    def patch(self, hash: str, metadata: dict[str, Any]) -> None: ...
    def rehash(self, hash: str) -> str: ...
    def render(self, url: str) -> object: ...
    def delete(self, hash: str) -> None: ...


class _Ours:
    def __init__(self, url: str, threads: int) -> None:
        self._client = RokkaClient("acme", api_key=KEY, base_url=url, pool_size=threads)
        self._renders = RenderClient(f"{url}/render/acme", pool_size=threads)

    def upload(self, content: bytes) -> str:
        return self._client.create_source_image(io.BytesIO(content), name="load.jpg").hash

    def get(self, hash: str) -> object:
        return self._client.get_source_image(hash)

    def list(self) -> object:
        return self._client.list_source_images(limit=10)

    def patch(self, hash: str, metadata: dict[str, Any]) -> None:
        self._client.patch_user_metadata(hash, metadata)

    def rehash(self, hash: str) -> str:
        return self._client.set_dynamic_metadata(hash, _AREA).hash

    def render(self, url: str) -> object:
        return self._renders.fetch(url, limit=1_000_000)

    def delete(self, hash: str) -> None:
        self._client.delete_source_image(hash)


class _Generated:
    """The official client that is generated from rokka's description of its API."""

    def __init__(self, url: str, threads: int) -> None:
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        import rokka_client_codegen as codegen  # type: ignore[import-untyped]

        configuration = codegen.Configuration()
        configuration.host = url
        configuration.api_key["api-key"] = KEY
        configuration.connection_pool_maxsize = threads
        self._client = codegen.ApiClient(configuration)
        self._api = codegen.SourceimagesApi(self._client)

    def upload(self, content: bytes) -> str:
        with tempfile.NamedTemporaryFile(suffix=".jpg") as file:  # it takes the path of a file
            file.write(content)
            file.flush()
            hash: str = self._api.create_source_image("acme", filedata=file.name).items[0].hash
        return hash

    def get(self, hash: str) -> object:
        return self._api.get_source_image("acme", hash)

    def list(self) -> object:
        return self._api.list_source_images("acme", limit=10)

    def patch(self, hash: str, metadata: dict[str, Any]) -> None:
        self._api.patch_source_image_meta_user(metadata, "acme", hash)

    def rehash(self, hash: str) -> str:
        set_area = self._api.create_source_image_meta_dynamic_with_name
        found: str = set_area(
            _AREA.as_json(), "acme", hash, "subject_area", delete_previous=False
        ).hash
        return found

    def render(self, url: str) -> object:
        answer = self._client.rest_client.pool_manager.request("GET", url, retries=False)
        if answer.status != 200:
            raise RuntimeError(answer.status)
        return answer.data

    def delete(self, hash: str) -> None:
        self._api.delete_source_image("acme", hash)


class _Naive:
    """``requests``, a function for each call."""

    def __init__(self, url: str, threads: int) -> None:
        self._images = f"{url}/sourceimages/acme"

    def _call(self, method: str, url: str, **options: Any) -> requests.Response:
        answer = requests.request(method, url, headers={"Api-Key": KEY}, timeout=60, **options)
        answer.raise_for_status()
        return answer

    def upload(self, content: bytes) -> str:
        answer = self._call("POST", self._images, files={"filedata": ("load.jpg", content)})
        hash: str = answer.json()["items"][0]["hash"]
        return hash

    def get(self, hash: str) -> object:
        return self._call("GET", f"{self._images}/{hash}").json()

    def list(self) -> object:
        return self._call("GET", self._images, params={"limit": 10}).json()

    def patch(self, hash: str, metadata: dict[str, Any]) -> None:
        self._call("PATCH", f"{self._images}/{hash}/meta/user", json=metadata)

    def rehash(self, hash: str) -> str:
        url = f"{self._images}/{hash}/meta/dynamic/subject_area?deletePrevious=false"
        found: str = self._call("PUT", url, json=_AREA.as_json()).json()["hash"]
        return found

    def render(self, url: str) -> object:
        return self._call("GET", url).content

    def delete(self, hash: str) -> None:
        self._call("DELETE", f"{self._images}/{hash}")


_WAYS: Mapping[str, Callable[[str, int], _Way]] = {
    "ours": _Ours,
    "generated client": _Generated,
    "requests, no session": _Naive,
}


@cache
def _jpeg() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 48), "#3366cc").save(target, "JPEG")
    return target.getvalue()


def picture(number: int) -> bytes:
    """A small JPEG. What stands behind its end makes it another one for each number."""
    return _jpeg() + f"{os.getpid()} {number}".encode()


def _round(way: _Way, url: str, number: int) -> None:
    hash = way.upload(picture(number))
    way.get(hash)
    way.list()
    way.patch(hash, {"title": f"Picture {number}", "int:number": number})
    new = way.rehash(hash)
    way.render(f"{url}/render/acme/dynamic/resize-width-32/{new}/load.jpg")
    way.delete(hash)
    way.delete(new)


def _drive(name: str, url: str, seconds: float, threads: int) -> None:
    """One way, in a process of its own; prints what came of it."""
    way = _WAYS[name](url, threads)
    numbers, ended = itertools.count(), threading.Event()
    rounds: list[int] = []
    errors: list[str] = []

    def work() -> None:
        while not ended.is_set():
            number = next(numbers)
            try:
                _round(way, url, number)
                rounds.append(number)
            except Exception as error:
                errors.append(type(error).__name__)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    load = Load(url)
    load.watch(seconds, lambda: [os.getpid()])
    ended.set()
    for worker in workers:
        worker.join()
    print(json.dumps({"rounds": len(rounds), "errors": Counter(errors), "load": vars(load)}))


# --- Measuring ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Measured:
    """What came of a way; ``rate`` are whole rounds a second."""

    rate: float
    errors: Counter[str]
    load: Load


def _head(title: str, unit: str) -> None:
    print(
        f"{title:22}{'calls':>9}{'a second':>9}{unit:>8}{'struck':>9}{'errors':>8}"
        f"{'memory':>16}{'open':>8}{'left':>8}"
    )


def _line(name: str, counts: Counter[str], done: int, seconds: float, result: _Measured) -> None:
    print(
        f"{name:22}{counts['calls']:>9,}{counts['calls'] / seconds:>9,.0f}{done:>8,}"
        f"{counts['struck']:>9,}{result.errors.total():>8,}{result.load.line()}",
        flush=True,
    )


def _measure(name: str, seconds: float, threads: int) -> _Measured:
    with _rokka() as rokka:
        started = time.perf_counter()
        command = [sys.executable, __file__, "--drive", name, rokka.url, str(seconds), str(threads)]
        found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        took, counts = time.perf_counter() - started, rokka.counts()
    told = json.loads(found.stdout)
    result = _Measured(told["rounds"] / took, Counter(told["errors"]), Load(**told["load"]))
    _line(name, counts, told["rounds"], took, result)
    return result


def _is_fine(result: _Measured, most: int) -> bool:
    """Say what is wrong, if anything is."""
    problems = [f"{number} × {error}" for error, number in result.errors.items()]
    if result.load.growth > GROWTH:
        problems.append(f"a process grew by {result.load.growth:.1f} MB")
    if result.load.open > most:
        problems.append(f"{result.load.open} connections instead of {most}")
    for problem in problems:
        print(f"  not fine: {problem}")
    return not problems


def _threads(seconds: float, threads: int) -> bool:
    """Measure and print; tells whether ours is as good as it has to be."""
    _head(f"{threads} threads", "rounds")
    first, *others = _WAYS
    ours = _measure(first, seconds, threads)
    for name in others:
        theirs = _measure(name, max(seconds / 4, 5), threads)
        print(
            f"  ours to {name}: {ours.rate / theirs.rate:.1f} × the whole rounds a second, "
            f"{ours.load.open / theirs.load.open:.1f} × the open connections, "
            f"{ours.errors.total()} errors to {theirs.errors.total()}"
        )
    # Each client keeps as many as there are threads, and there is one for the API and one for renders.
    return _is_fine(ours, 2 * threads)


def _workers(seconds: float, workers: int, broker: str) -> bool:
    """The same for workers."""
    _head(f"{workers} workers", "tasks")
    with ExitStack() as stack:
        rokka = stack.enter_context(_rokka())
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        try:
            database = stack.enter_context(_postgresql())
        except Exception as error:
            print(f"SQLite, for want of PostgreSQL: {error}".strip())
            database = stack.enter_context(_sqlite())
        place = {"database": database, "url": rokka.url, "folder": folder, "broker": broker}
        os.environ["ROKKA_LOAD"] = json.dumps(place)
        import load_workers  # configures Django, for this place

        started = time.perf_counter()
        worked = load_workers.work(seconds, workers)
        took, counts = time.perf_counter() - started, rokka.counts()
    done = worked.tasks.total()
    result = _Measured(done / took, worked.errors, worked.load)
    _line("our tasks", counts, done, took, result)
    print(
        f"  {worked.tasks['RETRY']} of them were put off by Celery: the client had given up trying"
    )
    # Each process has a client of the API, and one that fetches renders for placeholders.
    return _is_fine(result, 2 * workers)


def _redis_answers(url: str) -> bool:
    import redis

    try:
        with redis.Redis.from_url(url) as client:
            client.ping()
    except redis.RedisError as error:
        print(f"no workers without Redis ({error}); --workers 0 leaves them out")
        return False
    return True


def main() -> int:
    """Measure and print. Exit code 1 if something is not fine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=32, help="0 leaves them out")
    parser.add_argument("--workers", type=int, default=8, help="0 leaves them out")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0", help="for the workers")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--drive", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve()
        return 0
    if options.drive:
        name, url, seconds, threads = options.drive
        _drive(name, url, float(seconds), int(threads))
        return 0
    fine = True
    if options.threads:
        fine &= _threads(options.seconds, options.threads)
    if options.workers:
        fine &= _redis_answers(options.redis) and _workers(
            options.seconds, options.workers, options.redis
        )
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
