"""A page with an image that is chosen, and rich text that has images in it; an image model of one's own."""

from django.db import models
from wagtail.admin.panels import FieldPanel
from wagtail.fields import RichTextField
from wagtail.images import get_image_model_string
from wagtail.models import Page

from django_rokka.fields import RokkaImageField
from django_rokka.wagtail.base import AbstractRokkaImage, AbstractRokkaRendition
from django_rokka.wagtail.storage import RokkaImageStorage


class StoryPage(Page):
    """A story."""

    photo = models.ForeignKey(
        get_image_model_string(), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    body = RichTextField(blank=True)

    content_panels = [*Page.content_panels, FieldPanel("photo"), FieldPanel("body")]


class LateImage(AbstractRokkaImage):
    """An image that is uploaded after the commit, with a column of its own."""

    file = RokkaImageField(
        upload="deferred", storage=RokkaImageStorage(), width_field="width", height_field="height"
    )
    credit = models.CharField(max_length=100, blank=True)

    admin_form_fields = ("title", "file", "collection", "credit")


class LateRendition(AbstractRokkaRendition):
    """Its renditions."""

    image = models.ForeignKey(LateImage, related_name="renditions", on_delete=models.CASCADE)

    class Meta:
        unique_together = [("image", "filter_spec", "focal_point_key")]

    def __str__(self) -> str:
        return self.filter_spec
