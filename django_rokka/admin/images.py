"""`SourceImageAdmin`: the list of the images at rokka, the page of each, and who may do what."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.db import models
from django.http import HttpRequest

from ..models import SourceImage


class SourceImageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Find, look at, change, copy, delete and restore images.

    Subclass it, and register the subclass in place of it, to decide who may do what with which image:
    the methods ``has_…_permission`` are asked with an image on its page, and `permitted` for many.
    """

    # --- Who may do what -----------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: images come with the rows that show them, and with a sync."""
        return False

    def has_copy_permission(self, request: HttpRequest, obj: SourceImage | None = None) -> bool:
        """Whether the user may copy images, or this one, to another organization."""
        return self._may(request, "copy")

    def has_restore_permission(self, request: HttpRequest, obj: SourceImage | None = None) -> bool:
        """Whether the user may restore deleted images, or this one."""
        return self._may(request, "restore")

    def has_lock_permission(self, request: HttpRequest, obj: SourceImage | None = None) -> bool:
        """Whether the user may lock and unlock images, or this one."""
        return self._may(request, "lock")

    def has_protect_permission(self, request: HttpRequest, obj: SourceImage | None = None) -> bool:
        """Whether the user may protect and unprotect images, or this one."""
        return self._may(request, "protect")

    def has_delete_used_permission(
        self, request: HttpRequest, obj: SourceImage | None = None
    ) -> bool:
        """Whether the user may insist on deleting images, or this one, that rows still show."""
        return self._may(request, "delete_used")

    def permitted(
        self, request: HttpRequest, permission: str, images: models.QuerySet[SourceImage]
    ) -> models.QuerySet[SourceImage]:
        """Those of the images that the user may ``change``, ``copy``, ``delete``, …: a hook, all by default."""
        return images

    def _may(self, request: HttpRequest, action: str) -> bool:
        codename = get_permission_codename(action, self.opts)
        return bool(request.user.has_perm(f"{self.opts.app_label}.{codename}"))

    def get_queryset(self, request: HttpRequest) -> Any:
        """The images that the user may see: a hook for rights on single images."""
        return super().get_queryset(request)
