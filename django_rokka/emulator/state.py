"""What the emulator knows: a SQLite file for metadata, and the binaries as files beside it.

Safe under concurrent threads, and under a kill at any time: a file is in place before the transaction
that mentions it commits. A connection is opened for each transaction, which SQLite makes cheap.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

JSON = Any

#: Deleted images can be restored this long, in seconds: 30 days.
RESTORABLE = 30 * 24 * 3600

_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    organization TEXT NOT NULL, hash TEXT NOT NULL, short_hash TEXT NOT NULL,
    binary_hash TEXT NOT NULL, created REAL NOT NULL, name TEXT NOT NULL, mimetype TEXT NOT NULL,
    format TEXT NOT NULL, size INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    opaque INTEGER NOT NULL, animated INTEGER NOT NULL, protected INTEGER NOT NULL,
    locked INTEGER NOT NULL, user_metadata TEXT NOT NULL, dynamic_metadata TEXT NOT NULL,
    static_metadata TEXT NOT NULL, added REAL NOT NULL, deleted REAL,
    PRIMARY KEY (organization, hash)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS images_created ON images (organization, created DESC, hash DESC);
CREATE INDEX IF NOT EXISTS images_binary ON images (organization, binary_hash);
CREATE TABLE IF NOT EXISTS stacks (
    organization TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (organization, name)
);
CREATE TABLE IF NOT EXISTS aliases (
    organization TEXT NOT NULL, alias TEXT NOT NULL, hash TEXT NOT NULL,
    PRIMARY KEY (organization, alias)
);
CREATE TABLE IF NOT EXISTS purges (organization TEXT NOT NULL, kind TEXT NOT NULL, at REAL NOT NULL);
"""


@dataclass(frozen=True)
class Image:
    """A row of ``images``. Times are unix timestamps, ``deleted`` is when, or ``None``."""

    organization: str
    hash: str
    short_hash: str
    binary_hash: str
    created: float
    name: str
    mimetype: str
    format: str
    size: int
    width: int
    height: int
    opaque: bool
    animated: bool
    protected: bool = False
    locked: bool = False
    user_metadata: dict[str, JSON] = field(default_factory=dict)
    dynamic_metadata: dict[str, JSON] = field(default_factory=dict)
    static_metadata: dict[str, JSON] = field(default_factory=dict)
    added: float = 0.0
    deleted: float | None = None

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"/sourceimages/{self.organization}/{self.hash}"

    def as_json(self, *, link: bool = True) -> dict[str, JSON]:
        """The image as the API sends it: empty metadata and false flags are left out."""
        body: dict[str, JSON] = {
            key: getattr(self, key)
            for key in ("hash", "short_hash", "binary_hash", "created", "name", "mimetype")
        }
        body |= {key: getattr(self, key) for key in ("format", "size", "width", "height")}
        body["created"] = iso(self.created)
        body["organization"] = self.organization
        if link:
            body["link"] = self.path
        kinds = ("user_metadata", "dynamic_metadata", "static_metadata")
        flags = ("protected", "locked", "animated")
        body |= {key: getattr(self, key) for key in (*kinds, *flags) if getattr(self, key)}
        if self.deleted is not None:
            body |= {"deleted": True, "deleted_date": iso(self.deleted)}
        return {**body, "opaque": self.opaque}

    def rehashed(self, *, dynamic: dict[str, JSON], protected: bool) -> Image:
        """The same picture with other dynamic metadata or protection: another hash."""
        new = hash_of(self.binary_hash, dynamic, protected)
        return replace(
            self,
            hash=new,
            short_hash="",
            dynamic_metadata=dynamic,
            protected=protected,
            added=time.time(),
            deleted=None,
            locked=False,
        )


_COLUMNS = tuple(Image.__dataclass_fields__)
_JSON_COLUMNS = ("user_metadata", "dynamic_metadata", "static_metadata")
_FLAG_COLUMNS = ("opaque", "animated", "protected", "locked")


def iso(timestamp: float) -> str:
    """A date in the form the service sends today."""
    return datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def hash_of(binary_hash: str, dynamic: dict[str, JSON], protected: bool) -> str:
    """An image's hash: opaque to clients, the same for the same binary, dynamic metadata and protection."""
    identity = [binary_hash, dynamic, protected] if dynamic or protected else [binary_hash]
    return hashlib.sha1(
        json.dumps(identity, sort_keys=True).encode(), usedforsecurity=False
    ).hexdigest()


def image_of(row: sqlite3.Row) -> Image:
    """Read a row of ``images``."""
    values: dict[str, JSON] = {key: row[key] for key in _COLUMNS}
    values |= {key: json.loads(values[key]) for key in _JSON_COLUMNS}
    values |= {key: bool(values[key]) for key in _FLAG_COLUMNS}
    return Image(**values)


class State:
    """The data directory. ``listing_lag`` is how many seconds listings are behind."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.listing_lag = 0.0
        for folder in (self._binaries, self.renders, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)
        with self.reading() as db:
            db.executescript(_SCHEMA)

    @property
    def renders(self) -> Path:
        """Where rendered pictures are kept."""
        return self.directory / "renders"

    @property
    def _binaries(self) -> Path:
        return self.directory / "binaries"

    @property
    def _incoming(self) -> Path:
        return self.directory / "incoming"

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are committed together, or not at all."""
        connection = sqlite3.connect(self.directory / "state.sqlite3", timeout=30)
        connection.row_factory = sqlite3.Row
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with; writers do not hold it up."""
        connection = sqlite3.connect(self.directory / "state.sqlite3", timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()

    def reset(self) -> None:
        """Forget all images, stacks, aliases, renders and purges."""
        with self.transaction() as db:
            for table in ("images", "stacks", "aliases", "purges"):
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the line above  # nosec B608
        for folder in (self._binaries, self.renders):
            shutil.rmtree(folder)
            folder.mkdir()

    # --- Binaries ---------------------------------------------------------------------------

    def binary(self, binary_hash: str) -> Path:
        """Where the bytes with this SHA-1 are."""
        return self._binaries / binary_hash[:2] / binary_hash

    @contextlib.contextmanager
    def receive(self, stream: IO[bytes]) -> Iterator[tuple[Path, str]]:
        """Copy an upload to disk in pieces; give its path and SHA-1, and drop it at the end."""
        digest = hashlib.sha1(usedforsecurity=False)  # what rokka calls the binary hash
        handle, name = tempfile.mkstemp(dir=self._incoming)
        path = Path(name)
        try:
            with os.fdopen(handle, "wb") as target:
                while chunk := stream.read(256 * 1024):
                    digest.update(chunk)
                    target.write(chunk)
            yield path, digest.hexdigest()
        finally:
            path.unlink(missing_ok=True)

    def keep(self, path: Path, binary_hash: str) -> None:
        """Move a received file to its place, in one step."""
        target = self.binary(binary_hash)
        target.parent.mkdir(exist_ok=True)
        path.replace(target)

    def keep_render(self, path: Path, body: bytes) -> None:
        """Write a render to its place, in one step."""
        handle, name = tempfile.mkstemp(dir=self._incoming)
        with os.fdopen(handle, "wb") as target:
            target.write(body)
        path.parent.mkdir(exist_ok=True)
        Path(name).replace(path)

    # --- Images -----------------------------------------------------------------------------

    def find(
        self, db: sqlite3.Connection, organization: str, hash: str, *, deleted: bool = False
    ) -> Image | None:
        """The image with this hash, or this unique prefix of one."""
        rows = db.execute(
            "SELECT * FROM images WHERE organization = ? AND hash >= ? AND hash < ? LIMIT 3",
            (organization, hash, hash + "g"),
        ).fetchall()
        images = [image for image in map(image_of, rows) if self._is_visible(image, deleted)]
        # A later image may begin with an older one's short hash: the older one keeps it.
        exact = [image for image in images if image.short_hash == hash]
        return (exact or images)[0] if len(exact or images) == 1 else None

    def _is_visible(self, image: Image, deleted: bool) -> bool:
        if image.deleted is None:
            return True
        return deleted and image.deleted > time.time() - RESTORABLE

    def put(self, db: sqlite3.Connection, image: Image) -> Image:
        """Write an image's row, over the one with its hash if there is one."""
        image = image if image.short_hash else self._with_short_hash(db, image)
        values = [getattr(image, key) for key in _COLUMNS]
        values = [json.dumps(value) if isinstance(value, dict) else value for value in values]
        marks = ", ".join("?" * len(_COLUMNS))
        db.execute(
            f"INSERT OR REPLACE INTO images ({', '.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608
            values,
        )
        return image

    def delete(self, db: sqlite3.Connection, image: Image) -> Image:
        """Delete softly: the row stays, with the time."""
        return self.put(db, replace(image, deleted=time.time()))

    def revive(self, db: sqlite3.Connection, image: Image) -> Image:
        """Undo a deletion."""
        return self.put(db, replace(image, deleted=None))

    def _with_short_hash(self, db: sqlite3.Connection, image: Image) -> Image:
        for length in range(6, 41):
            prefix = image.hash[:length]
            others = db.execute(
                "SELECT 1 FROM images WHERE organization = ? AND hash >= ? AND hash < ? AND hash != ?",
                (image.organization, prefix, prefix + "g", image.hash),
            ).fetchone()
            if others is None:
                return replace(image, short_hash=prefix)
        return replace(image, short_hash=image.hash)
