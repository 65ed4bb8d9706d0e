"""`MovedFile`: the journal of files that are moved to rokka, or back from it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .written import WrittenManager


def label_of(field: models.Field[object, object]) -> str:
    """How the journal names a column: ``app.Model.field``."""
    return f"{field.model._meta.label}.{field.name}"


class MovedFileQuerySet(models.QuerySet["MovedFile"]):
    """The journal's rows."""

    def of(self, field: models.Field[object, object], direction: str) -> MovedFileQuerySet:
        """Those of a column."""
        return self.filter(column=label_of(field), direction=direction)

    def moved_name(self, field: models.Field[object, object], name: str) -> str:
        """What rows have by now instead of a file's name from before rokka; that name if it was not moved."""
        done = self.of(field, MovedFile.Direction.IMPORT).filter(
            source=name, state=MovedFile.State.DONE
        )
        return done.values_list("target", flat=True).first() or name


class MovedFile(models.Model):
    """A file of a column, on its way to rokka or back, by the names that rows have before and after.

    It is noted before anything is sent, so that a run which was killed knows what it may have done. What is
    *done* was verified: the bytes in both places have the same ``binary_hash``, a SHA-1.
    """

    class Direction(models.TextChoices):
        """Where to."""

        IMPORT = "import", _("to rokka")
        EXPORT = "export", _("from rokka")

    class State(models.IntegerChoices):
        """How far it is."""

        BEGUN = 0, _("begun")
        DONE = 1, _("done")
        FAILED = 2, _("failed")

    class Reason(models.TextChoices):
        """Why it failed."""

        MISSING = "missing", _("the file is missing")
        UNREADABLE = "unreadable", _("the file cannot be read")
        EMPTY = "empty", _("the file is empty")
        TOO_LARGE = "too large", _("the file is too large")
        UNSUPPORTED = "unsupported", _("rokka does not take such files")
        AMBIGUOUS = "ambiguous", _("the name looks like one of rokka's")
        DIFFERENT = "different", _("what arrived has other bytes")
        TROUBLE = "trouble", _("the call failed")

    column = models.CharField(_("column"), max_length=200)
    direction = models.CharField(_("direction"), max_length=6, choices=Direction)
    source = models.CharField(_("name before"), max_length=500)
    target = models.CharField(_("name after"), max_length=500, blank=True)
    state = models.PositiveSmallIntegerField(_("state"), choices=State, default=State.BEGUN)
    binary_hash = models.CharField(_("binary hash"), max_length=40, blank=True)
    size = models.BigIntegerField(_("size"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=12, choices=Reason, blank=True)
    message = models.TextField(_("message"), blank=True)
    changed = models.DateTimeField(_("changed"), auto_now=True)
    #: When the file was deleted where it was before.
    deleted = models.DateTimeField(_("deleted"), null=True, blank=True)

    objects = WrittenManager.from_queryset(MovedFileQuerySet)()

    class Meta:
        verbose_name = _("moved file")
        verbose_name_plural = _("moved files")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["column", "direction", "source"], name="rokka_moved_file"
            )
        ]
        indexes = [
            models.Index(fields=["column", "direction", "target"], name="rokka_moved_to"),
            models.Index(fields=["binary_hash"], name="rokka_moved_bytes"),
        ]

    def __str__(self) -> str:
        return self.source
