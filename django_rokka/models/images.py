"""`SourceImage`: an image at rokka, as the last answer about it said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import connections, models, router
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .. import api
from ..api.names import HASH
from ..changes import Change, Rehashable
from ..conf import Config, config_of, organizations
from ..renders import Renderable
from .written import WrittenManager

#: How long rokka keeps what is deleted.
RESTORABLE = timedelta(days=30)
#: How a database locks a row so that it can be read and shown, but not deleted.
_HOLDING = {"postgresql": "FOR KEY SHARE", "mysql": "LOCK IN SHARE MODE"}


def mirror_database() -> str:
    """The database that holds the mirror."""
    return router.db_for_write(SourceImage)


def looks_like_hash(text: str) -> bool:
    """Whether somebody who types this means a hash: it could be one, and is neither a word nor a number."""
    hash = text.strip().lower()
    return bool(HASH.fullmatch(hash)) and not (hash.isalpha() or hash.isdigit())


class SourceImageQuerySet(models.QuerySet["SourceImage"]):
    """Questions to the mirror, and how answers get into it."""

    def live(self) -> SourceImageQuerySet:
        """Images that are not deleted at rokka."""
        return self.filter(deleted=None)

    def deleted(self) -> SourceImageQuerySet:
        """Images that are deleted at rokka, those that can be restored and those that are purged."""
        return self.exclude(deleted=None)

    def unreferenced(self) -> SourceImageQuerySet:
        """Images that no row of any model and database holds now: one query, which may take its time."""
        # The mirror asks who holds its rows: what knows that stands above it.
        from .. import references

        return references.unreferenced(self)

    def without_placeholder(self) -> SourceImageQuerySet:
        """Live images whose placeholders are still to be made."""
        return self.filter(deleted=None, placeholder_tries__isnull=False)

    def with_user_metadata(self, **values: Any) -> SourceImageQuerySet:
        """Images whose user metadata say this: ``title="Dog"``, ``**{"int:year": 2024}``."""
        return self.filter(**{f"user_metadata__{name}": value for name, value in values.items()})

    def search(self, text: str) -> SourceImageQuerySet:
        """Images with the text in their name, or as the beginning of their hash or binary hash.

        Names are not looked through, since no index serves them, for what `looks_like_hash` and is the
        beginning of one. That costs a query at once.
        """
        text = text.strip()
        found = Q(name__icontains=text)
        if not HASH.fullmatch(text.lower()):
            return self.filter(found) if text else self.all()
        within = (text.lower(), text.lower().ljust(40, "f"))
        if looks_like_hash(text):
            known = Q(organization__in=organizations())
            by_hash = self.filter(
                (known & Q(hash__range=within)) | (known & Q(binary_hash__range=within))
            )
            if by_hash.exists():
                return by_hash
        return self.filter(found | Q(hash__range=within) | Q(binary_hash__range=within))

    def broken(self) -> SourceImageQuerySet:
        """Images that are gone though rows show them, and that nothing could take the place of."""
        return self.exclude(broken="").exclude(deleted=None)

    def of_hash(self, organization: str, hash: str) -> SourceImageQuerySet:
        """The image with this full or short hash."""
        return self.filter(Q(hash=hash) | Q(short_hash=hash), organization=organization)

    def one_by_one(self, portion: int = 500) -> Iterator[SourceImage]:
        """The images in the order of their keys, read in portions: unlike a cursor, one may write between."""
        last = 0
        while images := list(self.filter(pk__gt=last).order_by("pk")[:portion]):
            yield from images
            last = images[-1].pk

    def held(self, organization: str, hash: str) -> SourceImage | None:
        """The image, kept from being deleted until the transaction ends, where there is one.

        It is what a foreign key does for the row it points at: any number of transactions may hold an
        image at the same time, and nobody has to wait but one that wants to delete it.
        """
        found = self.of_hash(organization, hash)
        connection = connections[found.db]
        suffix = _HOLDING.get(connection.vendor)
        if suffix is None or not connection.in_atomic_block:
            return found.first()
        sql, params = found.query.get_compiler(connection=connection).as_sql()
        return next(iter(found.raw(f"{sql} {suffix}", params)), None)

    def lock(self, *, holders_too: bool = True) -> SourceImageQuerySet:
        """Lock these rows until the transaction ends; ``holders_too`` waits for those that hold them."""
        # An UPDATE first: it is what locks where there is no FOR UPDATE.
        self.update(synced=models.F("synced"))
        no_key = not holders_too and connections[self.db].features.has_select_for_no_key_update
        list(self.order_by("pk").select_for_update(no_key=no_key).values_list("pk"))
        return self

    def record(self, images: Iterable[api.SourceImage], **known: Any) -> None:
        """Write what rokka answered: one statement for all, new rows and old ones.

        ``known`` are fields that only we know, with what they become.
        """
        # The last answer about an image counts; a statement may touch each row only once.
        rows = {
            (image.organization, image.hash): self.model.from_api(image, **known)
            for image in images
        }
        if not rows:
            return
        using = mirror_database()
        targets = connections[using].features.supports_update_conflicts_with_target
        self.using(using).bulk_create(
            rows.values(),
            update_conflicts=True,
            unique_fields=["organization", "hash"] if targets else None,
            update_fields=[*self.model.RECORDED_FIELDS, *self.model.RESET_FIELDS, *known],
        )


class SourceImage(Renderable, Rehashable, models.Model):
    """A source image at rokka, as the last answer about it said.

    ``size`` in bytes, ``width`` and ``height`` in pixels; ``None`` or empty where rokka did not say.
    ``deleted`` is when it was deleted (it can be restored for 30 days), ``synced`` when we last heard
    of it. ``replaced_by`` leads to the image that took its place when its hash changed. ``uploaded`` is
    when this site last uploaded or made it, ``unreferenced`` since when no row holds it, as far as
    somebody looked. ``broken`` tells why rows that show it show nothing. ``purged`` is since when it cannot
    be restored any more; ``fingerprint`` tells `django_rokka.sync` whether a listing says something new.
    ``blurhash``, ``placeholder`` (a data URI) and ``color`` (``#rrggbb``) are what a page shows until the
    picture is there, empty if there is nothing to show (see `django_rokka.placeholders`).
    ``placeholder_tries`` is how often they were asked for in vain, ``None`` once nothing is left to ask.
    """

    class Broken(models.TextChoices):
        """Why a picture that rows show is gone for good."""

        GONE = "gone", _("deleted, and nothing has its bytes")
        AMBIGUOUS = "ambiguous", _("deleted, and several images have its bytes")

    organization = models.CharField(_("organization"), max_length=100)
    hash = models.CharField(_("hash"), max_length=40)
    short_hash = models.CharField(_("short hash"), max_length=40, blank=True)
    binary_hash = models.CharField(_("binary hash"), max_length=40, blank=True)
    name = models.TextField(_("name"), blank=True)
    format = models.CharField(_("format"), max_length=32, blank=True)
    mimetype = models.CharField(_("MIME type"), max_length=127, blank=True)
    size = models.BigIntegerField(_("size"), null=True, blank=True)
    width = models.PositiveIntegerField(_("width"), null=True, blank=True)
    height = models.PositiveIntegerField(_("height"), null=True, blank=True)
    created = models.DateTimeField(pgettext_lazy("image", "created"), null=True, blank=True)
    user_metadata = models.JSONField(_("user metadata"), default=dict, blank=True)
    dynamic_metadata = models.JSONField(_("dynamic metadata"), default=dict, blank=True)
    static_metadata = models.JSONField(_("static metadata"), default=dict, blank=True)
    opaque = models.BooleanField(_("opaque"), null=True, blank=True)
    protected = models.BooleanField(_("protected"), default=False)
    locked = models.BooleanField(pgettext_lazy("image", "locked"), default=False)
    animated = models.BooleanField(_("animated"), default=False)
    deleted = models.DateTimeField(pgettext_lazy("image", "deleted"), null=True, blank=True)
    purged = models.DateTimeField(_("purged"), null=True, blank=True)
    replaced_by = models.ForeignKey(
        "self",
        verbose_name=_("replaced by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="replaces",
    )
    synced = models.DateTimeField(_("synced"), default=timezone.now)
    uploaded = models.DateTimeField(_("uploaded"), null=True, blank=True)
    unreferenced = models.DateTimeField(_("unreferenced since"), null=True, blank=True)
    broken = models.CharField(_("broken"), max_length=16, choices=Broken, blank=True)
    fingerprint = models.BigIntegerField(null=True, editable=False)
    # The database has the defaults too: a sync inserts rows without these columns.
    blurhash = models.CharField(
        _("BlurHash"), max_length=166, blank=True, default="", db_default="", editable=False
    )
    placeholder = models.TextField(
        _("placeholder"), blank=True, default="", db_default="", editable=False
    )
    color = models.CharField(
        _("colour"), max_length=7, blank=True, default="", db_default="", editable=False
    )
    placeholder_tries = models.PositiveSmallIntegerField(
        null=True, default=0, db_default=0, editable=False
    )

    #: What an answer overwrites: everything but the key and what only we know.
    RECORDED_FIELDS: ClassVar[list[str]] = [
        "short_hash",
        "binary_hash",
        "name",
        "format",
        "mimetype",
        "size",
        "width",
        "height",
        "created",
        "user_metadata",
        "dynamic_metadata",
        "static_metadata",
        "opaque",
        "protected",
        "locked",
        "animated",
        "deleted",
        "synced",
    ]

    #: What a new answer makes untrue.
    RESET_FIELDS: ClassVar[list[str]] = ["purged", "fingerprint"]

    objects = WrittenManager.from_queryset(SourceImageQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("source image")
        verbose_name_plural = _("source images")
        default_permissions = ("change", "delete", "view")
        permissions = [
            ("copy_sourceimage", _("Can copy source images to another organization")),
            ("restore_sourceimage", _("Can restore deleted source images")),
            ("lock_sourceimage", _("Can lock and unlock source images")),
            ("protect_sourceimage", _("Can protect and unprotect source images")),
            ("delete_used_sourceimage", _("Can delete source images that rows still show")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["organization", "hash"], name="rokka_image_hash")
        ]
        indexes = [
            models.Index(fields=["organization", "short_hash"], name="rokka_image_short_hash"),
            models.Index(fields=["organization", "binary_hash"], name="rokka_image_binary_hash"),
            models.Index(fields=["organization", "-created"], name="rokka_image_created"),
            models.Index(fields=["organization", "deleted"], name="rokka_image_deleted"),
            models.Index(fields=["organization", "unreferenced"], name="rokka_image_unreferenced"),
            models.Index(fields=["organization", "broken"], name="rokka_image_broken"),
            models.Index(fields=["-created", "-id"], name="rokka_image_newest"),
            # Small: only the images whose placeholders are still to be made.
            models.Index(
                fields=["organization", "deleted", "id"],
                name="rokka_image_no_placeholder",
                condition=Q(placeholder_tries__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.short_hash or self.hash

    @property
    def prefixes(self) -> tuple[str, ...]:
        """How names begin that mean this image: its hash, and its short hash if that is known."""
        return tuple(dict.fromkeys(filter(None, (self.hash, self.short_hash))))

    @property
    def file_name(self) -> str:
        """What a column holds that shows this image: ``<hash>/<slug>.<format>``."""
        return str(api.ImageName.build(self.hash, self.name, self.format or "jpg"))

    @property
    def config(self) -> Config:
        """The settings of its organization. Raises `ImproperlyConfigured` if no alias has that."""
        return config_of(self.organization)

    @property
    def default_stack(self) -> str:
        """The stack that shows it where no other one is named."""
        return self.config.stack

    @property
    def known(self) -> SourceImage:
        """Itself."""
        return self

    mirrored = known

    def means(self, hash: str) -> bool:
        """Whether a hash, in full or cut short but still unique, is this image's."""
        return self.hash.startswith(hash) and len(hash) >= len(self.short_hash or self.hash)

    @property
    def days_left(self) -> int:
        """For how many days more a deleted image can be restored, begun ones included; 0 if it cannot."""
        if self.deleted is None or self.purged is not None:
            return 0
        left = self.deleted + RESTORABLE - timezone.now()
        return max(-(-left // timedelta(days=1)), 0)

    @property
    def replacements(self) -> list[SourceImage]:
        """This image, what replaced it, what replaced that, and so on; each once."""
        chain: list[SourceImage] = [self]
        while (following := chain[-1].replaced_by) is not None and following not in chain:
            chain.append(following)
        return chain

    @property
    def current(self) -> SourceImage:
        """The image that stands for this one now: itself, or the last live one that replaced it."""
        chain = self.replacements
        return [image for image in chain if image.deleted is None or image == chain[0]][-1]

    def _rehash(self, change: Change, *, keep_hash: bool) -> SourceImage:
        # A model's verb: the one kind of import that goes up.
        from .. import rehash

        return rehash.change_image(self, change, keep_hash=keep_hash)

    @classmethod
    def from_api(cls, image: api.SourceImage, **known: Any) -> SourceImage:
        """An unsaved row with what an answer says, and with what we know."""
        return cls(**cls.values_from_api(image), **known)

    @staticmethod
    def values_from_api(image: api.SourceImage) -> dict[str, Any]:
        """What an answer says, by the names of the columns."""
        values: dict[str, Any] = image.as_dict()
        for name in ("extra", "link", "deleted", "deleted_date"):
            values.pop(name)
        now = timezone.now()
        deleted = (_stored(image.deleted_date) or now) if image.deleted else None
        return values | {"created": _stored(image.created), "deleted": deleted, "synced": now}


def _stored(moment: datetime | None) -> datetime | None:
    """A date as the database takes it: naive, in the local time zone, without ``USE_TZ``."""
    if moment is None or settings.USE_TZ:
        return moment
    # Not in that of the user for whom this is done, which `timezone.activate` may have set.
    return timezone.make_naive(moment, timezone.get_default_timezone())
