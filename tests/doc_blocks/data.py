"""Blocks of data and of languages of the browser, which are parsed."""

from __future__ import annotations

import configparser
import json
import shutil
import subprocess
import sys

from django.test.html import parse_html

from .page import Block
from .site import Site


def run_json(block: Block, site: Site) -> None:
    """One value, or one on each line, as a log has them."""
    try:
        json.loads(block.text)
    except ValueError:
        for line in block.text.splitlines():
            json.loads(line)


def run_toml(block: Block, site: Site) -> None:
    """Python has a parser since 3.11."""
    if sys.version_info >= (3, 11):
        import tomllib

        tomllib.loads(block.text)


def run_ini(block: Block, site: Site) -> None:
    """A unit of systemd may have a key several times."""
    configparser.ConfigParser(strict=False, interpolation=None).read_string(block.text)


def run_html(block: Block, site: Site) -> None:
    """Every element that is opened is closed."""
    parse_html(block.text)


def run_javascript(block: Block, site: Site) -> None:
    """As a module, by node where it is installed; CI has it."""
    node = shutil.which("node")
    if node:
        done = subprocess.run(  # noqa: S603
            [node, "--check", "--input-type=module", "-"],
            input=block.text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
