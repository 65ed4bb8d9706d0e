"""`RenderClient`: fetches renders, as a browser would: with no key, from the host that shows them."""

from __future__ import annotations

from .errors import InvalidArgument
from .transport import Credentials, RetryPolicy, Transport


class RenderClient:
    """Fetches renders from one host, with the timeouts and retries of `RokkaClient`, and without a key.

    ``base_url`` is such as ``https://acme.rokka.io``. Safe to share between threads, not between processes.

    >>> with RenderClient("https://acme.rokka.io") as renders:
    ...     renders.fetch("https://acme.rokka.io/dynamic/c03683.blur", limit=1000)
    b'L6Pj0^jE.AyE_3t7t7R**0o#DgR4'
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: tuple[float, float] = (5.0, 60.0),
        retry: RetryPolicy | None = None,
        pool_size: int = 10,
    ) -> None:
        self._transport = Transport(
            base_url, Credentials(), timeout=timeout, retry=retry, pool_size=pool_size
        )

    def __repr__(self) -> str:
        return f"<RenderClient at {self._transport.base_url}>"

    def __enter__(self) -> RenderClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections; the client can be used again."""
        self._transport.close()

    def fetch(self, url: str, *, limit: int, accept: str = "*/*") -> bytes:
        """The bytes of a render, at most ``limit`` of them; ``accept`` is for stacks with ``autoformat``.

        Raises `InvalidArgument` for a URL of another host, `UnexpectedAnswer` for a longer answer and
        for a redirect, `NotAllowed` where a signature is needed, and what else an answer says.
        """
        base = self._transport.base_url
        if not url.startswith(f"{base}/"):
            raise InvalidArgument(f"{url.partition('?')[0]!r} is no render at {base}")
        return self._transport.fetch(url.removeprefix(base), accept=accept, limit=limit)
