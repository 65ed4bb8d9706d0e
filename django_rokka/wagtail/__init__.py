"""Wagtail's images at rokka: see docs/wagtail.md."""
