"""An answer that is sent while it is made, and whose making ends when nobody listens any more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Generator

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Following(StreamingResponse):
    """Pieces (lines of JSON, unless another media type is told), each made in a thread when it is its turn. They are
    closed when nobody listens any more, also when that was so from the first."""

    def __init__(self, first: str | bytes, pieces: Generator[str | bytes], media_type: str = "application/x-ndjson"):
        super().__init__(self._all(first), headers={"Content-Encoding": "identity"}, media_type=media_type)
        self._pieces = pieces

    async def _all(self, first: str | bytes) -> AsyncIterator[str | bytes]:
        yield first
        try:
            while (piece := await run_in_threadpool(next, self._pieces, None)) is not None:
                yield piece
        except ValueError as error:
            yield json.dumps({"error": str(error)}) + "\n"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._pieces.close)
