"""`BulkOperation`: one thing that is done to many images, and what became of each."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .images import SourceImage
from .written import WrittenManager


class BulkOperation(models.Model):
    """What somebody wants done to many images; each of them is a `BulkItem`.

    ``options`` are those of the kind, such as ``{"destination": "acme-stage", "overwrite": false}``.
    ``started`` is when it was last begun or taken up, with ``closed_before`` images behind it, and
    ``heartbeat`` when it last did something. ``error`` is what keeps it from going on, or has stopped it.
    """

    class Kind(models.TextChoices):
        """What can be done to many images."""

        COPY = "copy", _("copy to another organization")
        DELETE = "delete", _("delete")
        RESTORE = "restore", _("restore")
        SYNC = "sync", _("sync")
        LOCK = "lock", _("lock")
        UNLOCK = "unlock", _("unlock")
        PROTECT = "protect", _("protect")
        UNPROTECT = "unprotect", _("unprotect")
        USER_METADATA = "user_metadata", _("set user metadata")
        DESCRIBE = "describe", _("describe")
        PURGE = "purge", _("purge the CDN's cache")

    class State(models.TextChoices):
        """Where it stands."""

        RUNNING = "running", _("running")
        FINISHED = "finished", _("finished")
        STOPPED = "stopped", _("stopped")

    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    options = models.JSONField(_("options"), default=dict, blank=True)
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.RUNNING)
    # No foreign key: users may be in another database than the mirror.
    user_pk = models.CharField(max_length=64, blank=True, editable=False)
    user_name = models.CharField(_("user"), max_length=150, blank=True)
    total = models.PositiveBigIntegerField(_("images"), default=0)
    created = models.DateTimeField(pgettext_lazy("operation", "created"), default=timezone.now)
    started = models.DateTimeField(_("started"), default=timezone.now)
    closed_before = models.PositiveBigIntegerField(default=0, editable=False)
    heartbeat = models.DateTimeField(_("heartbeat"), default=timezone.now)
    finished = models.DateTimeField(_("finished"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)

    objects = WrittenManager["BulkOperation"]()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("bulk operation")
        verbose_name_plural = _("bulk operations")
        default_permissions = ("change", "view")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.created:%Y-%m-%d %H:%M}"


class BulkItem(models.Model):
    """One image of a `BulkOperation`. ``holder`` is the task that works on it, ``reason`` why it did not."""

    class State(models.IntegerChoices):
        """What became of the image. ``RUNNING`` is written before a call, so that a second try knows."""

        WAITING = 0, _("waiting")
        TAKEN = 1, _("taken")
        RUNNING = 2, _("running")
        DONE = 3, _("done")
        SKIPPED = 4, _("skipped")
        FAILED = 5, _("failed")

    #: Not yet decided.
    OPEN: ClassVar[tuple[State, ...]] = (State.WAITING, State.TAKEN, State.RUNNING)

    operation = models.ForeignKey(BulkOperation, on_delete=models.CASCADE, related_name="items")
    image = models.ForeignKey(SourceImage, on_delete=models.CASCADE, related_name="bulk_items")
    state = models.PositiveSmallIntegerField(_("state"), choices=State, default=State.WAITING)
    holder = models.CharField(max_length=64, blank=True, editable=False)
    reason = models.TextField(_("reason"), blank=True)

    objects = WrittenManager["BulkItem"]()

    class Meta:
        verbose_name = _("image of a bulk operation")
        verbose_name_plural = _("images of a bulk operation")
        default_permissions = ()
        indexes = [models.Index(fields=["operation", "state", "id"], name="rokka_bulk_state")]

    def __str__(self) -> str:
        return f"{self.image}: {self.get_state_display()}"
