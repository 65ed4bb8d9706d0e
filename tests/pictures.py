"""Small files of every kind, for uploads."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

from PIL import Image

from example_project.pictures import Picture, pictures

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100" viewBox="0 0 200 100">'
    b'<rect width="200" height="100" fill="#c00"/></svg>'
)
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"\x00" * 64


def picture(
    size: tuple[int, int] = (80, 60), format: str = "JPEG", color: Any = "#3366cc", **options: Any
) -> bytes:
    """One colour, in any format that Pillow writes."""
    mode = "RGBA" if isinstance(color, tuple) and len(color) == 4 else "RGB"
    target = io.BytesIO()
    Image.new(mode, size, color).save(target, format, **options)
    return target.getvalue()


def halves(size: tuple[int, int] = (100, 50), format: str = "PNG") -> bytes:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, "#ff0000")
    image.paste("#0000ff", (size[0] // 2, 0, *size))
    target = io.BytesIO()
    image.save(target, format)
    return target.getvalue()


def rotated(size: tuple[int, int] = (80, 60)) -> bytes:
    """A JPEG that EXIF turns by a quarter: a viewer sees width and height exchanged."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture(size, exif=exif)


def animation(size: tuple[int, int] = (40, 30)) -> bytes:
    """A GIF of three frames."""
    frames = [Image.new("RGB", size, color) for color in ("#f00", "#0f0", "#00f")]
    target = io.BytesIO()
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)
    return target.getvalue()


def opened(content: bytes) -> Image.Image:
    """Decode a render."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@cache
def demo(scale: float) -> tuple[Picture, ...]:
    """The demo's pictures, drawn once for each scale: that takes a second or two."""
    return tuple(pictures(scale))
