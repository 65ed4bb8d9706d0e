"""What a call's function gets to work with."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any, Literal

from werkzeug.wrappers import Request

from .accounts import Account, Accounts
from .answers import JSON, Refusal
from .state import Image, State, iso

#: The forms of a ``Location`` header: both paths and URLs occur at the service.
Location = Literal["relative", "absolute", "missing"]


@dataclass(frozen=True)
class Context:
    """One call: the request, who makes it, in which organization, and the state."""

    request: Request
    account: Account
    accounts: Accounts
    state: State
    organization: str
    signing_key: str
    location: Location = "relative"
    revives: bool = True
    allow_private: bool = False

    @property
    def json(self) -> JSON:
        """The body as JSON, whatever its Content-Type. Raises a 400 `Refusal`."""
        try:
            return json.loads(self.request.get_data())
        except ValueError:
            raise Refusal(400, "The body is not JSON.") from None

    @property
    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises a 400 `Refusal`."""
        body = self.json
        if not isinstance(body, dict):
            raise Refusal(400, "The body must be a JSON object.")
        return body

    def flag(self, name: str) -> bool:
        """A boolean of the query."""
        return self.request.args.get(name, "").lower() in ("true", "1")

    def location_of(self, path: str) -> dict[str, str]:
        """The ``Location`` header for a path, in the form that was asked for."""
        if self.location == "missing":
            return {}
        base = self.request.host_url.rstrip("/") if self.location == "absolute" else ""
        return {"Location": base + path}

    def image(self, db: sqlite3.Connection, hash: str, *, deleted: bool = False) -> Image:
        """The image with this full or short hash. Raises a 404 `Refusal`."""
        image = self.state.find(db, self.organization, hash, deleted=deleted)
        if image is None:
            raise Refusal(404, f"No image with the hash {hash!r}.")
        return image

    def count_purge(self, kind: str, limit: int) -> dict[str, str]:
        """Count a cache purge and give its headers. Raises a 429 `Refusal` beyond ``limit`` an hour."""
        now = time.time()
        with self.state.transaction() as db:
            db.execute("DELETE FROM purges WHERE at < ?", (now - 3600,))
            rows = db.execute(
                "SELECT at FROM purges WHERE organization = ? AND kind = ? ORDER BY at",
                (self.organization, kind),
            ).fetchall()
            headers = {
                "X-RateLimit-Limit": str(limit),
                "X-RateLimit-Remaining": str(max(limit - len(rows) - 1, 0)),
            }
            if len(rows) >= limit:
                raise _too_many(headers, rows[0]["at"] + 3600)
            db.execute("INSERT INTO purges VALUES (?, ?, ?)", (self.organization, kind, now))
        return headers


def _too_many(headers: dict[str, str], until: float) -> Refusal:
    """A 429 that says when to come back: to programs in a header, to people in the body."""
    readable = {"X-RateLimit-Retry-After-readable": iso(until), "status": "too many requests"}
    headers = {**headers, "X-RateLimit-Retry-After": str(round(until))}
    return Refusal(429, "Too many purges.", headers=headers, **readable)
