"""What the steps of a stack do to a picture.

Facts from the operations chapter of rokka's documentation. Steps that it has and that are missing
here (text, face, composition, …) are refused with a message, never skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image, ImageChops, ImageColor, ImageEnhance, ImageFilter, ImageOps

from .answers import Refusal
from .catalogue import OPERATIONS

Options = Mapping[str, Any]
Box = tuple[float, float, float, float]
Size = tuple[int, int]

#: A render may not be wider or higher than this many pixels.
MAX_SIDE = 10_000


@dataclass(frozen=True)
class Area:
    """A part of the picture, in pixels of its present size. ``exact`` for a crop area."""

    x: float
    y: float
    width: float
    height: float
    exact: bool = False

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the area."""
        return self.x + self.width / 2, self.y + self.height / 2

    def moved(self, dx: float, dy: float, fx: float = 1, fy: float = 1) -> Area:
        """The area after a crop by (dx, dy) and a resize by the factors."""
        return replace(
            self,
            x=(self.x - dx) * fx,
            y=(self.y - dy) * fy,
            width=self.width * fx,
            height=self.height * fy,
        )


@dataclass(frozen=True)
class Canvas:
    """A picture on its way through a stack, with the areas that move along. ``dpr`` scales resizes."""

    picture: Image.Image
    areas: Mapping[str, Area]
    dpr: float = 1.0

    def show(self, picture: Image.Image) -> Canvas:
        """Another look, the same geometry."""
        return replace(self, picture=picture)


def apply(canvas: Canvas, name: str, options: Options) -> Canvas:
    """Carry out one step. Raises a 400 `Refusal` for one that is unknown or not supported here."""
    if name not in OPERATIONS:
        raise Refusal(400, f"Unknown operation {name!r}; known: {', '.join(sorted(OPERATIONS))}.")
    unknown = sorted(set(options) - set(OPERATIONS[name]["properties"]))
    if unknown:
        known = ", ".join(sorted(OPERATIONS[name]["properties"]))
        raise Refusal(400, f"Unknown option {unknown[0]!r} of {name}; known: {known}.")
    if not flag(options.get("enabled", True)):
        return canvas
    step = _STEPS.get(name)
    if step is None:
        raise Refusal(400, f"The emulator does not support the operation {name!r}.")
    return step(canvas, options)


def flag(value: Any) -> bool:
    """Read a boolean that may come from a URL."""
    return str(value).lower() in ("true", "1")


def number(options: Options, key: str, default: float | None = None) -> float:
    """Read a number. Raises a 400 `Refusal` if it is missing or none."""
    value = options.get(key, default)
    try:
        return float(str(value))
    except ValueError:
        raise Refusal(400, f"{key!r} needs a number, got {value!r}.") from None


def _side(options: Options, key: str) -> float | None:
    if options.get(key) in (None, ""):
        return None
    value = number(options, key)
    if not 1 <= value <= 99_999:
        raise Refusal(400, f"{key!r} must be 1 or more, got {value:g}.")
    return value


# --- resize ---------------------------------------------------------------------------------


def resized(size: Size, options: Options, dpr: float = 1.0) -> Size:
    """Width and height after a resize."""
    width, height = _side(options, "width"), _side(options, "height")
    if width is None and height is None:
        raise Refusal(400, "resize needs a width or a height.")
    mode = options.get("mode", "box")
    fx = _factor(width, size[0], options, dpr)
    fy = _factor(height, size[1], options, dpr)
    if fx is None or fy is None:
        fx = fy = fx or fy or 1.0
    elif mode != "absolute":
        fx = fy = max(fx, fy) if mode == "fill" else min(fx, fy)
    result = max(round(size[0] * fx), 1), max(round(size[1] * fy), 1)
    if max(result) > MAX_SIDE:
        raise Refusal(400, f"The render would be {result[0]}x{result[1]}; the limit is {MAX_SIDE}.")
    return result


def _factor(wanted: float | None, current: int, options: Options, dpr: float) -> float | None:
    if wanted is None:
        return None
    plain = wanted / current
    if not flag(options.get("upscale", True)):
        plain = min(plain, 1.0)
    scaled = plain * dpr
    if flag(options.get("upscale_dpr", True)):
        return scaled
    return min(scaled, max(plain, 1.0))


def _resize(canvas: Canvas, options: Options) -> Canvas:
    old = canvas.picture.size
    new = resized(old, options, canvas.dpr)
    fx, fy = new[0] / old[0], new[1] / old[1]
    areas = {key: area.moved(0, 0, fx, fy) for key, area in canvas.areas.items()}
    picture = canvas.picture.resize(new, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return replace(canvas, picture=picture, areas=areas)


# --- crop -----------------------------------------------------------------------------------


def crop_box(size: Size, options: Options, areas: Mapping[str, Area], dpr: float = 1.0) -> Box:
    """The part a crop keeps: left, top, right, bottom."""
    area = _chosen_area(options, areas)
    if area and options.get("mode", "absolute") in ("box", "area"):
        return _area_box(size, options, area)
    width, height = _crop_size(size, options, dpr)
    left, top = _corner(size, (width, height), options, area)
    left = min(max(left, 0), size[0] - width)
    top = min(max(top, 0), size[1] - height)
    return left, top, left + width, top + height


def _crop_size(size: Size, options: Options, dpr: float) -> tuple[float, float]:
    width, height = number(options, "width"), number(options, "height")
    if options.get("mode", "absolute") == "absolute":
        width, height = width * dpr, height * dpr
    else:
        factor = min(size[0] / width, size[1] / height)
        width, height = width * factor, height * factor
    scale = number(options, "scale", 100) / 100
    return min(width * scale, size[0]), min(height * scale, size[1])


def _chosen_area(options: Options, areas: Mapping[str, Area]) -> Area | None:
    named = areas.get(f"multi_areas.{options.get('area')}") if options.get("area") else None
    # With both set, rokka takes the subject area.
    return named or areas.get("subject_area") or areas.get("crop_area")


def _area_box(size: Size, options: Options, area: Area) -> Box:
    """Mode ``box``: the area itself; ``area``: the smallest box of the ratio that holds it."""
    width, height = area.width, area.height
    if options.get("mode") == "area":
        ratio = number(options, "width") / number(options, "height")
        width, height = max(width, height * ratio), max(height, width / ratio)
    width, height = min(width, size[0]), min(height, size[1])
    x, y = area.center
    left = min(max(x - width / 2, 0), size[0] - width)
    top = min(max(y - height / 2, 0), size[1] - height)
    return left, top, left + width, top + height


def _corner(
    size: Size, box: tuple[float, float], options: Options, area: Area | None
) -> tuple[float, float]:
    anchor = str(options.get("anchor", "auto"))
    if anchor in ("auto", "subjectarea", "croparea", "face", "smart"):
        if area and anchor != "smart":
            return area.center[0] - box[0] / 2, area.center[1] - box[1] / 2
        anchor = str(options.get("fallback", "center_center"))
        anchor = "center_center" if anchor in ("auto", "smart", "face") else anchor
    across, _, down = anchor.replace("-", "_").partition("_")
    return _offset(across, size[0] - box[0]), _offset(down, size[1] - box[1])


def _offset(word: str, room: float) -> float:
    shares = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}
    if word in shares:
        return room * shares[word]
    if not word.isdigit():
        raise Refusal(400, f"Unknown anchor part {word!r}; expected e.g. auto, left_top, 10_20.")
    return float(word)


def _crop(canvas: Canvas, options: Options) -> Canvas:
    box = crop_box(canvas.picture.size, options, canvas.areas, canvas.dpr)
    left, top = round(box[0]), round(box[1])
    right = left + max(round(box[2] - box[0]), 1)
    bottom = top + max(round(box[3] - box[1]), 1)
    areas = {key: area.moved(left, top) for key, area in canvas.areas.items()}
    return replace(canvas, picture=canvas.picture.crop((left, top, right, bottom)), areas=areas)


# --- looks ----------------------------------------------------------------------------------


def _rotate(canvas: Canvas, options: Options) -> Canvas:
    angle = number(options, "angle")
    if not -360 <= angle <= 360:
        raise Refusal(400, f"angle must be between -360 and 360, got {angle:g}.")
    opacity = round(number(options, "background_opacity", 0) * 2.55)
    color = ImageColor.getrgb(f"#{options.get('background_color', 'FFFFFF')}")[:3]
    picture = canvas.picture
    if angle % 90:
        picture = picture.convert("RGBA")
    fill = (*color, opacity) if picture.mode == "RGBA" else color
    # Pillow turns the other way round. Areas do not follow a rotation (Choice).
    turned = picture.rotate(-angle, Image.Resampling.BICUBIC, expand=True, fillcolor=fill)
    return replace(canvas, picture=turned, areas={})


def _autorotate(canvas: Canvas, options: Options) -> Canvas:
    # Pictures are upright from the start; with a box, turn to its orientation.
    width, height = _side(options, "width"), _side(options, "height")
    if width is None or height is None or width == height:
        return canvas
    across, down = canvas.picture.size
    if (width > height) == (across > down) or across == down:
        return canvas
    clockwise = options.get("rotation_direction", "clockwise") == "clockwise"
    return _rotate(canvas, {"angle": 90 if clockwise else -90})


def _colors(
    change: Callable[[Image.Image, Options], Image.Image],
) -> Callable[[Canvas, Options], Canvas]:
    """A step that changes colours and leaves transparency alone."""

    def step(canvas: Canvas, options: Options) -> Canvas:
        changed = change(canvas.picture.convert("RGB"), options).convert(canvas.picture.mode)
        if canvas.picture.mode == "RGBA":
            changed.putalpha(canvas.picture.getchannel("A"))
        return canvas.show(changed)

    return step


def _grayscale(picture: Image.Image, options: Options) -> Image.Image:
    steps = number(options, "levels", 256) - 1
    if not 1 <= steps <= 255:
        raise Refusal(400, f"levels must be between 2 and 256, got {steps + 1:g}.")
    gray = ImageOps.grayscale(picture)
    return gray.point(lambda value: round(round(value / 255 * steps) / steps * 255))


def _sepia(picture: Image.Image, options: Options) -> Image.Image:
    return ImageOps.colorize(ImageOps.grayscale(picture), "#1b0f04", "#fff4dc", mid="#a98a63")


def _modulate(picture: Image.Image, options: Options) -> Image.Image:
    hue = round(number(options, "hue", 0) / 360 * 255)
    if hue:
        bands = picture.convert("HSV").split()
        bands = (bands[0].point(lambda value: (value + hue) % 256), *bands[1:])
        picture = Image.merge("HSV", bands).convert("RGB")
    picture = ImageEnhance.Color(picture).enhance(number(options, "saturation", 100) / 100)
    return ImageEnhance.Brightness(picture).enhance(number(options, "brightness", 100) / 100)


def _multiply(picture: Image.Image, options: Options) -> Image.Image:
    value = round(number(options, "factor", 0.96) * 255)
    color = options.get("factor_color")
    shade = ImageColor.getrgb(f"#{color}")[:3] if color else (value, value, value)
    return ImageChops.multiply(picture, Image.new("RGB", picture.size, shade))


def _alpha(canvas: Canvas, options: Options) -> Canvas:
    picture = canvas.picture.convert("RGBA")
    alpha, mode = picture.getchannel("A"), options.get("mode", "mask")
    if mode == "remove":
        return canvas.show(picture.convert("RGB"))
    if mode == "apply":
        share = number(options, "opacity", 50) / 100
        picture.putalpha(alpha.point(lambda value: round(value * share)))
        return canvas.show(picture)
    return canvas.show(alpha.convert("RGB"))


def _trim(canvas: Canvas, options: Options) -> Canvas:
    picture = canvas.picture
    ground = Image.new(picture.mode, picture.size, picture.getpixel((0, 0)))
    tolerance = round(number(options, "fuzzy", 0) * 2.55)
    difference = ImageChops.difference(picture, ground).convert("L")
    box = difference.point(lambda value: 255 if value > tolerance else 0).getbbox()
    if box is None:
        return canvas
    areas = {key: area.moved(box[0], box[1]) for key, area in canvas.areas.items()}
    return replace(canvas, picture=picture.crop(box), areas=areas)


def _blur(canvas: Canvas, options: Options) -> Canvas:
    return canvas.show(canvas.picture.filter(ImageFilter.GaussianBlur(number(options, "sigma", 4))))


_STEPS: Mapping[str, Callable[[Canvas, Options], Canvas]] = {
    "alpha": _alpha,
    "autorotate": _autorotate,
    "blur": _blur,
    "crop": _crop,
    "grayscale": _colors(_grayscale),
    "modulate": _colors(_modulate),
    "multiply": _colors(_multiply),
    "noop": lambda canvas, options: canvas,
    "resize": _resize,
    "rotate": _rotate,
    "sepia": _colors(_sepia),
    "sharpen": lambda canvas, options: canvas.show(canvas.picture.filter(ImageFilter.SHARPEN)),
    "svg2bitmap": lambda canvas, options: canvas,
    "trim": _trim,
}
