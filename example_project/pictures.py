"""The demo's pictures: drawn here, the same each time, in the formats an editor meets.

Everything is made of gradients, ridges and noise. A picture is drawn at ``scale`` times its size, so
that tests can ask for small ones.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Size = tuple[int, int]
Painter = Callable[[Size, random.Random], Image.Image]

_EXIF_ORIENTATION, _TURN_RIGHT = 0x0112, 6


@dataclass(frozen=True)
class Picture:
    """A file to upload, and what is said about it. ``size`` is as a viewer sees it, in pixels.

    ``focus`` is where its subject is, in percent of width and height.
    """

    title: str
    filename: str
    alt: str
    size: Size
    content: bytes
    focus: Size | None = None


def pictures(scale: float = 1.0) -> Iterator[Picture]:
    """Draw all pictures, one after the other."""
    for title, filename, alt, size, painter in _PICTURES:
        scaled = round(size[0] * scale), round(size[1] * scale)
        content = _save(painter(scaled, random.Random(title)), filename)  # noqa: S311 - a drawing
        yield Picture(title, filename, alt, scaled, content, _FOCUS.get(title))
    width, height = round(1600 * scale), round(1000 * scale)
    yield Picture(
        "Regatta",
        "regatta.svg",
        "Three sailing boats under a low sun, in flat colours",
        (width, height),
        _regatta(width, height).encode(),
    )
    size = round(640 * scale), round(400 * scale)
    yield Picture("Tide", "tide.gif", "Bands of water rise and fall", size, _tide(size))


def _save(picture: Image.Image, filename: str) -> bytes:
    target = io.BytesIO()
    if filename.endswith(".png"):
        picture.save(target, "PNG", optimize=False)
    elif filename.endswith(".webp"):
        picture.save(target, "WEBP", quality=86)
    elif filename.startswith("lighthouse"):
        # As a camera held upright stores it: lying on its side, with a note to turn it.
        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = _TURN_RIGHT
        turned = picture.transpose(Image.Transpose.ROTATE_90)
        turned.save(target, "JPEG", quality=88, exif=exif)
    else:
        picture.save(target, "JPEG", quality=88)
    return target.getvalue()


# --- Materials ------------------------------------------------------------------------------


def _gradient(size: Size, colors: Sequence[str]) -> Image.Image:
    """Colours from top to bottom, blended smoothly."""
    strip = Image.new("RGB", (1, len(colors)))
    for index, color in enumerate(colors):
        strip.paste(color, (0, index, 1, index + 1))
    return strip.resize((1, 256), Image.Resampling.BICUBIC).resize(size, Image.Resampling.BICUBIC)


def _grain(picture: Image.Image, strength: float = 10) -> Image.Image:
    """A little film grain, so that gradients do not look like plastic."""
    noise = Image.effect_noise((picture.width // 2, picture.height // 2), strength)
    noise = noise.resize(picture.size, Image.Resampling.BILINEAR)
    return ImageChops.overlay(picture, Image.merge("RGB", [noise] * 3))


def _glow(picture: Image.Image, center: Size, radius: int, color: str, power: float) -> None:
    """Light around a point, added to what is there."""
    # Pillow's gradient is 0 in the middle and 180 at the middle of each edge: there the light ends.
    falloff = Image.radial_gradient("L").resize((radius * 2, radius * 2))
    falloff = falloff.point(lambda value: round(255 * max(1 - value / 179, 0) ** power))
    light = Image.new("RGB", falloff.size, color)
    light = Image.composite(light, Image.new("RGB", falloff.size), falloff)
    layer = Image.new("RGB", picture.size)
    layer.paste(light, (center[0] - radius, center[1] - radius))
    picture.paste(ImageChops.screen(picture, layer))


def _ridge(
    width: int, rng: random.Random, base: float, height: float, rough: float
) -> list[tuple[float, float]]:
    """The outline of a hill: waves of ever shorter length and smaller height."""
    waves = [
        (rng.uniform(0, math.tau), 2**octave * rng.uniform(0.7, 1.3), height * rough**octave)
        for octave in range(8)
    ]
    step = max(width // 600, 1)
    return [
        (x, base + sum(h * math.sin(p + f * math.tau * x / width) for p, f, h in waves) / 2)
        for x in range(-step, width + 2 * step, step)
    ]


def _hill(
    picture: Image.Image, ridge: Sequence[tuple[float, float]], colors: Sequence[str]
) -> None:
    """Fill what is below a ridge with colours that change downwards."""
    mask = Image.new("L", picture.size)
    floor = [(picture.width + 9, picture.height), (-9, picture.height)]
    ImageDraw.Draw(mask).polygon([*ridge, *floor], fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(picture.width / 2400))
    top = max(int(min(y for _, y in ridge)), 0)
    layer = Image.new("RGB", picture.size, colors[0])
    layer.paste(_gradient((picture.width, max(picture.height - top, 1)), colors), (0, top))
    picture.paste(layer, mask=mask)


def _blend(first: str, second: str, share: float) -> str:
    pairs = [(int(first[i : i + 2], 16), int(second[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _stars(picture: Image.Image, rng: random.Random, number: int, bottom: float) -> None:
    draw = ImageDraw.Draw(picture)
    for _ in range(number):
        x, y = rng.uniform(0, picture.width), picture.height * bottom * rng.random() ** 1.3
        radius = picture.width / 2400 * (0.6 + 2.2 * rng.random() ** 6)
        shade = _blend("#7f92c8", "#ffffff", rng.random())
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)


# --- Pictures -------------------------------------------------------------------------------


def _morning(size: Size, rng: random.Random) -> Image.Image:
    picture = _gradient(size, ["#f3b99a", "#f8d6b8", "#fbeadb", "#f6efe8"])
    _glow(picture, (int(size[0] * 0.68), int(size[1] * 0.3)), size[0] // 3, "#fff1c9", 1.3)
    for layer in range(7):
        share = layer / 6
        ridge = _ridge(size[0], rng, size[1] * (0.42 + 0.09 * layer), size[1] * 0.13, 0.52)
        near = _blend("#c9b8bd", "#1d2b3a", share**1.1)
        _hill(picture, ridge, [near, _blend(near, "#f2e3da", 0.55 * (1 - share * 0.7))])
    return _grain(picture)


def _night(size: Size, rng: random.Random) -> Image.Image:
    picture = _gradient(size, ["#050a1e", "#0c1a3f", "#1f3a6b", "#5b6f9c"])
    _stars(picture, rng, 1500, 0.75)
    moon, radius = (int(size[0] * 0.27), int(size[1] * 0.26)), size[0] // 26
    _glow(picture, moon, size[0] // 3, "#8fa9e8", 2)
    box = (moon[0] - radius, moon[1] - radius, moon[0] + radius, moon[1] + radius)
    ImageDraw.Draw(picture).ellipse(box, fill="#fdf6e0")
    for layer in range(4):
        ridge = _ridge(size[0], rng, size[1] * (0.62 + 0.11 * layer), size[1] * 0.22, 0.55)
        near = _blend("#2c4070", "#03060f", layer / 3)
        _hill(picture, ridge, [near, _blend(near, "#000208", 0.5)])
    return _grain(picture, 7)


def _dunes(size: Size, rng: random.Random) -> Image.Image:
    picture = _gradient(size, ["#2e6f9e", "#7fb3cf", "#cfe0dd", "#f3e4c4"])
    for layer in range(6):
        ridge = _ridge(size[0], rng, size[1] * (0.48 + 0.1 * layer), size[1] * 0.16, 0.24)
        light, dark = (
            _blend("#eecb8f", "#d98a45", layer / 5),
            _blend("#c98b55", "#7a3414", layer / 5),
        )
        _hill(picture, ridge, [light, dark, dark])
    return _grain(picture, 16)


def _sea(size: Size, rng: random.Random) -> Image.Image:
    width, height = size
    horizon = int(height * 0.56)
    sky = _gradient((width, horizon), ["#25305e", "#8a4a7c", "#ef7a5b", "#ffc36b"])
    sun = (width // 2, int(horizon * 0.82))
    _glow(sky, sun, width // 3, "#ffb760", 2)
    radius = width // 30
    box = (sun[0] - radius, sun[1] - radius, sun[0] + radius, sun[1] + radius)
    ImageDraw.Draw(sky).ellipse(box, fill="#fff3cf")
    picture = Image.new("RGB", size)
    picture.paste(sky, (0, 0))
    mirrored = ImageOps.flip(sky).resize((width, height - horizon))
    mirrored = ImageChops.multiply(mirrored, Image.new("RGB", mirrored.size, "#9aa6c8"))
    picture.paste(mirrored, (0, horizon))
    _ripples(picture, rng, horizon, sun[0])
    return _grain(picture, 9)


def _ripples(picture: Image.Image, rng: random.Random, horizon: int, sun: int) -> None:
    width, height = picture.size
    layer = Image.new("RGBA", picture.size)
    draw = ImageDraw.Draw(layer)
    for _ in range(2600):
        depth = rng.random() ** 1.8
        y = horizon + depth * (height - horizon)
        length = width * (0.006 + 0.05 * depth) * rng.uniform(0.4, 1.3)
        x = (
            rng.gauss(sun, width * (0.03 + 0.09 * depth))
            if rng.random() < 0.4
            else rng.uniform(0, width)
        )
        near_sun = abs(x - sun) < width * (0.05 + 0.1 * depth)
        color = (255, 214, 150, 150) if near_sun else (20, 26, 66, 60)
        thick = max(1, round(height * 0.004 * (0.3 + depth)))
        draw.line((x - length, y, x + length, y), fill=color, width=thick)
    picture.paste(
        layer.convert("RGB"), mask=layer.getchannel("A").filter(ImageFilter.GaussianBlur(1))
    )


def _city(size: Size, rng: random.Random) -> Image.Image:
    picture = _gradient(size, ["#1a1446", "#5b2a86", "#c94b7b", "#ff9e6d"])
    _stars(picture, rng, 160, 0.4)
    for layer in range(4):
        shade = _blend("#8a3f7d", "#0c0a1e", layer / 3)
        _houses(picture, rng, size[1] * (0.5 + 0.1 * layer), shade, lit=layer > 1)
    return _grain(picture, 8)


def _houses(
    picture: Image.Image, rng: random.Random, skyline: float, shade: str, *, lit: bool
) -> None:
    draw, unit, x = ImageDraw.Draw(picture), picture.width / 240, 0.0
    while x < picture.width:
        width = unit * rng.randint(6, 16)
        top = skyline - picture.height * 0.24 * rng.random() ** 1.7
        draw.rectangle((x, top, x + width, picture.height), fill=shade)
        if rng.random() < 0.2:
            mast = x + width / 2
            draw.line((mast, top - unit * 9, mast, top), fill=shade, width=max(int(unit / 2), 1))
        if lit:
            _windows(draw, rng, (x, top, x + width, float(picture.height)), unit)
        x += width + unit * rng.choice((0, 0, 0, 1))


def _windows(
    draw: ImageDraw.ImageDraw,
    rng: random.Random,
    house: tuple[float, float, float, float],
    unit: float,
) -> None:
    left, top, right, bottom = house
    y = top + unit * 1.5
    while y < bottom:
        x = left + unit
        while x < right - unit * 1.5:
            if rng.random() < 0.32:
                color = rng.choice(("#ffd98a", "#ffc35c", "#fff0c9", "#f6a35a"))
                draw.rectangle((x, y, x + unit * 0.9, y + unit * 1.1), fill=color)
            x += unit * 2
        y += unit * 2.6


def _aurora(size: Size, rng: random.Random) -> Image.Image:
    width, height = size
    picture = _gradient(size, ["#020617", "#04122b", "#0a2540", "#153a4c"])
    _stars(picture, rng, 900, 0.8)
    for color, base in (("#3dffb0", 0.52), ("#27d3c8", 0.42), ("#9a5cff", 0.3)):
        small = Image.new("L", (width // 4, height // 4))
        draw = ImageDraw.Draw(small)
        ridge = _ridge(small.width, rng, small.height * base, small.height * 0.16, 0.55)
        for x, y in ridge:
            length = small.height * rng.uniform(0.14, 0.34)
            for part in range(10):
                upper = y - length * (part + 1) / 10
                fade = round(150 * (1 - part / 10) ** 1.5)
                draw.rectangle((x, upper, x + 1, y - length * part / 10), fill=fade)
        curtain = small.filter(ImageFilter.GaussianBlur(small.width / 130)).resize(size)
        light = Image.composite(Image.new("RGB", size, color), Image.new("RGB", size), curtain)
        picture = ImageChops.screen(picture, light)
    for layer in range(2):
        ridge = _ridge(width, rng, height * (0.8 + 0.09 * layer), height * 0.09, 0.6)
        _hill(picture, ridge, [_blend("#0a1c26", "#01050a", layer), "#01050a"])
    return _grain(picture, 8)


def _geometry(size: Size, rng: random.Random) -> Image.Image:
    ink, paper = ["#d1462f", "#f0b429", "#22577a", "#1b1b1e"], "#f1e9da"
    picture = Image.new("RGB", (size[0] * 2, size[1] * 2), paper)
    draw, cells = ImageDraw.Draw(picture), 6
    cell = picture.width / cells
    for row in range(round(picture.height / cell)):
        for column in range(cells):
            _tile(draw, rng, (column * cell, row * cell), cell, [*ink, paper])
    return _grain(picture.resize(size, Image.Resampling.LANCZOS), 5)


def _tile(
    draw: ImageDraw.ImageDraw,
    rng: random.Random,
    corner: tuple[float, float],
    side: float,
    ink: Sequence[str],
) -> None:
    x, y = corner
    ground, shape = rng.sample(ink, 2)
    draw.rectangle((x, y, x + side, y + side), fill=ground)
    kind = rng.randrange(5)
    if kind == 0:
        draw.ellipse(
            (x + side * 0.12, y + side * 0.12, x + side * 0.88, y + side * 0.88), fill=shape
        )
    elif kind == 1:
        cx, cy = x + side * rng.randrange(2), y + side * rng.randrange(2)
        draw.pieslice(
            (cx - side, cy - side, cx + side, cy + side), *_quarter(x, y, cx, cy), fill=shape
        )
    elif kind == 2:
        draw.polygon(
            [(x, y + side), (x + side, y + side), (x + side * rng.randrange(2), y)], fill=shape
        )
    elif kind == 3:
        for stripe in range(0, 6, 2):
            draw.rectangle(
                (x, y + side * stripe / 6, x + side, y + side * (stripe + 1) / 6), fill=shape
            )


def _quarter(x: float, y: float, cx: float, cy: float) -> tuple[int, int]:
    """The angles of the quarter circle that lies inside the tile."""
    start = {(True, True): 0, (False, True): 90, (False, False): 180, (True, False): 270}
    first = start[(cx == x, cy == y)]
    return first, first + 90


def _fractal(size: Size, rng: random.Random) -> Image.Image:
    values = Image.effect_mandelbrot(size, (-1.62, -0.16, -1.25, 0.085), 120)
    colors = [
        "#04030f",
        "#1b1464",
        "#7a1e7e",
        "#e0475b",
        "#ffb14e",
        "#fff6d6",
        "#2ec4b6",
        "#04030f",
    ]
    palette = list(_gradient((1, 256), colors).tobytes())
    colored = values.copy()
    colored.putpalette(palette)
    return colored.convert("RGB")


def _logo(size: Size, rng: random.Random) -> Image.Image:
    """Three leaves of an aperture, half transparent where they overlap."""
    side = min(size)
    picture = Image.new("RGBA", size)
    for index, color in enumerate(
        ("#e4572e", "#f3a712", "#2e86ab", "#5f4bb6", "#1b998b", "#d81159")
    ):
        leaf = Image.new("RGBA", size)
        angle = math.tau * index / 6
        cx, cy = (
            size[0] / 2 + side * 0.2 * math.cos(angle),
            size[1] / 2 + side * 0.2 * math.sin(angle),
        )
        radius = side * 0.26
        box = (cx - radius, cy - radius, cx + radius, cy + radius)
        ImageDraw.Draw(leaf).ellipse(box, fill=f"{color}b0")
        picture = Image.alpha_composite(picture, leaf)
    hole = side * 0.11
    middle = (size[0] / 2 - hole, size[1] / 2 - hole, size[0] / 2 + hole, size[1] / 2 + hole)
    ImageDraw.Draw(picture).ellipse(middle, fill=(0, 0, 0, 0))
    return picture.filter(ImageFilter.SMOOTH_MORE)


def _paper(size: Size, rng: random.Random) -> Image.Image:
    picture = Image.new("RGB", size, "#f7efe2")
    sun, radius = (int(size[0] * 0.72), int(size[1] * 0.34)), size[0] // 9
    box = (sun[0] - radius, sun[1] - radius, sun[0] + radius, sun[1] + radius)
    ImageDraw.Draw(picture).ellipse(box, fill="#f2a65a")
    for layer, color in enumerate(
        ("#b8d8ba", "#7fb685", "#4f9d69", "#2f7a5b", "#1d5748", "#103b36")
    ):
        ridge = _ridge(size[0], rng, size[1] * (0.44 + 0.1 * layer), size[1] * 0.17, 0.3)
        shadow = Image.new("L", size)
        below = [(size[0] + 9, size[1]), (-9, size[1])]
        lifted = [(x, y - size[1] * 0.012) for x, y in ridge]
        ImageDraw.Draw(shadow).polygon([*lifted, *below], fill=120)
        shadow = shadow.filter(ImageFilter.GaussianBlur(size[0] / 150))
        picture.paste("#0d2420", mask=shadow)
        _hill(picture, ridge, [color, color])
    return _grain(picture, 12)


def _lighthouse(size: Size, rng: random.Random) -> Image.Image:
    width, height = size
    picture = _gradient(size, ["#12335c", "#3f7cac", "#f2b880", "#f7d9b0"])
    lamp = (width // 2, int(height * 0.235))
    _glow(picture, lamp, width // 2, "#fff2b8", 2.4)
    _hill(picture, _ridge(width, rng, height * 0.8, height * 0.02, 0.5), ["#2b5f75", "#0e2a3b"])
    _hill(picture, _ridge(width, rng, height * 0.86, height * 0.07, 0.5), ["#3c3a34", "#1a1815"])
    draw, top, bottom = ImageDraw.Draw(picture), height * 0.27, height * 0.86
    for band in range(7):
        y0, y1 = (top + (bottom - top) * share / 7 for share in (band, band + 1))
        half0, half1 = (width * (0.06 + 0.045 * (y - top) / (bottom - top)) for y in (y0, y1))
        corners = [
            (lamp[0] - half0, y0),
            (lamp[0] + half0, y0),
            (lamp[0] + half1, y1),
            (lamp[0] - half1, y1),
        ]
        draw.polygon(corners, fill="#c8372d" if band % 2 == 0 else "#f6f1e7")
    room = width * 0.05
    draw.rectangle(
        (lamp[0] - room, height * 0.2, lamp[0] + room, top), fill="#fff0a8", outline="#26303a"
    )
    draw.rectangle(
        (lamp[0] - room * 1.5, top - height * 0.008, lamp[0] + room * 1.5, top), fill="#26303a"
    )
    roof = [
        (lamp[0] - room * 1.25, height * 0.2),
        (lamp[0] + room * 1.25, height * 0.2),
        (lamp[0], height * 0.15),
    ]
    draw.polygon(roof, fill="#8f2720")
    return _grain(picture, 9)


def _forest(size: Size, rng: random.Random) -> Image.Image:
    width, height = size
    picture = _gradient(size, ["#dfe9e4", "#c2d6cf", "#9dbdb3", "#7fa69a"])
    for layer in range(5):
        share = layer / 4
        shade = _blend("#a9c4bb", "#0d2a24", share**1.2)
        draw, base = ImageDraw.Draw(picture), height * (0.5 + 0.13 * layer)
        for _ in range(70 - layer * 9):
            x, tall = (
                rng.uniform(-0.05, 1.05) * width,
                height * (0.16 + 0.2 * share) * rng.uniform(0.6, 1.1),
            )
            _fir(draw, x, base + rng.uniform(-0.03, 0.06) * height, tall, shade)
        _hill(picture, _ridge(width, rng, base + height * 0.05, height * 0.04, 0.4), [shade, shade])
        fog = Image.new("RGB", size, "#d9e6e0")
        veil = Image.linear_gradient("L").resize(size).point(lambda value: int(value * 0.22))
        picture = Image.composite(fog, picture, veil) if layer < 4 else picture
    return _grain(picture, 9)


def _fir(draw: ImageDraw.ImageDraw, x: float, ground: float, tall: float, shade: str) -> None:
    for tier in range(6):
        top = ground - tall * (1 - tier * 0.15)
        half = tall * (0.06 + 0.035 * tier)
        draw.polygon(
            [(x, top), (x - half, top + tall * 0.3), (x + half, top + tall * 0.3)], fill=shade
        )


def _regatta(width: int, height: int) -> str:
    """An SVG, drawn in the units of a 1600 by 1000 page."""
    boats = "".join(
        f'<g transform="translate({x} {y}) scale({s})">'
        f'<path d="M0-230 L0 0 L-120 0 Z" fill="{sail}"/>'
        '<path d="M14-200 L14 0 L90 0 Z" fill="#fff7ea"/>'
        '<path d="M-140 16 H110 L70 64 H-100 Z" fill="#22333b"/></g>'
        for x, y, s, sail in (
            (420, 640, 1.0, "#e4572e"),
            (860, 560, 0.62, "#f3a712"),
            (1210, 700, 1.35, "#2e86ab"),
        )
    )
    waves = "".join(
        f'<path d="M0 {y} q100 -{h} 200 0 t200 0 t200 0 t200 0 t200 0 t200 0 t200 0 t200 0 V1000 H0 Z" '
        f'fill="{color}"/>'
        for y, h, color in ((760, 34, "#3d9bb3"), (830, 44, "#2b7c98"), (910, 54, "#1c5d78"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'viewBox="0 0 1600 1000"><rect width="1600" height="1000" fill="#fbe3c0"/>'
        '<circle cx="1080" cy="330" r="150" fill="#f28f5b"/>'
        '<circle cx="1080" cy="330" r="210" fill="#f28f5b" opacity=".25"/>'
        f'<rect y="560" width="1600" height="440" fill="#5fb3c4"/>{boats}{waves}</svg>'
    )


def _tide(size: Size) -> bytes:
    width, height = size
    colors = ["#f7d9a8", "#8fd3c8", "#4fb0b8", "#2a7f9c", "#17506f"]
    frames = []
    for number in range(24):
        frame = Image.new("RGB", (width * 2, height * 2), colors[0])
        draw = ImageDraw.Draw(frame)
        for layer, color in enumerate(colors[1:]):
            phase = math.tau * (number / 24 + layer / 5)
            base = frame.height * (0.3 + 0.17 * layer) + frame.height * 0.05 * math.sin(phase)
            crest = [
                (
                    x,
                    base
                    + frame.height
                    * 0.04
                    * math.sin(phase + (2 + layer) * math.tau * x / frame.width),
                )
                for x in range(0, frame.width + 8, 8)
            ]
            draw.polygon([*crest, (frame.width, frame.height), (0, frame.height)], fill=color)
        frames.append(frame.resize(size, Image.Resampling.LANCZOS).quantize(64))
    target = io.BytesIO()
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)
    return target.getvalue()


_FOCUS = {"Night": (27, 26), "Morning mist": (68, 30), "Lighthouse": (50, 24)}
_PICTURES: Sequence[tuple[str, str, str, Size, Painter]] = (
    ("Night", "Nacht über den Bergen.jpg", "A moon above dark mountains", (2400, 1500), _night),
    (
        "Morning mist",
        "morning mist.jpg",
        "Ranges of hills in the mist of a morning",
        (2400, 1600),
        _morning,
    ),
    (
        "Lighthouse",
        "lighthouse.jpg",
        "A red and white lighthouse at dusk",
        (1600, 2400),
        _lighthouse,
    ),
    ("Sunset", "sunset.jpg", "The sun sets over a calm sea", (2600, 1460), _sea),
    ("Tiles", "tiles.png", "A pattern of circles, quarters and stripes", (1800, 1800), _geometry),
    ("Paper hills", "paper hills.webp", "Hills cut from green paper", (2400, 1600), _paper),
    ("Aperture", "aperture.png", "Six transparent discs around a hole", (1600, 1600), _logo),
    ("City", "city.jpg", "A skyline with lit windows at dusk", (2400, 1350), _city),
    ("Aurora", "aurora.jpg", "Green and violet northern lights", (1800, 2400), _aurora),
    ("Dunes", "dunes.jpg", "Sand dunes under a blue sky", (2400, 1600), _dunes),
    ("Fractal", "fractal.webp", "A detail of the Mandelbrot set", (2200, 1650), _fractal),
    ("Forest", "forest.jpg", "Firs in the fog", (2400, 1600), _forest),
)
