"""What rokka's answers become: frozen values that keep every key they do not know in ``extra``.

rokka is written in PHP, which serialises an empty object as ``[]`` and has sent several date forms;
both are read here and nowhere else. Sources: the API document; the source image, stack and searching
chapters of rokka's documentation.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qs, urlsplit

from .errors import InvalidArgument, UnexpectedAnswer, shown
from .names import HASH

JSON = Any  # what json.loads gives

_T = TypeVar("_T", bound="_Answer")


def parse_date(value: JSON) -> datetime | None:
    """Read any date form rokka has sent; an unreadable one is ``None``, and so is one of the years 1 and
    9999, which are others in some time zones. Always aware.

    Seen: ``2019-12-10T10:45:32+00:00``, ``2017-01-18T14:10:40+0000``, a ``Z``, fractions, and PHP's
    ``{"date": "2015-08-20 08:50:32.000000", "timezone_type": 3, "timezone": "UTC"}``.
    """
    if isinstance(value, Mapping):
        # PHP's timezone may be a name; all recordings say UTC, and an offset is understood as well.
        zone = str(value.get("timezone", "UTC"))
        return parse_date(f"{value.get('date')}{zone if re.match(r'[+-]', zone) else 'Z'}")
    if not isinstance(value, str):
        return None
    text = value.strip().replace(" ", "T", 1)
    with contextlib.suppress(ValueError):
        return _aware(datetime.fromisoformat(text))  # the form of today, read some ten times faster
    for pattern in ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S"):
        with contextlib.suppress(ValueError):
            return _aware(datetime.strptime(text, pattern))
    return None


def _aware(moment: datetime) -> datetime | None:
    if not 1 < moment.year < 9999:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def as_object(value: JSON) -> dict[str, JSON]:
    """Read a JSON object that PHP may have sent as a list (``[]`` when empty) or left out."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    return {}


def as_list(value: JSON) -> list[JSON]:
    """Read a JSON list that PHP may have sent as an object with numbers for keys, or left out."""
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def read_list(value: JSON) -> list[JSON]:
    """Read a JSON list that must be there, as `as_list` does. Raises `UnexpectedAnswer`."""
    if not isinstance(value, Mapping | list):
        raise UnexpectedAnswer(f"expected a list, got {type(value).__name__}")
    return as_list(value)


def read_object(value: JSON) -> dict[str, JSON]:
    """Read a JSON object that must be there; an empty one may be PHP's ``[]``. Raises `UnexpectedAnswer`."""
    if not isinstance(value, Mapping) and value != []:
        raise UnexpectedAnswer(f"expected an object, got {type(value).__name__}")
    return as_object(value)


def _text(value: JSON) -> str:
    return "" if value is None else str(value)


def _number(value: JSON) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _flag(value: JSON) -> bool:
    return value is True or value == "true" or value == 1


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """Base: reads the keys that are fields, keeps the others in ``extra``."""

    #: Keys this version does not know, as rokka sent them.
    extra: Mapping[str, JSON] = field(default_factory=dict, repr=False)

    #: How to read each key; a subclass fills it.
    _readers: ClassVar[Mapping[str, Callable[[JSON], Any]]] = {}
    #: JSON key → field name, where they differ.
    _keys: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def from_json(cls: type[_T], data: JSON) -> _T:
        """Read an answer's body. Raises `UnexpectedAnswer` if it is no object or lacks a required key."""
        if not isinstance(data, Mapping):
            raise UnexpectedAnswer(f"expected a {cls.__name__}, got {type(data).__name__}")
        known: dict[str, Any] = {}
        extra: dict[str, JSON] = {}
        for key, value in data.items():
            name = cls._keys.get(key, key)
            if name in cls._readers:
                known[name] = cls._readers[name](value)
            else:
                extra[key] = value
        try:
            return cls(**known, extra=extra)
        except TypeError as error:
            raise UnexpectedAnswer(f"incomplete {cls.__name__}: {error}") from error

    def as_dict(self) -> dict[str, Any]:
        """All fields by name, ``extra`` included: shallow, unlike ``dataclasses.asdict``."""
        return dict(vars(self))


def _hash(value: JSON) -> str:
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise UnexpectedAnswer(f"expected a hash, got {shown(value)}")
    return value


@dataclass(frozen=True, kw_only=True)
class SourceImage(_Answer):
    """A source image. ``size`` in bytes, ``width`` and ``height`` in pixels.

    All but hash and organization may be unknown.
    """

    hash: str
    organization: str
    short_hash: str = ""
    binary_hash: str = ""
    created: datetime | None = None
    name: str = ""
    mimetype: str = ""
    format: str = ""
    size: int | None = None
    width: int | None = None
    height: int | None = None
    link: str = ""
    opaque: bool | None = None
    user_metadata: Mapping[str, JSON] = field(default_factory=dict)
    dynamic_metadata: Mapping[str, JSON] = field(default_factory=dict)
    static_metadata: Mapping[str, JSON] = field(default_factory=dict)
    protected: bool = False
    locked: bool = False
    animated: bool = False
    deleted: bool = False
    deleted_date: datetime | None = None

    _readers = {
        "hash": _hash,
        "organization": str,
        "short_hash": _text,
        "binary_hash": _text,
        "created": parse_date,
        "name": _text,
        "mimetype": _text,
        "format": _text,
        "size": _number,
        "width": _number,
        "height": _number,
        "link": _text,
        "opaque": lambda value: None if value is None else _flag(value),
        "user_metadata": as_object,
        "dynamic_metadata": as_object,
        "static_metadata": as_object,
        "protected": _flag,
        "locked": _flag,
        "animated": _flag,
        "deleted": _flag,
        "deleted_date": parse_date,
    }


@dataclass(frozen=True, kw_only=True)
class Page(_Answer):
    """One page of a listing. ``total`` counts all hits; ``next`` is the offset or cursor of the next page, if any."""

    items: tuple[SourceImage, ...]
    total: int | None = None
    cursor: str = ""
    next: str | None = None
    facets: Mapping[str, JSON] = field(default_factory=dict)

    _readers = {
        "items": lambda value: tuple(SourceImage.from_json(item) for item in read_list(value)),
        "total": _number,
        "cursor": _text,
        "next": lambda value: _next_offset(value),
        "facets": as_object,
    }
    _keys = {"links": "next"}

    def __iter__(self) -> Iterator[SourceImage]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, kw_only=True)
class RawPage(_Answer):
    """One page of a listing whose items are as rokka sent them: one that cannot be read harms no other."""

    items: tuple[JSON, ...]
    total: int | None = None
    next: str | None = None

    _readers = {
        "items": lambda value: tuple(read_list(value)),
        "total": _number,
        "next": lambda value: _next_offset(value),
    }
    _keys = {"links": "next"}

    def __len__(self) -> int:
        return len(self.items)


def _next_offset(links: JSON) -> str | None:
    # Only the offset is taken: the link itself is never requested, so it cannot lead elsewhere.
    href = as_object(as_object(links).get("next")).get("href")
    if not isinstance(href, str):
        return None
    return parse_qs(urlsplit(href).query).get("offset", [None])[0]


@dataclass(frozen=True)
class SubjectArea:
    """What must stay visible when an image is cropped.

    Top-left corner and size, in pixels of the full image, or percent if ``percentage``.
    """

    x: int
    y: int
    width: int = 1
    height: int = 1
    percentage: bool = False

    name: ClassVar[str] = "subject_area"

    def as_json(self) -> dict[str, JSON]:
        """The values as the API takes them; ``percentage`` only when it is set."""
        values: dict[str, JSON] = {
            "x": self.x,
            "y": self.y,
            "width": self.width,
            "height": self.height,
        }
        return {**values, "percentage": True} if self.percentage else values


@dataclass(frozen=True)
class CropArea(SubjectArea):
    """The exact part to cut out: like `SubjectArea`, but a crop keeps to it."""

    name: ClassVar[str] = "crop_area"


@dataclass(frozen=True)
class MultiAreas:
    """Named areas, for stacks that crop with ``area``: ``{"portrait_3_4": CropArea(…)}``."""

    areas: Mapping[str, SubjectArea]

    name: ClassVar[str] = "multi_areas"

    def as_json(self) -> dict[str, JSON]:
        """``{area name: {"crop_area" or "subject_area": {…}}}``."""
        return {key: {area.name: area.as_json()} for key, area in self.areas.items()}


@dataclass(frozen=True)
class Version:
    """A text that gives a picture a hash of its own, apart from others' uploads of the same bytes."""

    text: str

    name: ClassVar[str] = "version"

    def as_json(self) -> dict[str, JSON]:
        """``{"text": …}``."""
        return {"text": self.text}


@dataclass(frozen=True)
class DetectionFace:
    """Asks rokka to look for faces (paying accounts)."""

    name: ClassVar[str] = "detection_face"

    def as_json(self) -> dict[str, JSON]:
        """An empty object: rokka fills the values in."""
        return {}


DynamicMetadata = SubjectArea | CropArea | MultiAreas | Version | DetectionFace


def read_dynamic_metadata(name: str, values: JSON) -> DynamicMetadata:
    """Make a value of what its ``as_json`` gave. Raises `InvalidArgument` for what is none."""
    kinds = (SubjectArea, CropArea, Version, DetectionFace)
    try:
        if name == MultiAreas.name:
            return MultiAreas({key: _read_area(area) for key, area in values.items()})
        return next(kind for kind in kinds if kind.name == name)(**values)
    except (TypeError, AttributeError, LookupError, StopIteration, ValueError) as error:
        raise InvalidArgument(f"{values!r} is no dynamic metadata {name!r}") from error


def _read_area(values: JSON) -> SubjectArea:
    ((name, box),) = values.items()
    return {kind.name: kind for kind in (SubjectArea, CropArea)}[name](**box)


@dataclass(frozen=True)
class Rehash:
    """The outcome of a change of dynamic metadata or protection.

    ``image`` is the new image as rokka sent it; ``None`` when nothing changed or the answer had no body.
    """

    old_hash: str
    hash: str
    image: SourceImage | None = None

    @property
    def changed(self) -> bool:
        """Whether the image has another hash now; it may have been asked for by a short one."""
        return not self.hash.startswith(self.old_hash)


@dataclass(frozen=True)
class CopyResult:
    """What became of each hash of a batch copy. What was there already was overwritten, or left alone."""

    created: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    not_found: tuple[str, ...] = ()


@dataclass(frozen=True)
class Alias:
    """A name that stands for a hash in render URLs, as ``-_name_-``."""

    organization: str
    alias: str
    hash: str


@dataclass(frozen=True)
class StackOperation:
    """One step of a stack, such as ``StackOperation("resize", {"width": 200})``."""

    name: str
    options: Mapping[str, JSON] = field(default_factory=dict)
    expressions: Mapping[str, JSON] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: JSON) -> StackOperation:
        """Read one operation of an answer."""
        values = as_object(data)
        return cls(
            _text(values.get("name")),
            as_object(values.get("options")),
            as_object(values.get("expressions")),
        )

    def as_json(self) -> dict[str, JSON]:
        """The operation as the API takes it; expressions only when there are some."""
        values: dict[str, JSON] = {"name": self.name, "options": dict(self.options)}
        return {**values, "expressions": dict(self.expressions)} if self.expressions else values


@dataclass(frozen=True, kw_only=True)
class Stack(_Answer):
    """A named recipe for renders: operations in order, options, expressions and variables."""

    name: str
    organization: str = ""
    description: str = ""
    created: datetime | None = None
    #: Only an answer about this one stack has it.
    link: str = field(default="", compare=False)
    operations: tuple[StackOperation, ...] = ()
    options: Mapping[str, JSON] = field(default_factory=dict)
    expressions: tuple[JSON, ...] = ()
    variables: Mapping[str, JSON] = field(default_factory=dict)

    _readers = {
        "name": str,
        "organization": _text,
        "description": _text,
        "created": parse_date,
        "link": _text,
        "operations": lambda value: tuple(map(StackOperation.from_json, as_list(value))),
        "options": as_object,
        "expressions": lambda value: tuple(as_list(value)),
        "variables": as_object,
    }
    # The API answers in other words than it is asked in.
    _keys = {f"stack_{key}": key for key in ("operations", "options", "expressions", "variables")}

    def as_json(self) -> dict[str, JSON]:
        """The stack as ``PUT /stacks/…`` takes it."""
        values: dict[str, JSON] = {
            "operations": [operation.as_json() for operation in self.operations],
            "options": dict(self.options),
        }
        optional = {
            "expressions": list(self.expressions),
            "variables": dict(self.variables),
            "description": self.description,
        }
        return values | {key: value for key, value in optional.items() if value}


@dataclass(frozen=True, kw_only=True)
class Organization(_Answer):
    """An organization. The signing keys are secrets: they are kept out of the repr."""

    name: str
    display_name: str = ""
    id: str = ""
    created: datetime | None = None
    limits: Mapping[str, JSON] = field(default_factory=dict)
    signing_keys: tuple[str, ...] = field(default=(), repr=False)

    _readers = {
        "name": _text,
        "display_name": _text,
        "id": _text,
        "created": parse_date,
        "limits": as_object,
        "signing_keys": lambda value: tuple(
            _text(as_object(item).get("key", item)) for item in as_list(value)
        ),
    }
    _keys = {"limit": "limits"}
