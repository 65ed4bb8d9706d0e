"""How much memory an upload takes: ours, and ``requests`` with its own ``files=``, side by side.

``python benchmarks/upload_memory.py [--megabytes 500]``. Each upload runs in a process of its own, to a
server on this machine that reads and forgets it. What is shown is the peak of the resident memory above
what the same process had, with everything imported, before the upload.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests

from django_rokka.api import RetryPolicy, RokkaClient

_IMAGE = {"hash": "a" * 40, "organization": "acme", "format": "bin"}
_ANSWER = json.dumps({"total": 1, "items": [_IMAGE]}).encode()


def _memory(key: str) -> int:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}; this benchmark needs Linux")


def _sink(listener: socket.socket) -> None:
    """Read requests to their end, keep nothing, answer as an upload is answered."""
    while True:
        connection, _ = listener.accept()
        with connection:
            head, _, rest = _read_head(connection).partition(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            left, buffer = length - len(rest), bytearray(1 << 20)
            while left > 0 and (size := connection.recv_into(buffer)):
                left -= size
            connection.sendall(
                b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nConnection: close\r\n"
                b"Content-Length: " + str(len(_ANSWER)).encode() + b"\r\n\r\n" + _ANSWER
            )


def _read_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    return head


def _ours(url: str, path: Path) -> None:
    client = RokkaClient("acme", api_key="x", base_url=url, retry=RetryPolicy(attempts=1))
    with path.open("rb") as file:
        client.create_source_image(file)


def _theirs(url: str, path: Path) -> None:
    with path.open("rb") as file:
        requests.post(f"{url}/sourceimages/acme", files={"filedata": file}, timeout=600)


def _measured(upload: Callable[[str, Path], None], url: str, path: Path) -> tuple[int, float]:
    before, started = _memory("VmRSS"), time.perf_counter()
    upload(url, path)
    return _memory("VmHWM") - before, time.perf_counter() - started


def _run(upload: Callable[[str, Path], None], url: str, path: Path) -> tuple[float, float]:
    # A fresh process: the peak of an earlier upload must not count for this one.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        memory, seconds = pool.apply(_measured, (upload, url, path))
    return memory / 2**20, seconds


def main() -> int:
    """Measure and print. Exit code 1 if ours takes 32 MB or more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=500)
    megabytes = parser.parse_args().megabytes
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_sink, args=(listener,), daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "large.bin"
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(os.urandom(2**20))
        ours, theirs = _run(_ours, url, path), _run(_theirs, url, path)
    print(f"upload of {megabytes} MB       peak above idle     time")
    print(f"django_rokka          {ours[0]:10.1f} MB  {ours[1]:8.2f} s")
    print(f"requests, files=      {theirs[0]:10.1f} MB  {theirs[1]:8.2f} s")
    print(
        f"ratio requests/ours   {theirs[0] / max(ours[0], 0.1):10.0f} x   {theirs[1] / ours[1]:8.2f} x"
    )
    return 0 if ours[0] < 32 else 1


if __name__ == "__main__":
    sys.exit(main())
