"""Which records each topic carries, and the name under which each record is registered."""

from enum import StrEnum
from typing import Any

import msgspec

from schemas import commands, events
from schemas.words import Channel


class Topic(StrEnum):
    """Every topic that carries our Avro records."""

    EXCEPTIONS = "order.exceptions.v1"
    OUTCOMES = "order.outcomes.v1"
    CONTACTS = "customer.contacts.v1"
    CONSENTS = "customer.consents.v1"
    BLOCKS = "product.blocks.v1"
    CASE_EVENTS = "case.events.v1"
    PUSH = "channel.push.v1"
    SMS = "channel.sms.v1"
    EMAIL = "channel.email.v1"
    VOICE = "channel.voice.v1"
    PERSON = "channel.person.v1"
    HOLDS = "line.holds.v1"
    UPDATES = "oms.updates.v1"
    TRIGGERS = "fulfilment.triggers.v1"
    RECEIPTS = "fulfilment.receipts.v1"
    EVIDENCE_REQUESTS = "evidence.requests.v1"
    EVIDENCE = "case.evidence.v1"
    CHANGES = "case.changes.v1"


UPSTREAM = (
    *(Topic.EXCEPTIONS, Topic.OUTCOMES, Topic.RECEIPTS),
    *(Topic.CONTACTS, Topic.CONSENTS, Topic.BLOCKS),
)
"""What others write and the intake takes in."""

CHANNEL_TOPICS: dict[Channel, Topic] = {
    Channel.PUSH: Topic.PUSH,
    Channel.SMS: Topic.SMS,
    Channel.EMAIL: Topic.EMAIL,
    Channel.VOICE: Topic.VOICE,
    Channel.PERSON: Topic.PERSON,
}

_OUTCOMES = (
    events.LinePicked,
    events.Delivered,
    events.RefusedAtDoor,
    events.OrderCompleted,
    events.OrderCancelled,
    events.Credited,
)
_CONDITIONS = (
    events.ChannelHealthChanged,
    events.VoiceQueueChanged,
    events.KillSwitchChanged,
    events.ProductBlocked,
)
_CHANNEL = (commands.ChannelCommand, commands.ChannelCancel)

RECORDS: dict[Topic, tuple[type[msgspec.Struct], ...]] = {
    Topic.EXCEPTIONS: (events.ExceptionRaised, events.ExceptionAmended, events.ExceptionWithdrawn),
    Topic.OUTCOMES: _OUTCOMES,
    Topic.CONTACTS: (events.CustomerContact,),
    Topic.CONSENTS: (events.CustomerConsent,),
    Topic.BLOCKS: (events.ProductBlocked,),
    Topic.CASE_EVENTS: (
        events.ExceptionAccepted,
        events.ExceptionAmended,
        events.ExceptionWithdrawn,
        events.ResponseReceived,
        events.ReceiptReceived,
        events.WriteBackReceived,
        events.TriggerReceived,
        events.EvidenceStored,
        events.ContactChanged,
        events.ConsentChanged,
        *_OUTCOMES,
        *_CONDITIONS,
    ),
    Topic.PUSH: _CHANNEL,
    Topic.SMS: _CHANNEL,
    Topic.EMAIL: _CHANNEL,
    Topic.VOICE: _CHANNEL,
    Topic.PERSON: _CHANNEL,
    Topic.HOLDS: (commands.LineHold,),
    Topic.UPDATES: (commands.OrderUpdate,),
    Topic.TRIGGERS: (commands.FulfilmentTrigger,),
    Topic.RECEIPTS: (events.TriggerReceived,),
    Topic.EVIDENCE_REQUESTS: (commands.EvidenceRequest,),
    Topic.EVIDENCE: (events.EvidenceStored,),
    Topic.CHANGES: (commands.CaseChanged,),
}


def record_types() -> dict[str, type[Any]]:
    """Every record that is written by itself, by its name."""
    return {kind.__name__: kind for kinds in RECORDS.values() for kind in kinds}
