"""`RokkaStorage`: rokka as a Django file storage, on django-storages' base.

A name is ``<hash>/<slug>.<format>``: rokka decides the hash, so saving returns another name than it was
given, and never asks ``exists()`` first. Nothing here reads the ``ROKKA`` setting before it is needed.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from datetime import datetime
from io import UnsupportedOperation
from typing import IO, Any, NoReturn, TypeVar

from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import File
from django.core.files.storage import Storage, storages
from django.core.files.utils import validate_file_name
from django.db import connections
from django.utils.deconstruct import deconstructible
from storages.base import BaseStorage

from . import api, lifecycle, renders, spool
from .api import ImageName
from .api.names import names_image
from .api.types import JSON
from .conf import DEFAULT_ALIAS, Config, get_client, get_config
from .later import start_after_commit
from .mirror import MirroringClient
from .models import SourceImage, mirror_database

logger = logging.getLogger("django_rokka.storage")

_Result = TypeVar("_Result")

#: The shortest column that can hold a name: a hash, a slug of one letter and an extension.
MIN_NAME_LENGTH = 47


@deconstructible(path="django_rokka.storage.RokkaStorage")
class RokkaStorage(BaseStorage):  # type: ignore[misc]
    """Keeps files as source images at rokka. Usable as ``STORAGES["default"]``.

    Options, as keyword arguments or in ``STORAGES[…]["OPTIONS"]``:

    * ``alias``: the key of the ``ROKKA`` setting to use (``"default"``);
    * ``stack``: the stack that `url` renders with (the alias's ``STACK``);
    * ``max_memory_size``: bytes of an opened file kept in memory before it goes to a temporary file
      (the alias's ``MAX_MEMORY_SIZE``);
    * ``fallback``: the key in ``STORAGES`` of the storage that has the files which are not at rokka yet
      (the alias's ``FALLBACK``); what has no name of rokka's is read from there.
    """

    alias: str
    stack: str | None
    max_memory_size: int | None
    fallback: str | None
    _user_metadata: Mapping[str, JSON] = {}

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except ImproperlyConfigured as error:
            known = ", ".join(self.get_default_settings())
            raise ImproperlyConfigured(f"{error}; known options: {known}") from None

    def get_default_settings(self) -> dict[str, Any]:
        """The options and their defaults; ``None`` stands for the alias's setting."""
        return {"alias": DEFAULT_ALIAS, "stack": None, "max_memory_size": None, "fallback": None}

    @property
    def config(self) -> Config:
        """The settings of the alias."""
        return get_config(self.alias)

    @property
    def default_stack(self) -> str:
        """The stack that shows a picture where no other one is named."""
        return self.stack or self.config.stack

    @property
    def organization(self) -> str:
        """The organization that keeps the files; by this `references` knows a storage of ours."""
        return self.config.organization

    @property
    def client(self) -> MirroringClient:
        """The client of the alias."""
        return get_client(self.alias)

    # --- Saving -------------------------------------------------------------------------------

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        """Upload ``content`` from its start and return the name, of at most ``max_length`` characters."""
        saved = ImageName.parse(super().save(name, content, max_length=max_length))
        return str(saved if max_length is None else saved.fit(max_length))

    def describing(self, user_metadata: Mapping[str, JSON]) -> RokkaStorage:
        """The same storage, whose uploads carry this user metadata; what is ``None`` is left out."""
        other = copy(self)
        other._user_metadata = {key: val for key, val in user_metadata.items() if val is not None}
        return other

    @property
    def described(self) -> dict[str, JSON]:
        """The user metadata that an upload carries: what was given, and which site it comes from."""
        environment = self.config.environment
        mark = {lifecycle.UPLOADED_BY: environment} if environment else {}
        return {**self._user_metadata, **mark}

    def _save(self, name: str, content: File[Any]) -> str:
        image = self.client.create_source_image(
            content,
            name=name.rpartition("/")[2],
            user_metadata=self.described,
            dynamic_metadata=self.isolation,
        )
        return str(ImageName.build(image.hash, name, image.format))

    @property
    def isolation(self) -> list[api.DynamicMetadata]:
        """What gives this site's uploads hashes of their own, with ``ISOLATE``."""
        return [api.Version(self.config.environment)] if self.config.isolate else []

    def uploaded(self, binary_hash: str, *, client: api.RokkaClient) -> api.SourceImage | None:
        """What rokka has of these bytes already, as an upload would make it: one call. See `api.upload.digest`."""
        wanted = {metadata.name: metadata.as_json() for metadata in self.isolation}
        for image in client.list_source_images_by_binary_hash(binary_hash):
            if image.dynamic_metadata == wanted and not image.protected:
                return image
        return None

    def defer(self, name: str, content: Any, max_length: int | None = None) -> str:
        """Keep ``content`` in the spool, to be uploaded later; gives the name it has meanwhile."""
        return spool.put(self.config, self.get_available_name(name, max_length), content)

    @property
    def spool(self) -> Storage:
        """Where files wait that are uploaded later."""
        return spool.spool_of(self.config)

    @property
    def fallback_storage(self) -> Storage | None:
        """The storage of the files that are not at rokka yet, where there is one."""
        key = self.config.fallback if self.fallback is None else self.fallback
        return storages[key] if key else None

    def elsewhere(self, name: str | None) -> Storage | None:
        """The storage that has a file which is not at rokka: the spool, or the one it falls back to."""
        if spool.is_deferred(name):
            return self.spool
        fallback = self.fallback_storage
        return None if fallback is None or names_image(name or "") else fallback

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """The name as it is: the hash makes it unique, so nobody has to look whether it is taken."""
        name = str(name).replace("\\", "/")
        validate_file_name(name, allow_relative_path=True)
        if max_length is not None and max_length < MIN_NAME_LENGTH:
            raise SuspiciousFileOperation(
                f"max_length={max_length} cannot hold the name of a rokka image; "
                f"give the field at least {MIN_NAME_LENGTH}, better 100"
            )
        return name

    def get_valid_name(self, name: str) -> str:
        """The name as it is: rokka keeps the original one, the slug is made from it."""
        if name in ("", ".", ".."):
            raise SuspiciousFileOperation(f"Could not derive file name from {name!r}")
        return name

    # --- Reading ------------------------------------------------------------------------------

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if mode not in ("r", "rb"):
            raise ValueError(f"rokka's images never change, so {mode!r} is not possible; save anew")
        if other := self.elsewhere(name):
            return other.open(name, "rb")
        return RokkaFile(name, self)

    def url(self, name: str | None) -> str:
        """The render URL of the original size, without HTTP. For other sizes see the tags.

        The mirror is asked whether the name is an old one, of an image that was replaced: one query.
        """
        if not name:
            raise ValueError("There is no file, so there is no URL.")
        if other := self.elsewhere(name):
            return other.url(name)
        current, protected = self._current(name)
        return renders.render_url(
            self.config, self.default_stack, str(current), protected=protected
        )

    def current(self, name: str) -> ImageName:
        """The name of what stands for an image now: its own, or that of what replaced it. One query."""
        return self._current(name)[0]

    def _current(self, name: str) -> tuple[ImageName, bool]:
        """The name of what stands for an image now, and whether the mirror knows that as protected."""
        parsed = ImageName.parse(name)
        image = self.mirrored(name)
        if image is None:
            return parsed, False
        current = image.current
        return replace(parsed, hash=current.hash), current.protected

    def exists(self, name: str) -> bool:
        """Ask rokka whether the image, or what replaced it, is there and not deleted."""
        if other := self.elsewhere(name):
            return other.exists(name)
        try:
            self.client.get_source_image(self.current(name).hash)
        except (api.NotFound, api.InvalidArgument):
            return False
        return True

    def size(self, name: str) -> int:
        """The size of the original in bytes, from the mirror or from rokka."""
        if other := self.elsewhere(name):
            return other.size(name)
        return int(self._fact(name, lambda image: image.size))

    def get_created_time(self, name: str) -> datetime:
        """When the image was created at rokka: aware with ``USE_TZ``, else in the local time zone."""
        if other := self.elsewhere(name):
            return other.get_created_time(name)
        return self._fact(name, lambda image: image.created)

    def get_modified_time(self, name: str) -> datetime:
        """The same as `get_created_time`: an image never changes."""
        return self.get_created_time(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Names as directories: hashes at the root, and one file in each. Asks rokka for every page."""
        hash = str(path).strip("/")
        if hash in ("", "."):
            return [image.hash for image in self.client.iter_source_images()], []
        image = self.client.get_source_image(hash)
        name = str(ImageName.build(image.hash, image.name, image.format))
        return [], [name.partition("/")[2]]

    def source_image(self, name: str) -> SourceImage:
        """The mirror's row of an image, or of what replaced it; one it lacks is fetched.

        Raises `FileNotFoundError`.
        """
        hash = _of_image(name).hash
        try:
            return lifecycle.find(self.organization, hash).current
        except api.NotFound as error:
            raise FileNotFoundError(f"rokka has no image {name!r}") from error

    def mirrored(self, name: str) -> SourceImage | None:
        """The mirror's row of an image, if there is one: a query, no HTTP."""
        rows = SourceImage.objects.of_hash(self.organization, name.partition("/")[0])
        return rows.select_related("replaced_by").first()

    def _fact(self, name: str, read: Callable[[SourceImage], _Result | None]) -> _Result:
        value = read(self.source_image(name))
        if value is None:
            raise FileNotFoundError(f"rokka does not say this of {name!r}")
        return value

    # --- Deleting -----------------------------------------------------------------------------

    def delete(self, name: str) -> None:
        """Delete the image if no row holds it: at once, or in a transaction after its commit.

        The row that lets go of it may be one that still holds it: Django deletes a file before it saves the
        row, and a storage does not know whose file it is. `lifecycle.delete_due` sees to it then. An image
        can be restored at rokka for 30 days. One that is gone already is no error. Outside of a transaction
        it raises `Refused` for an image of another site and in a copy of another site's database, and
        `Conflict` for a locked image.
        """
        if not name:
            raise ValueError("The name must be given to delete().")
        if other := self.elsewhere(name):
            other.delete(name)
            return
        try:
            image = lifecycle.find(self.organization, ImageName.parse(name).hash)
        except (api.NotFound, api.InvalidArgument):
            logger.debug("%r is not at rokka.", name)
            return
        # In a transaction a row that has let go of it may come back by a rollback.
        open_one = next((name for name in connections if connections[name].in_atomic_block), "")
        if open_one or not lifecycle.delete_unreferenced(image):
            lifecycle.look_again(image)
            using = open_one or mirror_database()
            start_after_commit(using, "delete_unreferenced", self.alias, image.hash)


class RokkaFile(File):  # type: ignore[type-arg]
    """An original, opened for reading: downloaded in pieces when it is first read, and seekable.

    Small files stay in memory, larger ones go to a temporary file that is gone when this is closed.
    """

    def __init__(self, name: str, storage: RokkaStorage) -> None:
        super().__init__(None, str(_of_image(name)))
        self.mode = "rb"
        self._storage = storage
        self._content: IO[bytes] | None = None
        self._closed = False

    def _get_file(self) -> IO[bytes]:
        if self._closed:
            raise ValueError("This file is closed; open() it again.")
        if self._content is None:
            self._content = self._download()
        return self._content

    def _set_file(self, file: IO[bytes] | None) -> None:
        self._content = file

    file = property(_get_file, _set_file)

    def _download(self) -> IO[bytes]:
        config = self._storage.config
        size = self._storage.max_memory_size or config.max_memory_size
        content = tempfile.SpooledTemporaryFile(max_size=size)  # noqa: SIM115 - closed by close()
        hash = self._storage.current(str(self.name)).hash
        try:
            with self._storage.client.download_source_image(hash) as chunks:
                content.writelines(chunks)
        except api.NotFound as error:
            content.close()
            raise FileNotFoundError(f"rokka has no image {self.name!r}") from error
        except BaseException:
            content.close()
            raise
        content.seek(0)
        return content

    @property
    def size(self) -> int:
        """Bytes; known without a download."""
        return self._storage.size(str(self.name))

    @property
    def closed(self) -> bool:
        """Whether it was closed; one that was not read yet is open."""
        return self._closed

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> RokkaFile:
        """Back to the start; a closed file is downloaded again."""
        self._closed = False
        if self._content is not None:
            self._content.seek(0)
        return self

    def writable(self) -> bool:
        """Never: what is written would be lost with the downloaded copy."""
        return False

    def write(self, content: Any) -> NoReturn:
        """Raise `UnsupportedOperation`: rokka's images never change."""
        raise UnsupportedOperation("rokka's images never change; save anew")

    def close(self) -> None:
        """Drop the downloaded copy."""
        self._closed = True
        if self._content is not None:
            self._content.close()
            self._content = None


def _of_image(name: str) -> ImageName:
    """Read a name. Raises `FileNotFoundError` for one that no image at rokka can have."""
    try:
        return ImageName.parse(name)
    except api.InvalidArgument as error:
        raise FileNotFoundError(str(error)) from error


__all__ = ["MIN_NAME_LENGTH", "RokkaFile", "RokkaStorage"]
