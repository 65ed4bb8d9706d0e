"""Plain HTTP to rokka, or to what stands for it. No client of ours, and none of its errors, is between."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, TypeVar

import requests
from PIL import Image
from requests.auth import AuthBase

from .shapes import REFUSED, Shape

_T = TypeVar("_T")
Form = Mapping[str, str]
#: Throttled, rokka asks to wait: so many seconds before each further try.
_PAUSES = (1, 3, 9)


def fits(body: Any, shape: Shape) -> Any:
    """Assert that an object has a shape, and give it back."""
    assert shape.problems(body) == []
    return body


def refused(answer: requests.Response, *statuses: int) -> None:
    """Assert that a call was refused so. Bodies are shown for 401 and 403 only; JSON must look like those."""
    assert answer.status_code in statuses, answer.text
    if "json" in answer.headers.get("Content-Type", ""):
        fits(answer.json(), REFUSED)
        assert answer.json()["code"] == answer.status_code


def tiny_picture(format: str = "PNG", mode: str = "RGB") -> bytes:
    """A picture that nobody else has."""
    target = BytesIO()
    noise = os.urandom(16 * 12 * len(mode))
    Image.frombytes(mode, (16, 12), noise).save(target, format)
    return target.getvalue()


class Header(AuthBase):
    """Credentials in a header. Unlike a dictionary of headers, no traceback shows them."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self._name] = self._value
        return request


@dataclass
class Wire:
    """An organization on the wire. What is made through it is deleted by `clean`; names carry ``prefix``.

    ``pays`` says that it may use what only paying accounts have; ``lag`` is how many seconds listings
    may be behind.
    """

    base_url: str
    render_url: str
    organization: str
    key: str = field(repr=False)
    destination: str = ""
    pays: bool = False
    lag: float = 0
    prefix: str = field(default_factory=lambda: f"django_rokka_contract_{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.headers["Api-Version"] = "1"
        self._binaries: set[str] = set()
        self._hashes: set[str] = set()
        self._others: set[str] = set()

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call the API with the key, or with other ``auth``. A throttled call is made again."""
        for pause in (*_PAUSES, None):
            answer = self._send(method, path, {"auth": Header("Api-Key", self.key), **options})
            throttled = answer.status_code == 429 and "X-RateLimit-Limit" not in answer.headers
            if not throttled or pause is None:
                break
            time.sleep(pause)
        self._note(answer)
        return answer

    def _send(self, method: str, path: str, options: dict[str, Any]) -> requests.Response:
        url = self.base_url + path
        try:
            # A redirect would take the key along.
            return self._session.request(method, url, timeout=60, allow_redirects=False, **options)
        except requests.RequestException as error:
            trouble = type(error).__name__
        # Not from within: the error's own traceback can show the key.
        raise AssertionError(f"{method} {path}: {trouble}")

    def _note(self, answer: requests.Response) -> None:
        """Remember the images of an answer that were made of our binaries."""
        try:
            body = answer.json()
        except ValueError:
            return
        items = body.get("items", [body]) if isinstance(body, dict) else []
        ours = [item for item in items if item.get("binary_hash") in self._binaries]
        self._hashes.update(item["hash"] for item in ours)

    def render(self, path: str, **options: Any) -> requests.Response:
        """Get a render, as a browser does: without a key."""
        url = self.render_url.format(organization=self.organization) + path
        return requests.get(url, timeout=60, **options)

    def at(self, *segments: str) -> str:
        """A path below the organization's images."""
        return "/".join(["/sourceimages", self.organization, *segments])

    def eventually(self, look: Callable[[], _T]) -> _T:
        """Look again until there is something to see, for as long as listings may be behind."""
        deadline = time.monotonic() + self.lag
        while not (seen := look()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return seen

    # --- Making and cleaning up ---------------------------------------------------------------

    def upload(
        self, content: bytes = b"", *, part: str = "filedata", data: Form | None = None, **meta: Any
    ) -> requests.Response:
        """Upload a file; a tiny picture unless told otherwise. ``meta_user`` and the like are for it."""
        content = content or tiny_picture()
        self._binaries.add(hashlib.sha1(content).hexdigest())  # noqa: S324 - rokka's binary hash
        files = {part: (f"{self.prefix}.png", content)}
        indexed = {f"{key}[0]": json.dumps(value) for key, value in meta.items()}
        return self("POST", self.at(), files=files, data={**indexed, **(data or {})})

    def image(self, content: bytes = b"", **upload: Any) -> dict[str, Any]:
        """Upload a file; the image of the answer."""
        answer = self.upload(content, **upload)
        assert answer.status_code in (200, 201), answer.text
        image: dict[str, Any] = answer.json()["items"][0]
        return image

    def stack(self, **body: Any) -> str:
        """Make a stack, or make it anew; gives its name."""
        path = self.owned(f"/stacks/{self.organization}/{self.prefix}")
        answer = self("PUT", path, json=body, params={"overwrite": "true"})
        assert answer.status_code in (200, 201), answer.text
        return self.prefix

    def owned(self, path: str) -> str:
        """A path to delete at the end."""
        self._others.add(path)
        return path

    def clean(self) -> None:
        """Delete all that was made, also if deleting some of it fails."""
        with contextlib.ExitStack() as everything:
            everything.callback(self._session.close)
            for organization in filter(None, (self.organization, self.destination)):
                images = f"/sourceimages/{organization}"
                for binary in self._binaries:
                    everything.callback(self._delete, f"{images}?binaryHash={binary}")
                for hash in self._hashes:
                    everything.callback(self._delete_image, f"{images}/{hash}")
            for path in self._others:
                everything.callback(self._delete, path)

    def _delete_image(self, path: str) -> None:
        if self("DELETE", path).status_code not in (204, 404):
            self("PUT", f"{path}/options/locked", json=False)
            self._delete(path)

    def _delete(self, path: str) -> None:
        answer = self("DELETE", path)
        assert answer.status_code in (204, 404), (
            f"{path} may have been left behind: {answer.status_code}"
        )
