"""Moving the files of a column to rokka, and back: side by side, verified, and to be killed at any moment.

Rows that were not moved yet show their file from the storage that the column's `RokkaStorage` falls back to
(``FALLBACK``), so a site stays up meanwhile. The journal, `MovedFile`, notes what is begun before anything is
sent; the column itself says what is done. A row moves by an UPDATE of exactly the name that was read, so
whatever somebody else wrote meanwhile stays.
"""

from .cleaning import OldFiles, OldImages
from .columns import CannotMove, Column, columns
from .estimates import Estimate, estimate, weigh
from .exports import Export
from .imports import Import
from .running import Run, move

__all__ = [
    "CannotMove",
    "Column",
    "Estimate",
    "Export",
    "Import",
    "OldFiles",
    "OldImages",
    "Run",
    "columns",
    "estimate",
    "move",
    "weigh",
]
