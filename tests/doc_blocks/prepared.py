"""What the pages take for granted: models of a site and some rows. Run as ``blog.models`` for each page."""

import os  # noqa: F401 - for the pages

from django.contrib import admin  # noqa: F401
from django.db import models

from django_rokka.fields import RokkaImageField
from django_rokka.models import SourceImage  # noqa: F401


class Author(models.Model):
    name = models.CharField(max_length=100)
    portrait = RokkaImageField(blank=True)

    def __str__(self) -> str:
        return self.name


class Article(models.Model):
    title = models.CharField(max_length=100)
    author = models.ForeignKey(Author, models.SET_NULL, null=True, blank=True)
    photo = RokkaImageField(width_field="photo_width", height_field="photo_height", blank=True)
    photo_width = models.PositiveIntegerField(null=True, editable=False)
    photo_height = models.PositiveIntegerField(null=True, editable=False)

    def __str__(self) -> str:
        return self.title


class Product(models.Model):
    image_hash = models.CharField(max_length=40)

    class Meta:
        app_label = "shop"

    def __str__(self) -> str:
        return self.image_hash


class Block(models.Model):
    data = models.JSONField(default=dict)

    class Meta:
        app_label = "cms"

    def __str__(self) -> str:
        return str(self.data)


class Page(models.Model):
    body = models.TextField()

    class Meta:
        app_label = "cms"

    def __str__(self) -> str:
        return self.body
