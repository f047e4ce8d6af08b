"""The providers that the channels send through, as simulators, and how the product is told of them."""

from collections.abc import Mapping
from pathlib import Path

from connectors.channels.catalogue import Providers
from tests.world.simulators.process import Simulator
from tests.world.simulators.twilio.account import ACCOUNT_SID, AUTH_TOKEN

US = "+441632960000"
# Where no callback arrives.
NOWHERE = "http://127.0.0.1:9"


def simulators_in(folder: Path, pace: float) -> dict[str, Simulator]:
    """Not started yet; `pace` is that of the calls."""
    return {
        "twilio": Simulator("twilio", folder, "--calls-per-second", "0", pace=pace),
        "fcm": Simulator("fcm", folder),
        "smtp": Simulator("smtp", folder),
    }


def providers_of(
    simulators: Mapping[str, Simulator], *, public_url: str = NOWHERE, timeout_s: float = 5.0
) -> Providers:
    """Who is not among them is not there to be sent to."""
    fcm, smtp = simulators.get("fcm"), simulators.get("smtp")
    return Providers(
        public_url=public_url,
        twilio_account_sid=ACCOUNT_SID,
        twilio_auth_token=AUTH_TOKEN,
        twilio_base_url=simulators["twilio"].url,
        sms_sender=US,
        voice_sender=US,
        fcm_account_file=fcm.folder / "service-account.json" if fcm else Path(),
        fcm_base_url=fcm.url if fcm else NOWHERE,
        smtp_host="127.0.0.1" if smtp else "",
        smtp_port=smtp.port if smtp else 0,
        smtp_tls=False,
        email_sender="us@greengrocer.test",
        timeout_s=timeout_s,
    )
