"""Where files wait that are uploaded later: an ordinary Django storage, shared by the web and the workers.

A waiting file is named ``deferred/<32 hex>/<slug>.<extension>``, which is no image's name. Its address is
the site's own, where an SVG or an HTML file could run scripts: all but plain pictures end in ``.bin``, which a
browser downloads.
"""

from __future__ import annotations

import re
import uuid
from pathlib import PurePath
from typing import Any

from django.core.files.storage import FileSystemStorage, Storage, storages

from .api.names import NAME_LENGTH, SLUG_LENGTH, slugify
from .conf import Config

#: When a field uploads: as the row is saved, or after the commit.
DIRECT, DEFERRED = "direct", "deferred"

PREFIX = f"{DEFERRED}/"
#: The name of a waiting file in full. What else begins so is a file from before rokka, in a folder called so.
WAITING = re.compile(f"{PREFIX}[0-9a-f]{{32}}/.+")
_ROOM = NAME_LENGTH - len(PREFIX) - 32 - len("/.") - 10 - len(".bin")
#: What a browser shows as a picture, or not at all.
_PLAIN = {"avif", "bmp", "gif", "heic", "heif", "jpeg", "jpg", "png", "tif", "tiff", "webp"}


def is_deferred(name: str | None) -> bool:
    """Whether a name is that of a file that waits to be uploaded."""
    return (name or "").startswith(PREFIX)


def spool_of(config: Config) -> Storage:
    """The alias's spool: the ``STORAGES`` entry that ``SPOOL`` names, or files below ``MEDIA_ROOT``."""
    return storages[config.spool] if config.spool else FileSystemStorage()


def put(config: Config, name: str, content: Any) -> str:
    """Keep a file until it is uploaded; gives the name it has meanwhile."""
    extension = PurePath(name).suffix[1:].lower()
    if extension not in _PLAIN:
        known = re.fullmatch(r"[0-9a-z]{1,10}", extension)
        extension = f"{extension}.bin" if known else "bin"
    slug = slugify(name, length=min(_ROOM, SLUG_LENGTH))
    content.seek(0)
    return spool_of(config).save(f"{PREFIX}{uuid.uuid4().hex}/{slug}.{extension}", content)


def own_name(name: str) -> str:
    """The name of a waiting file with the extension that it came with."""
    return re.sub(r"(\.[0-9a-z]+)\.bin$", r"\1", name)
