"""Image models for Wagtail whose pictures are at rokka, to derive your own from.

A rendition is computed, not made: its URL and its size follow from the image's row and the filter. So
none is stored as a file or as a row, and showing one costs no query and no HTTP.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _
from wagtail.images.models import (
    AbstractImage,
    AbstractRendition,
    Filter,
    ImageQuerySet,
    SourceImageIOError,
)

from django_rokka.explain import explain
from django_rokka.fields import RokkaFieldFile, RokkaImageField
from django_rokka.spool import DEFERRED

from .filters import translate
from .focal_point import FIELDS, TROUBLE, publish
from .storage import RenderStorage, RokkaImageStorage

logger = logging.getLogger("django_rokka.wagtail")


class RokkaImageQuerySet(ImageQuerySet):  # type: ignore[misc]
    """Wagtail's queryset; there are no renditions to fetch."""

    def prefetch_renditions(self, *filters: Filter | str) -> RokkaImageQuerySet:
        """The same images: their renditions cost no query anyway."""
        return self.all()  # type: ignore[no-any-return]


class AbstractRokkaImage(AbstractImage):  # type: ignore[misc]
    """Wagtail's image with its ``file`` at rokka. A model of your own needs a rendition model as well.

    The focal point is the picture's subject area at rokka, see `publish_focal_point`. ``width`` and
    ``height`` are those of the upright picture, in pixels, or ``None`` where rokka does not say.
    """

    file = RokkaImageField(
        _("file"), storage=RokkaImageStorage(), width_field="width", height_field="height"
    )
    width = models.IntegerField(_("width"), editable=False, null=True)
    height = models.IntegerField(_("height"), editable=False, null=True)

    objects = RokkaImageQuerySet.as_manager()

    class Meta:
        abstract = True

    # --- Saving -------------------------------------------------------------------------------

    def clean(self) -> None:
        """Ask rokka what it has to be asked, where a form can still say what went wrong.

        A new file is uploaded, and a changed focal point is published. Raises `ValidationError`.
        """
        super().clean()
        if self.file and not self.file._committed:
            self._upload()
            return
        try:
            self._publish_change()
        except TROUBLE as error:
            text = _("The focal point could not be changed, so nothing was saved. %(reason)s")
            raise ValidationError(text, params={"reason": explain(error)}) from error

    def _upload(self) -> None:
        file = self.file
        if file.field.upload == DEFERRED:
            return
        try:
            file.save(str(file.name), file.file, save=False)
        except TROUBLE as error:
            logger.warning("%s could not be uploaded: %s", file.name, error)
            text = _("The picture could not be uploaded, so nothing was saved. %(reason)s")
            raise ValidationError(
                {"file": ValidationError(text, params={"reason": explain(error)})}
            ) from error

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the row, and publish its focal point.

        A changed one is published first, so that nothing is saved if that fails: raises the errors of
        `django_rokka.api.errors`. That of a new file needs the row; where it fails this is logged, and the
        next save, or ``manage.py rokka_focal_points``, publishes it. Renditions are right anyway.
        """
        fields = kwargs.get("update_fields")
        if fields is not None and not {"file", *FIELDS}.intersection(fields):
            super().save(*args, **kwargs)
            return
        self._publish_change()
        super().save(*args, **kwargs)
        if self.has_focal_point():
            self._publish_or_log()

    def _publish_change(self) -> None:
        """Publish a focal point that is not the stored one. That of a new file waits for the row."""
        rows = type(self)._base_manager.using(self._state.db).filter(pk=self.pk)
        stored = rows.values_list("file", *FIELDS).first()
        if stored is None or stored[0] != self.file.name:
            return
        # Only then: an area that was set at rokka, and never here, is not ours to remove.
        if stored[1:] != tuple(getattr(self, name) for name in FIELDS):
            self.publish_focal_point()

    def _publish_or_log(self) -> None:
        try:
            self.publish_focal_point()
        except TROUBLE as error:
            logger.warning("The focal point of image %s is not at rokka yet: %s", self.pk, error)

    def publish_focal_point(self) -> bool:
        """Make the focal point the picture's subject area; tells if that was a change.

        The row has another picture name then, others that show the same picture keep theirs. A file that
        waits to be uploaded is left alone. Raises the errors of `django_rokka.api.errors`.
        """
        return publish(self)

    def _set_image_file_metadata(self) -> None:
        if not self._is_at_rokka():
            super()._set_image_file_metadata()
            return
        # What is at rokka already is not downloaded to be measured.
        self.file_size = self.file.source_image.size
        self._set_file_hash()

    def _set_file_hash(self) -> None:
        if not self._is_at_rokka():
            super()._set_file_hash()
            return
        # Both are the SHA-1 of the bytes.
        self.file_hash = self.file.source_image.binary_hash or ""

    def _is_at_rokka(self) -> bool:
        file: RokkaFieldFile = self.file
        return bool(file) and file._committed and file.at_rokka

    # --- Renditions ---------------------------------------------------------------------------

    def find_existing_renditions(self, *filters: Filter) -> dict[Filter, AbstractRokkaRendition]:
        """All of them exist. Raises Wagtail's `SourceImageIOError` if the image has no file."""
        return {filter: self.create_rendition(filter) for filter in filters}

    def create_renditions(self, *filters: Filter) -> dict[Filter, AbstractRokkaRendition]:
        """The same as `find_existing_renditions`."""
        return self.find_existing_renditions(*filters)

    def create_rendition(self, filter: Filter) -> AbstractRokkaRendition:
        """Compute a rendition: an object that is not in the database, without reading the file."""
        if not self.file:
            raise SourceImageIOError(f"Image {self.pk} has no file")
        url, width, height = self._rendered(filter)
        rendition: AbstractRokkaRendition = self.get_rendition_model()(
            image=self,
            filter_spec=filter.spec,
            focal_point_key=filter.get_cache_key(self),
            file=url,
            width=width,
            height=height,
        )
        return rendition

    def _rendered(self, filter: Filter) -> tuple[str, int | None, int | None]:
        if not self.file.at_rokka:
            # It is shown from where it is, as it is.
            return self.file.url, self.width, self.height
        render = translate(filter, self)
        url = self.file.render_url(
            operations=render.operations, options=render.options, format=render.format
        )
        return url, render.width, render.height


class AbstractRokkaRendition(AbstractRendition):  # type: ignore[misc]
    """What Wagtail wants to know of a rendition. Its table is there for Wagtail's deletions, and empty.

    A model of your own has a foreign key ``image`` with ``related_name="renditions"``, and a unique
    constraint on ``image``, ``filter_spec`` and ``focal_point_key``. ``file.open()`` raises
    `SourceImageIOError`: there is a URL, and no file.
    """

    file = models.ImageField(storage=RenderStorage(), max_length=2000)

    # A computed object is not worth a trip to a cache.
    cache_backend: BaseCache = DummyCache("renditions", {})

    class Meta:
        abstract = True

    @property
    def attrs_dict(self) -> dict[str, Any]:
        """``src``, ``width``, ``height`` and ``alt`` of an ``<img>``, without a size that is not known."""
        return {name: value for name, value in super().attrs_dict.items() if value is not None}
