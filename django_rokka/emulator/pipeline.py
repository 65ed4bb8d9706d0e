"""A recipe applied to a picture: from stored bytes and steps to the bytes of a render."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import blurhash
from PIL import Image as Picture

from . import formats, operations
from .answers import Refusal
from .operations import Area, Canvas
from .state import Image

Step = tuple[str, Mapping[str, Any]]

#: An SVG is drawn at the width it is needed, up to this many pixels.
_MAX_DRAWING = 4096


@dataclass(frozen=True)
class Recipe:
    """What to do: steps in order, stack options, and the output format (an extension, or ``blur``)."""

    steps: tuple[Step, ...]
    format: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dpr(self) -> float:
        """The device pixel ratio that scales resizes."""
        value = operations.number(self.options, "dpr", 1)
        if not 1 <= value <= 10:
            raise Refusal(400, f"dpr must be between 1 and 10, got {value:g}.")
        return value


def render(image: Image, binary: Path, recipe: Recipe) -> bytes:
    """Carry out a recipe. Raises a 400 `Refusal` for what cannot be done."""
    _check_dpr(recipe)
    if recipe.format == "svg" and image.format == "svg":
        return _render_svg(image, binary, recipe)
    if recipe.format != "blur" and not formats.can_encode(recipe.format):
        if image.format == recipe.format:
            return binary.read_bytes()  # Choice: what cannot be written is given as it is stored
        raise Refusal(400, f"A {image.format} image cannot be rendered as {recipe.format!r}.")
    frames = formats.read_frames(
        binary, image.format, (image.width, image.height), svg_width=_drawing_width(image, recipe)
    )
    if recipe.format not in ("gif", "webp", "png"):
        frames = frames[:1]
    done = [(_apply(picture, image, recipe), duration) for picture, duration in frames]
    if recipe.format == "blur":
        return _blurhash(done[0][0]).encode()
    return formats.encode(done, recipe.format, recipe.options)


def _check_dpr(recipe: Recipe) -> None:
    if recipe.dpr != 1 and not any(name == "resize" for name, _ in recipe.steps):
        raise Refusal(400, "The option dpr needs a resize operation.")


def _apply(picture: Picture.Image, image: Image, recipe: Recipe) -> Picture.Image:
    canvas = Canvas(picture, _areas(image, picture.size), recipe.dpr)
    for name, options in recipe.steps:
        canvas = operations.apply(canvas, name, options)
    return canvas.picture


def _areas(image: Image, size: operations.Size) -> dict[str, Area]:
    """The image's areas in pixels of the decoded picture, by name; named ones as ``multi_areas.<name>``."""
    found = dict(image.dynamic_metadata)
    for name, kinds in image.dynamic_metadata.get("multi_areas", {}).items():
        for kind, values in kinds.items():
            found[f"multi_areas.{name}"] = {**values, "exact": kind == "crop_area"}
    return {
        name: _area(values, image, size)
        for name, values in found.items()
        if name in ("subject_area", "crop_area") or name.startswith("multi_areas.")
    }


def _area(values: Mapping[str, Any], image: Image, size: operations.Size) -> Area:
    base = (100, 100) if values.get("percentage") else (image.width, image.height)
    fx, fy = size[0] / base[0], size[1] / base[1]
    return Area(
        values["x"] * fx,
        values["y"] * fy,
        values.get("width", 1) * fx,
        values.get("height", 1) * fy,
        bool(values.get("exact")),
    )


def _drawing_width(image: Image, recipe: Recipe) -> int:
    wanted = [
        operations.resized((image.width, image.height), options, recipe.dpr)[0]
        for name, options in recipe.steps
        if name == "resize"
    ]
    return min(max([image.width, *wanted]), _MAX_DRAWING)


def _render_svg(image: Image, binary: Path, recipe: Recipe) -> bytes:
    size = (image.width, image.height)
    for name, options in recipe.steps:
        if name == "resize":
            size = operations.resized(size, options, recipe.dpr)
        elif name != "noop":
            raise Refusal(400, f"The emulator cannot {name} an SVG as SVG; ask for png.")
    return formats.resized_svg(binary.read_bytes(), *size)


def _blurhash(picture: Picture.Image) -> str:
    small = picture.convert("RGB")
    small.thumbnail((32, 32))
    raw, stride = small.tobytes(), small.width * 3
    lines = [raw[start : start + stride] for start in range(0, len(raw), stride)]
    rows = [[line[at : at + 3] for at in range(0, stride, 3)] for line in lines]
    return str(blurhash.encode(rows, components_x=4, components_y=3))
