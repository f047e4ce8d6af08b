"""The FCM simulator against a grant and a send as Google's documentation describes them."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from tests.world.listener import Listener
from tests.world.simulators.process import Simulator

pytestmark = pytest.mark.real
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


@pytest.fixture(scope="module")
def fcm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator("fcm", tmp_path_factory.mktemp("fcm"))
    simulator.start()
    yield simulator
    simulator.stop()


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def a_grant(fcm: Simulator, **claims: Any) -> str:
    account = json.loads((fcm.folder / "service-account.json").read_text())
    now = int(datetime.now(UTC).timestamp())  # noqa: TID251
    whole = {"iss": account["client_email"], "scope": SCOPE, "aud": account["token_uri"]}
    whole |= {"iat": now, "exp": now + 3600} | claims
    signed = f'{encoded(b"""{"alg":"RS256","typ":"JWT"}""")}.{encoded(json.dumps(whole).encode())}'
    key: Any = serialization.load_pem_private_key(account["private_key"].encode(), None)
    return f"{signed}.{encoded(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def ask_token(fcm: Simulator, grant: str) -> requests.Response:
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": grant}
    return requests.post(f"{fcm.url}/token", data=form, timeout=30)


@pytest.fixture(scope="module")
def bearer(fcm: Simulator) -> str:
    return str(ask_token(fcm, a_grant(fcm)).json()["access_token"])


def send(fcm: Simulator, bearer: str, timeout_s: float = 30.0, **message: Any) -> requests.Response:
    return requests.post(
        f"{fcm.url}/v1/projects/greengrocer/messages:send",
        json={"message": {"token": "d1", "data": {"command_id": "A1~E1.1"}, **message}},
        headers={"Authorization": f"Bearer {bearer}"},
        timeout=timeout_s,
    )


def test_a_signed_grant_gives_a_token_and_a_push_arrives(fcm: Simulator, bearer: str) -> None:
    answer = send(fcm, bearer, notification={"title": "Oat milk is out"})
    assert answer.status_code == 200
    assert answer.json()["name"].startswith("projects/greengrocer/messages/")
    assert fcm.get("devices/d1")["received"][-1]["notification"]["title"] == "Oat milk is out"
    assert fcm.book("request", provider_id=answer.json()["name"])[0]["command_id"] == "A1~E1.1"


@pytest.mark.parametrize(
    "claims", [{"exp": 1}, {"aud": "https://elsewhere"}, {"scope": "mail"}, {"iss": "me"}]
)
def test_a_grant_with_a_wrong_claim_gives_nothing(fcm: Simulator, claims: dict[str, Any]) -> None:
    answer = ask_token(fcm, a_grant(fcm, **claims))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_grant_with_a_broken_signature_gives_nothing(fcm: Simulator) -> None:
    signed, _, signature = a_grant(fcm).rpartition(".")
    answer = ask_token(fcm, f"{signed}.{encoded(b'x' * 256)}")
    assert answer.json()["error_description"] == "Invalid JWT Signature."
    assert signature


def test_a_wrong_token_is_unauthenticated(fcm: Simulator) -> None:
    answer = send(fcm, "made-up")
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_a_lost_app_is_unregistered(fcm: Simulator, bearer: str) -> None:
    fcm.put("devices/gone", {"registered": False})
    answer = send(fcm, bearer, token="gone")
    assert answer.status_code == 404
    assert answer.json()["error"]["details"][0]["errorCode"] == "UNREGISTERED"


def test_data_that_is_not_text_is_an_invalid_argument(fcm: Simulator, bearer: str) -> None:
    answer = send(fcm, bearer, data={"n": 1})
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("http_429", 429, "QUOTA_EXCEEDED"),
        ("reject:UNAVAILABLE", 503, "UNAVAILABLE"),
        ("reject:INTERNAL", 500, "INTERNAL"),
        ("reject:SENDER_ID_MISMATCH", 403, "SENDER_ID_MISMATCH"),
    ],
)
def test_a_fault_answers_as_google_does(
    fcm: Simulator, bearer: str, fault: str, status: int, code: str
) -> None:
    fcm.faults({"match": {"order": "A1"}, "then": fault, "after_ms": 2000, "count": 1})
    answer = send(fcm, bearer)
    assert (answer.status_code, answer.json()["error"]["details"][0]["errorCode"]) == (status, code)
    if status in (429, 503):
        assert answer.headers["Retry-After"] == "2"
    assert send(fcm, bearer).status_code == 200


def test_a_push_that_times_out_has_arrived_all_the_same(fcm: Simulator, bearer: str) -> None:
    fcm.faults({"match": {"address": "d2"}, "then": "accept_then_timeout"})
    with pytest.raises(requests.exceptions.ReadTimeout):
        send(fcm, bearer, token="d2", timeout_s=1.0)
    fcm.expect("request", to="d2")
    assert len(fcm.get("devices/d2")["received"]) == 1


def test_a_device_taps_the_link_of_what_it_got(fcm: Simulator, bearer: str) -> None:
    fcm.faults()
    with Listener("unused") as product:
        product.twiml["/c/t1"] = '{"options": []}'
        send(fcm, bearer, token="d3", data={"link": f"{product.url}/c/t1"})
        tapped = fcm.post("devices/d3/tap", {"answer": {"A": 1}})
    assert tapped["get"] == {"status": 200, "body": '{"options": []}'}
    assert [path for path, _, _ in product.heard] == ["/c/t1", "/c/t1"]
