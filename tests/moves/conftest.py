"""A living site for each test that asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from django_rokka.emulator import Emulator


@pytest.fixture
def emulator(rokka_emulator: Emulator, settings: Any, tmp_path: Path) -> Emulator:
    """A site whose files lie on the disk, and whose settings fall back to it."""
    options = {"location": str(tmp_path / "old"), "base_url": "/old/"}
    old = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "old": old}
    default = {**settings.ROKKA["default"], "FALLBACK": "old"}
    settings.ROKKA = {**settings.ROKKA, "default": default}
    (tmp_path / "old").mkdir()
    return rokka_emulator
