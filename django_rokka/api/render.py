"""Render URLs: pure functions from strings to strings, with no key, no query and no HTTP.

``{base}/{stack}[/{config}]/{hash}/{slug}.{format}``, where ``base`` is such as ``https://acme.rokka.io``
and the rest of the name is what the database column holds. Operations keep their order, the keys of
each are sorted: one picture has one URL, and so one object in the CDN.

Source: the render and operations chapters of rokka's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .errors import InvalidArgument

Value = str | int | float | bool
Options = Mapping[str, Value]
#: Steps by name, in order: ``{"crop": {"width": 4, "height": 3, "mode": "ratio"}, "resize": {…}}``.
Operations = Mapping[str, Options]

#: The stack whose operations are all in the URL.
DYNAMIC = "dynamic"

_STACK = re.compile(r"[0-9A-Za-z_-]+")
_NAME = re.compile(r"[0-9A-Za-z_.]+")
_VALUE = re.compile(r"[0-9A-Za-z_.,]+")
_FORMAT = re.compile(r"[0-9a-z]{1,10}")


def render_url(
    base: str,
    stack: str,
    name: str,
    *,
    operations: Operations | None = None,
    options: Options | None = None,
    format: str | None = None,
) -> str:
    """Build one render URL. Raises `InvalidArgument` for a value that a path cannot hold.

    >>> render_url("https://acme.rokka.io", "dynamic", "c03683/dog.jpg", operations={"resize": {"width": 640}})
    'https://acme.rokka.io/dynamic/resize-width-640/c03683/dog.jpg'
    """
    tail = name if format is None else f"{name.rpartition('.')[0]}.{_match(_FORMAT, format)}"
    config = _config(operations or {}, options or {})
    if stack == DYNAMIC and not operations:
        # The dynamic stack wants an operation; this one changes nothing.
        config = f"noop--{config}" if config else "noop"
    path = f"{_match(_STACK, stack)}/{config}" if config else _match(_STACK, stack)
    return f"{base}/{path}/{tail}"


def fitting(width: int | None, height: int | None) -> dict[str, Options]:
    """The operations for a picture of this size: cropped to the ratio if both are given, then resized.

    The crop comes first and keeps the largest part there is, around the subject area if one is set.
    """
    if width and height:
        crop: Options = {"width": width, "height": height, "mode": "ratio"}
        return {"crop": crop, "resize": {"width": width}}
    size = {"width": width, "height": height}
    resize = {key: value for key, value in size.items() if value}
    return {"resize": resize} if resize else {}


def with_width(operations: Operations, width: int) -> dict[str, Options]:
    """The same operations, resized to ``width`` pixels in the end."""
    resize = {key: value for key, value in operations.get("resize", {}).items() if key != "height"}
    return {**operations, "resize": {**resize, "width": width}}


def candidate_widths(widths: Iterable[int], largest: int | None) -> list[int]:
    """The widths for a ``srcset``: none above the picture's own, which ends the list in their place.

    >>> candidate_widths([320, 640, 1280], 1000)
    [320, 640, 1000]
    """
    ordered = sorted(set(widths))
    if largest is None:
        return ordered
    smaller = [width for width in ordered if width < largest]
    return [*smaller, largest] if len(smaller) < len(ordered) else smaller


def _config(operations: Operations, options: Options) -> str:
    parts = [_part(name, values) for name, values in operations.items()]
    if options:
        parts.append(_part("o", options))
    return "--".join(parts)


def _part(name: str, values: Options) -> str:
    pairs = (f"-{_match(_NAME, key)}-{_spell(values[key])}" for key in sorted(values))
    return _match(_NAME, name) + "".join(pairs)


def _spell(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _match(_VALUE, str(value))


def _match(pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value):
        raise InvalidArgument(
            f"{value[:80]!r} cannot stand in a render URL; expected {pattern.pattern}"
        )
    return value
