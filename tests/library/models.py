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


class Pictured(models.Model):
    """Abstract: the column is the child's."""

    picture = RokkaImageField(blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.picture)


class Slide(Pictured):
    """With a column from an abstract model."""


class Poster(Portrait):
    """Multi-table: one picture in the parent's table, one in its own."""

    back = RokkaImageField(blank=True)


class Headline(Article):
    """A proxy, whose rows are the articles'."""

    class Meta:
        proxy = True


class Cover(Pictured):
    """Swapped out by a setting: it has no table."""

    class Meta:
        swappable = "LIBRARY_COVER_MODEL"


class Jacket(Pictured):
    """What `Cover` is swapped for."""


class Legacy(Pictured):
    """Unmanaged: a table, or a view, that somebody else made."""

    class Meta:
        managed = False
        db_table = "legacy_pictures"


class Page(models.Model):
    """Images in columns that are no image fields; see REFERENCES and RICH_TEXT in the settings."""

    hero = models.CharField(max_length=150, blank=True, db_index=True)
    data = models.JSONField(default=dict)
    body = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.hero


class Snapshot(models.Model):
    """Uploaded by a task, after the commit."""

    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    photo = RokkaImageField(
        upload="deferred", blank=True, width_field="width", height_field="height"
    )

    def __str__(self) -> str:
        return str(self.photo)


class Captioned(models.Model):
    """Its texts are rokka's user metadata as well."""

    headline = models.CharField(max_length=100, blank=True)
    alt = models.CharField(max_length=100, blank=True)
    taken = models.DateField(null=True, blank=True)
    keywords = models.JSONField(default=list, blank=True)
    photo = RokkaImageField(
        user_metadata={
            "title": "headline",
            "text:alt": "alt",
            "date:taken": "taken",
            "array:keywords": "keywords",
            "int:length": "headline_length",
        }
    )

    def __str__(self) -> str:
        return self.headline

    def headline_length(self) -> int:
        """A method can be mapped too; it is only sent."""
        return len(self.headline)


class Figure(models.Model):
    """Pictures of an article, one below the other: for inlines."""

    article = models.ForeignKey(Article, models.CASCADE, related_name="figures")
    caption = models.CharField(max_length=100, blank=True)
    picture = RokkaImageField()

    def __str__(self) -> str:
        return self.caption
