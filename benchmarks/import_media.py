"""How long a column's files take on their way to rokka: ours, and a loop of ``save()``; and what a kill does to it.

``python benchmarks/import_media.py [--files 5000] [--kilobytes 200] [--latency-ms 30] [--workers N] [--kills 10]
[--postgresql]``. The emulator, in a process of its own, does what a call asks for at once, and answers so much
later. A site, see ``import_site.py``, has a row for each file; its database is a file of SQLite, or one of
PostgreSQL, where PGHOST, PGPORT, PGUSER and PGPASSWORD say, that is dropped at the end. Each way has a process, a
database and a rokka of its own:

* ours is ``manage.py rokka_import``, the alternative opens the file of each row and calls ``row.photo.save()``;
* then ours again, which is killed (SIGKILL) at moments that chance decides, and started again until all is done.

After each of them all rows are compared with their files. *Missing* are rows without an image, *wrong* those whose
image has other bytes than the file. *Doubled* are uploads that rokka had carried out before: a process that
is killed does not see the answers which are under way, and must not send those files again. Exit code 1 if
there is any of these, if no kill struck, or if ours takes 32 MB or more. Memory is read from ``/proc``, so this
needs Linux.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import requests
from PIL import Image
from sync import _postgresql, _sqlite

from django_rokka.conf import Config

KEY = "benchmark"
#: The variable of the environment that tells a site where everything is.
VARIABLE = "ROKKA_IMPORT"
#: Megabytes above an idle process that ours has to stay below, however many files there are.
_MOST = 32
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """Where everything is; ``workers`` is ``None`` for as many as the command has by default."""

    media: str
    files: int
    workers: int | None
    database: str = ""
    url: str = ""


@dataclass(frozen=True)
class _Setup:
    """What is measured on: a place without database and rokka; seconds that a call takes; which database."""

    place: Place
    latency: float
    postgresql: bool


# --- Files --------------------------------------------------------------------------------------


def name_of(number: int) -> str:
    """The name of a row's file, below the folder."""
    return f"photos/picture-{number}.jpg"


def _write_files(media: str, files: int, size: int) -> None:
    """Small JPEGs. What stands behind their end makes them as large as they have to be, and different."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "#3366cc").save(picture, "JPEG")
    Path(media, "photos").mkdir()
    for number in range(1, files + 1):
        rest = os.urandom(max(size - picture.tell(), 20))
        Path(media, name_of(number)).write_bytes(picture.getvalue() + rest)


# --- rokka, and the site ------------------------------------------------------------------------


@contextmanager
def _rokka(latency: float) -> Iterator[str]:
    """The URL of an empty emulator, in a process of its own, which keeps what it gets on disk."""
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "django_rokka.emulator", "--port=0", f"--data={data}"]
        command += [f"--api-key={KEY}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                url = process.stdout.readline().split()[-1]
                # Late answers to what is done already: what a kill meets then is the hard case.
                fault = {"kind": "hang", "seconds": latency, "times": sys.maxsize}
                requests.post(
                    f"{url}/_emulator/faults", json={**fault, "after_work": True}, timeout=60
                ).raise_for_status()
                yield url
            finally:
                process.terminate()


@contextmanager
def _site(setup: _Setup) -> Iterator[Place]:
    """A site whose rows all show files in the folder, and a rokka that has none of them."""
    with ExitStack() as stack:
        database = stack.enter_context(_postgresql() if setup.postgresql else _sqlite())
        url = stack.enter_context(_rokka(setup.latency))
        place = replace(setup.place, database=database, url=url)
        _run("fill", place)
        yield place


def _started(command: str, place: Place) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, _HERE / "import_site.py", command],
        env={**os.environ, VARIABLE: json.dumps(asdict(place))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(command: str, place: Place) -> dict[str, float]:
    """Run to the end; gives what it told last."""
    with _started(command, place) as process:
        return _result(process)


def _result(process: subprocess.Popen[str]) -> dict[str, float]:
    output, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{output}\n{errors}")
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    return result


# --- Measuring ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Measured:
    """What one way took: time in seconds, memory above an idle process in megabytes; and what was wrong."""

    seconds: float
    memory: float
    problems: Counter[str]


def _measure(name: str, command: str, setup: _Setup) -> _Measured:
    with _site(setup) as place:
        took = _run(command, place)
        problems = Counter(_run("check", place))
    result = _Measured(took["seconds"], took["memory"] / 2**20, problems)
    rate = place.files / result.seconds
    print(
        f"{name:22}{place.files:>8,}{result.seconds:>9.1f} s{rate:>9.1f}/s{result.memory:>9.1f} MB"
        f"   {_said(problems)}",
        flush=True,
    )
    return result


def _said(problems: Mapping[str, float]) -> str:
    return ", ".join(f"{problems[name]} {name}" for name in ("missing", "doubled", "wrong"))


@dataclass
class _Killed:
    """What became of it: kills, uploads whose answers nobody saw, seconds in all; and what was wrong."""

    kills: int = 0
    unseen: int = 0
    seconds: float = 0.0
    problems: Counter[str] = field(default_factory=Counter)


def _kill(setup: _Setup, kills: int, rate: float) -> _Killed:
    """Import, and kill that so many times; ``rate`` is about how many files a second it does."""
    result = _Killed()
    with _site(setup) as place:
        started = time.perf_counter()
        for left in range(kills, 0, -1):
            result.kills += _is_killed(place, left, rate, result)
        with _started("import", place) as process:
            _note_start(process, result)
            _result(process)
        result.seconds = time.perf_counter() - started
        result.problems = Counter(_run("check", place))
    return result


def _is_killed(place: Place, left: int, rate: float, result: _Killed) -> bool:
    """Start, and kill at some moment of what is this run's part; ``False`` if it came to its end before."""
    with _started("import", place) as process:
        rest = place.files - _note_start(process, result)
        time.sleep(random.uniform(0, 2 * rest / rate / (left + 2)))
        ended = process.poll() is not None
        process.kill()
        process.communicate()
    return not ended


def _note_start(process: subprocess.Popen[str], result: _Killed) -> int:
    """Wait until it begins; gives how many rows earlier runs have moved."""
    assert process.stdout
    line = process.stdout.readline()
    told = json.loads(line) if line else _result(process)  # which raises what went wrong
    result.unseen += int(told["unseen"])
    return int(told["done"])


def _compare(setup: _Setup, kills: int) -> bool:
    """Measure and print; tells whether nothing was lost, with little memory."""
    files = setup.place.files
    ours = _measure("rokka_import", "import", setup)
    loop = _measure("save() in a loop", "loop", setup)
    faster, larger = loop.seconds / ours.seconds, ours.memory / max(loop.memory, 0.1)
    print(f"  ours to the loop: {faster:.1f} × the files a second, {larger:.1f} × the memory")
    problems = [ours.problems, loop.problems]
    fine = ours.memory < _MOST
    if kills:
        killed = _kill(setup, kills, files / ours.seconds)
        print(
            f"killed {killed.kills} times: {_said(killed.problems)} ({killed.seconds:.1f} s in all; "
            f"{killed.unseen} uploads were done whose answers nobody saw)"
        )
        problems.append(killed.problems)
        fine &= killed.kills > 0
    return fine and not any(any(found.values()) for found in problems)


def main() -> int:
    """Measure and print. Exit code 1 if anything is missing, doubled or wrong, or ours takes much memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--kilobytes", type=int, default=200, help="the size of a file")
    parser.add_argument("--latency-ms", type=float, default=30, help="how long a call takes")
    parser.add_argument("--workers", type=int, help="default: that of the command")
    parser.add_argument("--kills", type=int, default=10, help="0 leaves them out")
    parser.add_argument("--postgresql", action="store_true", help="in place of SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as media:
        _write_files(media, options.files, options.kilobytes * 1000)
        place = Place(media, options.files, options.workers)
        workers = options.workers or Config("").concurrency
        print(
            f"{'PostgreSQL' if options.postgresql else 'SQLite'}, {options.kilobytes} kB a file, "
            f"{options.latency_ms:g} ms a call, {workers} workers",
            flush=True,
        )
        setup = _Setup(place, options.latency_ms / 1000, options.postgresql)
        return 0 if _compare(setup, options.kills) else 1


if __name__ == "__main__":
    sys.exit(main())
