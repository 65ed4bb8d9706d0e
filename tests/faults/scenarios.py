"""What a row of the grid is made of: a scenario, and the world that it happens in."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django_rokka.api import RokkaClient
from django_rokka.emulator import Emulator
from django_rokka.emulator.state import hash_of
from tests.pictures import picture

#: Two pictures, and a third one that is uploaded in a scenario.
DOG, CAT, BIRD = (picture((8, 6), color=color) for color in ("#3366cc", "#cc3366", "#66cc33"))
#: The binary hash of the first one.
BINARY = hashlib.sha1(DOG, usedforsecurity=False).hexdigest()


class Reported(Exception):
    """The service has told of the trouble in its own words, and raised nothing."""


def reported(ok: bool) -> None:
    """For a service that tells instead of raising."""
    if not ok:
        raise Reported


@dataclass
class World:
    """A client and the emulator that it calls; what a scenario keeps, it keeps in ``things``."""

    emulator: Emulator
    client: RokkaClient
    things: dict[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """The hash of the dog, whether it is at rokka or not."""
        return hash_of(BINARY, {}, False)

    def upload(self, content: bytes = DOG, name: str = "dog.jpg", **options: Any) -> str:
        """Upload a picture; gives its hash."""
        return self.client.create_source_image(io.BytesIO(content), name=name, **options).hash

    def __getattr__(self, name: str) -> Any:
        return self.things[name]


def upload_dog(world: World) -> None:
    """Most scenarios begin with a picture at rokka."""
    world.upload(user_metadata={"title": "Dog"})


def forget_purges(world: World) -> None:
    """As an hour later: there are five purges of an image in an hour, and each try counts."""
    with world.emulator.application.state.transaction() as db:
        db.execute("DELETE FROM purges")


@dataclass(frozen=True)
class Scenario:
    """A call to make in a world that was prepared.

    ``reads`` tells whether it needs the body of the answer that is struck. ``instead`` is what it comes to in
    place of any error, ``unlike`` are the faults that come to something else than that, and ``why``. The
    fault strikes the call of ``method`` and ``path`` after ``skip`` of them. ``again`` is what puts things
    right after trouble; by default the same call. ``breaks`` is for what takes pictures from rows on purpose.

    Outcomes beside those of `FAULTS`: ``as sent`` (the result is whatever came), ``reported`` (see
    `Reported`), ``later`` (no error, but something is left for a later run).
    """

    call: Callable[[World], Any]
    prepare: Callable[[World], Any] = upload_dog
    reads: bool = False
    instead: str = ""
    unlike: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    method: str | None = None
    path: str = ""
    skip: int = 0
    again: Callable[[World], Any] | None = None
    breaks: bool = False


def unlike(outcome: str, *faults: str) -> dict[str, str]:
    """The same outcome for several faults."""
    return dict.fromkeys(faults, outcome)
