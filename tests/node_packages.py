"""Packages of node for tests and benchmarks, as a ``package-lock.json`` pins them, installed once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_ROOT = Path(__file__).parents[1]
#: Rokka's own JavaScript clients.
OFFICIAL = Path(__file__).parent / "api" / "node"


class NodeMissing(Exception):
    """There is no node, or no npm, or it could not install the packages."""


def run(script: Path, *arguments: str, input: str = "") -> str:
    """What a script puts out. It gets the folder of the official clients as its first argument."""
    command = [_program("node"), str(script), str(installed(OFFICIAL)), *arguments]
    done = subprocess.run(  # noqa: S603
        command, input=input, capture_output=True, text=True, encoding="utf-8", timeout=600
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def installed(package: Path) -> Path:
    """A folder with ``node_modules`` for the lock in ``package``. Raises `NodeMissing`."""
    lock = (package / "package-lock.json").read_bytes()
    target = _ROOT / ".node" / hashlib.sha256(lock).hexdigest()[:16]
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            _install(package, Path(folder) / "new")
            # Whole or not at all. Another run may have been quicker; what it installed is as good.
            with contextlib.suppress(OSError):
                os.rename(Path(folder) / "new", target)
    return target


def _install(package: Path, folder: Path) -> None:
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(package / name, folder)
    command = [_program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise NodeMissing(f"npm could not install {package.name}: {done.stderr[-500:]}")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise NodeMissing(name)
    return path
