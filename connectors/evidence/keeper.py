"""Makes a decision's evidence: parts into sealed bundles, bundles into the store, their hashes into a chain."""

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.evidence.chain import Chain, Link, Stored, Tail, chain_of, sha256_of, signed
from connectors.evidence.gather import Gathered
from connectors.evidence.store import Store
from schemas.commands import EvidenceRequest
from schemas.facts import Decision, EvidencePointer
from schemas.words import EvidencePart, EvidencePath

# seal(customer_ref, plain, purpose) under the customer's own key.
Seal = Callable[[str, bytes, str], bytes]
PURPOSE = "evidence"


class PartNote(msgspec.Struct, frozen=True, kw_only=True):
    """A part inside its bundle; `sha256` is over the plain bytes, for whoever may open it."""

    part: EvidencePart
    sha256: str
    size_bytes: int
    bundle: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence of one decision consists of, and what it proves."""

    request_id: str
    order_id: str
    conversation_id: str
    case_id: str
    path: EvidencePath
    policy: str
    decision: Decision
    parts: tuple[PartNote, ...]
    missing: tuple[EvidencePart, ...]
    recording_refused: bool
    made_at: datetime


class Bundle(msgspec.Struct, frozen=True):
    """Parts that are kept equally long, by name."""

    parts: dict[str, bytes]


class Kept(msgspec.Struct, frozen=True):
    """The pointer is to the bundle with the manifest; the link names every object."""

    pointer: EvidencePointer
    link: Link
    tail: Tail


class Keeper:
    """`days_for` says how long a policy keeps a part."""

    def __init__(
        self,
        store: Store,
        key: Ed25519PrivateKey,
        seal: Seal,
        days_for: Callable[[str, EvidencePart], int],
        *,
        chains: int = 4,
        reach: Callable[..., None] = lambda _point, **_about: None,
    ) -> None:
        self._store, self._key, self._seal, self._days_for = store, key, seal, days_for
        self._chains, self._reach = chains, reach

    def keep(
        self,
        request: EvidenceRequest,
        gathered: Gathered,
        shared: tuple[Stored, ...],
        tail_of: Callable[[int], Tail],
        now: datetime,
    ) -> Kept:
        """Everything is stored and read back when it returns; raises `StoreError`, or `Erased` from `seal`.

        `shared` objects were kept for another decision already; they are named again, not stored again. `tail_of`
        says how a chain ended last: asked only when the link is due, as others add theirs meanwhile.
        """
        parts, missing = gathered.parts, gathered.missing
        days = {part: self._days_for(request.policy, part) for part in (*parts, EvidencePart.MANIFEST)}
        base = f"{request.case_id}/{request.command_id}"
        keys = {part: f"evidence/{days[part]}d/{base}" for part in days}
        manifest = Manifest(
            request_id=request.command_id,
            order_id=request.order_id,
            conversation_id=request.conversation_id,
            case_id=request.case_id,
            path=request.path,
            policy=request.policy,
            decision=request.decision,
            parts=tuple(
                PartNote(part=part, sha256=sha256_of(body), size_bytes=len(body), bundle=keys[part])
                for part, body in sorted(parts.items())
            ),
            missing=missing,
            recording_refused=request.recording_refused,
            made_at=now,
        )
        whole = {**parts, EvidencePart.MANIFEST: signed(self._key, manifest)}
        objects = [
            self._put(request, key, {part: whole[part] for part in whole if keys[part] == key}, now)
            for key in sorted(set(keys.values()))
        ]
        self._reach("after_put_before_pointer", order=request.order_id)
        link = Link(
            chain=0,
            seq=0,
            previous_sha256="",
            request_id=request.command_id,
            order_id=request.order_id,
            case_id=request.case_id,
            decision_version=request.decision.version,
            objects=(*objects, *shared),
            missing=missing,
            made_at=now,
        )
        number = chain_of(request.order_id, self._chains)
        kept, end = Chain(self._store, number, self._key).append(link, tail_of(number))
        return Kept(self._pointer(kept), kept, end)

    def _put(
        self, request: EvidenceRequest, key: str, parts: dict[EvidencePart, bytes], now: datetime
    ) -> Stored:
        plain = msgspec.msgpack.encode(Bundle({str(part): body for part, body in sorted(parts.items())}))
        sealed = self._seal(request.customer_ref, plain, PURPOSE)
        days = min(self._days_for(request.policy, part) for part in parts)
        version = self._store.put(key, sealed, now + timedelta(days=days))
        return Stored(
            key=key,
            version=version,
            sha256=sha256_of(sealed),
            size_bytes=len(sealed),
            parts=tuple(sorted(parts)),
        )

    def _pointer(self, link: Link) -> EvidencePointer:
        first = next(one for one in link.objects if EvidencePart.MANIFEST in one.parts)
        return EvidencePointer(
            bucket=self._store.bucket,
            key=first.key,
            version=first.version,
            sha256=first.sha256,
            parts=tuple(part for one in link.objects for part in one.parts),
        )
