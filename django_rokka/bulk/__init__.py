"""Bulk operations: one thing that is done to many images, by tasks that can be killed, stopped and taken up."""

from .operations import (
    Progress,
    by_tasks,
    create,
    go_on,
    progress,
    resume_lost,
    start,
    stop,
    take_up,
    work,
)

__all__ = [
    "Progress",
    "by_tasks",
    "create",
    "go_on",
    "progress",
    "resume_lost",
    "start",
    "stop",
    "take_up",
    "work",
]
