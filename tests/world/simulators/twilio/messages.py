"""Text messages: their states and callbacks, what customers send, and the provider's own opt-out list."""

import asyncio
import xml.etree.ElementTree as ET
from datetime import datetime
from typing import Any

from tests.world.simulators.faults import Verdict
from tests.world.simulators.twilio.account import API_VERSION, Account, Reports, is_phone

STOP_WORDS = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
START_WORDS = {"START", "YES", "UNSTOP"}
HELP_WORDS = {"HELP", "INFO"}
# What a carrier takes: seconds in the world, before `--pace`.
_QUEUED_S, _SENDING_S, _SENT_S = 0.2, 0.3, 1.0
_SEGMENT = 153
FINAL = {"delivered", "undelivered", "failed", "canceled"}


class Refusal(Exception):
    """An answer with an error code of Twilio's; `status` is the HTTP status."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Message:
    """One text, in or out."""

    def __init__(self, account: Account, form: dict[str, str], direction: str, status: str) -> None:
        self.account = account
        self.sid = account.new_sid("SM")
        self.to, self.sender, self.body = form["To"], form.get("From", ""), form.get("Body", "")
        self.service = form.get("MessagingServiceSid", "")
        self.direction, self.status = direction, status
        self.created: datetime = account.now()
        self.sent: datetime | None = None
        self.updated = self.created
        self.error_code: int | None = None
        self.segments = max(1, -(-len(self.body) // _SEGMENT))

    def move(self, status: str, error_code: int | None = None) -> None:
        self.status, self.error_code, self.updated = status, error_code, self.account.now()
        if status == "sent":
            self.sent = self.updated
        self.account.book.write(
            "message_state", provider_id=self.sid, to=self.to, state=status, error_code=error_code
        )

    def params(self) -> dict[str, str]:
        """The form of a status callback."""
        params = {
            "AccountSid": self.account.sid,
            "ApiVersion": API_VERSION,
            "From": self.sender,
            "MessageSid": self.sid,
            "MessageStatus": self.status,
            "SmsSid": self.sid,
            "SmsStatus": self.status,
            "To": self.to,
        }
        if self.service:
            params["MessagingServiceSid"] = self.service
        if self.error_code is not None:
            params["ErrorCode"] = str(self.error_code)
        return params

    def json(self) -> dict[str, Any]:
        uri = f"/{API_VERSION}/Accounts/{self.account.sid}/Messages/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": self.account.sid,
            "messaging_service_sid": self.service or None,
            "api_version": API_VERSION,
            "to": self.to,
            "from": self.sender or None,
            "body": self.body,
            "status": self.status,
            "direction": self.direction,
            "num_segments": str(self.segments),
            "num_media": "0",
            "price": None,
            "price_unit": "USD",
            "error_code": self.error_code,
            "error_message": None if self.error_code is None else f"Error {self.error_code}",
            "date_created": self.account.rfc2822(self.created),
            "date_updated": self.account.rfc2822(self.updated),
            "date_sent": self.account.rfc2822(self.sent),
            "uri": f"{uri}.json",
            "subresource_uris": {"media": f"{uri}/Media.json"},
        }


class Messages:
    """All messages of the account."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.all: dict[str, Message] = {}

    def create(self, form: dict[str, str], verdict: Verdict) -> Message:
        """Accepts a message and sees to its delivery; raises `Refusal`."""
        to = form.get("To", "")
        if not to:
            raise Refusal(21604, "A 'To' phone number is required.")
        if not is_phone(to):
            raise Refusal(21211, f"Invalid 'To' Phone Number: {to}")
        if not (form.get("From") or form.get("MessagingServiceSid")):
            raise Refusal(21603, "A 'From' phone number is required.")
        if not form.get("Body"):
            raise Refusal(21602, "Message body is required.")
        if len(form["Body"]) > 1600:
            raise Refusal(21617, "The concatenated message body exceeds the 1600 character limit.")
        if not 1 <= int(form.get("ValidityPeriod", "36000")) <= 36_000:
            raise Refusal(21624, "The ValidityPeriod is out of range.")
        if to in self.account.opted_out:
            raise Refusal(21610, "Attempt to send to unsubscribed recipient")
        message = Message(
            self.account, form, "outbound-api", "accepted" if form.get("MessagingServiceSid") else "queued"
        )
        self.all[message.sid] = message
        self.account.go(self._deliver(message, form, verdict))
        return message

    async def _deliver(self, message: Message, form: dict[str, str], verdict: Verdict) -> None:
        reports = Reports(
            self.account, form.get("StatusCallback", ""), "POST", message.sid, verdict.callbacks
        )
        wait = self.account.desk.wait
        steps = [("queued", 0.0), ("sending", _QUEUED_S), ("sent", _SENDING_S)]
        for status, after_s in steps[1:] if message.status == "queued" else steps:
            await wait(after_s)
            if message.status == "canceled":
                reports.send(message.params(), final=True)
                return
            message.move(status)
            # Twilio reports queued, sent and the end; `sending` only to those who poll.
            if status != "sending":
                reports.send(message.params(), final=False)
        if verdict.name == "undelivered":
            await asyncio.sleep(verdict.after_ms / 1000)
            message.move("undelivered", int(verdict.code))
        else:
            await wait(_SENT_S)
            message.move("delivered")
        reports.send(message.params(), final=True)

    def update(self, message: Message, form: dict[str, str]) -> None:
        """Redacts (`Body` empty) or cancels what has not left yet."""
        if form.get("Status") == "canceled":
            if message.status not in ("accepted", "queued", "scheduled"):
                raise Refusal(30409, "The message can no longer be canceled.", 409)
            message.move("canceled")
        if "Body" in form:
            if form["Body"]:
                raise Refusal(21605, "Only an empty Body can be set.")
            if message.status not in FINAL and message.status != "received":
                raise Refusal(20009, "Cannot redact a message that is in transit.", 409)
            message.body = ""

    async def inbound(self, sender: str, to: str, body: str) -> dict[str, Any]:
        """A customer texts one of our numbers; returns what the product answered."""
        message = Message(self.account, {"From": sender, "To": to, "Body": body}, "inbound", "received")
        self.all[message.sid] = message
        word = body.strip().upper()
        kind = "STOP" if word in STOP_WORDS else "HELP" if word in HELP_WORDS else ""
        if kind == "STOP":
            self.account.opted_out.add(sender)
            self._auto_reply(message, "You have been unsubscribed. Your order is unchanged.")
        elif word in START_WORDS and sender in self.account.opted_out:
            self.account.opted_out.discard(sender)
            kind = "START"
            self._auto_reply(message, "You have been re-subscribed.")
        self.account.book.write("inbound_sms", provider_id=message.sid, to=to, body=body, **{"from": sender})
        params = {
            "AccountSid": self.account.sid,
            "ApiVersion": API_VERSION,
            "Body": body,
            "From": sender,
            "To": to,
            "MessageSid": message.sid,
            "SmsMessageSid": message.sid,
            "SmsSid": message.sid,
            "NumMedia": "0",
            "NumSegments": str(message.segments),
            "SmsStatus": "received",
        }
        if kind:
            params["OptOutType"] = kind
        url = self.account.numbers[to].sms_url if to in self.account.numbers else ""
        if not url:
            raise Refusal(21606, f"{to} is not one of our numbers with an sms_url.")
        reply = await self.account.ask(url, params, "POST", "inbound_sms", message.sid)
        if 200 <= reply.status < 300 and reply.body.strip():
            self._reply(message, reply.body)
        return {"sid": message.sid, "status": reply.status, "answer": reply.body}

    def _auto_reply(self, to: Message, text: str) -> None:
        """The answer that is configured at the provider; it never passes through the product."""
        self.account.book.write("auto_reply", provider_id=to.sid, to=to.sender, body=text)

    def _reply(self, to: Message, twiml: str) -> None:
        try:
            document = ET.fromstring(twiml)
        except ET.ParseError as error:
            self.account.book.write("twiml_error", about=to.sid, code=12100, error=str(error), body=twiml)
            return
        for noun in document.findall("Message"):
            text = "".join(noun.itertext()).strip()
            form = {"To": to.sender, "From": to.to, "Body": text}
            form["StatusCallback"] = noun.get("statusCallback", "")
            if to.sender in self.account.opted_out:
                self.account.book.write(
                    "twiml_error", about=to.sid, code=21610, error="unsubscribed", body=text
                )
                continue
            reply = Message(self.account, form, "outbound-reply", "queued")
            self.all[reply.sid] = reply
            self.account.book.write("reply_sms", provider_id=reply.sid, to=reply.to, body=text)
            self.account.go(self._deliver(reply, form, Verdict()))
