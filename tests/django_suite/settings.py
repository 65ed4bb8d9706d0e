"""Settings for Django's tests: none of our own models but the mirror, and rokka at the emulator."""

from tests.settings import DATABASES, SECRET_KEY

__all__ = ["DATABASES", "SECRET_KEY"]

INSTALLED_APPS = ["django.contrib.contenttypes", "django_rokka"]
# Our database in a file, where threads see what others wrote.
DATABASES = {"default": DATABASES["default"]}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
USE_TZ = False
