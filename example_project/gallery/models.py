"""What the gallery shows."""

from django.db import models
from django.urls import reverse

from django_rokka.fields import RokkaImageField


class Photo(models.Model):
    """A picture with its title. The dimensions are kept in the row, so a page needs no other query.

    Title and alternative text are known at rokka too, and the tags write the latter by themselves.
    """

    title = models.CharField(max_length=120)
    alt = models.CharField(
        "alternative text",
        max_length=250,
        blank=True,
        help_text="What the picture shows, for those who do not see it.",
    )
    image = RokkaImageField(
        width_field="width",
        height_field="height",
        user_metadata={"title": "title", "text:alt": "alt"},
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    position = models.PositiveIntegerField(default=0, help_text="Lower numbers come first.")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """The page of this picture."""
        return reverse("photo", args=[self.pk])
