"""What stacks can be made of: the operations with their options, and the options of a stack itself.

`DOCUMENTED` is what the operations and stacks chapters of rokka's documentation name. rokka may have more
by now: `Catalogue.from_json` reads the list that it keeps itself.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .render import DYNAMIC
from .types import JSON, Stack, StackOperation, as_list, as_object

#: Options with their defaults, ``None`` for none. One that is given its default may as well be left out.
_OPERATIONS: Mapping[str, Mapping[str, JSON]] = {
    "addframes": {"delay": 10, "frames": None},
    "alpha": {"mode": "mask", "opacity": 50},
    "autorotate": {"width": None, "height": None, "rotation_direction": None},
    "blur": {"sigma": 4, "radius": 0},
    "circlemask": {"radius": None},
    "composition": {
        "mode": None,
        "width": None,
        "height": None,
        "resize_mode": "box",
        "resize_to_primary": None,
        "anchor": "center_center",
        "secondary_color": "000000",
        "secondary_opacity": 100,
        "secondary_image": None,
        "secondary_stack": None,
        "secondary_stack_variables": None,
        "angle": 0,
    },
    "crop": {
        "width": None,
        "height": None,
        "mode": "absolute",
        "anchor": "auto",
        "fallback": "center_center",
        "area": None,
        "scale": 100,
        "movearea_x": None,
        "movearea_y": None,
    },
    "dropshadow": {
        "horizontal": 0,
        "vertical": 0,
        "opacity": 0,
        "sigma": 0.5,
        "blur_radius": 0,
        "color": "000000",
    },
    "face": {
        "secondary_image": None,
        "leftFeature": None,
        "rightFeature": None,
        "anchor": "center_center",
        "scale": 1,
    },
    "glitch": {"amount": 4, "random": None},
    "grayscale": {"levels": 256},
    "modulate": {"brightness": 100, "saturation": 100, "hue": 0},
    "multiply": {"factor": 0.96, "factor_color": None},
    "noop": {},
    "primitive": {"count": 20, "mode": 0},
    "resize": {
        "width": None,
        "height": None,
        "mode": "box",
        "upscale": True,
        "upscale_dpr": True,
        "sharpen": False,
    },
    "rotate": {"angle": None, "background_color": "FFFFFF", "background_opacity": 0},
    "sepia": {},
    "sharpen": {"m1": 0.4, "m2": 0.8, "sigma": 0.7, "x1": 2, "y2": 10, "y3": 20},
    "svg2bitmap": {},
    "svgdynamic": {"changes": None},
    "text": {
        "font": None,
        "text": None,
        "size": 16,
        "color": None,
        "opacity": 100,
        "angle": 0,
        "anchor": "center_center",
        "width": None,
        "height": None,
        "spacing": 0,
        "align": None,
        "resize_to_box": None,
    },
    "trim": {"fuzzy": 0},
}
#: Every operation has this one.
_EVERYWHERE: Mapping[str, JSON] = {"enabled": True}
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "crop": ("width", "height"),
    "face": ("secondary_image", "leftFeature", "rightFeature"),
    "rotate": ("angle",),
    "svgdynamic": ("changes",),
    "text": ("font", "text"),
}
_ONE_OF: Mapping[str, tuple[str, ...]] = {"resize": ("width", "height")}

#: The same for a stack. A quality has none: rokka chooses one that is not given, and keeps to one that is.
#: What an organization can set for all its stacks has none either.
_STACK_OPTIONS: Mapping[str, JSON] = {
    "autoformat": False,
    "autoformat.exclude": None,
    "autoformat.include": None,
    "av1.quality": None,
    "avif.quality": None,
    "basestack": None,
    "content_disposition": "inline",
    "dpi": None,
    "dpr": 1,
    "fps": 10,
    "gif.quality": None,
    "heif.quality": None,
    "jp2.quality": None,
    "jpg.quality": None,
    "jpg.transparency.autoformat": False,
    "jpg.transparency.color": "FFFFFF",
    "jpg.transparency.convert": False,
    "jxl.quality": None,
    "min_video_height": None,
    "min_video_width": None,
    "mp4.quality": None,
    "optim.disable_all": False,
    "optim.immediate": False,
    "optim.quality": None,
    "pdf.dpi": 200,
    "pdf.page": 1,
    "png.compression_level": 7,
    "pngquant.quality": None,
    "protected": False,
    "remote_basepath": None,
    "remote_fullurl_allow": None,
    "remote_fullurl_whitelist": None,
    "source_file": False,
    "timestamp": None,
    "transparency.color": None,
    "webm.quality": None,
    "webp.quality": None,
}

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")


def is_reserved(name: str) -> bool:
    """Whether rokka keeps the name of a stack for itself: ``dynamic``, and what starts with ``_``."""
    return name == DYNAMIC or name.startswith("_")


def advice(name: str, known: Iterable[str]) -> str:
    """The way out of an unknown name: what is close, or all there is."""
    names = sorted(known)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names) or 'none'}"


@dataclass(frozen=True)
class Operation:
    """What one operation takes: options with their defaults, those that it needs, and one of which it does."""

    options: Mapping[str, JSON] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()

    def __or__(self, other: Operation) -> Operation:
        """What either takes, and what either needs."""
        return Operation(
            {**self.options, **other.options},
            tuple(dict.fromkeys([*self.required, *other.required])),
            self.one_of or other.one_of,
        )

    def mistakes(self, step: StackOperation) -> Iterator[str]:
        """What is wrong with a step of a stack, each in a few words."""
        if any(key.isdigit() for key in step.expressions):
            return  # a list of changes, each naming what it is for
        given = {**step.options, **step.expressions}
        for key in given:
            if key not in self.options:
                yield f"{step.name} has no option {key!r}; {advice(key, self.options)}"
        for key in self.required:
            if key not in given:
                yield f"{step.name} needs {key!r}"
        if self.one_of and not given.keys() & set(self.one_of):
            yield f"{step.name} needs {' or '.join(map(repr, self.one_of))}"


@dataclass(frozen=True)
class Catalogue:
    """The operations there are, and the options of a stack with their defaults."""

    operations: Mapping[str, Operation]
    stack_options: Mapping[str, JSON]

    @classmethod
    def from_json(cls, operations: JSON, stack_options: JSON) -> Catalogue:
        """Read the answers of ``GET /operations`` and ``GET /stackoptions``."""
        described = {name: as_object(value) for name, value in as_object(operations).items()}
        return cls(
            {name: _read_operation(value) for name, value in described.items()},
            _defaults(stack_options),
        )

    def __or__(self, other: Catalogue) -> Catalogue:
        """What is in either."""
        both = {
            name: self.operations.get(name, Operation()) | other.operations.get(name, Operation())
            for name in [*self.operations, *other.operations]
        }
        return Catalogue(both, {**self.stack_options, **other.stack_options})

    def mistakes(self, stack: Stack) -> list[str]:
        """What rokka does not have, or misses, in a stack: each in a few words, with the way out."""
        return [
            *(mistake for step in stack.operations for mistake in self._of_step(step)),
            *self._of_options(stack.options),
            *(mistake for rule in stack.expressions for mistake in self._of_rule(rule)),
            *_undeclared(stack),
        ]

    def _of_step(self, step: StackOperation) -> Iterator[str]:
        operation = self.operations.get(step.name)
        if operation is None:
            yield f"unknown operation {step.name!r}; {advice(step.name, self.operations)}"
        else:
            yield from operation.mistakes(step)

    def _of_options(self, options: Iterable[str]) -> Iterator[str]:
        for key in options:
            if key not in self.stack_options:
                yield f"unknown stack option {key!r}; {advice(key, self.stack_options)}"

    def _of_rule(self, rule: JSON) -> Iterator[str]:
        overrides = as_object(as_object(rule).get("overrides"))
        return self._of_options(as_object(overrides.get("options")))


def _read_operation(described: Mapping[str, JSON]) -> Operation:
    return Operation(
        {**_defaults(described), **_EVERYWHERE},
        _texts(described.get("required")),
        _texts(described.get("oneOf")),
    )


def _defaults(described: JSON) -> dict[str, JSON]:
    properties = as_object(as_object(described).get("properties"))
    return {key: as_object(value).get("default") for key, value in properties.items()}


def _texts(value: JSON) -> tuple[str, ...]:
    return tuple(item for item in as_list(value) if isinstance(item, str))


def _undeclared(stack: Stack) -> Iterator[str]:
    """Variables that expressions use and nobody declares, or only further down."""
    users: list[tuple[str, JSON]] = [(step.name, step.expressions) for step in stack.operations]
    users += [("an expression", as_object(rule).get("expression")) for rule in stack.expressions]
    for user, expressions in users:
        for name in _variables(expressions):
            if name not in stack.variables:
                yield f"{user} uses ${name}, which is not among the variables"
    later = list(stack.variables)
    for key, value in stack.variables.items():
        for name in _variables(value):
            if name in later:
                yield f"the variable {key!r} uses ${name}, which must be declared before it"
        later.remove(key)


def _variables(value: Any) -> Iterator[str]:
    """The names with a dollar in all texts of a value, but not in quotes."""
    if isinstance(value, str):
        yield from dict.fromkeys(_VARIABLE.findall(_QUOTED.sub("", value)))
    elif isinstance(value, Mapping):
        yield from (name for item in value.values() for name in _variables(item))
    elif isinstance(value, list | tuple):
        yield from (name for item in value for name in _variables(item))


#: What rokka's documentation names.
DOCUMENTED = Catalogue(
    {
        name: Operation({**options, **_EVERYWHERE}, _REQUIRED.get(name, ()), _ONE_OF.get(name, ()))
        for name, options in _OPERATIONS.items()
    },
    _STACK_OPTIONS,
)
