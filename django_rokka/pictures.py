"""What a page says of a picture: its candidates, its dimensions, its alternative text, its placeholder.

All of it without HTTP. Tags, Jinja2 and the serializer field write down what these say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.utils.translation import get_language

from . import renders
from .api.errors import InvalidArgument
from .api.geometry import Overrides, Sizing
from .api.render import DYNAMIC, Operations, Options, candidate_widths, fitting
from .conf import DeclaredStack
from .renders import Renderable

#: Scaled by the browser: one file serves every size.
_VECTORS = ("svg",)
#: With these operations a drawing stays one.
_DRAWN = {"noop", "resize"}
#: By so much two ratios may differ that come from whole pixels.
_SAME_RATIO = 0.02
_ALT = ("text:alt", "alt", "str:alt")

_Size = tuple[int | None, int | None]
_UNKNOWN: _Size = (None, None)


@dataclass(frozen=True)
class Look:
    """How a picture is to be shown; what is left out is the stack's or the alias's.

    ``widths`` are the candidates, in pixels. ``width`` and ``height``, in pixels, crop to their ratio; with
    a named stack they only tell the ratio. ``area`` is a named area (``multi_areas``) to crop to. Raises
    `InvalidArgument` for sizes that are no whole numbers of pixels.
    """

    stack: str = ""
    widths: Sequence[int] = ()
    sizes: str = ""
    width: int | None = None
    height: int | None = None
    area: str = ""
    format: str | None = None

    def __post_init__(self) -> None:
        sizes = [*self.widths, *(side for side in (self.width, self.height) if side is not None)]
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            raise InvalidArgument(f"{self}: widths, width and height are whole numbers of pixels")


@dataclass(frozen=True)
class Shown:
    """A picture for a page. ``srcset`` and ``sizes`` are empty where one file serves every size.

    ``width`` and ``height`` are pixels at the stack's own size, ``None`` where they are not known.
    """

    src: str
    srcset: str = ""
    sizes: str = ""
    width: int | None = None
    height: int | None = None

    @property
    def candidates(self) -> list[tuple[int, str]]:
        """The widths in pixels and the URLs of the ``srcset``."""
        pairs = [item.split(" ") for item in self.srcset.split(", ") if item]
        return [(int(width[:-1]), url) for url, width in pairs]


@dataclass(frozen=True)
class _Plan:
    """A look at one picture: what each candidate has in common, and what bounds them."""

    stack: str
    operations: Operations
    format: str | None
    size: _Size
    largest: int | None
    one_file: bool = False
    declared: DeclaredStack | None = None
    #: What gives a candidate its width, where that is more than the width of the resize.
    at_width: Callable[[int], Overrides] | None = None


def show(image: Renderable, look: Look = Look()) -> Shown:
    """The candidates and the dimensions of a picture. Raises like `Renderable.render_url`."""
    if waiting := image.waiting_url:
        return Shown(waiting, "", "", *_boxed(look, (image.width, image.height)))
    plan = _plan(image, look)
    size = _boxed(look, plan.size)
    if plan.one_file:
        return Shown(image.render_url(plan.stack, format=plan.format), "", "", *size)
    srcset = _srcset(image, plan, _widths(image, plan, look))
    # The last candidate without its " 1280w": the widest, for browsers that know no srcset.
    src = srcset.rpartition(", ")[2].rpartition(" ")[0]
    sizes = look.sizes or (plan.declared and plan.declared.sizes) or "100vw"
    return Shown(src, srcset, sizes, *size)


def _widths(image: Renderable, plan: _Plan, look: Look) -> list[int]:
    widths = look.widths or (plan.declared and plan.declared.widths) or image.config.widths
    return candidate_widths(widths, plan.largest)


def _srcset(image: Renderable, plan: _Plan, widths: Sequence[int]) -> str:
    if plan.at_width is None:
        return renders.srcset(
            image.config,
            plan.stack,
            image.file_name,
            widths,
            protected=image.protected_in(plan.stack),
            operations=plan.operations,
            format=plan.format,
        )
    return ", ".join(f"{_url(image, plan, *plan.at_width(width))} {width}w" for width in widths)


def _url(image: Renderable, plan: _Plan, operations: Operations, variables: Options) -> str:
    both = {
        name: {**plan.operations.get(name, {}), **operations.get(name, {})}
        for name in {**plan.operations, **operations}
    }
    return image.render_url(plan.stack, operations=both, variables=variables, format=plan.format)


# --- How a picture and a stack go together ------------------------------------------------------


def _plan(image: Renderable, look: Look) -> _Plan:
    stack, own = look.stack or image.default_stack, (image.width, image.height)
    declared = image.config.stacks.get(stack)
    sizing = declared.sizing if declared else None
    operations = _cropped(look) if stack == DYNAMIC else _area(look)
    size, largest = _rendered(sizing, own) if declared else (own, _widest(own, look))
    is_vector = image.format in _VECTORS
    is_drawing = is_vector and look.format in (None, *_VECTORS) and _is_drawn(operations, declared)
    by_size = sizing if sizing and not sizing.by_width_alone else None
    at_width: Callable[[int], Overrides] | None = None
    if by_size and own[0] and own[1]:
        at_width = partial(by_size.at_width, size=(own[0], own[1]))
    return _Plan(
        stack,
        operations,
        # A drawing that is cropped becomes a picture.
        look.format or ("png" if is_vector and not is_drawing else None),
        size,
        None if is_vector else largest,
        # Nobody can say what makes such a stack another width for a picture of unknown size.
        is_drawing or (by_size is not None and at_width is None),
        declared,
        at_width,
    )


def _is_drawn(operations: Operations, declared: DeclaredStack | None) -> bool:
    steps = declared.stack.operations if declared else ()
    return "crop" not in operations and all(step.name in _DRAWN for step in steps)


def _cropped(look: Look) -> Operations:
    """The operations for the stack ``dynamic``."""
    operations = fitting(look.width, look.height)
    if not look.area:
        return operations
    if "crop" not in operations:
        raise InvalidArgument(
            f"The area {look.area!r} needs a width and a height, or a stack that crops"
        )
    return {**operations, "crop": {**operations["crop"], "area": look.area}}


def _area(look: Look) -> Operations:
    return {"crop": {"area": look.area}} if look.area else {}


def _rendered(sizing: Sizing | None, own: _Size) -> tuple[_Size, int | None]:
    """The size of a declared stack's render, and how wide it can be."""
    if sizing is None or not (own[0] and own[1]):
        return _UNKNOWN, own[0]
    geometry = sizing.geometry((own[0], own[1]))
    return geometry.size, geometry.largest


def _widest(own: _Size, look: Look) -> int | None:
    """The width that the picture has, after a crop to the ratio of the box."""
    if not (own[0] and own[1] and look.width and look.height):
        return own[0]
    return min(own[0], int(own[1] * look.width / look.height))


def _boxed(look: Look, size: _Size) -> _Size:
    """The box that is asked for, its missing side by the ratio of ``size``; or ``size``."""
    width, height = look.width, look.height
    if (width and height) or not (size[0] and size[1]):
        return width, height
    if width:
        return width, round(width * size[1] / size[0])
    return (round(height * size[0] / size[1]), height) if height else size


# --- What is said of it -----------------------------------------------------------------------


def alt_text(image: Renderable) -> str:
    """The alternative text, as far as it is known without a query; empty if there is none.

    From the row, where the field maps user metadata ``text:alt`` or ``alt``; else from the mirror's row, which
    may also have rokka's description in the language of the page, or else in English.
    """
    language = (get_language() or "en").partition("-")[0]
    described = [f"text:auto_description_{code}" for code in dict.fromkeys((language, "en"))]
    return image.said((*_ALT, *described))


def placeholder_style(image: Renderable, kind: str) -> str:
    """Style declarations that show a placeholder behind a picture: ``"blur"`` or ``"color"``.

    Empty where the mirror has none yet, and for what is transparent: it would shine through. Costs a
    query unless the mirror's row is ``known``. Raises `InvalidArgument` for another kind.
    """
    if kind not in ("blur", "color"):
        raise InvalidArgument(f"{kind!r} is no kind of placeholder; expected 'blur' or 'color'")
    mirrored = image.mirrored
    if mirrored is None or not mirrored.placeholder:
        return ""
    if kind == "color":
        return f"background-color:{mirrored.color}"
    return f"background:{mirrored.color} url({mirrored.placeholder}) center/cover no-repeat"


def focal_position(image: Renderable, shown: Shown) -> str:
    """The middle of the subject area, as a ``background-position``.

    Empty if none is known, and where the picture is cropped: the crop follows the subject area itself.
    """
    known, own = image.known, (image.width, image.height)
    area: Mapping[str, Any] = (known and known.dynamic_metadata.get("subject_area")) or {}
    if not (area and own[0] and own[1] and shown.width and shown.height):
        return ""
    if abs(own[0] * shown.height / (own[1] * shown.width) - 1) > _SAME_RATIO:
        return ""
    width, height = (100, 100) if area.get("percentage") else (own[0], own[1])
    across = (area["x"] + area.get("width", 1) / 2) / width
    down = (area["y"] + area.get("height", 1) / 2) / height
    return f"{across:.1%} {down:.1%}"
