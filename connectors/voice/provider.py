"""What we ask of a provider while a call is going on."""

from collections.abc import Callable

from twilio.rest import Client

from connectors.channels import twilio_door


class CallsInProgress:
    """Twilio's side of our calls; the account is named by each of its webhooks."""

    def __init__(self, auth_token: str, base_url: str, timeout_s: float) -> None:
        self._auth_token, self._base_url, self._timeout_s = auth_token, base_url, timeout_s
        self._clients: dict[str, Client] = {}

    def redirect(self, account_sid: str, call_sid: str, twiml: str) -> bool:
        """Break into a call with other words; False if it is over, or could not be reached."""
        return self._done(lambda: self._client(account_sid).calls(call_sid).update(twiml=twiml))

    def record(self, account_sid: str, call_sid: str) -> bool:
        """Record from now on, each side on a channel of its own; False as above."""
        calls = self._client(account_sid).calls(call_sid)
        return self._done(lambda: calls.recordings.create(recording_channels="dual"))

    def stop_recording(self, account_sid: str, call_sid: str) -> bool:
        calls = self._client(account_sid).calls(call_sid)
        return self._done(lambda: calls.recordings("Twilio.CURRENT").update(status="stopped"))

    def _client(self, account_sid: str) -> Client:
        client = self._clients.get(account_sid)
        if client is None:
            client = twilio_door.client(account_sid, self._auth_token, self._base_url, self._timeout_s)
            self._clients[account_sid] = client
        return client

    @staticmethod
    def _done(ask: Callable[[], object]) -> bool:
        try:
            ask()
        except (*twilio_door.UNREADABLE, OSError):
            return False
        return True
