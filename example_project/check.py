"""``make demo CHECK=1``: the demo, started for real and verified by HTTP requests alone.

``python -m example_project.check`` does the same. It uses free ports and a directory of its own.
"""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import requests
from PIL import Image

from .demo import PASSWORD, USER, say

_START_SECONDS = 120
_UPLOAD_TITLE = "Uploaded by the check"


@dataclass
class Report:
    """What was verified, and what was not as promised."""

    verified: int = 0
    failures: list[str] = field(default_factory=list)

    def expect(self, condition: object, what: str) -> None:
        """Count a fact, or note that it does not hold."""
        if condition:
            self.verified += 1
        else:
            self.failures.append(what)
            say(f"  FAILED: {what}")


class _Images(HTMLParser):
    """Collects the attributes of every ``img`` and ``source``."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("img", "source"):
            self.found.append({key: value or "" for key, value in attrs})


@dataclass(frozen=True)
class Site:
    """A running demo."""

    url: str
    process: subprocess.Popen[str]


@contextmanager
def running(data: Path) -> Iterator[Site]:
    """Start the demo on free ports, wait until it says it is ready, and end it as Ctrl-C does."""
    command = [sys.executable, "-m", "example_project.demo", "--data", str(data)]
    process = subprocess.Popen(  # noqa: S603 - our own module
        [*command, "--port", "0", "--emulator-port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield Site(_address(process), process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _address(process: subprocess.Popen[str]) -> str:
    url, deadline = "", time.monotonic() + _START_SECONDS
    for line in process.stdout or ():
        if match := re.match(r"Gallery\s+(\S+)", line):
            url = match[1].rstrip("/")
        if line.startswith("Ready") or time.monotonic() > deadline:
            break
    if not url:
        raise RuntimeError("The demo did not start; see its messages above.")
    return url


def check(data: Path) -> int:
    """Verify the demo twice, with a restart in between. Exit code 0, or 1 if anything failed."""
    report = Report()
    with running(data) as site:
        _check_gallery(site, report)
        _check_admin(site, report)
        before = _titles(site)
    report.expect(site.process.returncode == 0, "Ctrl-C ends the demo with exit code 0")
    report.expect(not _answers(site.url), "nothing listens after the end")
    with running(data) as site:
        after = _titles(site)
        report.expect(after == before, f"a restart keeps every picture: {before}, then {after}")
        say(f"Restart: {len(after)} pictures, as before.")
    return _conclude(report)


def _conclude(report: Report) -> int:
    say(f"Verified {report.verified} facts, {len(report.failures)} failed.")
    for failure in report.failures:
        say(f"  - {failure}")
    return 1 if report.failures else 0


def _answers(url: str) -> bool:
    try:
        requests.get(url, timeout=2)
    except requests.ConnectionError:
        return False
    return True


def _titles(site: Site) -> list[str]:
    return re.findall(r'card__title">([^<]+)<', requests.get(site.url, timeout=30).text)


def _check_gallery(site: Site, report: Report) -> None:
    page = requests.get(site.url, timeout=30)
    report.expect(page.status_code == 200, "the gallery answers 200")
    images = _Images(page.text).found
    report.expect(len(images) >= 12, f"the gallery shows a dozen pictures, not {len(images)}")
    renders = sum(_check_image(image, report) for image in images)
    say(f"Gallery: {len(images)} pictures, {renders} renders of the promised width and ratio.")
    links = re.findall(r'href="(/photo/\d+/)"', page.text)
    looks = 0
    for link in links[:3]:
        detail = requests.get(site.url + link, timeout=30)
        report.expect(detail.status_code == 200, f"{link} answers 200")
        looks += sum(_check_image(image, report) for image in _Images(detail.text).found)
    say(f"Details: {len(links[:3])} pages, {looks} renders.")


def _check_image(image: dict[str, str], report: Report) -> int:
    """Fetch every candidate; compare its width, and its ratio with the attributes."""
    ratio = int(image["width"]) / int(image["height"]) if image.get("height") else 0.0
    candidates = [part.rsplit(" ", 1) for part in image.get("srcset", "").split(", ") if part]
    for url, descriptor in candidates:
        size = _fetched_size(url, report)
        report.expect(size[0] == int(descriptor.rstrip("w")), f"{url} is {descriptor} wide: {size}")
        report.expect(_is_close(size, ratio), f"{url} keeps the ratio {ratio:.3f}: {size}")
    src = image.get("src", "data:")
    if src.startswith("data:"):
        return len(candidates)
    size = _fetched_size(src, report)
    report.expect(not ratio or _is_close(size, ratio), f"{src} keeps the ratio: {size}")
    return len(candidates) + 1


def _is_close(size: tuple[int, int], ratio: float) -> bool:
    # Whole pixels: half a pixel of height is what rounding may cost.
    return abs(size[0] / ratio - size[1]) <= max(0.01 * size[1], 1)


def _fetched_size(url: str, report: Report) -> tuple[int, int]:
    answer = requests.get(url, timeout=60)
    report.expect(answer.status_code == 200, f"{url} answers 200, not {answer.status_code}")
    if answer.headers.get("Content-Type", "").startswith("image/svg"):
        found = re.search(r'<svg[^>]* width="(\d+)" height="(\d+)"', answer.text)
        return (int(found[1]), int(found[2])) if found else (0, 0)
    try:
        with Image.open(io.BytesIO(answer.content)) as picture:
            return picture.size
    except OSError:
        return 0, 0


# --- Admin ----------------------------------------------------------------------------------


def _check_admin(site: Site, report: Report) -> None:
    with requests.Session() as browser:
        form = {"username": USER, "password": PASSWORD, "next": "/admin/"}
        answer = _submit(browser, f"{site.url}/admin/login/", form)
        report.expect("Site administration" in answer.text, "the login printed works")
        _check_change(browser, site, report)
        _check_upload(browser, site, report)


def _submit(
    browser: requests.Session,
    url: str,
    form: dict[str, str],
    files: dict[str, tuple[str, bytes]] | None = None,
) -> requests.Response:
    browser.get(url, timeout=30)
    data = {**form, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    return browser.post(url, data=data, files=files, timeout=60)


def _check_change(browser: requests.Session, site: Site, report: Report) -> None:
    listing = browser.get(f"{site.url}/admin/gallery/photo/", timeout=30)
    match = re.search(r"/admin/gallery/photo/(\d+)/change/", listing.text)
    report.expect(match, "the admin lists pictures")
    url = f"{site.url}/admin/gallery/photo/{match[1] if match else 1}/change/"
    preview = "rokka-image-input__preview" in browser.get(url, timeout=30).text
    report.expect(preview, "the change form shows a preview")
    form = {"title": "Renamed by the check", "alt": "Changed", "position": "1"}
    answer = _submit(browser, url, form)
    report.expect("was changed successfully" in answer.text, "the change form saves")
    shown = "Renamed by the check" in requests.get(site.url, timeout=30).text
    report.expect(shown, "the gallery shows the new title")
    say("Admin: logged in, saw a preview, renamed a picture.")


def _check_upload(browser: requests.Session, site: Site, report: Report) -> None:
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((900, 600)).convert("RGB").save(picture, "JPEG")
    form = {"title": _UPLOAD_TITLE, "alt": "A gradient", "position": "99"}
    url = f"{site.url}/admin/gallery/photo/add/"
    answer = _submit(browser, url, form, {"image": ("gradient.jpg", picture.getvalue())})
    report.expect("was added successfully" in answer.text, "the admin takes an upload")
    images = _Images(requests.get(site.url, timeout=30).text).found
    uploaded = [image for image in images if image.get("alt") == "A gradient"]
    report.expect(len(uploaded) == 1, "the gallery shows the upload")
    renders = sum(_check_image(image, report) for image in uploaded)
    answer = _submit(browser, url, form, {"image": ("broken.jpg", b"This is text.")})
    report.expect("is not a picture that can be read" in answer.text, "a text file is refused")
    say(f"Upload: shown in the gallery, {renders} renders; a text file named .jpg was refused.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="rokka-demo-") as directory:
        sys.exit(check(Path(directory)))
