"""``POST /sourceimages/{organization}``: files and remote pictures, with metadata matched to them (S2).

Source: "Create a source image" and "Supplying metadata while creating a source image" in rokka's
documentation. Metadata belongs to the file of the same index (``meta_user[0]``) or of the same order
(``meta_user[]``).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from . import formats, remote
from .answers import JSON, Refusal, answer
from .autodescription import described
from .context import Context
from .metadata import checked_dynamic_metadata, checked_user_metadata, merged
from .state import Image, hash_of


@dataclass(frozen=True)
class Metadata:
    """What is said about one file of an upload."""

    user: dict[str, JSON] = field(default_factory=dict)
    dynamic: dict[str, JSON] = field(default_factory=dict)
    static: dict[str, JSON] = field(default_factory=dict)
    protected: bool = False


def create(call: Context) -> Response:
    """S2: one image for each file, in their order."""
    optimize = call.request.form.get("optimize_source", "")
    if optimize not in ("", "true", "false", "jpg", "png"):
        raise Refusal(400, f"optimize_source must be true, jpg or png, got {optimize!r}.")
    images = []
    for index, (name, stream) in enumerate(_sources(call)):
        with closing(stream):
            metadata = _metadata(call.request.form, index)
            images.append(_store(call, name, stream, metadata, optimize))
    if not images:
        raise Refusal(400, "No file was uploaded; expected a file, or url[0].")
    return answer({"total": len(images), "items": [image.as_json() for image in images]}, 201)


def _sources(call: Context) -> Iterator[tuple[str, IO[bytes]]]:
    # Whatever the part's name: the Go client and the documentation have others than ``filedata``.
    for _, part in call.request.files.items(multi=True):  # noqa: PERF102 - values() gives one a name
        yield part.filename or "", part.stream
    for key, url in call.request.form.items(multi=True):
        if re.fullmatch(r"url(\[\d*\])?", key):
            yield remote.fetch(url, allow_private=call.allow_private)


def _metadata(form: MultiDict[str, str], index: int) -> Metadata:
    options = _value(form, "options", index)
    dynamic = dict(_value(form, "meta_dynamic", index))
    for key, text in form.items(multi=True):
        if match := re.fullmatch(rf"meta_dynamic\[{index}\]\[(\w+)\]", key):
            dynamic[match[1]] = _json(key, text)
    return Metadata(
        user=checked_user_metadata(_value(form, "meta_user", index)),
        dynamic={name: checked_dynamic_metadata(name, value) for name, value in dynamic.items()},
        static=dict(_value(form, "meta_static", index)),
        protected=options.get("protected") is True,
    )


def _value(form: MultiDict[str, str], key: str, index: int) -> dict[str, Any]:
    """The JSON object that belongs to the file ``index``, by its number or by its order."""
    ordered = [*form.getlist(f"{key}[]"), *form.getlist(key)]
    text = form.get(f"{key}[{index}]", ordered[index] if index < len(ordered) else "")
    value = _json(key, text) if text else {}
    if not isinstance(value, dict | list):
        raise Refusal(400, f"{key} must be a JSON object.")
    return value if isinstance(value, dict) else {}


def _json(key: str, text: str) -> JSON:
    try:
        return json.loads(text)
    except ValueError:
        raise Refusal(400, f"{key} is not JSON.") from None


def _store(call: Context, name: str, stream: IO[bytes], metadata: Metadata, optimize: str) -> Image:
    with call.state.receive(stream) as (path, binary_hash):
        # What is kept already stays as it is: other images may be made of it.
        if not call.state.binary(binary_hash).exists():
            _optimize(path, optimize)
            call.state.keep(path, binary_hash)
    stored = call.state.binary(binary_hash)
    facts, size = formats.identify(stored), stored.stat().st_size
    now = time.time()
    image = Image(
        organization=call.organization,
        hash=hash_of(binary_hash, metadata.dynamic, metadata.protected),
        short_hash="",
        binary_hash=binary_hash,
        created=float(int(now)),
        name=name or f"image.{facts.format}",
        mimetype=facts.mimetype,
        format=facts.format,
        size=size,
        width=facts.width,
        height=facts.height,
        opaque=facts.opaque,
        animated=facts.animated,
        protected=metadata.protected,
        dynamic_metadata=metadata.dynamic,
        added=now,
    )
    return _recorded(call, image, metadata)


def _optimize(path: Path, kind: str) -> None:
    """Check a file; with ``optimize_source`` turn a TIFF or PSD into what takes less room."""
    facts = formats.identify(path)
    if kind in ("", "false") or facts.format not in ("tif", "psd"):
        return
    frames = formats.read_frames(path, facts.format, (facts.width, facts.height), svg_width=1)
    lossy = "jpg" if facts.opaque else "webp"
    qualities = {"jpg.quality": 95, "webp.quality": 95}
    path.write_bytes(formats.encode(frames[:1], lossy if kind == "jpg" else "png", qualities))


def _recorded(call: Context, image: Image, metadata: Metadata) -> Image:
    """Write the row; the same upload again answers with the image that exists, metadata merged in."""
    with call.state.transaction() as db:
        existing = call.state.find(db, call.organization, image.hash, deleted=True)
        if existing is not None:
            # Uploading what was deleted brings it back (Choice).
            image = replace(existing, deleted=None)
        user = merged(image.user_metadata, metadata.user)
        image = replace(image, user_metadata=user)
        wanted = metadata.static.get("auto_description")
        if isinstance(wanted, dict):
            call.accounts.check_paying(call.organization)
            image = described(image, wanted)
        return call.state.put(db, image)
