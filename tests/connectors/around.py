"""What stands around a connectors process under test, and the refund that it writes and proves."""

import itertools
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.commands import EvidenceRequest, OrderUpdate
from schemas.facts import Decision
from schemas.words import Actor, EvidencePart, EvidencePath, Resolution
from tests.connectors.providers import simulators_in
from tests.world.s3 import S3
from tests.world.simulators.process import Simulator

ANN = "+447400123456"
POLICY = "mid_pick_substitution@1"
SIGNING = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
_buckets = itertools.count(1)


class Around:
    """Every provider, an OMS and a locked bucket."""

    def __init__(self, s3: S3, folder: Path) -> None:
        self.simulators = simulators_in(folder, pace=0.02) | {"oms": Simulator("oms", folder)}
        for simulator in self.simulators.values():
            simulator.start()
        self.s3, self.bucket = s3, f"around-{next(_buckets)}"
        s3.create_locked_bucket(self.bucket)

    def has_order(self) -> None:
        """A1, with the one line that `an_update` refunds."""
        order = {"lines": [{"line_id": "l1", "ordered": 1, "quantity": 1, "unit_price_minor": 190}]}
        self.simulators["oms"].put("orders/A1", order)

    def stop(self) -> None:
        for simulator in self.simulators.values():
            simulator.stop()


def a_refund(now: datetime) -> Decision:
    return Decision(
        decision_id="E1.d1",
        case_id="E1",
        version=1,
        resolution=Resolution.REFUNDED,
        refund_quantity=1,
        actor=Actor.CUSTOMER,
        policy=POLICY,
        decided_at=now,
    )


def an_update(now: datetime) -> OrderUpdate:
    return OrderUpdate(
        command_id="E1.d1",
        order_id="A1",
        case_id="E1",
        customer_ref="ann",
        store_id="s1",
        line_id="l1",
        expected_quantity=1,
        decision=a_refund(now),
        issued_at=now,
    )


def an_evidence_request(now: datetime, path: EvidencePath, *parts: EvidencePart) -> EvidenceRequest:
    return EvidenceRequest(
        command_id="E1.d1.e",
        order_id="A1",
        conversation_id="A1~E1",
        case_id="E1",
        customer_ref="ann",
        path=path,
        parts=(EvidencePart.MANIFEST, EvidencePart.MESSAGES, *parts),
        decision=a_refund(now),
        commands=4,
        policy=POLICY,
        issued_at=now,
    )
