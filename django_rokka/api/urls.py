"""A render URL as a value: read from a string, changed, and written again in its one canonical form."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from . import grammar
from .errors import InvalidArgument
from .grammar import Options, Steps, Value
from .names import HASH
from .render import DYNAMIC
from .secret import Secret
from .signing import SLICE, sign_url
from .types import StackOperation

#: New values by name; ``None`` takes one away.
Changes = Mapping[str, Value | None]

_BASE = re.compile(r"(?:(?:[A-Za-z][0-9A-Za-z+.-]*:)?//[^/?#\s\\]+)?(?:/[^?#\s\\]*)?")
_VERSION = re.compile(r"(?:^|[-_.])v([0-9]+)$", re.ASCII)
_DENSITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)x")
_WIDTH = re.compile(r"([0-9]+)w")


@dataclass(frozen=True)
class RenderURL:
    """``{base}/{stack}[/{config}]/{id}[/{slug}].{format}[?{query}]``, in parts.

    ``id`` is a hash, or what `alias_id` or `remote_id` give. Values of operations and options are kept as
    the text that the URL holds (``{"width": "640"}``), expressions as ``"[$w]"``; variables that fit no
    path keep their type. ``query`` is whatever else the query holds. Equal URLs have equal strings.

    A change makes a copy: a method that is named ``with_…``, or ``dataclasses.replace(url, format="webp")``.
    Raises `InvalidArgument` for a part that would become another one.

    >>> url = RenderURL.parse("https://acme.rokka.io/hero/c03683/dog.jpg")
    >>> str(url.with_options({"dpr": 2}).with_width(640))
    'https://acme.rokka.io/hero/resize-width-640--o-dpr-2/c03683/dog.jpg'
    """

    base: str
    stack: str
    id: str
    format: str
    slug: str = ""
    operations: tuple[StackOperation, ...] = ()
    options: Options = field(default_factory=dict)
    variables: Options = field(default_factory=dict)
    query: str = ""

    def __post_init__(self) -> None:
        grammar.tail(self.id, self.slug, self.format)
        grammar.matching(grammar.STACK, self.stack)
        query, reserved = grammar.split_query(self.query, ("v", "sig", "sigopts"))
        if reserved or "#" in self.query:
            raise grammar.unfit(self.query, "v are the variables, sig and sigopts come by signing")
        normal = {
            "base": grammar.matching(_BASE, self.base).rstrip("/"),
            "operations": tuple(map(_normal_operation, self.operations)),
            "options": _normal_options(self.options),
            "variables": dict(grammar.normal_variables(self.variables)),
            "query": grammar.clean_query(query),
        }
        for name, value in normal.items():
            object.__setattr__(self, name, value)

    @classmethod
    def parse(cls, url: str, *, base: str = "") -> RenderURL:
        """Read a URL. A signature is left behind, since it does not outlive a change.

        ``base`` is needed where it has a path of its own, such as ``https://example.com/images``. The first
        segment behind the stack has operations, or overrides of a named stack's; further ones override
        what is there already. Raises `InvalidArgument` for what is no render URL.
        """
        base, path, query = grammar.split(url, base)
        segments = [grammar.decode(segment) for segment in path.split("/") if segment]
        index, id, slug, format = grammar.find_image(segments, start=1)
        rest, fields = grammar.split_query(query, ("v", "sig", "sigopts"))
        parsed = cls(base, segments[0], id, format, slug, query=rest)
        for number, segment in enumerate(segments[1:index]):
            parsed = parsed._read(segment, first=number == 0)
        if "v" in fields:
            parsed = parsed.with_variables(grammar.read_variables(fields["v"]))
        return parsed

    def __str__(self) -> str:
        variables = self.variables.items()
        config = grammar.config(
            grammar.encoded_steps(_steps(self.operations)),
            grammar.encoded_pairs(grammar.pairs(self.options)),
            grammar.path_variables(variables),
        )
        tail = grammar.tail(self.id, self.slug, self.format)
        path = "/".join(filter(None, [self.stack, config, tail]))
        query = "&".join(filter(None, [self.query, grammar.query_variables(variables)]))
        return f"{self.base}/{path}?{query}" if query else f"{self.base}/{path}"

    def __hash__(self) -> int:
        return hash(str(self))

    # --- What it shows ------------------------------------------------------------------------

    @property
    def hash(self) -> str | None:
        """The image's hash, in full or short; ``None`` for an alias and a remote image."""
        return self.id if HASH.fullmatch(self.id) else None

    @property
    def alias(self) -> str | None:
        """The alias that stands for the image, if one does."""
        return self.id[2:-2] if grammar.ALIAS.fullmatch(self.id) else None

    @property
    def remote_path(self) -> str | None:
        """Where a remote image is, if it is one."""
        return self.id[1:-1] if self.hash is None and self.alias is None else None

    @property
    def version(self) -> int | None:
        """The number at the end of the slug, as in ``dog-v2``; see `with_version`."""
        match = _VERSION.search(self.slug)
        return int(match[1]) if match else None

    # --- The same, but … ----------------------------------------------------------------------

    def with_stack(self, stack: str) -> RenderURL:
        """Of another stack: what was set for the old one, variables too, is gone."""
        return replace(self, stack=stack, operations=(), options={}, variables={})

    def with_options(self, options: Changes) -> RenderURL:
        """With these options of the stack: ``{"dpr": 2, "jpg.quality": None}``."""
        return replace(self, options=_merged(self.options, options))

    def with_variables(self, variables: Changes) -> RenderURL:
        """With these variables: ``{"w": 300}``."""
        return replace(self, variables=_merged(self.variables, variables))

    def with_operations(self, operations: Mapping[str, Changes]) -> RenderURL:
        """With these options in every operation of the name; one that is lacking is added at the end."""
        changed = self
        for name, options in operations.items():
            changed = changed._overridden(name, options)
        return changed

    def with_overrides(self, config: str) -> RenderURL:
        """With what one more segment of the URL would do: ``"resize-width-300--o-dpr-2--v-w-3"``.

        Where there are no operations yet, it gives them all. After that it overrides those that are there,
        and others only of a named stack: the dynamic one has none.
        """
        changed = self
        for segment in filter(None, config.split("/")):
            changed = changed._read(segment, first=not changed.operations)
        return changed

    def with_width(self, width: int) -> RenderURL:
        """Resized to a width in pixels, whatever the height was."""
        if width < 1:
            raise InvalidArgument(f"{width} is no width in pixels; expected 1 or more")
        return self.with_operations({"resize": {"width": width, "height": None}})

    def with_version(self, version: int) -> RenderURL:
        """With a number at the end of the slug, for which rokka renders the image anew: ``dog-v2``."""
        if version < 1:
            raise InvalidArgument(f"{version} is no version; expected 1 or more")
        stem = _VERSION.sub("", self.slug)
        return replace(self, slug=f"{stem}-v{version}" if stem else f"v{version}")

    # --- srcset -------------------------------------------------------------------------------

    def sized(self, size: str, overrides: str = "") -> RenderURL:
        """The candidate of a ``srcset`` for ``"2x"``, a density, or ``"300w"``, a width in pixels.

        ``overrides`` are as in `with_overrides`, or a density: ``sized("300w", "2x")`` is 150 wide with a
        ``dpr`` of 2.
        """
        density = _density(overrides)
        if density is None:
            given = replace(self, options={}).with_overrides(overrides)
            density = _density(f"{given.options.get('dpr', '')}x")
        else:
            overrides = f"o-dpr-{grammar.spell(density)}"
        return self._of_size(size, density).with_overrides(overrides)

    def srcset(self, sizes: Iterable[str] | Mapping[str, str]) -> str:
        """The ``srcset`` for ``["1x", "2x"]``, ``["300w", "600w"]`` or ``{"300w": "2x"}``; see `sized`."""
        overrides = sizes if isinstance(sizes, Mapping) else {}
        return ", ".join(f"{self.sized(size, overrides.get(size, ''))} {size}" for size in sizes)

    # --- Signing ------------------------------------------------------------------------------

    def sign(
        self,
        key: str,
        *,
        until: datetime | None = None,
        slice: int = SLICE,
        keep_slug: bool = False,
    ) -> str:
        """The signed URL, as a string; see `sign_url`."""
        key = Secret(key)
        return sign_url(
            str(self), key, until=until, slice=slice, base=self.base, keep_slug=keep_slug
        )

    # --- Inside -------------------------------------------------------------------------------

    def _read(self, segment: str, *, first: bool) -> RenderURL:
        """With the parts of a segment; only the first one can have operations that are new."""
        changed = self
        for name, values in grammar.read_config(segment):
            if name in grammar.OPTIONS:
                changed = changed.with_options(values)
            elif name in grammar.VARIABLES:
                changed = changed.with_variables(values)
            elif first:
                added = StackOperation(name, values)
                changed = replace(changed, operations=(*changed.operations, added))
            elif self.stack != DYNAMIC or changed._has(name):
                # The dynamic stack has nothing else to override; rokka ignores it there.
                changed = changed._overridden(name, values)
        return changed

    def _has(self, operation: str) -> bool:
        return any(one.name == operation for one in self.operations)

    def _overridden(self, name: str, options: Changes) -> RenderURL:
        added = () if self._has(name) else (StackOperation(name),)
        changed = (
            replace(one, options=_merged(one.options, options)) if one.name == name else one
            for one in (*self.operations, *added)
        )
        return replace(self, operations=tuple(changed))

    def _of_size(self, size: str, density: float | None) -> RenderURL:
        if (own := _density(size)) is not None:
            return self.with_options({"dpr": own})
        match = _WIDTH.fullmatch(size)
        if match is None:
            raise InvalidArgument(f"{size!r} is no size in a srcset; expected '2x' or '300w'")
        return self.with_width(math.ceil(int(match[1]) / (density or 1)))


def _density(text: str) -> float | None:
    match = _DENSITY.fullmatch(text)
    return float(match[1]) or None if match else None


def _merged(old: Options, changes: Changes) -> Options:
    return {key: value for key, value in {**old, **changes}.items() if value is not None}


def _normal_options(options: Options) -> dict[str, str]:
    texts = dict(sorted(grammar.pairs(options)))
    grammar.encoded_pairs(tuple(texts.items()))
    return texts


def _normal_operation(operation: StackOperation) -> StackOperation:
    """Checked, its expressions among its options as the URL has them."""
    expressions = {name: f"[{text}]" for name, text in operation.expressions.items()}
    options = _normal_options({**operation.options, **expressions})
    return StackOperation(grammar.operation_name(operation.name), options)


def _steps(operations: Iterable[StackOperation]) -> Steps:
    return tuple((one.name, grammar.pairs(one.options)) for one in operations)
