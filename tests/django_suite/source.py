"""Django's own tests, from its source distribution: only that has them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django

from tests.conftest import missing
from tests.django_suite import PACKAGES

_CACHE = Path(__file__).parents[2] / ".pytest_cache" / "django-suite"


def djangos_tests() -> Path:
    """The folder with the packages of tests; pip downloads them once for each version of Django."""
    version = django.get_version()
    folder = _CACHE / version
    if not folder.is_dir():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as temporary:
            archive = _download(version, Path(temporary))
            unpacked = Path(temporary, "unpacked")
            _unpack(archive, unpacked)
            # Another process may have been quicker.
            if not folder.is_dir():
                unpacked.rename(folder)
    return folder


def _download(version: str, target: Path) -> Path:
    """With pip, which knows this machine's package index."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--retries=1", "--no-deps"]
    command += ["--no-binary=django", f"--dest={target}", f"django=={version}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip
    archives = list(target.glob("*.tar.gz"))
    if result.returncode or not archives:
        missing(f"Django's source distribution ({result.stderr.strip()})")
    return archives[0]


def _unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as packed:
        for member in packed:
            _, _, path = member.name.partition("/tests/")
            if member.isfile() and path.partition("/")[0] in PACKAGES:
                file = packed.extractfile(member)
                assert file is not None
                (target / path).parent.mkdir(parents=True, exist_ok=True)
                (target / path).write_bytes(file.read())
