"""`Chosen`: an image that a form names by a signed text, so that nobody can name one that was not offered.

It is how a picture stays chosen in a form that comes back with an error, and how one is picked from the
mirror: what was uploaded once is not uploaded again.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from django.core import signing

from .api import ImageName, InvalidArgument

_SALT = "django_rokka.chosen"


@dataclass(frozen=True)
class Chosen:
    """An image by its ``organization`` and ``name`` (``<hash>/<slug>.<format>``); its size in pixels."""

    organization: str
    name: str
    width: int | None = None
    height: int | None = None

    @property
    def token(self) -> str:
        """The signed text. Whoever has it may let a row show this image."""
        return signing.dumps(astuple(self), salt=_SALT)

    @classmethod
    def read(cls, token: str) -> Chosen | None:
        """What a token says; ``None`` if it was not made here, or was changed."""
        try:
            chosen = cls(*signing.loads(token, salt=_SALT))
            ImageName.parse(chosen.name)
        except (signing.BadSignature, InvalidArgument, TypeError):
            return None
        return chosen
