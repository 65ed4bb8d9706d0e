"""The calls on source images, one function each. S1-S17 are the numbers of the API document's table.

Source: the source images and aliases chapters of rokka's documentation.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from werkzeug.utils import send_file
from werkzeug.wrappers import Response

from . import search
from .answers import Refusal, answer, nothing
from .autodescription import described
from .context import Context
from .metadata import check_unlocked
from .state import Image

_COPY_LIMIT = 100
#: What became of one image, in the words of a batch.
_BATCH_OUTCOMES = {
    "created": "created",
    "overwritten": "existing",
    "skipped": "existing",
    "not_found": "notfound",
}
#: What cannot stand in a quoted string of a header.
_UNQUOTABLE = dict.fromkeys([*range(32), ord('"'), ord("\\"), 127], "_")


def get(call: Context, hash: str) -> Response:
    """S6."""
    with call.state.reading() as db:
        return answer(call.image(db, hash, deleted=call.flag("deleted")).as_json())


def list_(call: Context) -> Response:
    """S15; with ``binaryHash`` the list of S7."""
    if binary_hash := call.request.args.get("binaryHash"):
        return by_binary_hash(call, binary_hash)
    return answer(search.listing(call))


def by_binary_hash(call: Context, binary_hash: str) -> Response:
    """S7: immediate, unlike listings."""
    with call.state.reading() as db:
        images = [image for image in _variants(call, db, binary_hash) if image.deleted is None]
    return answer({"total": len(images), "items": [image.as_json() for image in images]})


def _variants(call: Context, db: sqlite3.Connection, binary_hash: str) -> list[Image]:
    rows = db.execute(
        "SELECT hash FROM images WHERE organization = ? AND binary_hash = ? AND deleted IS NULL",
        (call.organization, binary_hash),
    ).fetchall()
    return [call.image(db, row["hash"]) for row in rows]


def download(call: Context, hash: str) -> Response:
    """S14: the bytes as they were uploaded."""
    with call.state.reading() as db:
        image = call.image(db, hash)
    path = call.state.binary(image.binary_hash)
    response = send_file(path, call.request.environ, mimetype=image.mimetype)
    response.headers["Content-Disposition"] = _attachment(image.name)
    return response


def _attachment(name: str) -> str:
    """The header as the Go client reads it: the name last, in quotes."""
    plain = name.encode("ascii", "replace").decode().translate(_UNQUOTABLE)
    exact = "" if plain == name else f"filename*=UTF-8''{quote(name, safe='')}; "
    return f'attachment; {exact}filename="{plain}"'


def delete(call: Context, hash: str) -> Response:
    """S8: soft, restorable for 30 days."""
    with call.state.transaction() as db:
        image = call.image(db, hash)
        check_unlocked(image)
        call.state.delete(db, image)
    return nothing()


def delete_by_binary_hash(call: Context) -> Response:
    """Delete every variant of a binary. A locked one refuses them all (Choice)."""
    binary_hash = call.request.args.get("binaryHash", "")
    with call.state.transaction() as db:
        images = _variants(call, db, binary_hash)
        if not images:
            raise Refusal(404, f"No image with the binary hash {binary_hash!r}.")
        for image in images:
            check_unlocked(image)
            call.state.delete(db, image)
    return nothing()


def restore(call: Context, hash: str) -> Response:
    """S17. Answers the image, also if it was never deleted."""
    with call.state.transaction() as db:
        image = call.image(db, hash, deleted=True)
        if image.deleted is not None:
            image = call.state.revive(db, image)
    return answer({**image.as_json(link=False), "deleted": False})


# --- Copy -----------------------------------------------------------------------------------


def copy(call: Context, hash: str) -> Response:
    """S1: 201 if it is new there, 204 if it was overwritten, 412 if it exists and ``Overwrite: F``."""
    destination = _destination(call)
    with call.state.transaction() as db:
        outcome = _copy_one(call, db, hash, destination)
    if outcome == "not_found":
        raise Refusal(404, f"No image with the hash {hash!r}.")
    if outcome == "skipped":
        return answer({}, 412)
    return answer({}, 201) if outcome == "created" else nothing()


def copy_many(call: Context) -> Response:
    """Up to 100 hashes at once: 200 (Choice) with what became of each; a 404 if none was found."""
    destination, hashes = _destination(call), call.json
    if not isinstance(hashes, list) or not 0 < len(hashes) <= _COPY_LIMIT:
        raise Refusal(400, f"The body must be a list of 1 to {_COPY_LIMIT} hashes.")
    outcomes = _copy_all(call, [str(hash) for hash in hashes], destination)
    if len(outcomes["notfound"]) == len(hashes):
        raise Refusal(404, "No image with any of these hashes.")
    return answer(outcomes)


def _copy_all(call: Context, hashes: Sequence[str], destination: str) -> dict[str, list[str]]:
    outcomes: dict[str, list[str]] = {"created": [], "existing": [], "notfound": []}
    with call.state.transaction() as db:
        for hash in hashes:
            # Overwritten or left alone: both existed.
            outcomes[_BATCH_OUTCOMES[_copy_one(call, db, hash, destination)]].append(hash)
    return outcomes


def _destination(call: Context) -> str:
    name = call.request.headers.get("Destination", "")
    if name not in call.accounts.organizations:
        raise Refusal(400, f"No organization {name!r} to copy to.")
    if not call.account.may_write(name):
        raise Refusal(403, f"Not allowed to write to the organization {name!r}.")
    return name


def _copy_one(call: Context, db: sqlite3.Connection, hash: str, destination: str) -> str:
    image = call.state.find(db, call.organization, hash)
    if image is None:
        return "not_found"
    existing = call.state.find(db, destination, image.hash)
    if existing is not None and call.request.headers.get("Overwrite") == "F":
        return "skipped"
    call.state.put(db, replace(image, organization=destination, short_hash="", locked=False))
    return "overwritten" if existing is not None else "created"


# --- Name, lock, description, cache ---------------------------------------------------------


def rename(call: Context, hash: str) -> Response:
    """Change the file name."""
    name = call.json
    if not isinstance(name, str) or not name:
        raise Refusal(400, "The body must be the name, as a JSON string.")
    with call.state.transaction() as db:
        call.state.put(db, replace(call.image(db, hash), name=name))
    return nothing()


def set_locked(call: Context, hash: str) -> Response:
    """Lock against deletion and changes of user metadata, or unlock. Answers the image."""
    locked = call.json
    if not isinstance(locked, bool):
        raise Refusal(400, "The body must be true or false.")
    with call.state.transaction() as db:
        image = call.state.put(db, replace(call.image(db, hash), locked=locked))
    return answer({**image.as_json(), "locked": locked})


def autodescribe(call: Context, hash: str) -> Response:
    """Describe an image in some languages."""
    call.accounts.check_paying(call.organization)
    wanted = call.json_object
    with call.state.transaction() as db:
        image = call.state.put(db, described(call.image(db, hash), wanted))
    return answer(image.as_json())


def purge(call: Context, hash: str) -> Response:
    """Ask the CDN to forget renders: 5 an hour. There is no CDN here, so renders never are stale."""
    call.accounts.check_paying(call.organization)
    with call.state.reading() as db:
        call.image(db, hash)
    return answer({"status": "ok"}, headers=call.count_purge("image", 5))


# --- Aliases --------------------------------------------------------------------------------


def _alias(call: Context, alias: str) -> dict[str, Any]:
    with call.state.reading() as db:
        row = db.execute(
            "SELECT * FROM aliases WHERE organization = ? AND alias = ?", (call.organization, alias)
        ).fetchone()
    if row is None:
        raise Refusal(404, f"No alias {alias!r}.")
    return dict(row)


def get_alias(call: Context, alias: str) -> Response:
    """What an alias points at."""
    return answer(_alias(call, alias))


def set_alias(call: Context, alias: str) -> Response:
    """Point an alias at an image: 201 if it is new, 409 if it exists, 200 if it was overwritten."""
    hash = str(call.json_object.get("hash", ""))
    with call.state.transaction() as db:
        image = call.image(db, hash)
        key = (call.organization, alias)
        existing = db.execute(
            "SELECT 1 FROM aliases WHERE organization = ? AND alias = ?", key
        ).fetchone()
        if existing and not call.flag("overwrite"):
            raise Refusal(409, f"The alias {alias!r} exists already.")
        db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)", (*key, image.hash))
    body = {"organization": call.organization, "alias": alias, "hash": image.hash}
    return answer(body, 200 if existing else 201)


def delete_alias(call: Context, alias: str) -> Response:
    """Delete an alias; the image stays."""
    _alias(call, alias)
    with call.state.transaction() as db:
        db.execute(
            "DELETE FROM aliases WHERE organization = ? AND alias = ?", (call.organization, alias)
        )
    return nothing()


def purge_alias(call: Context, alias: str) -> Response:
    """Ask the CDN to forget an alias's renders: 10 an hour."""
    call.accounts.check_paying(call.organization)
    _alias(call, alias)
    return answer({"status": "ok"}, headers=call.count_purge("alias", 10))
