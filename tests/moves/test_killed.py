"""A site in a process of its own, which is killed in the middle of a move, again and again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.testing import rokka_settings

from .living_site import PHOTO, binary_hash, content, uploads

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(os.name != "posix", reason="processes are killed"),
]

ROOT = Path(__file__).parents[2]
COUNT = 24


@dataclass
class Process:
    """A project with its settings, its database in a file and its pictures in a folder."""

    folder: Path
    emulator: Emulator

    @property
    def media(self) -> Path:
        return self.folder / "media"

    @property
    def environment(self) -> dict[str, str]:
        paths = f"{self.folder}{os.pathsep}{ROOT}"
        own = {"PYTHONPATH": paths, "DJANGO_SETTINGS_MODULE": "killed_settings"}
        return {**os.environ, **own}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a management command."""
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "django", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, expected: int = 0) -> str:
        """Run one to its end; gives what it says."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == expected, out + err
        return out + err

    def interrupted(
        self, command: str, number: int, reached: Callable[[], int], more: int
    ) -> tuple[int, str]:
        """Send a signal to a move when so many more files have got so far; gives how it ends."""
        goal = reached() + more
        process = self.start(command, PHOTO, "--workers=2")
        while reached() < goal and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        return process.returncode, out + err

    def names(self) -> list[str]:
        """What the rows have."""
        with closing(sqlite3.connect(self.folder / "site.sqlite3")) as connection:
            rows = connection.execute("SELECT photo FROM library_article ORDER BY id").fetchall()
        return [name for (name,) in rows]

    def fill(self) -> None:
        """Write the files and rows of old code."""
        self.media.mkdir()
        with closing(sqlite3.connect(self.folder / "site.sqlite3")) as connection, connection:
            for number in range(COUNT):
                name = f"{number}.jpg"
                (self.media / name).write_bytes(content(number))
                sql = "INSERT INTO library_article (title, photo) VALUES ('', ?)"
                connection.execute(sql, [name])


SETTINGS = """
from django.conf.global_settings import STORAGES
from tests.settings import *

DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {database!r}}}}}
OLD = {{"BACKEND": "{storage}", "OPTIONS": {{"location": {media!r}}}}}
STORAGES = {{**STORAGES, "old": OLD}}
ROKKA = {{"default": {rokka!r}}}
"""

SLOW = """
import time

from django.core.files.storage import FileSystemStorage


class SlowStorage(FileSystemStorage):
    def _save(self, name, content):
        # As over a network: a beginning is there for a while.
        whole = content.read()
        path = self.path(name)
        with open(path, "xb") as file:
            for part in (whole[:100], whole[100:]):
                file.write(part)
                file.flush()
                time.sleep(0.05)
        return name
"""


@pytest.fixture
def site(rokka_emulator: Emulator, tmp_path: Path) -> Iterator[Process]:
    """The project; rokka is slow enough that one can be killed at work."""
    rokka = {**rokka_settings(rokka_emulator, {})["default"], "FALLBACK": "old"}
    (tmp_path / "slow_storage.py").write_text(SLOW)
    (tmp_path / "killed_settings.py").write_text(
        SETTINGS.format(
            database=str(tmp_path / "site.sqlite3"),
            storage="slow_storage.SlowStorage",
            media=str(tmp_path / "media"),
            rokka=rokka,
        )
    )
    site = Process(tmp_path, rokka_emulator)
    site.run("migrate", "-v0", "--run-syncdb")
    site.fill()
    rokka_emulator.add_fault(Fault(kind="hang", seconds=0.05, method="POST", times=1000))
    yield site
    rokka_emulator.clear_faults()


def right() -> list[str]:
    return [binary_hash(content(number)) for number in range(COUNT)]


def test_an_import_that_is_killed_again_and_again_sends_nothing_twice_and_loses_nothing(
    site: Process, emulator: Emulator
) -> None:
    def sent() -> int:
        return uploads(emulator)

    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        code, _ = site.interrupted("rokka_import", number, sent, more=4)
        assert code == -number
    code, said = site.interrupted("rokka_import", signal.SIGINT, sent, more=3)
    assert (code, "Traceback" in said) == (130, False)
    assert "Interrupted. The next run goes on from here." in said
    assert any("/" not in name for name in site.names())

    said = site.run("rokka_import", PHOTO)

    assert "0 failed" in said
    assert sent() == COUNT
    images = {image.hash: image for image in get_client(mirrors=False).iter_source_images()}
    assert [images[name[:40]].binary_hash for name in site.names()] == right()
    assert len(images) == COUNT
    assert {found.name for found in site.media.iterdir()} == {f"{n}.jpg" for n in range(COUNT)}


def test_an_export_that_is_killed_again_and_again_leaves_whole_files_and_no_others(
    site: Process, emulator: Emulator
) -> None:
    emulator.clear_faults()
    site.run("rokka_import", PHOTO, "--delete", "--days=0")
    assert list(site.media.iterdir()) == []

    def written() -> int:
        return len(list(site.media.iterdir()))

    for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGINT):
        site.interrupted("rokka_export", number, written, more=5)
    assert any("/" in name for name in site.names())
    site.run("rokka_export", PHOTO)

    names = site.names()
    assert sorted(names) == sorted(found.name for found in site.media.iterdir())
    assert [binary_hash((site.media / name).read_bytes()) for name in names] == right()
