"""Answers: JSON as rokka sends it, and refusals as exceptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Response

JSON = Any


class Refusal(Exception):
    """An answer that says no. Its body is ``{"code", "message"}``, as the service sends it."""

    def __init__(
        self,
        status: int,
        message: str,
        /,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: JSON,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"code": status, "message": message, **extra}

    def response(self) -> Response:
        """The refusal as an HTTP answer."""
        return answer(self.body, self.status, headers=self.headers)


def answer(body: JSON, status: int = 200, *, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(
        json.dumps(body), status, headers=dict(headers or {}), mimetype="application/json"
    )


def nothing() -> Response:
    """204: done, and nothing to say."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response
