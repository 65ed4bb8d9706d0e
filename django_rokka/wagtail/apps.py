"""The Django app with `RokkaImage` and `RokkaRendition`, for ``WAGTAILIMAGES_IMAGE_MODEL``."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RokkaWagtailConfig(AppConfig):
    """``INSTALLED_APPS = ["django_rokka", "django_rokka.wagtail", …]``."""

    name = "django_rokka.wagtail"
    label = "rokka_wagtail"
    verbose_name = _("rokka images in Wagtail")
    default_auto_field = "django.db.models.BigAutoField"
