"""The calls on stacks. Source: the stacks chapter of rokka's documentation, and recordings."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from werkzeug.wrappers import Response

from .answers import Refusal, answer, nothing
from .catalogue import OPERATIONS, STACK_OPTIONS
from .context import Context
from .state import State, iso

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_PARTS = ("operations", "options", "expressions", "variables")
#: Answers use other words than requests; an empty part has the form that recordings show.
_EMPTY: dict[str, Any] = {"operations": [], "options": {}, "expressions": [], "variables": {}}


def save(call: Context, name: str) -> Response:
    """Create (201), or with ``overwrite`` replace (200). Choice: without it an existing one is a 409."""
    _check_name(name)
    body = call.json_object
    parts = {key: body.get(key, body.get(f"stack_{key}")) or _EMPTY[key] for key in _PARTS}
    _check_parts(parts)
    stack: dict[str, Any] = {"name": name, "organization": call.organization}
    stack |= {"created": iso(time.time())}
    stack |= {f"stack_{key}": value for key, value in parts.items()}
    if description := body.get("description"):
        stack["description"] = description
    return answer(stack, _write(call, name, stack))


def _write(call: Context, name: str, stack: dict[str, Any]) -> int:
    with call.state.transaction() as db:
        key = (call.organization, name)
        existing = db.execute(
            "SELECT 1 FROM stacks WHERE organization = ? AND name = ?", key
        ).fetchone()
        if existing and not call.flag("overwrite"):
            raise Refusal(409, f"The stack {name!r} exists already.")
        db.execute("INSERT OR REPLACE INTO stacks VALUES (?, ?, ?)", (*key, json.dumps(stack)))
    return 200 if existing else 201


def _check_name(name: str) -> None:
    reserved = name == "dynamic" or (name.startswith("_") and not name.startswith("_preview"))
    if reserved or not _NAME.fullmatch(name):
        raise Refusal(400, f"{name!r} cannot be the name of a stack.")


def _check_parts(parts: dict[str, Any]) -> None:
    if not isinstance(parts["operations"], list):
        raise Refusal(400, "operations must be a list.")
    for operation in parts["operations"]:
        name = operation.get("name") if isinstance(operation, dict) else operation
        if name not in OPERATIONS:
            raise Refusal(400, f"Unknown operation {name!r}; see /operations.")
    if unknown := sorted(set(parts["options"]) - set(STACK_OPTIONS["properties"])):
        raise Refusal(400, f"Unknown stack option {unknown[0]!r}; see /stackoptions.")


def list_(call: Context) -> Response:
    """All stacks of the organization, by name."""
    with call.state.reading() as db:
        rows = db.execute(
            "SELECT body FROM stacks WHERE organization = ? ORDER BY name", (call.organization,)
        ).fetchall()
    return answer({"items": [json.loads(row["body"]) for row in rows]})


def find(state: State, organization: str, name: str) -> dict[str, Any]:
    """One stack, as the API answers it. Raises a 404 `Refusal`."""
    with state.reading() as db:
        row = db.execute(
            "SELECT body FROM stacks WHERE organization = ? AND name = ?", (organization, name)
        ).fetchone()
    if row is None:
        raise Refusal(404, f"No stack {name!r}.")
    body: dict[str, Any] = json.loads(row["body"])
    return body


def get(call: Context, name: str) -> Response:
    """One stack."""
    return answer(find(call.state, call.organization, name))


def delete(call: Context, name: str) -> Response:
    """Delete a stack."""
    find(call.state, call.organization, name)
    with call.state.transaction() as db:
        db.execute(
            "DELETE FROM stacks WHERE organization = ? AND name = ?", (call.organization, name)
        )
    return nothing()


def purge(call: Context, name: str) -> Response:
    """Ask the CDN to forget a stack's renders: 10 an hour (Choice)."""
    call.accounts.check_paying(call.organization)
    find(call.state, call.organization, name)
    return answer({"status": "ok"}, headers=call.count_purge("stack", 10))


def operations(call: Context) -> Response:
    """What steps a stack may have."""
    return answer(dict(OPERATIONS))


def stack_options(call: Context) -> Response:
    """What options a stack may have."""
    return answer(dict(STACK_OPTIONS))


def organization(call: Context) -> Response:
    """The organization itself, with its signing key."""
    name = call.organization
    return answer(
        {
            "id": name,
            "name": name,
            "display_name": name,
            "limits": {},
            "master_organization": name,
            "signing_keys": [{"key": call.signing_key}],
        }
    )
