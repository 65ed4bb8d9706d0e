"""What the objects of the API look like: which keys they must have, which they may have, and of what type.

Each shape names where it is seen. *rokka.js* and *Go* are exchanges recorded in the tests of those
official clients, *PHP* and *codegen* what those clients read, *docs* is rokka's documentation. Only
facts are taken from there; the data of the tests is our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeGuard

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Shape:
    """An object. A key that it neither must nor may have is a problem as well."""

    source: str
    must: Mapping[str, Check]
    may: Mapping[str, Check] = field(default_factory=dict)

    def problems(self, value: Any) -> list[str]:
        """What is wrong with a value, each in a few words; empty if it fits."""
        if not isinstance(value, dict):
            return [f"{value!r:.80} is no object"]
        known = {**self.must, **self.may}
        return [
            *(f"lacks {key!r} ({self.source})" for key in self.must if key not in value),
            *(f"has {key!r}, which nothing shows" for key in value if key not in known),
            *(
                f"{key} is {item!r:.200} ({self.source})"
                for key, item in value.items()
                if key in known and not known[key](item)
            ),
        ]

    def __call__(self, value: Any) -> bool:
        return not self.problems(value)


# --- Types ----------------------------------------------------------------------------------


def text(value: Any) -> TypeGuard[str]:
    """A string."""
    return isinstance(value, str)


def flag(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def count(value: Any) -> bool:
    """A whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def number(value: Any) -> bool:
    """A number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def anything(value: Any) -> bool:
    """Any value."""
    return True


def matching(pattern: str) -> Check:
    """A string of this form."""
    return lambda value: text(value) and re.fullmatch(pattern, value) is not None


def list_of(check: Check) -> Check:
    """A list of such things."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def map_of(check: Check) -> Check:
    """An object with values of one kind; empty, PHP writes it as a list."""
    return lambda value: (
        value == [] or (isinstance(value, dict) and all(map(check, value.values())))
    )


def either(*checks: Check) -> Check:
    """One or the other."""
    return lambda value: any(check(value) for check in checks)


def date(value: Any) -> bool:
    """ISO 8601 to the second, with an offset that may lack its colon."""
    form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:?\d\d)"
    return text(value) and re.fullmatch(form, value) is not None and bool(moment(value))


def moment(value: str) -> datetime:
    """Read a date."""
    return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S%z")


free = map_of(anything)
full_hash = matching("[0-9a-f]{40}")
any_hash = matching("[0-9a-f]{6,40}")


# --- Source images --------------------------------------------------------------------------

_image: Mapping[str, Check] = {
    "hash": full_hash,
    "short_hash": any_hash,
    "binary_hash": full_hash,
    "created": date,
    "name": text,
    "mimetype": matching(r"[a-z]+/[a-z0-9.+-]+"),
    "format": matching("[a-z0-9]+"),
    "size": count,
    "width": count,
    "height": count,
    "organization": text,
    "opaque": flag,
}
_said: Mapping[str, Check] = {
    "user_metadata": free,
    "dynamic_metadata": free,
    "static_metadata": free,
    "protected": flag,
    "locked": flag,
    "animated": flag,
    "deleted": flag,
    "deleted_date": date,
}
_link: Mapping[str, Check] = {"link": matching("/sourceimages/[a-z0-9_-]+/[0-9a-f]{40}")}

IMAGE = Shape("rokka.js: sourceimages_get", {**_image, **_link}, _said)
REHASHED = Shape("rokka.js: sourceimages_metadata_set_subjectarea", _image, _said)
RESTORED = Shape("rokka.js: sourceimages_restore", {**_image, "deleted": flag}, _said)
# The lock is of a later date than the recordings.
LOCKED = Shape("PHP: Image::setLocked", {**_image, **_link, "locked": flag}, _said)

_HREF = Shape("rokka.js: sourceimages_list_with_args", {"href": text})
_LINKS = Shape("Go: ListSourceImagesWithLimitAndOffset", {}, {"next": _HREF, "prev": _HREF})
_FACET = Shape("docs: facets", {"value": text, "count": count})

FOUND = Shape("rokka.js: sourceimages_get_binaryhash", {"total": count, "items": list_of(IMAGE)})
UPLOADED = Shape("Go: CreateSourceImage", FOUND.must)
PAGE = Shape(
    "rokka.js: sourceimages_list",
    {**FOUND.must, "links": either(_LINKS, lambda value: value == [])},
    {"cursor": text, "facets": map_of(list_of(_FACET))},
)
COPIED = Shape(
    "PHP and Go: copySourceImages",
    {"created": list_of(any_hash), "existing": list_of(any_hash)},
    {"notfound": list_of(any_hash)},
)
ALIAS = Shape(
    "docs: getting an alias",
    {"organization": text, "alias": text, "hash": full_hash},
    {"created": date},
)
NOTHING = Shape("rokka.js: sourceimages_copy", {})
PURGED = Shape("docs: invalidating the CDN cache", {"status": lambda value: value == "ok"})


# --- Stacks and the organization ------------------------------------------------------------

_STEP = Shape("rokka.js: stacks_create", {"name": text, "options": free}, {"expressions": free})
_RULE = Shape("rokka.js: stacks_create_expressions", {"expression": text, "overrides": free})

STACK = Shape(
    "rokka.js: stacks_create",
    {
        "name": text,
        "organization": text,
        "created": date,
        "stack_operations": list_of(_STEP),
        "stack_options": free,
        "stack_expressions": list_of(_RULE),
        "stack_variables": free,
    },
    {"description": text},
)
ONE_STACK = Shape(
    "rokka.js: stacks_get",
    {**STACK.must, "link": matching("/stacks/[a-z0-9_-]+/[A-Za-z0-9_-]+")},
    STACK.may,
)
STACKS = Shape("rokka.js: stacks_list", {"items": list_of(STACK)})

_PROPERTY = Shape(
    "rokka.js: operations_get and stackoptions_get",
    {"type": either(text, list_of(text))},
    {
        "default": anything,
        "minimum": number,
        "maximum": number,
        "values": list_of(text),
        "pattern": text,
        "description": text,
        "items": free,
    },
)
OPERATION = Shape(
    "rokka.js: operations_get",
    {"properties": map_of(_PROPERTY), "description": text},
    {"required": list_of(text), "oneOf": list_of(text)},
)
STACK_OPTIONS = Shape("rokka.js: stackoptions_get", {"properties": map_of(_PROPERTY)})
ORGANIZATION = Shape(
    "rokka.js: organizations_get",
    {
        "id": matching("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        "name": text,
        "display_name": text,
        "billing_email": text,
        "created": date,
        "master_organization": text,
    },
    {
        "signing_keys": list_of(
            Shape("docs: getting the signing key", {"key": text}, {"created": date})
        ),
        "options": free,
        "limit": free,
    },
)


# --- Refusals -------------------------------------------------------------------------------

UNKNOWN_USER = Shape(
    "docs: authentication, HTTP status codes",
    {"code": count, "message": text, "invalid_authentication": lambda value: value is True},
)
REFUSED = Shape("docs: authentication, HTTP status codes", {"code": count, "message": text})
TOO_MANY = Shape(
    "docs: rate-limit response headers",
    {"status": text, "X-RateLimit-Retry-After-readable": text},
    REFUSED.must,
)
