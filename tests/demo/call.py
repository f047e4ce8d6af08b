"""`make call`: type to the voice agent about a real order, over the webhooks that Twilio would send.

Starts the whole system, raises an order with two missing lines, and calls in from the customer's telephone. With the
environment of a system that runs already (`. FOLDER/env`) and `--from NUMBER`, it calls there instead.
"""

import argparse
import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import requests
from confluent_kafka import Producer
from rich.console import Console
from twilio.request_validator import RequestValidator

from connectors.clock import SystemClock
from schemas.catalogue import Topic
from schemas.codec import Codec
from schemas.registry import LockedRegistry
from schemas.words import Kind
from tests.demo import grocer
from tests.world.part import PartError
from tests.world.stack import OUR_NUMBER, Stack

_NOTICE_S = 1_800.0
_KEYS = set("0123456789*#")
_TIMEOUT_S = 20.0


class Telephone:
    """Asks the edge for TwiML as Twilio does, signed; says what it says, and hears what is typed."""

    def __init__(self, public_url: str, auth_token: str, number: str, out: Console) -> None:
        self._validator = RequestValidator(auth_token)
        self._url = f"{public_url}/twilio/voice"
        self._call = {
            "CallSid": f"CA{secrets.token_hex(16)}",
            "AccountSid": "AC" + "5a" * 16,
            "From": number,
            "To": OUR_NUMBER,
            "Direction": "inbound",
            "CallStatus": "in-progress",
        }
        self._out = out

    def talk(self) -> None:
        """Until somebody hangs up."""
        url, heard = self._url, dict[str, str]()
        while url:
            url, heard = self._perform(self._asked(url, heard), url)

    def _asked(self, url: str, heard: dict[str, str]) -> ET.Element:
        form = self._call | heard
        signature = self._validator.compute_signature(url, form)
        answer = requests.post(url, data=form, headers={"X-Twilio-Signature": signature}, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return ET.fromstring(answer.text)

    def _perform(self, twiml: ET.Element, base: str) -> tuple[str, dict[str, str]]:
        """Where to go on, and with what was heard; nowhere after a hang-up."""
        for verb in twiml:
            match verb.tag:
                case "Say":
                    self._out.print(f"agent  {_spoken(verb)}", style="cyan", markup=False, soft_wrap=True)
                case "Gather":
                    for say in verb.iter("Say"):
                        self._out.print(f"agent  {_spoken(say)}", style="cyan", markup=False, soft_wrap=True)
                    heard = self._listened()
                    if heard is None:
                        return "", {}
                    if heard or verb.get("actionOnEmptyResult") == "true":
                        return urljoin(base, verb.get("action", "")), heard
                case "Redirect":
                    return urljoin(base, verb.text or ""), {}
                case "Connect":
                    # Who types is too slow for a socket, which hears silence: it goes on as if none could be reached.
                    failed = {"SessionStatus": "failed", "ErrorCode": "64102"}
                    return urljoin(base, verb.get("action", "")), failed
                case "Dial":
                    self._out.print("(you are put through to a person)", style="dim")
                    return urljoin(base, verb.get("action", "")), {"DialCallStatus": "completed"}
                case "Hangup" | "Reject":
                    break
        self._out.print("(the call is over)", style="dim")
        return "", {}

    def _listened(self) -> dict[str, str] | None:
        """Keys if only keys were typed, else speech; nothing is silence, and the end of the input hangs up."""
        try:
            typed = input("you    ").strip()
        except EOFError:
            return None
        if typed and set(typed) <= _KEYS:
            return {"Digits": typed}
        return {"SpeechResult": typed, "Confidence": "0.9"} if typed else {}


def _spoken(verb: ET.Element) -> str:
    return " ".join("".join(verb.itertext()).split())


@contextlib.contextmanager
def _an_order(out: Console) -> Iterator[tuple[dict[str, str], str, str]]:
    """A whole system with one order in trouble: its environment, the customer's number, and the order."""
    hour = grocer.hour(60, 0.0, seed=4)
    order = next(o for o in hour if o.kind is Kind.ITEM_UNAVAILABLE and o.short == 2 and o.person.phone)
    with tempfile.TemporaryDirectory(prefix="saveline-call-") as folder:
        # Who reads is quicker than who listens: a yes is no interruption of the words that it answers.
        quick = {"VOICE_PACE": "0.0001"}
        stack = Stack(Path(folder), settings=quick, told=lambda line: out.print(line, style="dim"))
        stack.start()
        try:
            clock, codec = SystemClock(), Codec(LockedRegistry())
            zone = f"Etc/GMT{clock.now().hour - 12:+d}"
            broker = {"bootstrap.servers": stack.environment["SAVELINE_BROKER"]}
            producer = Producer(broker | {"partitioner": "murmur2_random", "log_level": 0})
            stack.simulators["oms"].put(f"orders/{order.order_id}", grocer.in_the_oms(order))
            contact = grocer.contact(order.person, zone, clock.now())
            producer.produce(Topic.CONTACTS, codec.encode(contact), key=order.person.ref)
            for raised in grocer.troubles(order, zone, clock.now(), _NOTICE_S):
                producer.produce(Topic.EXCEPTIONS, codec.encode(raised), key=order.order_id)
            producer.flush(30)
            out.print("waiting until the customer was asked", style="dim")
            stack.simulators["twilio"].expect("request", timeout_s=60, to=order.person.phone)
            yield stack.environment, order.person.phone, order.order_id
        finally:
            stack.close()


def main() -> int:
    given = _arguments()
    out = Console(highlight=False)
    try:
        if given.number:
            environment = dict(os.environ)
            missing = [name for name in _NEEDED if name not in environment]
            if missing:
                out.print(f"not set: {', '.join(missing)}; source the env file of a system that runs")
                return 2
            _telephone(environment, given.number, out).talk()
        else:
            with _an_order(out) as (environment, number, order_id):
                out.print(f"You are the customer of order {order_id} and call from your own telephone.")
                out.print(
                    "Type what you say, or keys. An empty line is silence; Ctrl-D hangs up.", style="dim"
                )
                _telephone(environment, number, out).talk()
                trace = [sys.executable, "-m", "streams.cli", "trace", order_id]
                subprocess.run(trace, env=os.environ | environment, check=False)
    except PartError as error:
        out.print(str(error), markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


_NEEDED = ("SAVELINE_PUBLIC_URL", "SAVELINE_TWILIO_AUTH_TOKEN")


def _telephone(environment: dict[str, str], number: str, out: Console) -> Telephone:
    # Of several tokens during a rotation, the last one signs.
    token = environment["SAVELINE_TWILIO_AUTH_TOKEN"].split(",")[-1]
    return Telephone(environment["SAVELINE_PUBLIC_URL"], token, number, out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make call CALL_ARGS=...", description=__doc__)
    parser.add_argument(
        "--from", dest="number", default="", help="the customer's number, in a system that runs"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
