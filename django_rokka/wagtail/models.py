"""`RokkaImage`: set ``WAGTAILIMAGES_IMAGE_MODEL = "rokka_wagtail.RokkaImage"``."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from wagtail.images.models import Image

from .base import AbstractRokkaImage, AbstractRokkaRendition


class RokkaImage(AbstractRokkaImage):
    """An image of Wagtail's library, at rokka."""

    admin_form_fields = Image.admin_form_fields

    class Meta:
        verbose_name = _("image")
        verbose_name_plural = _("images")
        # Wagtail asks for it by this name.
        permissions = [("choose_image", _("Can choose image"))]


class RokkaRendition(AbstractRokkaRendition):
    """A rendition of a `RokkaImage`; it has no rows."""

    image = models.ForeignKey(RokkaImage, related_name="renditions", on_delete=models.CASCADE)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["image", "filter_spec", "focal_point_key"], name="rokka_unique_rendition"
            )
        ]

    def __str__(self) -> str:
        return f"{self.image} as {self.filter_spec}"


__all__ = ["RokkaImage", "RokkaRendition"]
