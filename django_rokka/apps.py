"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RokkaConfig(AppConfig):
    """``INSTALLED_APPS = ["django_rokka", …]``."""

    name = "django_rokka"
    label = "rokka"
    verbose_name = _("rokka images")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from . import checks  # noqa: F401
