"""The command line: ``python -m django_rokka.emulator --data DIR --organization acme --api-key KEY``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from .server import Emulator


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal ends it. Exit code 0, or 2 for a port that cannot be had."""
    options = _parser().parse_args(arguments)
    emulator = Emulator(
        options.data,
        organizations=options.organization or ["acme"],
        api_key=options.api_key,
        host=options.host,
        port=options.port,
        allow_private=options.allow_private,
    )
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        emulator.start()
    except OSError as error:
        reason = error.strerror or error
        sys.stderr.write(f"Cannot listen on {options.host}:{options.port}: {reason}.\n")
        return 2
    _announce(emulator)
    ended.wait()
    emulator.stop()
    return 0


def _announce(emulator: Emulator) -> None:
    sys.stdout.write(f"API      {emulator.api_url}\n")
    for name in emulator.organizations:
        sys.stdout.write(f"Renders  {emulator.render_url.format(organization=name)}\n")
    sys.stdout.write("Ready.\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m django_rokka.emulator",
        description="A rokka API and renderer on this machine: no account, no network.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8899, help="port; 0 takes a free one")
    parser.add_argument(
        "--data", type=Path, help="directory to keep state in; default: none is kept"
    )
    parser.add_argument(
        "--organization", action="append", help="an organization; may be given several times"
    )
    parser.add_argument(
        "--api-key", default="demo-key", help="the key that may do everything in them"
    )
    parser.add_argument(
        "--allow-private", action="store_true", help="upload by URL from private addresses as well"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
