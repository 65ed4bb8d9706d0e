"""The same on PostgreSQL: ``pytest --ds=tests.settings_postgres``. PGHOST, PGUSER and so on say where."""

import os

from tests.settings import *  # noqa: F403

DATABASES = {
    name: {
        "ENGINE": "tests.postgres",
        "NAME": f"rokka_{name}",
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        "PORT": os.environ.get("PGPORT", "5432"),
        "USER": os.environ.get("PGUSER", "postgres"),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
    }
    for name in ("default", "other")
}
