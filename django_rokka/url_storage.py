"""`URLStorage`: files that a site shows by URL, to be read where they are. `docs/importing.md` moves them to rokka."""

from __future__ import annotations

import os
import re
import tempfile
from email.message import Message
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from io import UnsupportedOperation
from pathlib import PurePosixPath
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urljoin

import requests
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import File
from django.core.files.storage import Storage
from django.utils.deconstruct import deconstructible
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from .api import InvalidArgument
from .api.remote import check_url

#: Bytes that are read at a time, and that an opened file may take in memory.
_PIECE, _IN_MEMORY = 64 * 1024, 5 * 1024 * 1024
#: How often an answer may lead to another address.
_REDIRECTS = 5
_GONE = (404, 410)


@deconstructible(path="django_rokka.url_storage.URLStorage")
class URLStorage(Storage):
    """Reads files by URL, and only reads. A name is a URL below ``base_url``, or a path below it.

    Nothing else is asked, whatever rows hold and wherever answers lead. With ``path_pattern``, a regular
    expression, the path is what it finds in the name; so names may carry a host, or operations on a picture,
    which `url` shows and which are not part of the file. ``timeout`` is in seconds, to connect and for each
    read. What a server says with 429, 502, 503 or 504 is tried three times more.
    """

    def __init__(self, base_url: str, path_pattern: str = "", timeout: float = 30) -> None:
        try:
            check_url(base_url, allow_private=True)
        except InvalidArgument as error:
            raise ImproperlyConfigured(f"A URLStorage needs another base_url: {error}") from error
        self.base_url = f"{base_url.rstrip('/')}/"
        self.path_pattern = path_pattern
        self.timeout = timeout

    def url(self, name: str | None) -> str:
        """What the site has shown so far: a URL as it is, or the path below ``base_url``."""
        text = name or ""
        return text if text.startswith(("http://", "https://")) else self._below(text)

    def exists(self, name: str) -> bool:
        """Ask for the file's head. Raises `requests.RequestException` if that does not tell."""
        try:
            self._found("HEAD", name).close()
        except FileNotFoundError:
            return False
        return True

    def size(self, name: str) -> int:
        """Bytes, by the file's head if that says so, else by reading it. Raises `FileNotFoundError`."""
        with self._found("HEAD", name) as response:
            said = response.headers.get("Content-Length", "")
        if said.isdigit():
            return int(said)
        with self._open(name) as file:
            return file.size

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if mode not in ("r", "rb"):
            self._refuse(name)
        content = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed with the File
        try:
            with self._found("GET", name) as response:
                content.writelines(response.iter_content(_PIECE))
        except BaseException:
            content.close()
            raise
        content.seek(0)
        return File(content, _file_name(response))

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> NoReturn:
        """Raise `UnsupportedOperation`."""
        self._refuse(name)

    def delete(self, name: str) -> NoReturn:
        """Raise `UnsupportedOperation`."""
        self._refuse(name)

    def _refuse(self, name: str | None) -> NoReturn:
        raise UnsupportedOperation(
            f"{name!r}: a URLStorage only reads what is at {self.base_url}, it cannot write or delete there"
        )

    # --- Addresses --------------------------------------------------------------------------------

    def _below(self, path: str) -> str:
        return self.base_url + quote(path.lstrip("/"), safe="/~!*()',:@=+$")

    def _address(self, name: str) -> str:
        if not self.path_pattern:
            return self._inside(self.url(name))
        if match := re.search(self.path_pattern, name):
            return self._inside(self._below(match[0]))
        raise FileNotFoundError(f"{name!r} has nothing in it that looks like {self.path_pattern}")

    def _inside(self, url: str) -> str:
        """The URL, if it is below ``base_url``; no other address is asked."""
        steps = unquote(url).replace("\\", "/").split("/")
        if not url.startswith(self.base_url) or ".." in steps:
            raise SuspiciousFileOperation(
                f"{url!r} is not below {self.base_url}, so it is not asked for"
            )
        return url

    # --- Calls ------------------------------------------------------------------------------------

    def _found(self, method: str, name: str) -> requests.Response:
        response = self._ask(method, name)
        if response.status_code == requests.codes.ok:
            return response
        response.close()
        said = f"{response.url} answered {response.status_code} {response.reason}"
        if response.status_code in _GONE:
            raise FileNotFoundError(said)
        raise requests.HTTPError(said, response=response)

    def _ask(self, method: str, name: str) -> requests.Response:
        url, session = self._address(name), _session(os.getpid())
        for _ in range(_REDIRECTS + 1):
            response = session.request(
                method, url, timeout=self.timeout, stream=True, allow_redirects=False
            )
            if not response.is_redirect:
                return response
            response.close()
            url = self._inside(urljoin(url, response.headers["Location"]))
        raise requests.TooManyRedirects(f"{url} leads round in circles")


@cache
def _session(process: int) -> requests.Session:
    """One for each process, whose threads share it: it keeps no cookies, and is never changed."""
    session = requests.Session()
    # The length is that of the file, and not of what a server packs.
    session.headers["Accept-Encoding"] = "identity"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    retry = Retry(
        3, status_forcelist=[429, 502, 503, 504], backoff_factor=0.5, raise_on_status=False
    )
    adapter = HTTPAdapter(pool_maxsize=32, max_retries=retry)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _file_name(response: requests.Response) -> str:
    """What the server calls the file, or else the last part of its path."""
    said = Message()
    said["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    path = said.get_filename() or unquote(response.url.partition("?")[0]).rstrip("/")
    return PurePosixPath(path.replace("\\", "/")).name
