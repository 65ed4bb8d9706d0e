"""Alt texts. The emulator sees nothing: it writes what it knows of the file, in the language asked for.

Source: the auto descriptions chapter of rokka's documentation. Choice: the texts are kept in the user
metadata fields ``text:auto_description_<language>``, since the documentation names none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .answers import Refusal
from .state import Image

_TEXTS = {
    "en": "An image named {name}, {width} by {height} pixels",
    "de": "Ein Bild namens {name}, {width} mal {height} Pixel",
    "fr": "Une image nommée {name}, {width} sur {height} pixels",
    "it": "Un'immagine di nome {name}, {width} per {height} pixel",
}


def described(image: Image, wanted: Mapping[str, Any]) -> Image:
    """Add descriptions; those that exist stay unless ``force``. Raises a 400 `Refusal` for a language."""
    languages = wanted.get("languages")
    if not isinstance(languages, list) or not languages or set(languages) - set(_TEXTS):
        raise Refusal(400, f"languages must be some of {', '.join(sorted(_TEXTS))}.")
    texts = {
        f"text:auto_description_{language}": _TEXTS[language].format(
            name=image.name, width=image.width, height=image.height
        )
        for language in languages
    }
    kept = {} if wanted.get("force") is True else image.user_metadata
    return replace(image, user_metadata={**image.user_metadata, **texts, **kept})
