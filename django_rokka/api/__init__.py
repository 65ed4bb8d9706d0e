"""The rokka API in Python. Needs only ``requests``, so it can be used without Django.

>>> from django_rokka.api import RokkaClient, SubjectArea
"""

from .client import COPY_LIMIT, RokkaClient
from .errors import (
    BadCredentials,
    Conflict,
    InvalidArgument,
    InvalidRequest,
    NotAllowed,
    NotFound,
    RateLimited,
    Refused,
    RokkaAPIError,
    RokkaConnectionError,
    RokkaError,
    RokkaTimeout,
    ServerError,
    UnexpectedAnswer,
)
from .fetch import RenderClient
from .grammar import alias_id, remote_id
from .names import ImageName
from .render import render_url, srcset
from .signing import sign_url
from .transport import Guard, RetryPolicy
from .types import (
    Alias,
    CopyResult,
    CropArea,
    DetectionFace,
    DynamicMetadata,
    MultiAreas,
    Organization,
    Page,
    RawPage,
    Rehash,
    SourceImage,
    Stack,
    StackOperation,
    SubjectArea,
    Version,
    read_dynamic_metadata,
)
from .upload import Upload
from .urls import RenderURL

__all__ = [
    "COPY_LIMIT",
    "Alias",
    "BadCredentials",
    "Conflict",
    "CopyResult",
    "CropArea",
    "DetectionFace",
    "DynamicMetadata",
    "Guard",
    "ImageName",
    "InvalidArgument",
    "InvalidRequest",
    "MultiAreas",
    "NotAllowed",
    "NotFound",
    "Organization",
    "Page",
    "RateLimited",
    "RawPage",
    "Refused",
    "Rehash",
    "RenderClient",
    "RenderURL",
    "RetryPolicy",
    "RokkaAPIError",
    "RokkaClient",
    "RokkaConnectionError",
    "RokkaError",
    "RokkaTimeout",
    "ServerError",
    "SourceImage",
    "Stack",
    "StackOperation",
    "SubjectArea",
    "UnexpectedAnswer",
    "Upload",
    "Version",
    "alias_id",
    "read_dynamic_metadata",
    "remote_id",
    "render_url",
    "sign_url",
    "srcset",
]
