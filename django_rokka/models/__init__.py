"""The tables: what we know of the images at rokka, so that it can be asked without HTTP, and of our work on them."""

from .bulk import BulkItem, BulkOperation
from .guards import Claim, Lock
from .images import RESTORABLE, SourceImage, SourceImageQuerySet, mirror_database
from .moves import MovedFile
from .runs import SyncRun

__all__ = [
    "RESTORABLE",
    "BulkItem",
    "BulkOperation",
    "Claim",
    "Lock",
    "MovedFile",
    "SourceImage",
    "SourceImageQuerySet",
    "SyncRun",
    "mirror_database",
]
