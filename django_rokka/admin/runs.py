"""`SyncRunAdmin`: how the mirror was synced."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..models import SyncRun


class SyncRunAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Look at sync runs. Nothing can be changed here."""

    list_display = [
        "started",
        "organization",
        "kind",
        "state",
        "seen",
        "new_images",
        "changed",
        "deleted",
        "malformed",
    ]
    list_filter = ["kind", "complete"]
    ordering = ["-started"]
    list_per_page = 50

    @admin.display(description=pgettext_lazy("count of images", "new"), ordering="created")
    def new_images(self, run: SyncRun) -> int:
        """How many images were new."""
        return run.created

    @admin.display(description=_("state"), ordering="finished")
    def state(self, run: SyncRun) -> Any:
        """Whether it has ended, and how."""
        if run.finished is None:
            return _("running") if run.running else _("interrupted")
        return _("complete") if run.complete else _("given up")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: runs are started by commands and tasks."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False
