"""What an uploaded file is, and how pictures are read and written.

Pillow opens most; SVG is drawn by resvg. A PDF, and a HEIC that Pillow cannot decode, are taken by
their signature, and rendered as a placeholder of their size (Choice: the emulator has no decoder).
Dimensions are those of the upright picture: EXIF rotation is applied (Choice).
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # nosec B405

import resvg_py
from PIL import Image, ImageDraw, ImageOps, ImageSequence, UnidentifiedImageError

from .answers import Refusal

MIMETYPES: Mapping[str, str] = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "heic": "image/heic",
    "tif": "image/tiff",
    "psd": "image/vnd.adobe.photoshop",
    "bmp": "image/bmp",
    "jp2": "image/jp2",
    "eps": "application/postscript",
}
#: Pillow's name of a format → the extension rokka uses.
_EXTENSIONS = {"JPEG": "jpg", "TIFF": "tif", "JPEG2000": "jp2", "MPO": "jpg"}
_PILLOW = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF", "gif": "GIF"}
_PLACEHOLDER_SIZES = {"pdf": (595, 842), "heic": (1024, 768)}
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_NUMBER = r"(?:\d+\.?\d*|\.\d+)"
_MAX_SIDE = 1_000_000
_SVG_NAMESPACE = "http://www.w3.org/2000/svg"

#: How deep elements of an SVG may be in each other: resvg draws them by recursion.
_MAX_DEPTH = 50

#: A picture as frames with durations in milliseconds; a still one has a single frame.
Frames = list[tuple[Image.Image, int]]


@dataclass(frozen=True)
class Facts:
    """What the API tells of a file: pixels of the upright picture, and whether it has (semi-)transparent ones."""

    format: str
    width: int
    height: int
    opaque: bool
    animated: bool

    @property
    def mimetype(self) -> str:
        """The MIME type of the format."""
        return MIMETYPES.get(self.format, f"image/{self.format}")


def identify(path: Path) -> Facts:
    """Find out what a file is. Raises a 400 `Refusal` for what is no picture."""
    head = _head(path)
    if not head:
        raise Refusal(400, "The uploaded file is empty.")
    if kind := _signature(head):
        return Facts(kind, *_PLACEHOLDER_SIZES[kind], opaque=True, animated=False)
    if _looks_like_svg(head):
        width, height = svg_size(parse_svg(path.read_bytes()))
        return Facts("svg", width, height, opaque=False, animated=False)
    with _open_picture(path) as picture:
        name = picture.format or "PNG"
        extension = _EXTENSIONS.get(name, name.lower())
        width, height = _upright_size(picture)
        animated = extension in ("gif", "webp", "png") and getattr(picture, "n_frames", 1) > 1
        return Facts(extension, width, height, _is_opaque(picture), animated)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)


def _signature(head: bytes) -> str | None:
    if head.startswith(b"%PDF-"):
        return "pdf"
    brands = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc")
    return "heic" if head[4:12] in brands else None


def _looks_like_svg(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    return start.startswith(b"<") and b"<svg" in head


def _open_picture(path: Path) -> Image.Image:
    try:
        picture = Image.open(path)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Refusal(400, "The image has more pixels than can be handled.") from error
    except (UnidentifiedImageError, SyntaxError, ValueError, OSError) as error:
        raise Refusal(400, "The uploaded file is not an image that can be read.") from error
    try:
        _check_pixels(*picture.size)
    except Refusal:
        picture.close()
        raise
    return picture


def _check_pixels(width: float, height: float) -> None:
    """Pillow itself takes twice as many, with a warning."""
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise Refusal(400, "The image has more pixels than can be handled.")


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    turned = picture.getexif().get(0x0112, 1) >= 5
    return (height, width) if turned else (width, height)


def _is_opaque(picture: Image.Image) -> bool:
    """Look for transparent pixels; that decodes the picture, so a damaged one is found here too."""
    try:
        if not picture.has_transparency_data:
            # A JPEG can be decoded at an eighth of its size, which is enough to see that it is whole.
            picture.draft("RGB", (1, 1))
            picture.load()
            return True
        return bool(picture.convert("RGBA").getchannel("A").getextrema()[0] == 255)
    except (SyntaxError, ValueError, OSError) as error:
        raise Refusal(400, "The uploaded image is damaged.") from error


# --- SVG ------------------------------------------------------------------------------------


def parse_svg(data: bytes) -> ElementTree.Element:
    """Parse an SVG; entity declarations are refused, so that nothing can expand."""
    if re.search(rb"<!ENTITY", data):
        raise Refusal(400, "SVG files with entity declarations are not accepted.")
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - no entities, see above  # nosec B314
    except ElementTree.ParseError as error:
        raise Refusal(400, f"The SVG cannot be read: {error}.") from error
    if not root.tag.endswith("svg"):
        raise Refusal(400, "The uploaded file is XML, but no SVG.")
    ids = {f"#{element.get('id')}": element for element in root.iter()}
    if _depth(root, ids, {}, _MAX_DEPTH) > _MAX_DEPTH:
        raise _too_deep()
    return root


def _depth(
    element: ElementTree.Element,
    ids: Mapping[str, ElementTree.Element],
    known: dict[ElementTree.Element, int],
    left: int,
) -> int:
    """How deep elements are in each other, those that ``use`` puts there too."""
    if not left:
        raise _too_deep()
    if element not in known:
        used = ids.get(element.get("href") or element.get(_XLINK_HREF) or "")
        inner = [*element, used] if used is not None else [*element]
        depths = [_depth(each, ids, known, left - 1) for each in inner]
        known[element] = 1 + max(depths, default=0)
    return known[element]


def _too_deep() -> Refusal:
    return Refusal(400, f"The SVG has elements in each other, more than {_MAX_DEPTH} deep.")


def svg_size(root: ElementTree.Element) -> tuple[int, int]:
    """Width and height in pixels: from the attributes, else the viewBox, else 300 by 150 as browsers do."""
    box = [float(value) for value in re.findall(rf"-?{_NUMBER}", root.get("viewBox", ""))]
    across, down = (box[2], box[3]) if len(box) == 4 else (300.0, 150.0)
    width = _pixels(root.get("width")) or across
    height = _pixels(root.get("height")) or down
    if max(width, height) > _MAX_SIDE:
        raise Refusal(400, f"The SVG is larger than {_MAX_SIDE} pixels.")
    return max(round(width), 1), max(round(height), 1)


def _pixels(value: str | None) -> float | None:
    match = re.fullmatch(rf"\s*({_NUMBER})(px)?\s*", value or "")
    return float(match.group(1)) if match else None


def resized_svg(data: bytes, width: int, height: int) -> bytes:
    """The same drawing with other dimensions: a viewBox keeps what it shows."""
    root = parse_svg(data)
    if not root.get("viewBox"):
        old = svg_size(root)
        root.set("viewBox", f"0 0 {old[0]} {old[1]}")
    root.set("width", str(width))
    root.set("height", str(height))
    ElementTree.register_namespace("", _SVG_NAMESPACE)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


# --- Reading and writing --------------------------------------------------------------------


def read_frames(path: Path, format: str, size: tuple[int, int], *, svg_width: int) -> Frames:
    """Decode a stored file, upright. An SVG is drawn ``svg_width`` pixels wide."""
    if format in _PLACEHOLDER_SIZES:
        return [(_placeholder(format, size), 0)]
    if format == "svg":
        _check_pixels(svg_width, svg_width * size[1] / size[0])
        try:
            png = bytes(resvg_py.svg_to_bytes(svg_string=path.read_text("utf-8"), width=svg_width))
        except ValueError as error:
            raise Refusal(400, f"The SVG cannot be drawn: {error}.") from error
        with Image.open(io.BytesIO(png)) as drawing:
            return [(drawing.convert("RGBA"), 0)]
    with Image.open(path) as picture:
        return [
            (_plain(frame), int(frame.info.get("duration", 0)))
            for frame in ImageSequence.Iterator(picture)
        ]


def _plain(frame: Image.Image) -> Image.Image:
    """One frame, upright, as RGB or RGBA: palettes, CMYK and 16 bits are done away with."""
    upright = ImageOps.exif_transpose(frame)
    return upright.convert("RGBA" if frame.has_transparency_data else "RGB")


def _placeholder(format: str, size: tuple[int, int]) -> Image.Image:
    picture = Image.new("RGB", size, "#e9e4da")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline="#8a8170", width=4)
    draw.text((size[0] // 2, size[1] // 2), format.upper(), fill="#8a8170", anchor="mm")
    return picture


def encode(frames: Frames, format: str, options: Mapping[str, Any]) -> bytes:
    """Write frames in a format; formats without animation take the first frame."""
    first = frames[0][0]
    if format == "jpg":
        first = _flattened(first, str(options.get("jpg.transparency.color", "FFFFFF")))
    settings: dict[str, Any] = {}
    if format in ("jpg", "webp", "avif"):
        settings["quality"] = int(options.get(f"{format}.quality", 80))
    if len(frames) > 1 and format in ("gif", "webp", "png"):
        settings |= {"save_all": True, "append_images": [frame for frame, _ in frames[1:]]}
        settings |= {"duration": [duration or 100 for _, duration in frames], "loop": 0}
    if format == "gif":
        settings["disposal"] = 2
    target = io.BytesIO()
    first.save(target, _PILLOW[format], **settings)
    return target.getvalue()


def can_encode(format: str) -> bool:
    """Whether a render in this format can be written here."""
    Image.init()
    return _PILLOW.get(format, "") in Image.SAVE


def _flattened(picture: Image.Image, color: str) -> Image.Image:
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    ground = Image.new("RGB", picture.size, f"#{color}")
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground
