"""User and dynamic metadata: what is accepted, and the calls that change it.

Sources: the user metadata and dynamic metadata chapters of rokka's documentation. User metadata names
are kept with their type prefix, as the official clients read them.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from werkzeug.wrappers import Response

from .answers import JSON, Refusal, answer, nothing
from .context import Context
from .state import Image

_NAME = re.compile(
    r"((?P<type>str|text|int|double|date|latlon|array|array_text):)?(?P<name>[a-z0-9_]{1,54})"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)")
_LATLON = re.compile(r"\s*-?\d+(\.\d+)?\s*,\s*-?\d+(\.\d+)?\s*")
_AREA_NAME = re.compile(r"[A-Za-z0-9_]+")


# --- User metadata --------------------------------------------------------------------------


def checked_user_metadata(values: JSON, *, nulls: bool = False) -> dict[str, JSON]:
    """Check names and values; an empty list stands for an empty object. Raises a 400 `Refusal`."""
    if values == []:
        return {}
    if not isinstance(values, dict):
        raise Refusal(400, "User metadata must be a JSON object.")
    return {
        name: None if value is None and nulls else _checked_value(name, value)
        for name, value in values.items()
    }


def _checked_value(name: str, value: JSON) -> JSON:
    match = _NAME.fullmatch(name)
    if match is None:
        raise Refusal(400, f"{name!r} is no user metadata field: 1 to 54 of a-z, 0-9 and _.")
    check = _VALUE_CHECKS[match["type"] or "str"]
    if isinstance(value, bool) or not check(value):
        raise Refusal(400, f"{value!r} is no value for the user metadata field {name!r}.")
    return value


def _is_texts(value: JSON) -> bool:
    return isinstance(value, list) and all(isinstance(item, str | int | float) for item in value)


def _matches(pattern: re.Pattern[str]) -> Callable[[JSON], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


_VALUE_CHECKS: Mapping[str, Callable[[JSON], bool]] = {
    "str": lambda value: isinstance(value, str | int | float),
    "text": lambda value: isinstance(value, str | int | float),
    "int": lambda value: isinstance(value, int),
    "double": lambda value: isinstance(value, int | float),
    "date": _matches(_DATE),
    "latlon": _matches(_LATLON),
    "array": _is_texts,
    "array_text": _is_texts,
}


def merged(old: Mapping[str, JSON], changes: Mapping[str, JSON]) -> dict[str, JSON]:
    """Apply a patch: ``None`` deletes a field, others stay."""
    return {key: value for key, value in {**old, **changes}.items() if value is not None}


def read_user_metadata(call: Context, hash: str) -> Response:
    """S12."""
    with call.state.reading() as db:
        return answer(call.image(db, hash).user_metadata)


def read_user_metadata_field(call: Context, hash: str, field: str) -> Response:
    """S13."""
    with call.state.reading() as db:
        metadata = call.image(db, hash).user_metadata
    if field not in metadata:
        raise Refusal(404, f"No user metadata field {field!r}.")
    return answer(metadata[field])


def replace_user_metadata(call: Context, hash: str) -> Response:
    """S4."""
    values = checked_user_metadata(call.json)
    return _change_user_metadata(call, hash, lambda old: values)


def patch_user_metadata(call: Context, hash: str) -> Response:
    """S16."""
    values = checked_user_metadata(call.json, nulls=True)
    return _change_user_metadata(call, hash, lambda old: merged(old, values))


def set_user_metadata_field(call: Context, hash: str, field: str) -> Response:
    """S5."""
    values = checked_user_metadata({field: call.json})
    return _change_user_metadata(call, hash, lambda old: {**old, **values})


def delete_user_metadata(call: Context, hash: str) -> Response:
    """S10."""
    return _change_user_metadata(call, hash, lambda old: {})


def delete_user_metadata_field(call: Context, hash: str, field: str) -> Response:
    """S11. A field that is not there is deleted already (Choice)."""
    return _change_user_metadata(call, hash, lambda old: merged(old, {field: None}))


def _change_user_metadata(
    call: Context, hash: str, change: Callable[[dict[str, JSON]], dict[str, JSON]]
) -> Response:
    with call.state.transaction() as db:
        image = call.image(db, hash)
        check_unlocked(image)
        call.state.put(db, replace(image, user_metadata=change(image.user_metadata)))
    return nothing()


def check_unlocked(image: Image) -> None:
    """Raise a 423 `Refusal` for a locked image (Choice: the documentation names no status)."""
    if image.locked:
        raise Refusal(423, f"The image {image.hash} is locked.")


# --- Dynamic metadata -----------------------------------------------------------------------


def checked_dynamic_metadata(name: str, values: JSON) -> dict[str, JSON]:
    """Check one kind of dynamic metadata and fill in defaults. Raises a 400 `Refusal`."""
    check = _DYNAMIC_CHECKS.get(name)
    if check is None:
        known = ", ".join(sorted(_DYNAMIC_CHECKS))
        raise Refusal(400, f"Unknown dynamic metadata {name!r}; known: {known}.")
    if values == []:
        values = {}
    if not isinstance(values, dict):
        raise Refusal(400, f"{name} must be a JSON object.")
    return check(name, values)


def _checked_area(name: str, values: Mapping[str, Any]) -> dict[str, JSON]:
    if unknown := set(values) - {"x", "y", "width", "height", "percentage"}:
        raise Refusal(400, f"Unknown {sorted(unknown)} in {name}.")
    required = ("x", "y", "width", "height") if name == "crop_area" else ("x", "y")
    if missing := [key for key in required if key not in values]:
        raise Refusal(400, f"{name} needs {', '.join(missing)}.")
    numbers = {key: values.get(key, 1) for key in ("width", "height", "x", "y")}
    for key, value in numbers.items():
        lowest = 1 if key in ("width", "height") else 0
        if isinstance(value, bool) or not isinstance(value, int | float) or value < lowest:
            raise Refusal(400, f"{name}: {key} must be a number from {lowest}, got {value!r}.")
    return {**numbers, "percentage": True} if values.get("percentage") else numbers


def _checked_areas(name: str, values: Mapping[str, Any]) -> dict[str, JSON]:
    areas: dict[str, JSON] = {}
    for area, kinds in values.items():
        if not _AREA_NAME.fullmatch(area):
            raise Refusal(400, f"{area!r} is no area name: letters, digits and _ only.")
        if not isinstance(kinds, dict) or not kinds or set(kinds) - {"subject_area", "crop_area"}:
            raise Refusal(400, f"{name}: {area!r} needs a subject_area or a crop_area.")
        areas[area] = {kind: checked_dynamic_metadata(kind, box) for kind, box in kinds.items()}
    return areas


def _checked_version(name: str, values: Mapping[str, Any]) -> dict[str, JSON]:
    if not isinstance(values.get("text"), str):
        raise Refusal(400, "version needs a text.")
    return {"text": values["text"]}


def _detected(name: str, values: Mapping[str, Any]) -> dict[str, JSON]:
    return {}  # nothing is looked for here: the emulator has no eyes


_DYNAMIC_CHECKS: Mapping[str, Callable[[str, Mapping[str, Any]], dict[str, JSON]]] = {
    "subject_area": _checked_area,
    "crop_area": _checked_area,
    "multi_areas": _checked_areas,
    "version": _checked_version,
    "detection_face": _detected,
}


def set_dynamic_metadata(call: Context, hash: str, name: str) -> Response:
    """S3."""
    if name == "detection_face":
        call.accounts.check_paying(call.organization)
    values = checked_dynamic_metadata(name, call.json)
    return rehash(call, hash, lambda image: ({**image.dynamic_metadata, name: values}, None))


def delete_dynamic_metadata(call: Context, hash: str, name: str) -> Response:
    """S9."""
    return rehash(
        call,
        hash,
        lambda image: (
            {key: value for key, value in image.dynamic_metadata.items() if key != name},
            None,
        ),
    )


def set_protected(call: Context, hash: str) -> Response:
    """Protect or unprotect: another hash, like dynamic metadata."""
    protected = call.json
    if not isinstance(protected, bool):
        raise Refusal(400, "The body must be true or false.")
    return rehash(call, hash, lambda image: (image.dynamic_metadata, protected))


def rehash(
    call: Context, hash: str, change: Callable[[Image], tuple[dict[str, JSON], bool | None]]
) -> Response:
    """Give an image other dynamic metadata or protection, and with them another hash."""
    delete_previous, keep_hash = call.flag("deletePrevious"), call.flag("keepHash")
    if delete_previous and keep_hash:
        raise Refusal(400, "deletePrevious and keepHash exclude each other.")
    with call.state.transaction() as db:
        image = call.image(db, hash)
        dynamic, protected = change(image)
        protected = image.protected if protected is None else protected
        if (dynamic, protected) == (image.dynamic_metadata, image.protected):
            return _unchanged(call, image)
        if keep_hash:
            return _in_place(call, db, replace(image, dynamic_metadata=dynamic))
        new = _revived_or_new(call, db, image.rehashed(dynamic=dynamic, protected=protected))
        if delete_previous:
            check_unlocked(image)
            call.state.delete(db, image)
    return _created(call, new)


def _in_place(call: Context, db: sqlite3.Connection, image: Image) -> Response:
    call.state.put(db, image)
    response = _created(call, image)
    response.headers["Warning"] = '299 - "Caches are not invalidated by keepHash"'
    return response


def _revived_or_new(call: Context, db: sqlite3.Connection, wanted: Image) -> Image:
    """A target that exists is used as it is; a deleted one lives again, unless told not to (Choice)."""
    existing = call.state.find(db, call.organization, wanted.hash, deleted=True)
    if existing is None:
        return call.state.put(db, wanted)
    if existing.deleted is None or not call.revives:
        return existing
    return call.state.revive(db, existing)


def _created(call: Context, image: Image) -> Response:
    return answer(image.as_json(link=False), 201, headers=call.location_of(image.path))


def _unchanged(call: Context, image: Image) -> Response:
    """204; the official clients read the ``Location`` of this answer as well."""
    response = nothing()
    response.headers.update(call.location_of(image.path))
    return response
