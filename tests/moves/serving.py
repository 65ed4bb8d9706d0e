"""A server of files on loopback, as a site's media host or a cloud's CDN is one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


@dataclass
class Served:
    """What a path answers: its bytes, or less of them than ``Content-Length`` says."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    #: Whether the head says how long it is.
    says_length: bool = True
    #: Bytes that are left out at the end.
    cut: int = 0


@dataclass
class Host:
    """A running server; ``files`` are by path without the first slash, ``asked`` is what came."""

    url: str
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, content: bytes, **options: object) -> str:
        """Serve a file; gives its URL."""
        self.files[path] = Served(content, **options)  # type: ignore[arg-type]
        return self.url + path

    def answer(self, method: str, target: str) -> Served:
        """What a call gets."""
        self.asked.append(f"{method} {target}")
        return self.files.get(unquote(target)[1:], Served(status=404))


@contextmanager
def serving() -> Iterator[Host]:
    """A host for the time of a test."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.host = Host(f"http://127.0.0.1:{server.server_port}/")  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield server.host  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, *, with_body: bool) -> None:
        served = self.server.host.answer(self.command, self.path)  # type: ignore[attr-defined]
        self.send_response(served.status)
        for name, value in served.headers.items():
            self.send_header(name, value)
        if served.says_length:
            self.send_header("Content-Length", str(len(served.content)))
        self.end_headers()
        if with_body:
            self.wfile.write(served.content[: len(served.content) - served.cut])
