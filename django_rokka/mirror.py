"""`MirroringClient`: the API client that tells the mirror whatever it learns.

It is the one place where answers become rows, so nobody has to think of it who calls rokka through
`django_rokka.conf.get_client`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import requests
from django.db import transaction
from django.utils import timezone

from . import api
from .api.types import JSON
from .conf import config_of
from .environment import check_destination
from .later import start_after_commit
from .models import SourceImage


class MirroringClient(api.RokkaClient):
    """A `RokkaClient` that records every image it sees, and every change it makes."""

    def _image(self, response: requests.Response) -> api.SourceImage:
        image = super()._image(response)
        SourceImage.objects.record([image])
        return image

    def _page(self, response: requests.Response) -> api.Page:
        page = super()._page(response)
        SourceImage.objects.record(page)
        return page

    def _uploaded(self, response: requests.Response) -> api.Page:
        page = super()._page(response)
        self.record_uploads(page)
        return page

    def record_uploads(self, page: Iterable[api.SourceImage]) -> None:
        """Record images that were uploaded now, or found to be there instead of being uploaded."""
        page = list(page)
        rows = SourceImage.objects.filter(
            organization=self.organization, hash__in=[image.hash for image in page]
        )
        with transaction.atomic(using=rows.db):
            # Somebody may have deleted the image between the answer and now, or be about to.
            for hash in rows.lock(holders_too=False).exclude(deleted=None).values_list("hash"):
                self.restore_source_image(*hash)
            self._start_placeholders(page, rows)
            now = timezone.now()
            SourceImage.objects.record(page, uploaded=now, unreferenced=None, replaced_by=None)

    def _start_placeholders(self, page: Iterable[api.SourceImage], rows: Any) -> None:
        """For images that are new here; of the others the schedule takes care."""
        config = config_of(self.organization)
        if not (config.celery and config.placeholders):
            return
        known = set(rows.values_list("hash", flat=True))
        for hash in {image.hash for image in page} - known:
            start_after_commit(rows.db, "fill_placeholder", config.alias, hash)

    def get_source_image(self, hash: str, *, deleted: bool = False) -> api.SourceImage:
        """As in `RokkaClient`. An image that is gone is marked so."""
        try:
            return super().get_source_image(hash, deleted=deleted)
        except api.NotFound:
            self._rows(hash).live().update(deleted=timezone.now())
            raise

    def delete_source_image(self, hash: str) -> None:
        """As in `RokkaClient`."""
        super().delete_source_image(hash)
        self._change(hash, deleted=timezone.now())

    def delete_source_images_by_binary_hash(self, binary_hash: str) -> None:
        """As in `RokkaClient`."""
        super().delete_source_images_by_binary_hash(binary_hash)
        rows = SourceImage.objects.filter(organization=self.organization, binary_hash=binary_hash)
        rows.live().update(deleted=timezone.now())

    def set_locked(self, hash: str, locked: bool) -> None:
        """As in `RokkaClient`."""
        super().set_locked(hash, locked)
        self._change(hash, locked=locked)

    def rename_source_image(self, hash: str, name: str) -> None:
        """As in `RokkaClient`."""
        super().rename_source_image(hash, name)
        self._change(hash, name=name)

    def replace_user_metadata(self, hash: str, metadata: Mapping[str, JSON]) -> None:
        """As in `RokkaClient`."""
        super().replace_user_metadata(hash, metadata)
        self._change(hash, user_metadata=dict(metadata))

    def patch_user_metadata(self, hash: str, metadata: Mapping[str, JSON]) -> None:
        """As in `RokkaClient`."""
        super().patch_user_metadata(hash, metadata)
        self._merge(hash, metadata)

    def set_user_metadata_field(self, hash: str, field: str, value: JSON) -> None:
        """As in `RokkaClient`."""
        super().set_user_metadata_field(hash, field, value)
        self._merge(hash, {field: value})

    def delete_user_metadata_field(self, hash: str, field: str) -> None:
        """As in `RokkaClient`."""
        super().delete_user_metadata_field(hash, field)
        self._merge(hash, {field: None})

    def delete_user_metadata(self, hash: str) -> None:
        """As in `RokkaClient`."""
        super().delete_user_metadata(hash)
        self._change(hash, user_metadata={})

    def copy_source_image(self, hash: str, destination: str, *, overwrite: bool = True) -> bool:
        """As in `RokkaClient`. What belongs to another environment is not overwritten."""
        if overwrite:
            check_destination(config_of(self.organization), destination)
        return super().copy_source_image(hash, destination, overwrite=overwrite)

    def copy_source_images(
        self, hashes: Iterable[str], destination: str, *, overwrite: bool = True
    ) -> api.CopyResult:
        """As in `RokkaClient`. What belongs to another environment is not overwritten."""
        if overwrite:
            check_destination(config_of(self.organization), destination)
        return super().copy_source_images(hashes, destination, overwrite=overwrite)

    def _rows(self, hash: str) -> Any:
        return SourceImage.objects.of_hash(self.organization, hash)

    def _change(self, hash: str, **values: Any) -> None:
        self._rows(hash).update(**values, synced=timezone.now(), fingerprint=None)

    def _merge(self, hash: str, changes: Mapping[str, JSON]) -> None:
        for metadata in self._rows(hash).values_list("user_metadata", flat=True):
            merged = {**metadata, **changes}
            self._change(
                hash, user_metadata={key: val for key, val in merged.items() if val is not None}
            )
