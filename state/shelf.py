"""The shelf of policies: every version that a case may have pinned, read from YAML with every fault named."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, create_model

from schemas.events import ExceptionRaised
from state import promises
from state.policy import Policy
from state.shipped import SHIPPED

LOCK_NAME = "lock.json"


class PolicyFaults(Exception):
    """Policies that cannot be used; `faults` names every one of them as `file: path: what`."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class Shelf:
    """The policies of one deployment, by key, and which one a new exception gets."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.by_key = {policy.key: policy for policy in policies}
        latest: dict[str, Policy] = {}
        for policy in self.by_key.values():
            if policy.id not in latest or policy.version > latest[policy.id].version:
                latest[policy.id] = policy
        self._latest = latest

    def __getitem__(self, key: str) -> Policy:
        return self.by_key[key]

    def choose(self, exception: ExceptionRaised) -> Policy:
        """By hint, else by store, kind and the time left; `LookupError` where nothing fits."""
        hinted = self._latest.get(exception.policy_hint) or self.by_key.get(exception.policy_hint)
        if hinted is not None and exception.kind in hinted.kinds:
            return hinted
        notice_ms = (exception.fulfilment_deadline_at - exception.occurred_at).total_seconds() * 1000
        fitting = [
            policy
            for policy in self._latest.values()
            if exception.kind in policy.kinds
            and (exception.store_id in policy.applies.stores or "*" in policy.applies.stores)
            and policy.applies.notice_from_ms <= max(notice_ms, 0) < policy.applies.notice_below_ms
        ]
        if not fitting:
            raise LookupError(f"no policy is for {exception.kind} in store {exception.store_id}")
        # A policy that names the store outranks one for every store; the id settles the rest.
        return min(fitting, key=lambda p: (exception.store_id not in p.applies.stores, p.id))


class _Loader(yaml.SafeLoader):
    """YAML without silent surprises: a key given twice is a fault."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    odd = [str(key) for key in keys if not isinstance(key, str)]
    if odd:
        raise yaml.constructor.ConstructorError(None, None, f"a key is a word: {odd[0]}", node.start_mark)
    twice = sorted({str(key) for key in keys if keys.count(key) > 1})
    if twice:
        raise yaml.constructor.ConstructorError(
            None, None, f"given twice: {', '.join(twice)}", node.start_mark
        )
    return {
        key: loader.construct_object(value, deep=True)
        for key, (_, value) in zip(keys, node.value, strict=True)
    }


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(folder: Path = SHIPPED) -> Shelf:
    """Every policy of a folder; raises `PolicyFaults` with all that is wrong in any of them."""
    policies, faults = read(folder)
    if faults:
        raise PolicyFaults(faults)
    return Shelf(policies)


def read(folder: Path) -> tuple[list[Policy], list[str]]:
    """The policies of a folder that hold, and the faults of those that do not."""
    paths = sorted(folder.glob("*.yaml"))
    documents: dict[str, dict[str, Any]] = {}
    faults: list[str] = [] if paths else [f"{folder}: no policy (*.yaml) is there"]
    for path in paths:
        try:
            document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - derives from SafeLoader
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            faults.append(f"{path.name}: is no YAML: {error}")
            continue
        if isinstance(document, dict):
            documents[path.stem] = document
        else:
            faults.append(f"{path.name}: is no mapping of keys")
    policies: list[Policy] = []
    extended = {str(document.get("extends")) for document in documents.values()}
    for stem, document in documents.items():
        # What only others extend has no id of its own.
        if "id" not in document:
            if stem not in extended:
                faults.append(f"{stem}.yaml: id: is missing, and nothing extends it")
            continue
        try:
            policies.append(_policy(stem, documents))
        except PolicyFaults as error:
            faults += [f"{stem}.yaml: {fault}" for fault in error.faults]
    keys = [policy.key for policy in policies]
    faults += [
        f"{key}: two files carry this version" for key in sorted({k for k in keys if keys.count(k) > 1})
    ]
    return policies, faults + _moved(folder, policies)


def _policy(stem: str, documents: dict[str, dict[str, Any]]) -> Policy:
    merged = _extended(stem, documents, ())
    key, wanted = "{id}@{version}", "{id}.v{version}"
    names = {"id": merged.get("id"), "version": merged.get("version")}
    faults = []
    if stem != wanted.format(**names):
        faults.append(f"holds {key.format(**names)}, so it must be called {wanted.format(**names)}.yaml")
    try:
        policy = Policy.model_validate(merged)
        broken = promises.broken(policy)
    except ValidationError as error:
        faults += _worded(error)
        held = _held(merged, {fault["loc"][0] for fault in error.errors()})
        broken = promises.broken(Policy.model_construct(**held), held)
    faults += [f"{path}: {what}" for path, what in broken]
    if faults:
        raise PolicyFaults(faults)
    return policy


def _held(document: dict[str, Any], faulty: set[Any]) -> dict[str, Any]:
    """The fields that are right by themselves, so that what they promise together is judged in the same go."""
    sound: dict[str, Any] = {
        name: (field.annotation, field) for name, field in Policy.model_fields.items() if name not in faulty
    }
    part = create_model("Part", **sound).model_validate({n: v for n, v in document.items() if n in sound})
    return {name: getattr(part, name) for name in sound}


def _extended(stem: str, documents: dict[str, dict[str, Any]], chain: tuple[str, ...]) -> dict[str, Any]:
    """The document over the one that it extends; mappings are merged, everything else replaces."""
    if stem in chain:
        raise PolicyFaults([f"extends: loops: {' -> '.join([*chain, stem])}"])
    if stem not in documents:
        raise PolicyFaults([f"extends: {stem}.yaml is not there or not readable"])
    document = dict(documents[stem])
    below = document.pop("extends", None)
    if below is None:
        return document
    return _merged(_extended(str(below), documents, (*chain, stem)), document)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _worded(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(str(part) for part in fault['loc']) or 'the whole'}: "
        f"{fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors(include_url=False)
    ]


def digest(policy: Policy) -> str:
    """What a version says, whatever file it stands in."""
    # Only what was written: a field that a later version adds, with a default, changes no released policy.
    written = policy.model_dump(mode="json", exclude_unset=True)
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()


def locked(folder: Path) -> dict[str, str]:
    """The digests of the released versions of a folder, empty where none are locked."""
    path = folder / LOCK_NAME
    if not path.exists():
        return {}
    try:
        digests = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PolicyFaults([f"{LOCK_NAME}: is no JSON: {error}"]) from error
    if not isinstance(digests, dict):
        raise PolicyFaults([f"{LOCK_NAME}: is no mapping of versions to digests"])
    return digests


def _moved(folder: Path, policies: list[Policy]) -> list[str]:
    """A released version is pinned by open cases: it may neither change nor vanish."""
    digests = {policy.key: digest(policy) for policy in policies}
    faults = []
    try:
        lock = locked(folder)
    except PolicyFaults as error:
        return list(error.faults)
    for key, released in lock.items():
        if key not in digests:
            faults.append(f"{key}: was released and is gone or faulty, but open cases may have pinned it")
        elif digests[key] != released:
            faults.append(f"{key}: was released and has changed: give it a new version")
    return faults
