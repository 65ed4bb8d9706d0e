"""These tests need ``--ds=tests.settings_unfold``: `tests.admin.test_browser_unfold` runs them so."""

from django.conf import settings

if "unfold" not in settings.INSTALLED_APPS:
    collect_ignore_glob = ["*.py"]
