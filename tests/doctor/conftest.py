"""A site at the emulator whose keys can be told from everything else, and a doctor for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command

from django_rokka.emulator import Emulator
from tests.library.models import Article
from tests.pictures import picture

KEY = "k3yThatNobodyMustSee0123456789ab"
SIGNING_KEY = "s1gningKeyThatNobodyMustSee01234"

Doctor = Callable[..., "Report"]


class Report:
    """What the command said as JSON, and its exit code."""

    def __init__(self, text: str, code: int) -> None:
        self.text, self.code = text, code
        self.document: dict[str, Any] = json.loads(text)

    def codes(self, check: str = "", alias: str = "") -> list[str]:
        """The codes of what was found, of one check and alias or of all."""
        return [
            item["code"]
            for item in self.document["findings"]
            if check in ("", item["check"]) and alias in ("", item["alias"])
        ]

    def one(self, code: str) -> dict[str, str]:
        """The one finding with this code."""
        (finding,) = (item for item in self.document["findings"] if item["code"] == code)
        return dict(finding)

    def case(self) -> dict[str, Any]:
        """The one picture that is gone."""
        (case,) = self.document["references"]
        return dict(case)


@pytest.fixture
def configure(rokka_emulator: Emulator, settings: Any) -> Callable[..., None]:
    """Change the settings of an alias, the default one unless it is said; ``None`` takes one out."""

    def configure(alias: str = "default", **values: Any) -> None:
        merged = {**settings.ROKKA.get(alias, settings.ROKKA["default"]), **values}
        left = {key: value for key, value in merged.items() if value is not None}
        settings.ROKKA = {**settings.ROKKA, alias: left}

    return configure


@pytest.fixture
def site(
    rokka_emulator: Emulator, settings: Any, configure: Callable[..., None], tmp_path: Any
) -> Emulator:
    """One alias, with a key of its own that may write."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    settings.ROKKA = {"default": settings.ROKKA["default"]}
    rokka_emulator.add_key(KEY, {"acme": "write"})
    configure(API_KEY=KEY)
    return rokka_emulator


@pytest.fixture
def doctor(site: Emulator, capsys: Any) -> Doctor:
    """Run the command with ``--json``; before that nothing at rokka is counted as a call."""

    def doctor(*options: str) -> Report:
        capsys.readouterr()
        code = 0
        try:
            call_command("rokka_doctor", "--json", "--timeout=2", *options)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Report(capsys.readouterr().out, code)

    return doctor


def article(title: str = "dog", color: str = "#3366cc", **options: Any) -> Article:
    """A row with a picture."""
    file = ContentFile(picture(color=color), name=f"{title}.jpg")
    return Article.objects.create(title=title, photo=file, **options)
