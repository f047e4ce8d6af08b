"""What `decide` is handed beside a conversation: the policies, and the partition's conditions."""

from dataclasses import dataclass, field
from typing import assert_never

import msgspec

from schemas.events import (
    ChannelHealthChanged,
    ConditionEvent,
    KillSwitchChanged,
    ProductBlocked,
    VoiceQueueChanged,
)
from schemas.words import Channel, Kind, SwitchScope
from state.shelf import Shelf

# Why something is not sent or written: a product in it was blocked meanwhile.
BLOCKED = "blocked"


class Conditions(msgspec.Struct, frozen=True, array_like=True):
    """What holds for the whole partition, folded from committed events. Fields are only ever appended."""

    unhealthy: frozenset[str] = frozenset()
    voice_queue_ms: int = 0
    killed_channels: frozenset[str] = frozenset()
    killed_stores: frozenset[str] = frozenset()
    killed_kinds: frozenset[str] = frozenset()
    blocked_skus: frozenset[str] = frozenset()

    def kills(self, store_id: str, kind: Kind) -> bool:
        """Nobody may be contacted about this kind or from this store."""
        return store_id in self.killed_stores or kind in self.killed_kinds


def fold(conditions: Conditions, event: ConditionEvent) -> Conditions:
    """The conditions after one more event; a repeat changes nothing."""
    match event:
        case ChannelHealthChanged(channel=channel, healthy=healthy):
            changed = _with(conditions.unhealthy, channel, present=not healthy)
            return msgspec.structs.replace(conditions, unhealthy=changed)
        case VoiceQueueChanged(delay_ms=delay_ms):
            return msgspec.structs.replace(conditions, voice_queue_ms=max(delay_ms, 0))
        case KillSwitchChanged(scope=SwitchScope.CHANNEL, name=name, on=on):
            changed = _with(conditions.killed_channels, name, present=on)
            return msgspec.structs.replace(conditions, killed_channels=changed)
        case KillSwitchChanged(scope=SwitchScope.STORE, name=name, on=on):
            changed = _with(conditions.killed_stores, name, present=on)
            return msgspec.structs.replace(conditions, killed_stores=changed)
        case KillSwitchChanged(scope=SwitchScope.KIND, name=name, on=on):
            changed = _with(conditions.killed_kinds, name, present=on)
            return msgspec.structs.replace(conditions, killed_kinds=changed)
        case KillSwitchChanged():
            # A newer producer's scope: a word that we do not know switches nothing of ours.
            return conditions
        case ProductBlocked(sku=sku, blocked=blocked):
            changed = _with(conditions.blocked_skus, sku, present=blocked)
            return msgspec.structs.replace(conditions, blocked_skus=changed)
        case _:
            assert_never(event)


def _with(names: frozenset[str], name: str | Channel, *, present: bool) -> frozenset[str]:
    return names | {str(name)} if present else names - {str(name)}


@dataclass(frozen=True, slots=True)
class Rules:
    """The policies and the conditions that hold at this moment."""

    shelf: Shelf
    conditions: Conditions = field(default_factory=Conditions)
