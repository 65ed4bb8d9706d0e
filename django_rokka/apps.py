"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class RokkaConfig(AppConfig):
    """``INSTALLED_APPS = ["django_rokka", …]``."""

    name = "django_rokka"
    label = "rokka"
    verbose_name = _("rokka images")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks, and claim organizations when the database is migrated."""
        from . import checks  # noqa: F401
        from .environment import claim_all

        post_migrate.connect(claim_all, sender=self)
