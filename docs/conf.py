"""Sphinx configuration."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.settings"

import django

import django_rokka

django.setup()

project = "django_rokka"
author = "The django_rokka developers"
copyright = "2026, The django_rokka developers"
release = django_rokka.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "django_rokka"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
# Single backticks in docstrings name things of the code.
default_role = "code"
nitpicky = False
