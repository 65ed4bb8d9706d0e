"""Which operations and stack options rokka has, as ``GET /operations`` and ``GET /stackoptions`` tell.

Facts from the operations and stacks chapters of rokka's documentation. A row is
``name: "type default minimum maximum"`` or ``name: "type default"``; ``-`` stands for none, and
``type?`` for an option that may be null, and is so by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ANCHOR = "string auto"
_OPERATIONS: Mapping[str, Mapping[str, str]] = {
    "addframes": {"delay": "number 10 0 1000", "frames": "string -"},
    "alpha": {"mode": "string mask", "opacity": "integer 50 0 100"},
    "autorotate": {
        "width": "integer - 1 10000",
        "height": "integer - 1 10000",
        "rotation_direction": "string -",
    },
    "blur": {"sigma": "number 4 0 100", "radius": "integer 0 0 500"},
    "circlemask": {"radius": "string -"},
    "composition": {
        "mode": "string -",
        "width": "integer - 1 10000",
        "height": "integer - 1 10000",
        "resize_mode": "string box",
        "resize_to_primary": "boolean false",
        "anchor": "string center_center",
        "secondary_color": "string 000000",
        "secondary_opacity": "integer 100 0 100",
        "secondary_image": "string -",
        "secondary_stack": "string -",
        "secondary_stack_variables": "string -",
        "angle": "number 0 -360 360",
    },
    "crop": {
        "width": "integer - 1 99999",
        "height": "integer - 1 99999",
        "anchor": _ANCHOR,
        "fallback": "string center_center",
        "mode": "string absolute",
        "area": "string -",
        "scale": "number 100 0 100",
        "movearea_x": "number 0",
        "movearea_y": "number 0",
    },
    "dropshadow": {
        "horizontal": "integer 0 -100 100",
        "vertical": "integer 0 -100 100",
        "opacity": "integer 0 0 100",
        "sigma": "number 0.5 0 10000",
        "blur_radius": "number 0 0 10000",
        "color": "string 000000",
    },
    "face": {
        "secondary_image": "string -",
        "leftFeature": "string -",
        "rightFeature": "string -",
        "anchor": "string center_center",
        "scale": "number 1",
    },
    "glitch": {"amount": "integer 4 0 10", "random": "string -"},
    "grayscale": {"levels": "integer 256 2 256"},
    "modulate": {
        "brightness": "integer 100 0 500",
        "saturation": "integer 100 0 500",
        "hue": "integer 0 0 360",
    },
    "multiply": {"factor": "number 0.96 0 1", "factor_color": "string -"},
    "noop": {},
    "primitive": {"count": "integer 20 1 200", "mode": "integer 0 0 9"},
    "resize": {
        "width": "integer - 1 10000",
        "height": "integer - 1 10000",
        "mode": "string box",
        "upscale": "boolean true",
        "upscale_dpr": "boolean true",
        "sharpen": "boolean false",
    },
    "rotate": {
        "angle": "number - -360 360",
        "background_color": "string FFFFFF",
        "background_opacity": "number 0 0 100",
    },
    "sepia": {},
    "sharpen": {
        "m1": "number 0.4",
        "m2": "number 0.8",
        "sigma": "number 0.7",
        "x1": "number 2",
        "y2": "number 10",
        "y3": "number 20",
    },
    "svg2bitmap": {},
    "svgdynamic": {"changes": "array -"},
    "text": {
        "font": "string -",
        "text": "string -",
        "size": "integer 16",
        "color": "string 000000",
        "opacity": "integer 100 0 100",
        "angle": "number 0 -360 360",
        "anchor": "string center_center",
        "width": "integer -",
        "height": "integer -",
        "spacing": "integer 0",
        "align": "string left",
        "resize_to_box": "boolean false",
    },
    "trim": {"fuzzy": "number 0 0 100"},
}
_REQUIRED: Mapping[str, list[str]] = {
    "crop": ["width", "height"],
    "rotate": ["angle"],
    "text": ["font", "text"],
    "face": ["secondary_image", "leftFeature", "rightFeature"],
    "svgdynamic": ["changes"],
}
_ONE_OF: Mapping[str, list[str]] = {"resize": ["width", "height"]}
_CHOICES: Mapping[tuple[str, str], list[str]] = {
    ("resize", "mode"): ["box", "fill", "absolute"],
    ("crop", "mode"): ["absolute", "ratio", "box", "area"],
    ("alpha", "mode"): ["mask", "extract", "remove", "apply"],
    ("composition", "mode"): ["foreground", "background"],
    ("autorotate", "rotation_direction"): ["clockwise", "counterclockwise"],
}
_OPTIONS: Mapping[str, str] = {
    "autoformat": "boolean false",
    "autoformat.exclude": "string? -",
    "autoformat.include": "string? -",
    "av1.quality": "integer 70 1 100",
    "avif.quality": "integer 45 1 100",
    "basestack": "string? -",
    "content_disposition": "string inline",
    "dpi": "integer - 10 5000",
    "dpr": "number 1 1 10",
    "fps": "integer 10 1 25",
    "gif.quality": "integer 70 1 100",
    "heif.quality": "integer 40 1 100",
    "jp2.quality": "integer 40 1 100",
    "jpg.quality": "integer 80 1 100",
    "jpg.transparency.autoformat": "string false",
    "jpg.transparency.color": "string FFFFFF",
    "jpg.transparency.convert": "boolean false",
    "jxl.quality": "integer 70 1 100",
    "min_video_height": "integer - 0 2200",
    "min_video_width": "integer - 0 6000",
    "mp4.quality": "integer 50 1 100",
    "optim.disable_all": "boolean false",
    "optim.immediate": "boolean false",
    "optim.quality": "integer 5 0 10",
    "pdf.dpi": "integer 200 10 1000",
    "pdf.page": "integer 1 1 1000",
    "png.compression_level": "integer 7 0 9",
    "pngquant.quality": "integer 98 10 100",
    "protected": "boolean false",
    "remote_basepath": "string? -",
    "remote_fullurl_allow": "boolean? -",
    "remote_fullurl_whitelist": "array -",
    "source_file": "boolean false",
    "timestamp": "string? -",
    "transparency.color": "string -",
    "webm.quality": "integer 50 1 100",
    "webp.quality": "integer 80 1 100",
}
#: Short forms that render URLs may use for options.
OPTION_ALIASES: Mapping[str, str] = {"af": "autoformat"}


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _default(kind: str, text: str) -> Any:
    if kind == "boolean":
        return text == "true"
    return _number(text) if kind in ("integer", "number") else text


def _property(row: str) -> dict[str, Any]:
    kind, default, *bounds = row.split()
    if kind.endswith("?"):
        return {"type": [kind[:-1], "null"], "default": None}
    found: dict[str, Any] = {"type": kind}
    if default != "-":
        found["default"] = _default(kind, default)
    return found | dict(zip(("minimum", "maximum"), map(_number, bounds), strict=False))


def _operation(name: str, rows: Mapping[str, str]) -> dict[str, Any]:
    properties = {key: _property(row) for key, row in rows.items()}
    for (operation, key), values in _CHOICES.items():
        if operation == name:
            properties[key]["values"] = values
    properties["enabled"] = {"type": "boolean", "default": True}
    needs = {"oneOf": _ONE_OF[name]} if name in _ONE_OF else {"required": _REQUIRED.get(name, [])}
    return {"properties": properties, **needs, "description": ""}


#: ``{name: {"properties": {…}, "required": […], "description": ""}}``, or ``oneOf`` for ``required``
OPERATIONS: Mapping[str, Any] = {name: _operation(name, rows) for name, rows in _OPERATIONS.items()}
#: ``{"properties": {name: {…}}}``
STACK_OPTIONS: Mapping[str, Any] = {
    "properties": {name: _property(row) for name, row in _OPTIONS.items()}
}
