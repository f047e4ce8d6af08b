"""Twilio's answers sorted into our four outcomes, for texts and calls alike."""

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, SSLError

from connectors.channels.parcel import Accepted, NotAccepted, Outcome, Refused, Unsure

_THROTTLED = {20429, 20001}
_OPTED_OUT = 21610
# Our own credentials: nobody's address is at fault, and a repeat may work once they are put right.
_OURS = {401, 403}
_RETRY_OURS_S = 5.0
# What the SDK raises where an answer is not of the shape that is documented.
UNREADABLE = (TwilioException, AttributeError, KeyError, TypeError, ValueError, RecursionError)


def client(account_sid: str, auth_token: str, base_url: str, timeout_s: float) -> Client:
    """A client that sends each request once: the SDK's own retries would make a second call."""
    # It tells every number that it asks about, even at its quieter level.
    logging.getLogger("twilio").setLevel(logging.WARNING)
    made = Client(account_sid, auth_token, http_client=TwilioHttpClient(timeout=timeout_s))
    if base_url:
        made.api.base_url = base_url
    # Loads the interface now: the SDK would do it during the first send, which takes a second.
    _ = made.api.v2010
    return made


def outcome_of(create: Callable[[], Any]) -> Outcome:
    """Runs one creating request and says what became of it; never raises for anything on the wire."""
    try:
        created = create()
    except TwilioRestException as error:
        return _refusal(error)
    except requests.exceptions.RequestException as error:
        if _never_left(error):
            return NotAccepted(f"not reached: {type(error).__name__}")
        return Unsure(f"no answer: {type(error).__name__}")
    except UNREADABLE as error:
        return Unsure(f"an answer that is none: {type(error).__name__}")
    # A 2xx with a body that only looks right.
    sid = created.sid
    return Accepted(sid) if sid and isinstance(sid, str) else Unsure("an answer without a sid")


def _refusal(error: TwilioRestException) -> Outcome:
    if error.status >= 500:
        return Unsure(f"http_{error.status}")
    if error.status == 429 or error.code in _THROTTLED:
        return NotAccepted("throttled", retry_after_s=1.0)
    if error.code == _OPTED_OUT:
        return Refused("opted_out")
    if error.status in _OURS:
        return NotAccepted(f"http_{error.status}", retry_after_s=_RETRY_OURS_S)
    # A word instead of a number may be anything, an address as well.
    return Refused(f"twilio_{error.code if isinstance(error.code, int) else 'unknown'}")


def _never_left(error: requests.exceptions.RequestException) -> bool:
    """The connection was not even made, so nothing can have been accepted."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    return isinstance(cause, NewConnectionError | ConnectTimeoutError | SSLError)


def in_path(command_id: str) -> str:
    """A command id as one segment of a callback URL; it settles a claim of unknown fate."""
    return quote(command_id, safe="")
