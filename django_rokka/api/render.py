"""Render URLs in quantity: pure functions from strings to strings, with no key, no query and no HTTP.

``{base}/{stack}[/{config}]/{hash}/{slug}.{format}``, where ``base`` is such as ``https://acme.rokka.io``
and the rest of the name is what the database column holds. Operations keep their order, the keys of
each are sorted: one picture has one URL, and so one object in the CDN. What comes before and behind the
name is built once and kept, since a page shows many pictures in the same way.

To take a URL apart and change it see `django_rokka.api.RenderURL`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from .errors import InvalidArgument
from .grammar import (
    FORMAT,
    STACK,
    Pairs,
    Steps,
    Value,
    config,
    encoded_pairs,
    encoded_steps,
    matching,
    name_tail,
    normal_variables,
    pairs,
    path_variables,
    query_variables,
)
from .grammar import Options as Options

#: Steps by name, in order: ``{"crop": {"width": 4, "height": 3, "mode": "ratio"}, "resize": {…}}``.
Operations = Mapping[str, Options]
_Variables = tuple[tuple[str, Value], ...]

#: The stack whose operations are all in the URL.
DYNAMIC = "dynamic"

_KEPT = 1024
# Stands where a width goes. What is encoded has no braces of its own.
_WIDTH = "{}"


def render_url(
    base: str,
    stack: str,
    name: str,
    *,
    operations: Operations | None = None,
    options: Options | None = None,
    variables: Options | None = None,
    format: str | None = None,
) -> str:
    """Build one render URL. Raises `InvalidArgument` for a value that it cannot hold.

    ``variables`` that do not fit a path are in the query, as ``?v=…``.

    >>> render_url("https://acme.rokka.io", "dynamic", "c03683/dog.jpg", operations={"resize": {"width": 640}})
    'https://acme.rokka.io/dynamic/resize-width-640/c03683/dog.jpg'
    """
    before, after = _frame(
        base,
        stack,
        _steps(operations) if operations else (),
        pairs(options) if options else (),
        normal_variables(variables) if variables else (),
        format,
    )
    return f"{before}{_stem(name, format)}{after}"


def srcset(
    base: str,
    stack: str,
    name: str,
    widths: Sequence[int],
    *,
    operations: Operations | None = None,
    options: Options | None = None,
    variables: Options | None = None,
    format: str | None = None,
    sign: Callable[[str], str] | None = None,
) -> str:
    """The ``srcset`` of a picture: `render_url` for each of the ``widths``, in pixels.

    ``sign`` makes a signed URL of one, such as ``functools.partial(sign_url, key=…)``.

    >>> srcset("https://acme.rokka.io", "hero", "c03683/dog.jpg", [320, 640])
    'https://acme.rokka.io/hero/resize-width-320/c03683/dog.jpg 320w, \
https://acme.rokka.io/hero/resize-width-640/c03683/dog.jpg 640w'
    """
    if min(widths, default=1) < 1:
        raise InvalidArgument(f"{min(widths)} is no width in pixels; expected 1 or more")
    before, between, after = _frame_of_width(
        base,
        stack,
        _steps(operations) if operations else (),
        pairs(options) if options else (),
        normal_variables(variables) if variables else (),
        format,
    )
    rest = f"{between}{_stem(name, format)}{after}"
    if sign is None:
        return ", ".join([f"{before}{width:d}{rest} {width:d}w" for width in widths])
    return ", ".join([f"{sign(f'{before}{width:d}{rest}')} {width:d}w" for width in widths])


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


def _steps(operations: Operations) -> Steps:
    return tuple([(name, pairs(options)) for name, options in operations.items()])


def _stem(name: str, format: str | None) -> str:
    """The tail, without its extension if there is another one."""
    return name_tail(name) if format is None else name_tail(name).rpartition(".")[0]


@lru_cache(maxsize=_KEPT)
def _frame(
    base: str,
    stack: str,
    steps: Steps,
    options: Pairs,
    variables: _Variables,
    format: str | None,
) -> tuple[str, str]:
    """What comes before and behind the name."""
    if stack == DYNAMIC and not steps:
        # The dynamic stack wants an operation; this one changes nothing.
        steps = (("noop", ()),)
    parts = config(encoded_steps(steps), encoded_pairs(options), path_variables(variables))
    before = f"{base}/{matching(STACK, stack)}/{f'{parts}/' if parts else ''}"
    return before, _after(variables, format)


@lru_cache(maxsize=_KEPT)
def _frame_of_width(
    base: str,
    stack: str,
    steps: Steps,
    options: Pairs,
    variables: _Variables,
    format: str | None,
) -> tuple[str, str, str]:
    """What comes before the width, between it and the name, and behind the name."""
    resized = with_width({name: dict(pairs) for name, pairs in encoded_steps(steps)}, 0)
    resized["resize"] = {**resized["resize"], "width": _WIDTH}
    sized = tuple((name, tuple(sorted(pairs(values)))) for name, values in resized.items())
    parts = config(sized, encoded_pairs(options), path_variables(variables))
    start, _, end = parts.partition(_WIDTH)
    return f"{base}/{matching(STACK, stack)}/{start}", f"{end}/", _after(variables, format)


def _after(variables: _Variables, format: str | None) -> str:
    extension = "" if format is None else f".{matching(FORMAT, format)}"
    query = query_variables(variables)
    return f"{extension}?{query}" if query else extension
