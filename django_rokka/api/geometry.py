"""How large a stack's render is, and what makes it another width: computed from the stack, without HTTP.

Source: the operations chapter of rokka's documentation. What the stack and the picture's size do not tell
(a trim, an expression other than a plain variable, an area of the picture) is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from .types import JSON, Stack, StackOperation

#: Operations that leave the size as it is.
_LOOKS = {
    "addframes", "alpha", "blur", "circlemask", "face", "glitch", "grayscale", "modulate", "multiply",
    "noop", "primitive", "sepia", "sharpen", "svg2bitmap", "svgdynamic", "text",
}  # fmt: skip
_SIDES = ("width", "height")
_NUMBERS = (*_SIDES, "angle", "scale")
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")

Overrides = tuple[dict[str, dict[str, JSON]], dict[str, JSON]]


@dataclass(frozen=True)
class Geometry:
    """The size of a render in pixels, and by how much it was enlarged on the way, across and down."""

    width: float
    height: float
    across: float = 1
    down: float = 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as whole pixels."""
        return _whole(self.width), _whole(self.height)

    @property
    def largest(self) -> int:
        """How wide the same render can be without a part of the picture being enlarged."""
        return max(int(self.width / max(self.across, self.down)), 1)


@dataclass(frozen=True)
class _Step:
    """An operation that changes the size; ``variables`` are the sides that a variable sets, by its name."""

    name: str
    options: Mapping[str, JSON]
    numbers: Mapping[str, float]
    variables: Mapping[str, str]

    @property
    def sides(self) -> set[str]:
        """The sides that are set by the step itself, and not by a variable."""
        return {key for key in _SIDES if key in self.numbers and key not in self.variables}

    def scaled(self, factor: float, done: Geometry) -> tuple[dict[str, JSON], dict[str, JSON]]:
        """The options and variables for a render by ``factor`` as large; ``done`` is the size after the step."""
        if self.name == "resize" and not self.variables:
            # Exactly that size: a box would leave one side to the rounding of the other.
            size = {"width": _whole(done.width * factor), "height": _whole(done.height * factor)}
            return {**size, "mode": "absolute"}, {}
        if self.options.get("mode") == "ratio":
            return {}, {}
        sides = {key: _whole(self.numbers[key] * factor) for key in _SIDES if key in self.numbers}
        return (
            {key: value for key, value in sides.items() if key in self.sides},
            {self.variables[key]: value for key, value in sides.items() if key in self.variables},
        )


class Sizing:
    """The operations of a stack that decide on the size of its renders; see `sizing_of`."""

    def __init__(self, steps: tuple[_Step, ...]) -> None:
        self._steps = steps
        names = [step.name for step in steps]
        # What comes before a resize measures the picture itself.
        self._scaled = steps[names.index("resize") :] if "resize" in names else ()
        #: Whether the option ``width`` of ``resize`` is all that makes a render another width.
        self.by_width_alone = not self._scaled or (
            len(self._scaled) == 1
            and self._scaled[0].sides == {"width"}
            and not self._scaled[0].variables
        )

    def geometry(self, size: tuple[int, int], *, nominal: bool = False) -> Geometry:
        """The size of a render of a picture of this size.

        The ``nominal`` one is what the stack asks for: a picture may be enlarged, and pixels are not whole.
        """
        return [Geometry(*size), *self._stages(size, nominal=nominal)][-1]

    def _stages(self, size: tuple[int, int], *, nominal: bool) -> Iterator[Geometry]:
        """The size after each operation."""
        done = Geometry(*size)
        for step in self._steps:
            done = _APPLY[step.name](done, step, nominal)
            if not nominal:
                done = replace(done, width=_whole(done.width), height=_whole(done.height))
            yield done

    def at_width(self, width: int, size: tuple[int, int]) -> Overrides:
        """The operations and variables of a URL whose render has this width, and the stack's ratio."""
        if self.by_width_alone:
            return {"resize": {"width": width}}, {}
        stages = list(self._stages(size, nominal=True))
        factor = width / stages[-1].width
        operations: dict[str, dict[str, JSON]] = {}
        variables: dict[str, JSON] = {}
        for step, done in zip(self._scaled, stages[-len(self._scaled) :], strict=True):
            options, set_here = step.scaled(factor, done)
            operations |= {step.name: options} if options else {}
            variables |= set_here
        return operations, variables


def sizing_of(stack: Stack) -> Sizing | None:
    """What decides on the size of a stack's renders; ``None`` if the stack alone does not tell.

    >>> hero = Stack.from_json({"name": "hero", "operations": [
    ...     {"name": "crop", "options": {"width": 16, "height": 9, "mode": "ratio"}},
    ...     {"name": "resize", "options": {"width": 1600}}]})
    >>> sizing_of(hero).geometry((4000, 3000)).size
    (1600, 900)
    """
    if stack.expressions or stack.options.get("basestack") or stack.options.get("dpr", 1) != 1:
        return None
    try:
        steps = tuple(_steps(stack))
    except ValueError:
        return None
    # An option in a URL means the first operation of its name.
    return Sizing(steps) if len({step.name for step in steps}) == len(steps) else None


def _steps(stack: Stack) -> Iterator[_Step]:
    """The operations that change the size. Raises `ValueError` for one that cannot be computed."""
    for operation in stack.operations:
        given = {**operation.options, **operation.expressions}
        if given.get("enabled", True) is False or operation.name in _LOOKS:
            continue
        if operation.name not in _APPLY or "enabled" in operation.expressions:
            raise ValueError(f"{operation.name} may give any size")
        yield _step(operation, stack.variables)


def _step(operation: StackOperation, values: Mapping[str, JSON]) -> _Step:
    variables = {key: _variable(text) for key, text in operation.expressions.items()}
    set_here = {key: values.get(name) for key, name in variables.items()}
    options = {**operation.options, **set_here}
    numbers = {key: float(str(options[key])) for key in _NUMBERS if options.get(key) is not None}
    step = _Step(operation.name, options, numbers, variables)
    _check(step)
    return step


def _variable(expression: JSON) -> str:
    match = _VARIABLE.fullmatch(str(expression))
    if match is None:
        raise ValueError(f"{expression!r} may be anything")
    return match[1]


def _check(step: _Step) -> None:
    if step.name == "crop":
        if min(step.numbers.get(key, 0) for key in _SIDES) <= 0:
            raise ValueError("a crop needs both sides")
        if step.options.get("mode", "absolute") not in ("absolute", "ratio"):
            raise ValueError("the area decides")
    if step.name == "rotate" and step.numbers.get("angle", 1) % 90:
        raise ValueError("the corners stick out")


# --- What each operation makes of a size --------------------------------------------------------


def _crop(done: Geometry, step: _Step, nominal: bool) -> Geometry:
    width, height = step.numbers["width"], step.numbers["height"]
    if step.options.get("mode") == "ratio":
        factor = min(done.width / width, done.height / height)
        width, height = width * factor, height * factor
    scale = step.numbers.get("scale", 100) / 100
    return replace(
        done, width=min(width * scale, done.width), height=min(height * scale, done.height)
    )


def _resize(done: Geometry, step: _Step, nominal: bool) -> Geometry:
    sides = (("width", done.width), ("height", done.height))
    factors = [step.numbers[key] / now for key, now in sides if key in step.numbers]
    if not (nominal or _is_on(step.options.get("upscale", True))):
        factors = [min(factor, 1.0) for factor in factors]
    across, down = _chosen(factors, str(step.options.get("mode", "box")))
    return Geometry(done.width * across, done.height * down, done.across * across, done.down * down)


def _chosen(factors: list[float], mode: str) -> tuple[float, float]:
    if len(factors) == 2 and mode == "absolute":
        return factors[0], factors[1]
    factor = max(factors) if mode == "fill" else min(factors, default=1.0)
    return factor, factor


def _rotate(done: Geometry, step: _Step, nominal: bool) -> Geometry:
    if step.numbers["angle"] % 180 == 0:
        return done
    return Geometry(done.height, done.width, done.down, done.across)


def _whole(pixels: float) -> int:
    return max(round(pixels), 1)


def _is_on(value: JSON) -> bool:
    return str(value).lower() in ("true", "1")


_APPLY: Mapping[str, Callable[[Geometry, _Step, bool], Geometry]] = {
    "crop": _crop,
    "resize": _resize,
    "rotate": _rotate,
}
