"""The calls on stacks. Source: the stacks chapter of rokka's documentation, and recordings."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any

from werkzeug.wrappers import Response

from .answers import Refusal, answer, nothing
from .catalogue import OPERATIONS, STACK_OPTIONS
from .context import Context
from .operations import flag
from .state import State, iso

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_PARTS = ("operations", "options", "expressions", "variables")
#: Answers use other words than requests; an empty part has the form that recordings show.
_EMPTY: dict[str, Any] = {"operations": [], "options": {}, "expressions": [], "variables": {}}


def save(call: Context, name: str) -> Response:
    """Create (201), or with ``overwrite`` replace (200).

    Choices: without it an existing one is a 409, and one that would become protected a 400.
    """
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
            "SELECT body FROM stacks WHERE organization = ? AND name = ?", key
        ).fetchone()
        if existing and not call.flag("overwrite"):
            raise Refusal(409, f"The stack {name!r} exists already.")
        if existing and _is_protected(stack) and not _is_protected(json.loads(existing["body"])):
            raise Refusal(400, f"The stack {name!r} is public: delete it to make a protected one.")
        db.execute("INSERT OR REPLACE INTO stacks VALUES (?, ?, ?)", (*key, json.dumps(stack)))
    return 200 if existing else 201


def _is_protected(stack: dict[str, Any]) -> bool:
    return flag(stack["stack_options"].get("protected", False))


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
    others = parts["operations"] or set(parts["options"]) - {"source_file"}
    if others and flag(parts["options"].get("source_file", False)):
        raise Refusal(400, "source_file goes with no operation and no other option.")


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
    """One stack. Only this answer has a link, in recordings."""
    stack = find(call.state, call.organization, name)
    return answer({**stack, "link": f"/stacks/{call.organization}/{name}"})


def delete(call: Context, name: str) -> Response:
    """Delete a stack."""
    find(call.state, call.organization, name)
    with call.state.transaction() as db:
        db.execute(
            "DELETE FROM stacks WHERE organization = ? AND name = ?", (call.organization, name)
        )
    return nothing()


def purge(call: Context, name: str) -> Response:
    """Ask the CDN to forget a stack's renders: 5 an hour."""
    call.accounts.check_paying(call.organization)
    find(call.state, call.organization, name)
    return answer({"status": "ok"}, headers=call.count_purge("stack", 5))


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
            "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.rokka.io")),
            "name": name,
            "display_name": name,
            "billing_email": f"billing@{name}.example",
            "created": iso(0),
            "master_organization": name,
            "signing_keys": [{"key": call.signing_key}],
        }
    )
