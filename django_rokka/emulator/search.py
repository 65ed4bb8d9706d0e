"""Listings: filters, sorting, offsets and cursors, facets.

Source: the searching chapter of rokka's documentation. A cursor is the place of the last image in the
order asked for, so that paging goes on rightly while images come and go. Choices: a sort field without
a direction is ascending, as in the documentation's example; changes of metadata show at once, only new
and deleted images are held back by ``listing_lag``.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from .answers import JSON, Refusal
from .context import Context
from .state import RESTORABLE, image_of

MAX_LIMIT = 2000
#: Offsets end here; a cursor goes on.
MAX_OFFSET = 10_000

_COLUMNS = {
    "hash": "hash",
    "short_hash": "short_hash",
    "binaryhash": "binary_hash",
    "binary_hash": "binary_hash",
    "mimetype": "mimetype",
    "size": "size",
    "format": "format",
    "width": "width",
    "height": "height",
    "created": "created",
    "name": "name",
    "name_text": "name",
}
_NUMBERS = {"size", "width", "height", "created"}
_CONTROLS = {"limit", "offset", "sort", "deleted", "facets", "operator"}
_METADATA = re.compile(
    r"(?P<kind>user|dynamic|static)"
    r"(:(?P<type>str|text|int|double|date|latlon|array|array_text))?:(?P<path>[a-z0-9_:]+)"
)
_RANGE = re.compile(r"([\[{])(.*?),(.*?)([\]}])")


@dataclass(frozen=True)
class Clause:
    """A piece of SQL with its values."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Order:
    """One sort key: an SQL expression and a direction."""

    sql: str
    descending: bool


@dataclass(frozen=True)
class Place:
    """Where a page starts: after ``offset`` images, or behind the image of a cursor."""

    offset: int = 0
    given: bool = False
    behind: list[JSON] | None = None


def listing(call: Context) -> dict[str, JSON]:
    """The answer of S15: ``total``, ``items``, ``links``, ``cursor`` and, if asked for, ``facets``."""
    limit = _limit(call.request.args.get("limit", "100"))
    place = _place(call.request.args.get("offset"))
    orders = _orders(call.request.args.get("sort", "created desc"))
    found = _where(call)
    with call.state.reading() as db:
        total = db.execute(
            f"SELECT COUNT(*) FROM images WHERE {found.sql}",  # noqa: S608  # nosec B608
            found.values,
        ).fetchone()[0]
        rows = _rows(db, found, orders, place, limit)
        facets = _facets(db, call.request.args.get("facets", ""), found)
    images = [image_of(row) for row in rows[:limit]]
    cursor = _cursor(rows[limit - 1] if len(rows) > limit else rows[-1] if rows else None, orders)
    more = len(rows) > limit > 0
    body: dict[str, JSON] = {
        "total": total,
        "items": [image.as_json() for image in images],
        "links": _links(call, limit, place, total, cursor if more else ""),
    }
    # The last page that a number asked for has none, in recordings.
    if cursor and (more or not place.given):
        body["cursor"] = cursor
    return {**body, "facets": facets} if facets else body


def _limit(text: str) -> int:
    if not text.isdigit() or int(text) > MAX_LIMIT:
        raise Refusal(400, f"limit must be 0 to {MAX_LIMIT}, got {text!r}.")
    return int(text)


# --- Pages ----------------------------------------------------------------------------------


def _place(text: str | None) -> Place:
    if text is None:
        return Place()
    if text.isdigit():
        if int(text) > MAX_OFFSET:
            raise Refusal(400, f"offset must not be above {MAX_OFFSET}; use the cursor.")
        return Place(int(text), given=True)
    try:
        behind = json.loads(base64.urlsafe_b64decode(text.encode() + b"=="))
    except ValueError:
        raise Refusal(400, f"{text!r} is neither an offset nor a cursor.") from None
    return Place(behind=list(behind))


def _cursor(row: sqlite3.Row | None, orders: Sequence[Order]) -> str:
    if row is None:
        return ""
    values = [row[f"sort{index}"] for index in range(len(orders))]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _rows(
    db: sqlite3.Connection, found: Clause, orders: Sequence[Order], place: Place, limit: int
) -> list[sqlite3.Row]:
    """One row more than asked for, to know whether there is a next page."""
    keys = ", ".join(f"{order.sql} AS sort{index}" for index, order in enumerate(orders))
    by = ", ".join(f"{order.sql} {'DESC' if order.descending else 'ASC'}" for order in orders)
    after = _behind(orders, place.behind) if place.behind else Clause("1")
    return db.execute(
        f"SELECT *, {keys} FROM images WHERE {found.sql} AND {after.sql} "  # noqa: S608  # nosec B608
        f"ORDER BY {by} LIMIT ? OFFSET ?",
        (*found.values, *after.values, limit + 1, place.offset),
    ).fetchall()


def _behind(orders: Sequence[Order], values: Sequence[JSON]) -> Clause:
    """Rows that come after these sort values: later in the first key, or equal there and later in …"""
    if len(values) != len(orders):
        raise Refusal(400, "The cursor belongs to another sort order.")
    pieces = []
    for index, order in enumerate(orders):
        equal = " AND ".join(f"{before.sql} = ?" for before in orders[:index])
        later = f"{order.sql} {'<' if order.descending else '>'} ?"
        bound = tuple(values[: index + 1])
        pieces.append(Clause(f"{equal} AND {later}" if equal else later, bound))
    sql = " OR ".join(f"({piece.sql})" for piece in pieces)
    # The first key alone lets SQLite use an index for the whole.
    first = f"{orders[0].sql} {'<=' if orders[0].descending else '>='} ?"
    values = tuple(value for piece in pieces for value in piece.values)
    return Clause(f"({first} AND ({sql}))", (values[0], *values))


def _links(call: Context, limit: int, place: Place, total: int, cursor: str) -> dict[str, JSON]:
    links: dict[str, JSON] = {}
    if cursor:
        following = place.offset + limit
        beyond = following > MAX_OFFSET or (not place.given and total > MAX_OFFSET)
        offset = cursor if place.behind or beyond else str(following)
        links["next"] = {"href": _href(call, offset)}
    if place.offset:
        links["prev"] = {"href": _href(call, str(max(place.offset - limit, 0) or ""))}
    return links


def _href(call: Context, offset: str) -> str:
    query = {**call.request.args.to_dict(), "offset": offset}
    if not offset:
        del query["offset"]
    return f"/sourceimages/{call.organization}?{urlencode(query)}"


def _orders(text: str) -> list[Order]:
    orders = []
    for part in text.split(","):
        name, _, direction = part.strip().partition(" ")
        if direction not in ("", "asc", "desc"):
            raise Refusal(400, f"Unknown sort direction {direction!r}.")
        orders.append(Order(_field(name), direction == "desc"))
    # The hash makes the order total, so that pages neither repeat nor miss an image.
    return [*orders, Order("hash", orders[0].descending)]


# --- Filters --------------------------------------------------------------------------------


def _where(call: Context) -> Clause:
    now = time.time() - call.state.listing_lag
    clauses = [Clause("organization = ?", (call.organization,)), Clause("added <= ?", (now,))]
    if call.flag("deleted"):
        clauses.append(Clause("deleted BETWEEN ? AND ?", (now - RESTORABLE, now)))
    else:
        clauses.append(Clause("(deleted IS NULL OR deleted > ?)", (now,)))
    filters = list(_filters(call))
    if filters:
        joint = " OR " if call.request.args.get("operator", "").lower() == "or" else " AND "
        clauses.append(_joined(filters, joint))
    return _joined(clauses, " AND ")


def _joined(clauses: Sequence[Clause], joint: str) -> Clause:
    sql = joint.join(clause.sql for clause in clauses)
    return Clause(f"({sql})", tuple(value for clause in clauses for value in clause.values))


def _filters(call: Context) -> Iterator[Clause]:
    for name, text in call.request.args.items(multi=True):
        if name in _CONTROLS:
            continue
        match = _METADATA.fullmatch(name)
        if match:
            yield _metadata_filter(match, text)
        elif name == "name_text":
            yield _joined([Clause("name LIKE ?", (f"%{word}%",)) for word in text.split()], " AND ")
        else:
            yield _compared(_field(name), text, number=name in _NUMBERS)


def _metadata_filter(match: re.Match[str], text: str) -> Clause:
    """Metadata may be a list: one of its elements must match."""
    number = match["type"] in ("int", "double")
    value = _compared("value", text, number=number)
    sources = [_source(match, key) for key in _keys(match)]
    each = [f"EXISTS (SELECT 1 FROM {source} WHERE {value.sql})" for source in sources]  # noqa: S608  # nosec B608
    return Clause(f"({' OR '.join(each)})", value.values * len(each))


def _keys(match: re.Match[str]) -> list[str]:
    """The names a user metadata field may be kept under: a string may have a prefix or none."""
    if match["kind"] != "user":
        return [match["path"]]
    if match["type"] in (None, "str"):
        return [match["path"], f"str:{match['path']}"]
    return [f"{match['type']}:{match['path']}"]


def _source(match: re.Match[str], key: str) -> str:
    path = f'$."{key}"' if match["kind"] == "user" else "$." + ".".join(key.split(":"))
    return f"json_each({match['kind']}_metadata, '{path}')"


def _field(name: str) -> str:
    if name in _COLUMNS:
        return _COLUMNS[name]
    match = _METADATA.fullmatch(name)
    if match is None:
        raise Refusal(400, f"Unknown field {name!r}; known: {', '.join(sorted(_COLUMNS))}.")
    values = [f"(SELECT value FROM {_source(match, key)})" for key in _keys(match)]  # noqa: S608  # nosec B608
    return f"COALESCE({', '.join(values)}, '')"


def _compared(sql: str, text: str, *, number: bool) -> Clause:
    """Equality, a prefix (``plan*``) or a range (``[1,5}``; either end may be missing)."""
    if match := _RANGE.fullmatch(text):
        return _ranged(sql, match, number=number)
    if text.endswith("*") and not number:
        # A range instead of LIKE: no wildcard of the text can be one of the query.
        return Clause(f"({sql} >= ? AND {sql} < ?)", (text[:-1], text[:-1] + "\U0010ffff"))
    return Clause(f"{sql} = ?", (_bound(text, number=number),))


def _ranged(sql: str, match: re.Match[str], *, number: bool) -> Clause:
    opening, low, high, closing = match.groups()
    clauses = []
    if low.strip():
        sign = ">=" if opening == "[" else ">"
        clauses.append(Clause(f"{sql} {sign} ?", (_bound(low, number=number),)))
    if high.strip():
        sign = "<=" if closing == "]" else "<"
        clauses.append(Clause(f"{sql} {sign} ?", (_bound(high, number=number),)))
    return _joined(clauses or [Clause("1")], " AND ")


def _bound(text: str, *, number: bool) -> Any:
    text = text.strip().strip("'\"")
    if not number:
        return text
    try:
        return float(text)
    except ValueError:
        return _timestamp(text)


def _timestamp(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refusal(400, f"{text!r} is neither a number nor a date.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()


def _facets(db: sqlite3.Connection, names: str, found: Clause) -> dict[str, JSON]:
    facets: dict[str, JSON] = {}
    for name in filter(None, names.split(",")):
        match = _METADATA.fullmatch(name)
        if match is None or match["type"] not in (None, "str", "array"):
            raise Refusal(
                400, f"No facets for {name!r}: only for user metadata strings and arrays."
            )
        rows = db.execute(
            f"SELECT value, COUNT(*) AS number FROM images, {_source(match, _keys(match)[0])} "  # noqa: S608  # nosec B608
            f"WHERE {found.sql} GROUP BY value ORDER BY number DESC, value LIMIT 1000",
            found.values,
        ).fetchall()
        facets[name] = [{"value": row["value"], "count": row["number"]} for row in rows]
    return facets
