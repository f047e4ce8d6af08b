"""Verifies evidence from the bucket and the public key alone, without any of our databases."""

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connectors.evidence.chain import Link, key_id, link_key, link_of, opened, sha256_of
from connectors.evidence.store import Store


class Report(msgspec.Struct, kw_only=True):
    """`faults` is empty if everything holds; `cases` counts the links for each case."""

    links: int = 0
    objects: int = 0
    size_bytes: int = 0
    cases: dict[str, int] = {}
    faults: list[str] = []

    @property
    def holds(self) -> bool:
        return not self.faults


def verify(store: Store, public_keys: list[Ed25519PublicKey], case_id: str = "") -> Report:
    """Every link of every chain; every object, or with `case_id` only that case's. Raises `StoreError`."""
    report = Report(cases={}, faults=[])
    keys = {key_id(key): key for key in public_keys}
    chains: dict[str, list[str]] = {}
    for key in store.keys("chain/"):
        chains.setdefault(key.split("/")[1], []).append(key)
    for number, found in sorted(chains.items()):
        _verify_chain(store, int(number), found, keys, case_id, report)
    if case_id and case_id not in report.cases:
        report.faults.append(f"no link names the case {case_id}")
    return report


def _verify_chain(
    store: Store,
    chain: int,
    found: list[str],
    keys: dict[str, Ed25519PublicKey],
    case_id: str,
    report: Report,
) -> None:
    previous = ""
    for seq, key in enumerate(sorted(found), start=1):
        if key != link_key(chain, seq):
            report.faults.append(f"chain {chain}: link {seq} is missing, {key} comes instead")
            return
        raw = store.get(key)
        if raw is None:
            report.faults.append(f"{key}: it is listed and cannot be read")
            return
        try:
            link = link_of(opened(raw, keys))
        except (ValueError, msgspec.DecodeError) as error:
            report.faults.append(f"{key}: {error}")
            return
        if (link.chain, link.seq, link.previous_sha256) != (chain, seq, previous):
            report.faults.append(f"{key}: it does not follow the link before it")
            return
        previous = sha256_of(raw)
        report.links += 1
        report.cases[link.case_id] = report.cases.get(link.case_id, 0) + 1
        if case_id in ("", link.case_id):
            _verify_objects(store, link, report)


def _verify_objects(store: Store, link: Link, report: Report) -> None:
    for one in link.objects:
        body = store.get(one.key, one.version)
        if body is None:
            report.faults.append(f"{one.key} ({one.version}): it is gone")
        elif sha256_of(body) != one.sha256:
            report.faults.append(f"{one.key} ({one.version}): its bytes are not those that were stored")
        report.objects += 1
        report.size_bytes += one.size_bytes
