"""The same with django-unfold's admin: ``pytest --ds=tests.settings_unfold tests/admin/unfold``."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = ["unfold", *INSTALLED_APPS]
ROOT_URLCONF = "tests.admin.unfold.site"
