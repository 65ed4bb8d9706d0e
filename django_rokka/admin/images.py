"""`SourceImageAdmin`: the list of the images at rokka, the page of each, and who may do what."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.db import models
from django.http import HttpRequest

from ..models import BulkOperation, SourceImage
from . import actions, detail, picker
from .listing import ImageList


class SourceImageAdmin(ImageList):
    """Find, look at, change, copy, delete and restore images.

    Subclass it, and register the subclass in place of it, to decide who may do what with which image:
    override `permitted`. The methods ``has_…_permission`` ask it when they are asked about an image.
    """

    # --- The page of an image ------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The page of one image. What is saved goes to rokka, so no transaction is open meanwhile."""
        if object_id is None:
            return super().changeform_view(request, object_id, form_url, extra_context)
        return detail.respond(self, request, object_id, extra_context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        """The page, with the buttons that are for this image and this user."""
        context["rokka_actions"] = actions.buttons(self, request, obj) if obj else []
        return super().render_change_form(request, context, add, change, form_url, obj)

    # --- Actions -------------------------------------------------------------------------------

    action_form = actions.ListActionForm
    actions = actions.LIST_ACTIONS

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        """None where there is no page to follow them on."""
        if not self.admin_site.is_registered(BulkOperation):
            return {}
        # Only Django 6.1 and later ask for the actions of one place.
        where: list[Any] = [] if action_location is None else [action_location]
        return super().get_actions(request, *where)

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Asks whether to delete the image at rokka. The mirror's row stays, so that it can be restored."""
        return actions.act_on_one(self, request, unquote(object_id), BulkOperation.Kind.DELETE)

    # --- Who may do what -----------------------------------------------------------------------

    def has_view_permission(self, request: HttpRequest, obj: SourceImage | None = None) -> bool:
        """Whether the user may look at images, or at this one."""
        return super().has_view_permission(request, obj) and self._permits(request, "view", obj)

    def has_change_permission(self, request: HttpRequest, obj: SourceImage | None = None) -> bool:
        """Whether the user may change images, or this one: metadata, sync, descriptions, CDN cache."""
        return super().has_change_permission(request, obj) and self._permits(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: SourceImage | None = None) -> bool:
        """Whether the user may delete images, or this one, that no row shows."""
        return super().has_delete_permission(request, obj) and self._permits(request, "delete", obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: images come with the rows that show them, and with a sync."""
        return False

    def has_copy_permission(self, request: HttpRequest, obj: SourceImage | None = None) -> bool:
        """Whether the user may copy images, or this one, to another organization."""
        return self._may(request, "copy", obj)

    def has_restore_permission(self, request: HttpRequest, obj: SourceImage | None = None) -> bool:
        """Whether the user may restore deleted images, or this one."""
        return self._may(request, "restore", obj)

    def has_lock_permission(self, request: HttpRequest, obj: SourceImage | None = None) -> bool:
        """Whether the user may lock and unlock images, or this one."""
        return self._may(request, "lock", obj)

    def has_protect_permission(self, request: HttpRequest, obj: SourceImage | None = None) -> bool:
        """Whether the user may protect and unprotect images, or this one."""
        return self._may(request, "protect", obj)

    def has_delete_used_permission(
        self, request: HttpRequest, obj: SourceImage | None = None
    ) -> bool:
        """Whether the user may insist on deleting images, or this one, that rows still show."""
        return self._may(request, "delete_used", obj)

    def permitted(
        self, request: HttpRequest, permission: str, images: models.QuerySet[SourceImage]
    ) -> models.QuerySet[SourceImage]:
        """Those of the images that the user may do this with: a hook, all of them by default.

        ``permission`` is ``view``, ``change``, ``copy``, ``delete``, ``delete_used``, ``restore``, ``lock``
        or ``protect``. There may be hundreds of thousands of images: filter them, do not read them.
        """
        return images

    def _may(self, request: HttpRequest, permission: str, obj: SourceImage | None) -> bool:
        codename = get_permission_codename(permission, self.opts)
        may = request.user.has_perm(f"{self.opts.app_label}.{codename}")
        return may and self._permits(request, permission, obj)

    def _permits(self, request: HttpRequest, permission: str, obj: SourceImage | None) -> bool:
        if obj is None:
            return True
        images = SourceImage.objects.filter(pk=obj.pk)
        permitted = self.permitted(request, permission, images)
        # No query where the hook is not used.
        return permitted is images or permitted.exists()

    def get_urls(self) -> list[Any]:
        """Django's addresses, those that the widget of a picture asks, and those of the actions."""
        return [*picker.urls(self), *actions.urls(self), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> Any:
        """The images that the user may see: a hook for rights on single images."""
        return super().get_queryset(request)
