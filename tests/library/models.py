"""Models as our users write them, for the tests."""

from django.core.files.storage import default_storage
from django.db import models

from django_rokka.fields import RokkaImageField
from django_rokka.storage import RokkaStorage


class Article(models.Model):
    """The columns for the dimensions stand before the picture on purpose."""

    title = models.CharField(max_length=100)
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    photo = RokkaImageField(blank=True, width_field="width", height_field="height")

    def __str__(self) -> str:
        return self.title


class Visible(models.Manager["Portrait"]):
    """A default manager that hides rows."""

    def get_queryset(self) -> models.QuerySet["Portrait"]:
        return super().get_queryset().filter(hidden=False)


class Portrait(models.Model):
    """A picture without columns for its dimensions, in rows that may be hidden."""

    hidden = models.BooleanField(default=False)
    picture = RokkaImageField("portrait")

    objects = Visible()

    def __str__(self) -> str:
        return str(self.picture)


class Attachment(models.Model):
    """Django's own fields on our storage, with its short columns."""

    file = models.FileField(storage=RokkaStorage(), upload_to="attachments/%Y")
    image = models.ImageField(storage=RokkaStorage(stack="thumbnail"), blank=True)
    plain = models.FileField(storage=default_storage, blank=True)

    def __str__(self) -> str:
        return str(self.file)
