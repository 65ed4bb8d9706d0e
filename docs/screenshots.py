"""Take over the screenshots that the documentation shows, from the folder that is named; see ``make screenshots``."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

IMAGES = Path(__file__).with_name("images")


def take_over(folder: Path) -> None:
    """Replace each PNG of the documentation by its namesake, with 256 colours. Raises `FileNotFoundError`."""
    for file in sorted(IMAGES.glob("*.png")):
        with Image.open(folder / file.name) as image:
            image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    take_over(Path(sys.argv[1]))
