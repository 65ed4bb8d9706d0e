"""`SyncRun`: a walk through a listing."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .written import WrittenManager


class SyncRun(models.Model):
    """A walk through an organization's listing, and how far it has come.

    ``running`` holds the organization while the run is under way, so that there is one at a time, and
    ``heartbeat`` is when it last did something; one of long ago is that of a run that was killed. A run
    that is not ``finished`` goes on at ``cursor``, behind the hash ``position``.
    """

    class Kind(models.TextChoices):
        """What a run walks through."""

        FULL = "full", _("all images")
        NEW = "new", _("images that are new")
        DELETED = "deleted", _("deleted images")

    organization = models.CharField(_("organization"), max_length=100)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    # NULL, and not empty: any number of runs may have ended.
    running = models.CharField(max_length=100, null=True, unique=True, editable=False)  # noqa: DJ001
    started = models.DateTimeField(_("started"), default=timezone.now)
    finished = models.DateTimeField(_("finished"), null=True, blank=True)
    heartbeat = models.DateTimeField(_("heartbeat"), null=True, blank=True)
    complete = models.BooleanField(_("complete"), default=False)
    cursor = models.TextField(_("cursor"), blank=True)
    position = models.CharField(_("position"), max_length=40, blank=True)
    total = models.BigIntegerField(_("total"), null=True, blank=True)
    seen = models.BigIntegerField(pgettext_lazy("count of images", "seen"), default=0)
    created = models.BigIntegerField(pgettext_lazy("count of images", "created"), default=0)
    changed = models.BigIntegerField(pgettext_lazy("count of images", "changed"), default=0)
    unchanged = models.BigIntegerField(pgettext_lazy("count of images", "unchanged"), default=0)
    deleted = models.BigIntegerField(pgettext_lazy("count of images", "deleted"), default=0)
    restored = models.BigIntegerField(pgettext_lazy("count of images", "restored"), default=0)
    rehashed = models.BigIntegerField(pgettext_lazy("count of images", "rehashed"), default=0)
    purged = models.BigIntegerField(pgettext_lazy("count of images", "purged"), default=0)
    malformed = models.BigIntegerField(pgettext_lazy("count of images", "malformed"), default=0)

    #: What a run counts.
    COUNTS: ClassVar[list[str]] = [
        "seen",
        "created",
        "changed",
        "unchanged",
        "deleted",
        "restored",
        "rehashed",
        "purged",
        "malformed",
    ]

    objects = WrittenManager["SyncRun"]()

    class Meta:
        verbose_name = _("sync run")
        verbose_name_plural = _("sync runs")
        indexes = [models.Index(fields=["organization", "-started"], name="rokka_run_started")]

    def __str__(self) -> str:
        return f"{self.organization}, {self.get_kind_display()}, {self.started:%Y-%m-%d %H:%M}"

    @property
    def seconds(self) -> float:
        """How long it has taken, interruptions included."""
        return ((self.finished or timezone.now()) - self.started).total_seconds()
