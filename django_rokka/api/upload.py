"""Files on their way up: multipart bodies that stream, whatever the file's size.

``requests`` reads a file whole before it sends it. requests-toolbelt's encoder reads it in blocks
instead; what is added here is that a body can be built again for another try, that a file of unknown
length is spooled to disk first, and that the caller's file is rewound but never closed.

Source: the source images chapter of rokka's documentation ("Create a source image").
"""

from __future__ import annotations

import contextlib
import hashlib
import mimetypes
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO, UnsupportedOperation
from pathlib import PurePosixPath
from typing import IO, Any

from requests_toolbelt import MultipartEncoder

from .errors import InvalidArgument
from .transport import Body, write_json
from .types import JSON, DynamicMetadata

#: Files without a known length are kept in memory up to this many bytes, on disk beyond.
SPOOL_BYTES = 1024 * 1024
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Upload:
    """One picture to upload: a binary file, or a ``url`` that rokka fetches itself.

    ``name`` is what rokka keeps as the image's name. User metadata names may carry a type prefix
    (``int:``, ``date:``, …). ``static_metadata`` may ask for ``auto_description``. The host of a ``url``
    must not be a private address, unless ``allow_private``.
    """

    file: IO[Any] | None = None
    name: str = ""
    url: str = ""
    user_metadata: Mapping[str, JSON] = field(default_factory=dict)
    dynamic_metadata: Sequence[DynamicMetadata] = ()
    static_metadata: Mapping[str, JSON] = field(default_factory=dict)
    protected: bool | None = None
    allow_private: bool = False

    def fields(self, index: int) -> list[tuple[str, str]]:
        """The form fields that go with the file numbered ``index``."""
        dynamic = {item.name: item.as_json() for item in self.dynamic_metadata}
        options = {} if self.protected is None else {"protected": self.protected}
        named = {
            "meta_user": dict(self.user_metadata),
            "meta_dynamic": dynamic,
            "meta_static": dict(self.static_metadata),
            "options": options,
        }
        texts = [
            (f"{key}[{index}]", write_json(value).decode()) for key, value in named.items() if value
        ]
        return [(f"url[{index}]", self.url), *texts] if self.url else texts


def digest(file: IO[Any], length: int | None = None) -> tuple[str, int]:
    """The SHA-1 in hex, which is rokka's binary hash, and the bytes of a file, or of its first ``length`` bytes.

    The file is read from its start, in pieces, and is at its start afterwards.
    """
    file.seek(0)
    sha1, size, left = hashlib.sha1(usedforsecurity=False), 0, length
    while piece := file.read(_PIECE_BYTES if left is None else min(left, _PIECE_BYTES)):
        sha1.update(piece)
        size += len(piece)
        left = None if left is None else left - len(piece)
    file.seek(0)
    return sha1.hexdigest(), size


@contextlib.contextmanager
def multipart(uploads: Sequence[Upload], *, optimize_source: str | bool | None) -> Iterator[Body]:
    """Give a body that can be built for each try, streaming the files from their start."""
    texts = [pair for index, upload in enumerate(uploads) for pair in upload.fields(index)]
    if optimize_source:
        value = "true" if optimize_source is True else optimize_source
        texts.append(("optimize_source", value))
    with contextlib.ExitStack() as stack:
        parts = [
            (f"filedata[{index}]", file_name(upload), stack.enter_context(_part(upload.file)))
            for index, upload in enumerate(uploads)
            if upload.file is not None
        ]
        yield lambda: _encode(texts, parts)


def file_name(upload: Upload) -> str:
    """The name to send: the last part of the given name or of the file's own."""
    name = upload.name or getattr(upload.file, "name", None) or "image"
    # A name that is no UTF-8 on disk is read with halves of letters, which cannot be sent.
    text = str(name).encode(errors="replace").decode()
    return PurePosixPath(text.replace("\\", "/")).name or "image"


class _Part:
    """A binary file as the encoder wants it: ``len`` is what is left to read.

    Left to itself the encoder asks ``fileno()`` for the length, which is wrong for a file that unpacks
    as it is read, and copies a ``BytesIO``.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._end = file.seek(0, 2)
        self.rewind()

    @property
    def len(self) -> int:
        return self._end - self._file.tell()

    def rewind(self) -> None:
        self._file.seek(0)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


def _encode(
    texts: Sequence[tuple[str, str]], parts: Sequence[tuple[str, str, _Part]]
) -> tuple[MultipartEncoder, Mapping[str, str]]:
    for _, _, part in parts:
        part.rewind()
    files = [(key, (name, part, _mimetype(name))) for key, name, part in parts]
    encoder = MultipartEncoder([*texts, *files])
    return encoder, {"Content-Type": encoder.content_type}


def _mimetype(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


@contextlib.contextmanager
def _part(file: IO[Any]) -> Iterator[_Part]:
    """Read any file from its start, as bytes, more than once; leave it open and rewound."""
    if not _is_seekable(file):
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            shutil.copyfileobj(file, spool)
            yield _filled(spool, file)
        return
    file.seek(0)
    is_text = isinstance(file.read(0), str)
    yield _filled(BytesIO(file.read().encode()) if is_text else file, file)
    file.seek(0)


def _is_seekable(file: IO[Any]) -> bool:
    try:
        return file.seekable()
    except (AttributeError, UnsupportedOperation):
        return False


def _filled(file: IO[bytes], original: IO[Any]) -> _Part:
    part = _Part(file)
    if not part.len:
        name = getattr(original, "name", None) or "(unnamed)"
        raise InvalidArgument(f"the file {name!r} is empty; was it read or closed before?")
    return part
