"""Push through FCM HTTP v1: the token endpoint, `messages:send` with its errors, and devices that tap."""

import argparse
import asyncio
import base64
import json
import secrets
from collections import defaultdict
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.world.simulators.book import command_id_in
from tests.world.simulators.desk import Desk, answer, arguments, headers_of, never_answer, serve
from tests.world.simulators.faults import Verdict

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_TOKEN_S = 3599
# What FCM answers: HTTP status, google.rpc status, words.
_ERRORS = {
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "INVALID_ARGUMENT": (
        400,
        "INVALID_ARGUMENT",
        "The registration token is not a valid FCM registration token",
    ),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Sending quota exceeded."),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is currently unavailable."),
    "INTERNAL": (500, "INTERNAL", "Internal error encountered."),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
}
_FAULTS = rf"http_429|html|accept_then_timeout|accept_then_500|reject:({'|'.join(_ERRORS)})"


class Device(msgspec.Struct, forbid_unknown_fields=True):
    """A device that is not `registered` has lost its app."""

    registered: bool = True
    received: list[dict[str, Any]] = []


class Fcm:
    """The product's door and the control door of one project."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.project: str = desk.arguments.project
        self.devices: defaultdict[str, Device] = defaultdict(Device)
        self._tokens: dict[str, float] = {}
        self._email = f"sender@{self.project}.iam.gserviceaccount.com"
        self._token_uri = f"http://127.0.0.1:{desk.arguments.port}/token"
        self._key = self._service_account()
        self.application = web.Application(client_max_size=100_000)
        self.application.router.add_post("/token", self._token)
        self.application.router.add_post(f"/v1/projects/{self.project}/messages:send", self._send)
        router = desk.control.router
        router.add_put("/_control/devices/{token}", self._put_device)
        router.add_get("/_control/devices/{token}", self._get_device)
        router.add_post("/_control/devices/{token}/tap", self._tap)

    def _service_account(self) -> rsa.RSAPublicKey:
        """Writes the file that a project's owner downloads; kept over restarts."""
        file = self.desk.folder / "service-account.json"
        if not file.exists():
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            pem = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            account = {
                "type": "service_account",
                "project_id": self.project,
                "client_email": self._email,
                "private_key_id": secrets.token_hex(20),
                "private_key": pem.decode(),
                "token_uri": self._token_uri,
            }
            file.touch(mode=0o600)
            file.write_text(json.dumps(account, indent=1))
        stored = json.loads(file.read_text())
        private = serialization.load_pem_private_key(stored["private_key"].encode(), None)
        assert isinstance(private, rsa.RSAPrivateKey)
        return private.public_key()

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        problem = self._fault_in(str(form.get("grant_type", "")), str(form.get("assertion", "")))
        if problem:
            body: dict[str, Any] = {"error": "invalid_grant", "error_description": problem}
        else:
            token = secrets.token_urlsafe(32)
            self._tokens[token] = self.desk.clock.monotonic() + _TOKEN_S
            body = {"access_token": token, "expires_in": _TOKEN_S, "token_type": "Bearer"}
        status = 400 if problem else 200
        self.desk.book.write("token", status=status, answer=body if problem else "***")
        return answer(body, status)

    def _fault_in(self, grant: str, assertion: str) -> str:
        """What is wrong with this grant, in Google's words; empty if nothing is."""
        if grant != _GRANT:
            return f"Invalid grant_type: {grant}"
        try:
            signed, _, signature = assertion.rpartition(".")
            header, claims = (json.loads(_unpadded(part)) for part in signed.split("."))
            if header["alg"] != "RS256":
                return "Invalid JWT Signature."
            self._key.verify(_unpadded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return "Invalid JWT Signature."
        except (ValueError, KeyError):
            return "Bad Request"
        now = self.desk.clock.now().timestamp()
        if claims.get("iss") != self._email or claims.get("aud") != self._token_uri:
            return "Invalid JWT: wrong issuer or audience."
        if _SCOPE not in str(claims.get("scope", "")).split():
            return "Invalid OAuth scope or ID token audience provided."
        within = now - 60 < claims.get("exp", 0) <= now + 3660 and claims.get("iat", now) <= now + 60
        return "" if within else "Invalid JWT: Token must be a short-lived token (60 minutes)."

    async def _send(self, request: web.Request) -> web.StreamResponse:
        raw = await request.text()
        try:
            message = json.loads(raw)["message"]
            token, data = str(message.get("token", "")), message.get("data", {})
        except (ValueError, KeyError, AttributeError):
            return self._refuse(request, raw, "", "INVALID_ARGUMENT", "Invalid JSON payload received.")
        command_id = str(data.get("command_id", "")) if isinstance(data, dict) else ""
        command_id = command_id or command_id_in(raw)
        until = self._tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "), 0.0)
        if self.desk.clock.monotonic() >= until:
            words = "Request had invalid authentication credentials."
            return self._refuse(request, raw, command_id, "UNAUTHENTICATED", words, token)
        verdict = self.desk.faults.meet("messages", token, command_id, raw)
        if verdict.name == "http_429":
            return self._refuse(request, raw, command_id, "QUOTA_EXCEEDED", "", token, verdict)
        if verdict.name == "reject":
            return self._refuse(request, raw, command_id, verdict.code, "", token, verdict)
        if verdict.name == "html":
            self._note(request, raw, 200, "<html>", "", command_id, token, verdict)
            return web.Response(text="<html><body>Error</body></html>", content_type="text/html")
        if not token or not isinstance(data, dict) or any(not isinstance(one, str) for one in data.values()):
            words = (
                "Invalid value at 'message.data' (TYPE_STRING)"
                if token
                else "Recipient of the message is not set."
            )
            return self._refuse(request, raw, command_id, "INVALID_ARGUMENT", words, token)
        if not self.devices[token].registered:
            return self._refuse(request, raw, command_id, "UNREGISTERED", "", token)
        return await self._accept(request, raw, message, command_id, verdict)

    async def _accept(
        self, request: web.Request, raw: str, message: dict[str, Any], command_id: str, verdict: Verdict
    ) -> web.StreamResponse:
        name = f"projects/{self.project}/messages/{secrets.token_hex(8)}"
        token = message["token"]
        self.devices[token].received.append({"name": name, **message})
        status = {"accept_then_timeout": 0, "accept_then_500": 500}.get(verdict.name, 200)
        self._note(request, raw, status, {"name": name}, name, command_id, token, verdict)
        if verdict.name == "accept_then_timeout":
            return await never_answer(request)
        if verdict.name == "accept_then_500":
            return answer(_error("INTERNAL", ""), 500)
        return answer({"name": name})

    def _refuse(
        self,
        request: web.Request,
        raw: str,
        command_id: str,
        code: str,
        words: str = "",
        token: str = "",
        verdict: Verdict | None = None,
    ) -> web.Response:
        verdict = verdict or Verdict()
        body = _error(code, words)
        status = int(body["error"]["code"])
        self._note(request, raw, status, body, "", command_id, token, verdict)
        headers = {}
        if code in ("QUOTA_EXCEEDED", "UNAVAILABLE"):
            headers["Retry-After"] = str(max(1, verdict.after_ms // 1000))
        return answer(body, status, headers)

    def _note(
        self,
        request: web.Request,
        raw: str,
        status: int,
        body: Any,
        provider_id: str,
        command_id: str,
        token: str,
        verdict: Verdict,
    ) -> None:
        self.desk.book.write(
            "request",
            method=request.method,
            path=request.path_qs,
            headers=headers_of(request),
            body=raw,
            status=status,
            answer=body,
            provider_id=provider_id,
            command_id=command_id,
            to=token,
            fault=verdict.then,
        )

    async def _put_device(self, request: web.Request) -> web.Response:
        try:
            device = msgspec.json.decode(await request.read(), type=Device)
        except msgspec.ValidationError as error:
            return answer({"error": str(error)}, 400)
        self.devices[request.match_info["token"]] = device
        return web.Response(status=204)

    async def _get_device(self, request: web.Request) -> web.Response:
        device = self.devices[request.match_info["token"]]
        return web.Response(body=msgspec.json.encode(device), content_type="application/json")

    async def _tap(self, request: web.Request) -> web.Response:
        """Opens the link of the last message, and posts `answer` to it if one is given."""
        token, asked = request.match_info["token"], await request.json()
        received = self.devices[token].received
        if not received:
            return answer({"error": "this device has received nothing"}, 409)
        link = str(received[-1].get("data", {}).get("link", ""))
        if not link:
            return answer({"error": "the last message has no data.link"}, 409)
        seen: dict[str, Any] = {}
        async with aiohttp.ClientSession(headers={"Accept": "application/json"}) as session:
            async with session.get(link) as page:
                seen["get"] = {"status": page.status, "body": await page.text()}
            if asked.get("answer") is not None:
                async with session.post(link, json=asked["answer"]) as done:
                    seen["post"] = {"status": done.status, "body": await done.text()}
        self.desk.book.write("tap", to=token, link=link, **seen)
        return answer({"link": link, **seen})


def _error(code: str, words: str) -> dict[str, Any]:
    fallback = (401, "UNAUTHENTICATED", "")
    status, rpc, default = _ERRORS.get(code, fallback)
    detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
    error: dict[str, Any] = {"code": status, "message": words or default, "status": rpc}
    if code in _ERRORS:
        error["details"] = [detail]
    return {"error": error}


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--project", default="greengrocer")


async def main() -> None:
    desk = Desk("fcm", arguments("fcm", more), _FAULTS)
    await serve(desk, Fcm(desk).application)


if __name__ == "__main__":
    asyncio.run(main())
