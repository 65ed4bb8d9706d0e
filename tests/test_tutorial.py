"""The tutorial is followed as it is written: its files, its commands, its clicks over HTTP, and what it promises.

A block belongs in the file that the paragraph before it names: at its end, where it says so. Only the ports are others.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests
from PIL import Image

from tests.doc_blocks import commands
from tests.doc_blocks.page import ROOT, Block, blocks_of
from tests.pictures import halves, opened

PAGE = ROOT / "docs" / "tutorial.md"
#: What is done already where tests run: it is only parsed.
_DONE = ("python -m venv", ". .venv", "pip ")
_STAYS = ("python -m django_rokka.emulator", "python manage.py runserver")
_PRINT_URL = "from blog.models import Article; print(Article.objects.get().photo.url)"
_SECONDS = 30


class Fields(HTMLParser):
    """What a browser sends of the page's forms when nothing is typed, without checkboxes and choices."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.feed(re.sub("<template.*?</template>", "", page, flags=re.DOTALL))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "input" and given.get("type") in ("hidden", "number", "text"):
            self.values[given.get("name", "")] = given.get("value", "")


class Reader:
    """Somebody who follows the tutorial."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"8899": free_port(), "8000": free_port()}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.browser = requests.Session()
        # No proxy, and no look for one.
        self.browser.trust_env = False

    def follow(self, section: str, *, parse_only: bool = False) -> None:
        """Do what the blocks of a section say, or only parse its commands."""
        blocks = [block for block in blocks_of(PAGE) if block.section == section]
        assert blocks, f"no section {section!r} with blocks"
        for block in blocks:
            if block.language == "sh":
                self._run(block, parse_only)
            elif block.language:
                self._write(block)

    def _write(self, block: Block) -> None:
        (*_, name) = re.findall(r"`([\w/]+\.\w+)`", block.introduction)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        at_end = re.search(rf"at the end of\s`{name}`", block.introduction)
        before = path.read_text() + "\n" if at_end else ""
        path.write_text(before + self._with_ports(block.text))

    def _run(self, block: Block, parse_only: bool) -> None:
        for line in block.text.splitlines():
            if parse_only or line.startswith(_DONE):
                commands.check(line)
            elif line.startswith(_STAYS):
                self._start(line)
            else:
                self.run(line)

    def run(self, line: str) -> str:
        """Run a command in the project, and return what it says."""
        done = subprocess.run(  # noqa: S602 - the tutorial's own
            self._with_ports(line),
            shell=True,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _start(self, line: str) -> None:
        is_site = "runserver" in line
        port = self.ports["8000" if is_site else "8899"]
        with (self.folder / f"{port}.log").open("wb") as log:
            # A group of its own: a server that reloads itself is two processes.
            process = subprocess.Popen(  # noqa: S602 - the tutorial's own
                self._with_ports(line) + (f" {port}" if is_site else ""),
                shell=True,
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        eventually(lambda: socket.create_connection(("127.0.0.1", port)).close() is None)

    @property
    def environment(self) -> dict[str, str]:
        """The tests' own, with the virtual environment's programs, and without their settings."""
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("DJANGO_", "ROKKA_", "PYTEST_"))
        }
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

    def _with_ports(self, text: str) -> str:
        for written, port in self.ports.items():
            text = text.replace(written, str(port))
        return text

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.ports['8000']}{path}"

    def page(self, path: str = "/articles/1/") -> str:
        """A page of the site, the article's unless it is said."""
        answer = self.browser.get(self.url(path), timeout=_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.text

    def submit(
        self, path: str, values: dict[str, str], **files: tuple[str, bytes]
    ) -> requests.Response:
        """Open a page, fill in its form, and send it; the page that follows."""
        page = self.browser.get(self.url(path), timeout=_SECONDS)
        filled = {**Fields(page.text).values, **values}
        answer = self.browser.post(page.url, filled, files=files or None, timeout=_SECONDS)
        assert answer.status_code == 200, answer.text
        assert answer.url != page.url, answer.text
        return answer

    def leave(self) -> None:
        """End what was started."""
        self.browser.close()
        for process in self.processes:
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            process.wait(_SECONDS)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def eventually(succeeds: Callable[[], object]) -> None:
    """Wait until it does, and no longer than `_SECONDS`."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            assert succeeds()
            return
        except (OSError, AssertionError):
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def candidates(html: str) -> dict[str, int]:
    """The URLs of the ``srcset`` in a part of a page, with the widths that they promise."""
    texts = re.findall(r'srcset="([^"]+)"', html)
    pairs = [pair.split(" ") for text in texts for pair in unescape(text).split(", ")]
    return {url: int(width.removesuffix("w")) for url, width in pairs}


def sizes(html: str) -> dict[int, int]:
    """The heights of the renders in a ``srcset``, by the widths that it promises, and that they have."""
    found = {width: rendered(url).size for url, width in candidates(html).items()}
    assert all(width == promised for promised, (width, _) in found.items()), found
    return dict(found.values())


def rendered(url: str) -> Image.Image:
    answer = requests.get(url, timeout=_SECONDS)
    assert answer.status_code == 200, answer.text
    return opened(answer.content).convert("RGB")


def looks(page: str) -> tuple[str, str]:
    """The picture for a wide screen, and that for a narrow one."""
    (source,) = re.findall("<source[^>]+>", page)
    (image,) = re.findall("<img[^>]+>", page)
    return image, source


def colour_of_the_middle(html: str) -> str:
    """What the smallest render shows in its middle, of a photo that is red on the left and blue on the right."""
    image = rendered(min(candidates(html), key=len))
    middle = image.crop((image.width // 2 - 50, 0, image.width // 2 + 50, image.height))
    _, _, (least, most) = (band.getextrema() for band in middle.split())
    return "blue" if least > 200 else "red" if most < 50 else "red and blue"


def hashes(page: str) -> set[str]:
    return set(re.findall(r"/([0-9a-f]{40})/", page))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.leave()


def test_the_tutorial_works_as_written(reader: Reader) -> None:
    for section in ("A new project", "An article with a photo", "Start it"):
        reader.follow(section)
    reader.submit("/admin/", {"username": "editor", "password": "tutorial"})
    photo = ("dog.jpg", halves((2000, 1500), "JPEG"))
    reader.submit("/admin/blog/article/add/", {"title": "A dog"}, photo=photo)
    assert sizes(reader.page()) == {320: 240, 640: 480, 960: 720, 1280: 960, 1920: 1440, 2000: 1500}

    reader.follow("One look for a wide screen, another for a phone")
    eventually(lambda: "<picture" in reader.page())
    wide, upright = looks(reader.page())
    assert sizes(wide) == {800: 343, 1200: 514, 1600: 686}
    assert sizes(upright) == {400: 500, 800: 1000}
    assert colour_of_the_middle(upright) == "red and blue"

    change = re.findall(
        r"/admin/rokka/sourceimage/\d+/change/", reader.page("/admin/rokka/sourceimage/")
    )
    before = reader.page()
    reader.submit(
        change[0], {"subject_area-x": "1900", "subject_area-y": "700", "subject_area-unit": "px"}
    )
    assert hashes(reader.page()).isdisjoint(hashes(before))
    assert colour_of_the_middle(looks(reader.page())[1]) == "blue"

    reader.follow("Test it")

    # Nothing is called there: a test has no account.
    reader.follow("With a real account", parse_only=True)
    url = reader.run(f"ROKKA_API_KEY=a-key python manage.py shell -v 0 -c '{_PRINT_URL}'")
    assert re.fullmatch(
        r"https://your-organization\.rokka\.io/dynamic/noop/[0-9a-f]{40}/dog\.jpg\n", url
    )
