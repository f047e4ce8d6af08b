"""Who said stop on the telephone: written before it is answered, for the customer and for the number."""

from datetime import datetime

from connectors.outbox import Connection, Outbox
from connectors.vault import Vault
from schemas.catalogue import Topic
from schemas.events import CustomerConsent
from schemas.words import Channel

SILENCED = (Channel.SMS, Channel.VOICE)


def silence_customer(
    connection: Connection, outbox: Outbox, vault: Vault, customer_ref: str, now: datetime
) -> None:
    """No text and no automated call any more, whatever the order; told to everybody who keeps consents."""
    consent = CustomerConsent(
        customer_ref=customer_ref, channels=SILENCED, opted_out=True, source="voice", occurred_at=now
    )
    vault.consent(consent, connection)
    outbox.put_elsewhere(connection, Topic.CONSENTS, customer_ref, consent)


def silence_number(connection: Connection, hashed: str, now: datetime) -> None:
    """Somebody else's number: nothing more goes there, in whoever's account it stands."""
    for channel in SILENCED:
        connection.execute(
            "INSERT INTO opt_outs (subject, channel, opted_out, occurred_at) VALUES (%s, %s, true, %s)"
            " ON CONFLICT (subject, channel) DO UPDATE SET opted_out = true, occurred_at = excluded.occurred_at"
            " WHERE opt_outs.occurred_at < excluded.occurred_at",
            [hashed, channel, now],
        )
