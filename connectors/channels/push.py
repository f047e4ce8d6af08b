"""Push through FCM's HTTP v1 interface."""

import base64
import json
import threading
from typing import Any

import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from connectors.channels.parcel import Accepted, NotAccepted, OneWay, Outcome, Parcel, Refused, Unsure
from connectors.clock import Clock

_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_RENEW_S = 300.0
# No question is worth waiting for longer, however long FCM asks for.
_RETRY_AFTER_MAX_S = 3_600.0
_TAKEN = range(200, 300)
# What reading an answer raises that is not of the shape that is documented.
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
# The address's own fault; anything else that FCM refuses is ours or the message's.
_GONE = {"UNREGISTERED", "SENDER_ID_MISMATCH"}


class Push(OneWay):
    """`account` is the service account file's content; `base_url` is FCM's, or a stand-in's."""

    def __init__(self, account: dict[str, str], base_url: str, timeout_s: float, clock: Clock) -> None:
        self._url = f"{base_url}/v1/projects/{account['project_id']}/messages:send"
        self._account, self._timeout_s, self._clock = account, timeout_s, clock
        self._session = requests.Session()
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def send(self, parcel: Parcel) -> Outcome:
        try:
            token = self._bearer()
        except (requests.exceptions.RequestException, *_UNREADABLE) as error:
            # Without a token nothing can have been sent.
            return NotAccepted(f"no token: {type(error).__name__}", retry_after_s=1.0)
        try:
            response = self._session.post(
                self._url,
                json={"message": _message(parcel)},
                headers={"Authorization": f"Bearer {token}"},
                timeout=self._timeout_s,
            )
        except (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError) as error:
            return NotAccepted(f"not reached: {type(error).__name__}")
        except requests.exceptions.ConnectionError as error:
            refused = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
            why = type(error).__name__
            return NotAccepted(f"not reached: {why}") if refused else Unsure(f"no answer: {why}")
        except requests.exceptions.RequestException as error:
            return Unsure(f"no answer: {type(error).__name__}")
        return self._read(response)

    def check(self) -> None:
        """Asks for a token, which sends nothing; raises what keeps us from one."""
        self._bearer()

    def _read(self, response: requests.Response) -> Outcome:
        try:
            body: Any = response.json()
            if response.status_code in _TAKEN:
                name = body["name"]
                return (
                    Accepted(name) if name and isinstance(name, str) else Unsure("an answer without a name")
                )
            details = body["error"].get("details", [])
            code = next((one["errorCode"] for one in details if "errorCode" in one), body["error"]["status"])
        except _UNREADABLE:
            return Unsure(f"an answer that is none: http_{response.status_code}")
        if response.status_code == 401:
            self._forget_token()
            return NotAccepted(str(code), retry_after_s=1.0)
        if response.status_code in (429, 503):
            # FCM says so before it takes a message.
            return NotAccepted(str(code), retry_after_s=_seconds(response.headers.get("Retry-After", "1")))
        if response.status_code >= 500:
            return Unsure(str(code))
        return Refused("no_app" if code in _GONE else f"fcm_{code}")

    def _bearer(self) -> str:
        with self._lock:
            if self._clock.monotonic() >= self._until:
                form = {"grant_type": _GRANT, "assertion": self._assertion()}
                response = self._session.post(self._account["token_uri"], data=form, timeout=self._timeout_s)
                response.raise_for_status()
                granted = response.json()
                self._token = str(granted["access_token"])
                self._until = self._clock.monotonic() + float(granted["expires_in"]) - _RENEW_S
            return self._token

    def _forget_token(self) -> None:
        with self._lock:
            self._until = 0.0

    def _assertion(self) -> str:
        now = int(self._clock.now().timestamp())
        header = {"alg": "RS256", "typ": "JWT", "kid": self._account["private_key_id"]}
        claims = {
            "iss": self._account["client_email"],
            "aud": self._account["token_uri"],
            "scope": _SCOPE,
            "iat": now,
            "exp": now + 3600,
        }
        signed = f"{_encoded(header)}.{_encoded(claims)}"
        key = serialization.load_pem_private_key(self._account["private_key"].encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("the service account's key is no RSA key")  # noqa: TRY004 - handled as no token
        signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _message(parcel: Parcel) -> dict[str, Any]:
    text = parcel.text
    return {
        "token": parcel.to,
        "notification": {"title": text.title, "body": text.body},
        "data": {"command_id": parcel.command_id, "link": text.link, "purpose": str(parcel.purpose)},
        "android": {"ttl": f"{parcel.valid_s}s", "priority": "normal" if parcel.silent else "high"},
        "apns": {
            "headers": {"apns-priority": "5" if parcel.silent else "10"},
            "payload": {"aps": {} if parcel.silent else {"sound": "default"}},
        },
    }


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _seconds(text: str) -> float:
    # It may also be a date; then the usual pause does.
    return min(float(text), _RETRY_AFTER_MAX_S) if text.isdecimal() else 1.0
