"""What the edge's doors share: refusals, bodies of bounded size, and requests that are signed by a retailer's tool."""

from collections.abc import Sequence

from starlette.requests import Request

from connectors.clock import Clock
from connectors.edge.requests import BODY_BYTES_MAX, signed_by_app

NO_STORE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_SIGNATURE = "x-saveline-signature"
# A request that only reads can be repeated by whoever overhears it, but not for long.
_FRESH_S = 300


class Refused(Exception):
    """The request is not acceptable; the status and the words say why and whose fault it is."""

    def __init__(self, status: int, words: str) -> None:
        self.status, self.words = status, words
        super().__init__(words)


async def body_of(request: Request) -> bytes:
    """Raises `Refused` before more than the limit is in memory."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise Refused(413, f"the body is larger than {BODY_BYTES_MAX} bytes")
    return body


class SignedDoor:
    """HMAC-SHA256, in hex, over public URL with its query, newline and body; `secrets` are all valid."""

    def __init__(self, secrets: Sequence[str], public_url: str, clock: Clock) -> None:
        self._secrets, self._public_url, self._clock = secrets, public_url.rstrip("/"), clock

    async def body(self, request: Request) -> bytes:
        """The body of a signed request; one that reads has to name the second in which it was signed, as `at`."""
        body = await body_of(request)
        signature = request.headers.get(_SIGNATURE, "")
        if not signed_by_app(self._secrets, self._url(request), body, signature):
            raise Refused(403, "the signature does not fit: HMAC-SHA256, hex, over URL, newline and body")
        if request.method == "GET":
            at = request.query_params.get("at", "")
            now_s = int(self._clock.now().timestamp())
            if not (at.isascii() and at.isdigit() and len(at) < 12 and abs(int(at) - now_s) <= _FRESH_S):
                raise Refused(403, f"`at` is not within {_FRESH_S} s of now, in seconds of the epoch")
        return body

    def _url(self, request: Request) -> str:
        """As it was signed: percent-encodings untouched, and never by the Host header."""
        path = request.scope.get("raw_path", b"").split(b"?")[0].decode("latin-1")
        query = request.scope.get("query_string", b"").decode("latin-1")
        return f"{self._public_url}{path}{'?' if query else ''}{query}"
