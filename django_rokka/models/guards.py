"""`Claim` and `Lock`: rows that say who may work."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .written import WrittenManager


class Claim(models.Model):
    """The environment, such as ``production``, that an organization's images belong to."""

    organization = models.CharField(_("organization"), max_length=100, unique=True)
    environment = models.CharField(_("environment"), max_length=54)
    claimed = models.DateTimeField(_("claimed"), auto_now=True)

    objects = WrittenManager["Claim"]()

    class Meta:
        verbose_name = _("claim")
        verbose_name_plural = _("claims")

    def __str__(self) -> str:
        return f"{self.organization}: {self.environment}"


class Lock(models.Model):
    """A row to lock, for work that two workers must not do at once (see `django_rokka.locks`)."""

    key = models.CharField(_("key"), max_length=150, unique=True)

    objects = WrittenManager["Lock"]()

    class Meta:
        verbose_name = pgettext_lazy("noun", "lock")
        verbose_name_plural = _("locks")

    def __str__(self) -> str:
        return self.key
