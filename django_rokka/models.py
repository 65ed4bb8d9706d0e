"""The mirror: what we know of the images at rokka, as rows that can be asked without HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import connections, models, router
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import api


class SourceImageQuerySet(models.QuerySet["SourceImage"]):
    """Questions to the mirror, and how answers get into it."""

    def live(self) -> SourceImageQuerySet:
        """Images that are not deleted at rokka."""
        return self.filter(deleted=None)

    def of_hash(self, organization: str, hash: str) -> SourceImageQuerySet:
        """The image with this full or short hash."""
        return self.filter(Q(hash=hash) | Q(short_hash=hash), organization=organization)

    def record(self, images: Iterable[api.SourceImage]) -> None:
        """Write what rokka answered: one statement for all, new rows and old ones."""
        # The last answer about an image counts; a statement may touch each row only once.
        rows = {(image.organization, image.hash): self.model.from_api(image) for image in images}
        if not rows:
            return
        using = router.db_for_write(self.model)
        targets = connections[using].features.supports_update_conflicts_with_target
        self.using(using).bulk_create(
            rows.values(),
            update_conflicts=True,
            unique_fields=["organization", "hash"] if targets else None,
            update_fields=self.model.RECORDED_FIELDS,
        )


class SourceImage(models.Model):
    """A source image at rokka, as the last answer about it said.

    ``size`` in bytes, ``width`` and ``height`` in pixels; ``None`` or empty where rokka did not say.
    ``deleted`` is when it was deleted (it can be restored for 30 days), ``synced`` when we last heard
    of it. ``replaced_by`` leads to the image that took its place when its hash changed.
    """

    organization = models.CharField(_("organization"), max_length=100)
    hash = models.CharField(_("hash"), max_length=40)
    short_hash = models.CharField(_("short hash"), max_length=40, blank=True)
    binary_hash = models.CharField(_("binary hash"), max_length=40, blank=True)
    name = models.TextField(_("name"), blank=True)
    format = models.CharField(_("format"), max_length=32, blank=True)
    mimetype = models.CharField(_("MIME type"), max_length=127, blank=True)
    size = models.BigIntegerField(_("size"), null=True, blank=True)
    width = models.PositiveIntegerField(_("width"), null=True, blank=True)
    height = models.PositiveIntegerField(_("height"), null=True, blank=True)
    created = models.DateTimeField(_("created"), null=True, blank=True)
    user_metadata = models.JSONField(_("user metadata"), default=dict, blank=True)
    dynamic_metadata = models.JSONField(_("dynamic metadata"), default=dict, blank=True)
    static_metadata = models.JSONField(_("static metadata"), default=dict, blank=True)
    opaque = models.BooleanField(_("opaque"), null=True, blank=True)
    protected = models.BooleanField(_("protected"), default=False)
    locked = models.BooleanField(_("locked"), default=False)
    animated = models.BooleanField(_("animated"), default=False)
    deleted = models.DateTimeField(_("deleted"), null=True, blank=True)
    replaced_by = models.ForeignKey(
        "self",
        verbose_name=_("replaced by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="replaces",
    )
    synced = models.DateTimeField(_("synced"), default=timezone.now)

    #: What an answer overwrites: everything but the key and what only we know.
    RECORDED_FIELDS: ClassVar[list[str]] = [
        "short_hash",
        "binary_hash",
        "name",
        "format",
        "mimetype",
        "size",
        "width",
        "height",
        "created",
        "user_metadata",
        "dynamic_metadata",
        "static_metadata",
        "opaque",
        "protected",
        "locked",
        "animated",
        "deleted",
        "synced",
    ]

    objects = SourceImageQuerySet.as_manager()

    class Meta:
        verbose_name = _("source image")
        verbose_name_plural = _("source images")
        constraints = [
            models.UniqueConstraint(fields=["organization", "hash"], name="rokka_image_hash")
        ]
        indexes = [
            models.Index(fields=["organization", "short_hash"], name="rokka_image_short_hash"),
            models.Index(fields=["organization", "binary_hash"], name="rokka_image_binary_hash"),
            models.Index(fields=["organization", "-created"], name="rokka_image_created"),
            models.Index(fields=["organization", "deleted"], name="rokka_image_deleted"),
        ]

    def __str__(self) -> str:
        return self.name or self.short_hash or self.hash

    @classmethod
    def from_api(cls, image: api.SourceImage) -> SourceImage:
        """An unsaved row with what an answer says."""
        values: dict[str, Any] = image.as_dict()
        for name in ("extra", "link", "deleted", "deleted_date"):
            values.pop(name)
        now = timezone.now()
        deleted = (_stored(image.deleted_date) or now) if image.deleted else None
        values["created"] = _stored(image.created)
        return cls(**values, deleted=deleted, synced=now)


def _stored(moment: datetime | None) -> datetime | None:
    """A date as the database takes it: naive, in the local time zone, without ``USE_TZ``."""
    return moment if moment is None or settings.USE_TZ else timezone.make_naive(moment)
