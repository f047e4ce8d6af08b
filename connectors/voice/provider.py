"""What we ask of a provider while a call is going on."""

from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from connectors.channels import twilio_door


class CallsInProgress:
    """Twilio's side of our calls; the account is named by each of its webhooks."""

    def __init__(self, auth_token: str, base_url: str, timeout_s: float) -> None:
        self._auth_token, self._base_url, self._timeout_s = auth_token, base_url, timeout_s
        self._clients: dict[str, Client] = {}

    def redirect(self, account_sid: str, call_sid: str, twiml: str) -> bool:
        """Break into a call with other words; False if it is over, or could not be reached."""
        client = self._clients.get(account_sid)
        if client is None:
            client = twilio_door.client(account_sid, self._auth_token, self._base_url, self._timeout_s)
            self._clients[account_sid] = client
        try:
            client.calls(call_sid).update(twiml=twiml)
        except (TwilioException, OSError):
            return False
        return True
