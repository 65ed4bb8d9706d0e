"""`RokkaClient`: one short method for each call of the rokka API that this project uses.

The 17 source image operations carry the number of the API document's table (S1-S17); the others come
from rokka's documentation. All raise the errors of `django_rokka.api.errors`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, TypeVar

import requests

from .errors import InvalidArgument, NotFound, UnexpectedAnswer, shown
from .names import check_hash
from .remote import check_url
from .secret import Secret
from .transport import (
    Credentials,
    Guard,
    Query,
    RetryPolicy,
    Transport,
    call_of,
    path_of,
    read_json,
)
from .types import (
    JSON,
    Alias,
    CopyResult,
    DynamicMetadata,
    Organization,
    Page,
    RawPage,
    Rehash,
    SourceImage,
    Stack,
    as_list,
    read_list,
    read_object,
)
from .upload import Upload, multipart

#: The most hashes one batch copy takes.
COPY_LIMIT = 100

_ORGANIZATION = re.compile(r"[0-9a-z][0-9a-z_-]*")
_STACK = re.compile(r"[0-9a-zA-Z_-]+")
_ALIAS = re.compile(r"[0-9a-zA-Z_]+")
_FIELD = re.compile(r"([a-z_]+:)?[0-9a-z_]{1,54}")
_AnyPage = TypeVar("_AnyPage", Page, RawPage)
_Read = TypeVar("_Read")
_DYNAMIC_NAME = re.compile(r"[a-z_]+")


class RokkaClient:
    """The rokka API, for one organization.

    Safe to share between threads; each process needs its own (`django_rokka.conf.get_client` sees to
    that). ``timeout`` is (connect, read) in seconds; ``guard`` is asked before each call that may change
    something, and may refuse it.

    >>> client = RokkaClient("acme", api_key="…")
    >>> with open("dog.jpg", "rb") as file:
    ...     image = client.create_source_image(file)
    >>> client.delete_source_image(image.hash)
    """

    def __init__(
        self,
        organization: str,
        *,
        api_key: str = "",
        token: str = "",
        base_url: str = "https://api.rokka.io",
        timeout: tuple[float, float] = (5.0, 60.0),
        retry: RetryPolicy | None = None,
        pool_size: int = 10,
        guard: Guard | None = None,
    ) -> None:
        # Before anything can fail: a traceback may show these variables.
        api_key, token = Secret(api_key), Secret(token)
        self.organization = _matching("organization", _ORGANIZATION, organization)
        self._transport = Transport(
            base_url,
            Credentials(api_key, token),
            timeout=timeout,
            retry=retry,
            pool_size=pool_size,
            guard=guard,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.organization} at {self._transport.base_url}>"

    def __reduce__(self) -> Any:
        raise TypeError("a RokkaClient holds a key and connections; pass the alias instead")

    def __enter__(self) -> RokkaClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections; the client can be used again."""
        self._transport.close()

    # --- Upload -------------------------------------------------------------------------------

    def create_source_image(
        self,
        file: IO[Any],
        *,
        name: str = "",
        user_metadata: Mapping[str, JSON] | None = None,
        dynamic_metadata: Sequence[DynamicMetadata] = (),
        static_metadata: Mapping[str, JSON] | None = None,
        protected: bool | None = None,
        optimize_source: str | bool | None = None,
    ) -> SourceImage:
        """Upload one file (S2), from its start, streamed; the file is left open and rewound.

        The same bytes again answer with the image that exists, given metadata merged into it.
        ``optimize_source`` is ``True``, ``"jpg"`` or ``"png"``. Raises `InvalidArgument` for an empty
        file, `InvalidRequest` for one that rokka cannot read.
        """
        upload = Upload(
            file=file,
            name=name,
            user_metadata=user_metadata or {},
            dynamic_metadata=dynamic_metadata,
            static_metadata=static_metadata or {},
            protected=protected,
        )
        return self.create_source_images([upload], optimize_source=optimize_source)[0]

    def create_source_image_from_url(
        self,
        url: str,
        *,
        user_metadata: Mapping[str, JSON] | None = None,
        dynamic_metadata: Sequence[DynamicMetadata] = (),
        allow_private: bool = False,
    ) -> SourceImage:
        """Let rokka fetch a publicly reachable picture itself, and wait for it.

        Raises `InvalidArgument` for a URL with credentials, and for ``localhost`` and the like unless
        ``allow_private``: nobody outside should learn by it what there is inside.
        """
        upload = Upload(
            url=url,
            user_metadata=user_metadata or {},
            dynamic_metadata=dynamic_metadata,
            allow_private=allow_private,
        )
        return self.create_source_images([upload])[0]

    def create_source_images(
        self, uploads: Sequence[Upload], *, optimize_source: str | bool | None = None
    ) -> list[SourceImage]:
        """Upload several files in one call (S2). The answer has one image per upload, in their order."""
        if not uploads or any((item.file is None) == (not item.url) for item in uploads):
            raise InvalidArgument("each upload needs either a file or a url")
        for item in uploads:
            if item.url:
                check_url(item.url, allow_private=item.allow_private)
        with multipart(uploads, optimize_source=optimize_source) as body:
            response = self._transport.call("POST", self._path(), body=body)
        images = list(self._uploaded(response))
        if len(images) != len(uploads):
            raise UnexpectedAnswer(
                f"{len(uploads)} files were sent, {len(images)} images came back",
                call=call_of(response),
                status=response.status_code,
            )
        return images

    # --- Read ---------------------------------------------------------------------------------

    def get_source_image(self, hash: str, *, deleted: bool = False) -> SourceImage:
        """Get one image (S6); with ``deleted`` also a deleted one. Raises `NotFound`."""
        query = {"deleted": True} if deleted else None
        return self._image(self._call("GET", check_hash(hash), query=query))

    def download_source_image(
        self, hash: str
    ) -> contextlib.AbstractContextManager[Iterator[bytes]]:
        """Stream the original bytes (S14), in pieces of up to 64 KiB.

        >>> with client.download_source_image(image.hash) as chunks:
        ...     file.writelines(chunks)
        """
        return self._transport.stream(self._path(check_hash(hash), "download"))

    def list_source_images(
        self,
        *,
        limit: int = 100,
        offset: int | str = 0,
        sort: str = "",
        deleted: bool = False,
        facets: str = "",
        operator: str = "",
        filters: Mapping[str, str | int] | None = None,
    ) -> Page:
        """Get one page of images (S15), the newest first.

        ``limit`` is 0-2000, ``offset`` a number up to 10,000 or a cursor, ``sort`` such as
        ``"size desc,name asc"``, ``filters`` such as ``{"format": "jpg", "user:int:year": 2024,
        "size": "[30000,}"}``; ``operator="or"`` needs only one of them to match.
        """
        search: dict[str, Any] = {
            "sort": sort,
            "deleted": deleted,
            "facets": facets,
            "operator": operator,
        }
        query = _search_query(limit=limit, offset=offset, filters=filters, **search)
        return self._page(self._call("GET", query=query))

    def iter_pages(self, **search: Any) -> Iterator[Page]:
        """Walk through all pages, lazily, by rokka's own links and cursors.

        Takes what `list_source_images` takes; ``offset`` may be a cursor kept from an earlier walk.
        """
        return self._walk(self._page, **search)

    def iter_raw_pages(self, **search: Any) -> Iterator[RawPage]:
        """The same, with the items of each page as rokka sent them."""
        return self._walk(_raw_page, **search)

    def _walk(
        self,
        read: Callable[[requests.Response], _AnyPage],
        *,
        limit: int = 1000,
        offset: int | str = 0,
        **search: Any,
    ) -> Iterator[_AnyPage]:
        seen: str | None = None
        while True:
            query = _search_query(limit=limit, offset=offset, **search)
            page = read(self._call("GET", query=query))
            yield page
            # An answer may point at itself, or on past its end: neither must go round for ever.
            if page.next is None or page.next == seen or not page.items:
                return
            offset = seen = page.next

    def iter_source_images(self, **search: Any) -> Iterator[SourceImage]:
        """Walk through all images, lazily; takes what `iter_pages` takes."""
        for page in self.iter_pages(**search):
            yield from page

    def list_source_images_by_binary_hash(self, binary_hash: str) -> Page:
        """Get all variants (S7) of one binary, by the SHA-1 of its bytes."""
        return self._page(self._call("GET", "binaryhash", _check_binary_hash(binary_hash)))

    # --- Delete, restore, copy ----------------------------------------------------------------

    def delete_source_image(self, hash: str) -> None:
        """Delete one image (S8). It can be restored for 30 days. Raises `NotFound`, or `Conflict` if locked."""
        with _gone_is_deleted():
            self._call("DELETE", check_hash(hash))

    def delete_source_images_by_binary_hash(self, binary_hash: str) -> None:
        """Delete every variant of one binary, whoever uses it."""
        with _gone_is_deleted():
            self._call("DELETE", query={"binaryHash": _check_binary_hash(binary_hash)})

    def restore_source_image(self, hash: str) -> SourceImage:
        """Bring a deleted image back (S17); one that is not deleted is returned as it is."""
        return self._image(self._call("POST", check_hash(hash), "restore"))

    def copy_source_image(self, hash: str, destination: str, *, overwrite: bool = True) -> bool:
        """Copy one image to another organization (S1). ``True`` if it is new there.

        Raises `Conflict` if it exists there and ``overwrite`` is off, `InvalidRequest` for an unknown
        destination, `NotAllowed` without the right to write there.
        """
        headers = _copy_headers(destination, overwrite)
        return self._call("POST", check_hash(hash), "copy", headers=headers).status_code == 201

    def copy_source_images(
        self, hashes: Iterable[str], destination: str, *, overwrite: bool = True
    ) -> CopyResult:
        """Copy up to 100 images in one call. Raises `NotFound` if there is none of them."""
        hashes = [check_hash(hash) for hash in hashes]
        if not 0 < len(hashes) <= COPY_LIMIT:
            raise InvalidArgument(f"a batch copy takes 1 to {COPY_LIMIT} hashes, got {len(hashes)}")
        headers = _copy_headers(destination, overwrite)
        answer = _object(self._call("POST", "copy", json=hashes, headers=headers))
        keys = ("created", "existing", "notfound")
        return CopyResult(*(tuple(map(str, as_list(answer.get(key)))) for key in keys))

    # --- Metadata -----------------------------------------------------------------------------

    def set_dynamic_metadata(
        self,
        hash: str,
        metadata: DynamicMetadata,
        *,
        delete_previous: bool = False,
        keep_hash: bool = False,
    ) -> Rehash:
        """Set one kind of dynamic metadata (S3). The image gets a new hash; the old one stays.

        ``delete_previous`` deletes the old image at once: only for images that nothing refers to.
        ``keep_hash`` changes the image in place: caches go on showing the old renders for up to a year.
        """
        return self._rehash(
            "PUT", hash, "meta", "dynamic", metadata.name,
            json=metadata.as_json(), query=_rehash_query(delete_previous, keep_hash),
        )  # fmt: skip

    def delete_dynamic_metadata(
        self, hash: str, name: str, *, delete_previous: bool = False, keep_hash: bool = False
    ) -> Rehash:
        """Remove one kind of dynamic metadata (S9), such as ``"subject_area"``; as `set_dynamic_metadata`."""
        name = _matching("dynamic metadata name", _DYNAMIC_NAME, name)
        query = _rehash_query(delete_previous, keep_hash)
        return self._rehash("DELETE", hash, "meta", "dynamic", name, query=query)

    def set_protected(self, hash: str, protected: bool, *, delete_previous: bool = False) -> Rehash:
        """Protect an image, so that its renders need a signed URL, or unprotect it. Changes the hash."""
        query = _rehash_query(delete_previous, keep_hash=False)
        return self._rehash("PUT", hash, "options", "protected", json=protected, query=query)

    def set_locked(self, hash: str, locked: bool) -> None:
        """Lock an image against deletion and changes of user metadata, or unlock it. Keeps the hash."""
        self._call("PUT", check_hash(hash), "options", "locked", json=locked)

    def rename_source_image(self, hash: str, name: str) -> None:
        """Change the file name that rokka keeps."""
        self._call("PUT", check_hash(hash), "name", json=name)

    def get_user_metadata(self, hash: str) -> dict[str, JSON]:
        """Read all user metadata (S12)."""
        return _object(self._call("GET", check_hash(hash), "meta", "user"))

    def replace_user_metadata(self, hash: str, metadata: Mapping[str, JSON]) -> None:
        """Set all user metadata (S4): fields not given are gone. Names may carry a type prefix (``int:``)."""
        self._call("PUT", check_hash(hash), "meta", "user", json=_check_fields(metadata))

    def patch_user_metadata(self, hash: str, metadata: Mapping[str, JSON]) -> None:
        """Set some fields of user metadata (S16); ``None`` deletes a field, others stay."""
        self._call("PATCH", check_hash(hash), "meta", "user", json=_check_fields(metadata))

    def delete_user_metadata(self, hash: str) -> None:
        """Delete all user metadata (S10)."""
        self._call("DELETE", check_hash(hash), "meta", "user")

    def get_user_metadata_field(self, hash: str, field: str) -> JSON:
        """Read one field (S13). Raises `NotFound` if the image lacks it."""
        return read_json(self._call("GET", check_hash(hash), "meta", "user", _check_field(field)))

    def set_user_metadata_field(self, hash: str, field: str, value: JSON) -> None:
        """Set one field (S5). ``None`` cannot be set: delete the field instead."""
        if value is None:
            raise InvalidArgument(f"None cannot be set as {field!r}; delete the field instead")
        self._call("PUT", check_hash(hash), "meta", "user", _check_field(field), json=value)

    def delete_user_metadata_field(self, hash: str, field: str) -> None:
        """Delete one field (S11)."""
        with _gone_is_deleted():
            self._call("DELETE", check_hash(hash), "meta", "user", _check_field(field))

    def autodescribe_source_image(
        self, hash: str, languages: Sequence[str], *, force: bool = False
    ) -> SourceImage | None:
        """Let rokka write alt texts (``"en"``, ``"de"``, ``"fr"``, ``"it"``) into the user metadata.

        For paying accounts. ``force`` writes over texts that exist. Returns the image if rokka sends it.
        """
        body = {"languages": list(languages), "force": force}
        response = self._call("POST", check_hash(hash), "autodescription", json=body)
        answer = _object(response) if response.content else {}
        return self._image(response) if "hash" in answer else None

    def purge_source_image_cache(self, hash: str) -> None:
        """Ask the CDN to forget an image's renders; paying accounts, 5 an hour, takes effect later."""
        self._call("DELETE", check_hash(hash), "cache")

    # --- Aliases ------------------------------------------------------------------------------

    def set_alias(self, alias: str, hash: str, *, overwrite: bool = False) -> Alias:
        """Point an alias at an image. Raises `Conflict` if it exists and ``overwrite`` is off."""
        query = {"overwrite": True} if overwrite else None
        body = {"hash": check_hash(hash)}
        self._call("PUT", "alias", _check_alias(alias), json=body, query=query)
        return Alias(self.organization, alias, hash)

    def get_alias(self, alias: str) -> Alias:
        """Get what an alias points at. Raises `NotFound`."""
        response = self._call("GET", "alias", _check_alias(alias))
        with _as_unexpected(response):
            return Alias(self.organization, alias, check_hash(_object(response).get("hash", "")))

    def delete_alias(self, alias: str) -> None:
        """Delete an alias; the image stays."""
        with _gone_is_deleted():
            self._call("DELETE", "alias", _check_alias(alias))

    def purge_alias_cache(self, alias: str) -> None:
        """Ask the CDN to forget an alias's renders; paying accounts, 10 an hour."""
        self._call("DELETE", "alias", _check_alias(alias), "cache")

    # --- Stacks, operations, organization -----------------------------------------------------

    def list_stacks(self) -> list[Stack]:
        """Get all stacks of the organization."""
        response = self._transport.call("GET", path_of("stacks", self.organization))
        answer = read_json(response)
        items = answer.get("items") if isinstance(answer, Mapping) else answer
        with _as_unexpected(response):
            return [Stack.from_json(item) for item in read_list(items)]

    def get_stack(self, name: str) -> Stack:
        """Get one stack. Raises `NotFound`."""
        return _read(self._transport.call("GET", self._stack(name)), Stack.from_json)

    def save_stack(self, stack: Stack, *, overwrite: bool = False) -> Stack:
        """Create a stack, or replace one with ``overwrite``. Renders that caches hold stay as they are."""
        query = {"overwrite": True} if overwrite else None
        path = self._stack(stack.name)
        response = self._transport.call("PUT", path, json=stack.as_json(), query=query)
        return _read(response, Stack.from_json)

    def delete_stack(self, name: str) -> None:
        """Delete a stack; its URLs stop to work once caches are stale."""
        with _gone_is_deleted():
            self._transport.call("DELETE", self._stack(name))

    def purge_stack_cache(self, name: str) -> None:
        """Ask the CDN to forget a stack's renders."""
        self._transport.call("DELETE", f"{self._stack(name)}/cache")

    def list_operations(self) -> dict[str, JSON]:
        """Describe the operations a stack may use: ``{name: {"properties": {…}, "required": […]}}``."""
        return _object(self._transport.call("GET", path_of("operations")))

    def list_stack_options(self) -> dict[str, JSON]:
        """Describe the options a stack may have: ``{"properties": {name: {…}}}``."""
        return _object(self._transport.call("GET", path_of("stackoptions")))

    def get_organization(self) -> Organization:
        """Get the organization, with its signing keys."""
        response = self._transport.call("GET", path_of("organizations", self.organization))
        return _read(response, Organization.from_json)

    # --- How calls are made -------------------------------------------------------------------

    def _path(self, *segments: str) -> str:
        return path_of("sourceimages", self.organization, *segments)

    def _stack(self, name: str) -> str:
        return path_of("stacks", self.organization, _matching("stack name", _STACK, name))

    def _call(
        self,
        method: str,
        *segments: str,
        query: Query | None = None,
        json: JSON = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        return self._transport.call(
            method, self._path(*segments), query=query, json=json, headers=headers
        )

    def _rehash(
        self, method: str, hash: str, *segments: str, query: Query, json: JSON = None
    ) -> Rehash:
        response = self._call(method, check_hash(hash), *segments, query=query, json=json)
        image = self._image(response) if response.content.strip() else None
        # The header's last path segment only: its host is never called, so it cannot get the key.
        location = response.headers.get("Location", "").split("?")[0].rstrip("/").rpartition("/")[2]
        with _as_unexpected(response):
            new = check_hash(location or (image.hash if image else hash))
            if image and not image.hash.startswith(new):
                raise UnexpectedAnswer(f"Location says {new}, and the body {image.hash}")
            return Rehash(hash, image.hash if image else new, image)

    def _image(self, response: requests.Response) -> SourceImage:
        return _read(response, SourceImage.from_json)

    def _uploaded(self, response: requests.Response) -> Page:
        return self._page(response)

    def _page(self, response: requests.Response) -> Page:
        return _read(response, Page.from_json)


def _read(response: requests.Response, read: Callable[[JSON], _Read]) -> _Read:
    with _as_unexpected(response):
        return read(read_json(response))


def _object(response: requests.Response) -> dict[str, JSON]:
    return _read(response, read_object)


@contextlib.contextmanager
def _gone_is_deleted() -> Iterator[None]:
    """What an earlier try of the call has deleted, whose answer was lost, is not there for the next one."""
    try:
        yield
    except NotFound as error:
        if not error.maybe_done:
            raise


def _raw_page(response: requests.Response) -> RawPage:
    return _read(response, RawPage.from_json)


def _search_query(
    *,
    limit: int,
    offset: int | str,
    sort: str = "",
    deleted: bool = False,
    facets: str = "",
    operator: str = "",
    filters: Mapping[str, str | int] | None = None,
) -> Query:
    query: dict[str, str | int | bool | None] = {**(filters or {}), "limit": limit}
    query |= {"offset": offset or None, "sort": sort or None, "facets": facets or None}
    return query | {"deleted": deleted or None, "operator": operator or None}


@contextlib.contextmanager
def _as_unexpected(response: requests.Response) -> Iterator[None]:
    """Say which call an answer that cannot be read belongs to."""
    try:
        yield
    except (UnexpectedAnswer, InvalidArgument) as error:
        raise UnexpectedAnswer(
            error.message, call=call_of(response), status=response.status_code
        ) from error


def _matching(what: str, pattern: re.Pattern[str], value: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidArgument(f"{shown(value)} is no {what}; expected {pattern.pattern}")
    return value


def _check_alias(value: str) -> str:
    return _matching("alias", _ALIAS, value)


def _check_field(value: str) -> str:
    return _matching("user metadata field", _FIELD, value)


def _check_fields(metadata: Mapping[str, JSON]) -> dict[str, JSON]:
    return {_check_field(field): value for field, value in metadata.items()}


def _check_binary_hash(value: str) -> str:
    return _matching("binary hash", re.compile(r"[0-9a-f]{40}"), value)


def _copy_headers(destination: str, overwrite: bool) -> dict[str, str]:
    headers = {"Destination": _matching("organization", _ORGANIZATION, destination)}
    return headers if overwrite else {**headers, "Overwrite": "F"}


def _rehash_query(delete_previous: bool, keep_hash: bool) -> Query:
    if delete_previous and keep_hash:
        raise InvalidArgument("delete_previous and keep_hash exclude each other")
    return {"deletePrevious": delete_previous, "keepHash": keep_hash or None}
