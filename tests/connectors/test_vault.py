"""The vault on a real Postgres: sealed under the customer's key, outranked by consents, gone when erased."""

import base64
import hashlib
from collections.abc import Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace
from psycopg_pool import ConnectionPool

from connectors import vault_keys
from connectors.postgres import open_pool
from connectors.register.migrate import upgrade
from connectors.sealing import Unsealable, new_key, seal, unseal
from connectors.vault import Erased, Vault
from connectors.vault_cli import rekey
from connectors.vault_keys import KeyMissing
from schemas.events import CustomerConsent, CustomerContact
from schemas.words import Channel, ContactMode
from tests.builders import NOON

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("postgres")]

CANARY = "+447400123456"
CONTACT = CustomerContact(
    customer_ref="c1",
    revision=1,
    push_tokens=("token-1",),
    phone=CANARY,
    email="shopper@example.org",
    name="Sam Shopper",
    occurred_at=NOON,
)


class StoppedClock:
    def now(self):
        return NOON

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def pool(dsn: str) -> Iterator[ConnectionPool]:
    upgrade(dsn)
    with open_pool(dsn, max_size=2) as pool:
        yield pool


@pytest.fixture
def vault(pool: ConnectionPool) -> Vault:
    return Vault(pool, [b"m" * 32], b"salt", StoppedClock())


def test_a_contact_comes_back_as_it_was_given_and_lies_there_sealed(
    vault: Vault, pool: ConnectionPool
) -> None:
    assert vault.keep(CONTACT)
    assert vault.contact("c1") == CONTACT
    with pool.connection() as connection:
        row = connection.execute("SELECT wrapped_key, sealed FROM customers").fetchone()
    for column in row:
        assert CANARY.encode() not in bytes(column)
        assert b"Shopper" not in bytes(column)


def test_an_address_is_stood_for_by_a_hash_that_only_the_vaults_key_can_make(
    vault: Vault, pool: ConnectionPool
) -> None:
    vault.keep(CONTACT)
    hashed = vault.address("c1", Channel.SMS).hashed
    assert hashed == vault.address_hash(f" {CANARY} ")
    assert hashed != vault_keys.hashed(vault_keys.derived(b"n" * 32), "address", CANARY)
    for plain in (CANARY.encode(), b"saveline address\0" + CANARY.encode()):
        assert hashed != hashlib.sha256(plain).hexdigest()
    vault.consent(
        CustomerConsent(customer_ref="c1", channels=(Channel.SMS,), opted_out=True, occurred_at=NOON)
    )
    with pool.connection() as connection:
        subjects = {row[0] for row in connection.execute("SELECT subject FROM opt_outs")}
    assert subjects == {"c1", hashed}


def test_an_older_revision_changes_nothing(vault: Vault) -> None:
    vault.keep(replace(CONTACT, revision=5, email="new@example.org"))
    assert not vault.keep(CONTACT)
    assert vault.contact("c1").email == "new@example.org"


def test_an_unknown_customer_is_unknown_and_has_no_address(vault: Vault) -> None:
    assert not vault.facts("nobody").known
    assert vault.address("nobody", Channel.SMS) is None


def test_facts_say_how_somebody_is_reached_and_nothing_personal(vault: Vault) -> None:
    vault.keep(replace(CONTACT, contact_mode=ContactMode.NO_VOICE))
    facts = vault.facts("c1")
    assert facts.known
    assert facts.channels == (Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE)
    assert facts.contact_mode is ContactMode.NO_VOICE
    assert "Europe/London" in facts.zones
    assert CANARY not in repr(facts)


def test_a_number_that_cannot_exist_is_no_way_to_reach_anybody(vault: Vault) -> None:
    vault.keep(replace(CONTACT, phone="0049 what?"))
    assert vault.facts("c1").channels == (Channel.PUSH, Channel.EMAIL)


@pytest.mark.parametrize(
    "email",
    ["@", "ann@", "ann@[", "änn@example.org", "ann@exämple.org", "=?utf-8?q?=0a?=@x.org", "a@x.org, b@x.org"],
)
def test_a_mailbox_that_mail_cannot_name_is_no_way_to_reach_anybody(vault: Vault, email: str) -> None:
    vault.keep(replace(CONTACT, email=email))
    assert Channel.EMAIL not in vault.facts("c1").channels
    assert vault.address("c1", Channel.EMAIL) is None


def test_a_contact_without_any_usable_address_is_known_and_has_no_channel(vault: Vault) -> None:
    vault.keep(replace(CONTACT, push_tokens=(), phone="ring the bell", email="none"))
    assert (vault.facts("c1").known, vault.facts("c1").channels) == (True, ())
    assert all(vault.address("c1", channel) is None for channel in Channel)


def test_an_opt_out_outranks_the_contact_until_a_newer_renewal(vault: Vault) -> None:
    vault.keep(CONTACT)
    stop = CustomerConsent(customer_ref="c1", channels=(Channel.SMS,), opted_out=True, occurred_at=NOON)
    vault.consent(stop)
    vault.keep(replace(CONTACT, revision=2))
    assert vault.facts("c1").opted_out == (Channel.SMS,)
    vault.consent(replace(stop, opted_out=False, occurred_at=NOON - timedelta(seconds=1)))
    assert vault.facts("c1").opted_out == (Channel.SMS,)
    vault.consent(replace(stop, opted_out=False, occurred_at=NOON + timedelta(seconds=1)))
    assert vault.facts("c1").opted_out == ()


def test_an_opt_out_binds_the_number_across_accounts(vault: Vault) -> None:
    vault.keep(CONTACT)
    vault.keep(replace(CONTACT, customer_ref="c2"))
    vault.consent(
        CustomerConsent(
            customer_ref="c1", channels=(Channel.SMS, Channel.VOICE), opted_out=True, occurred_at=NOON
        )
    )
    assert vault.facts("c2").opted_out == (Channel.SMS, Channel.VOICE)


def test_erasure_destroys_the_key_for_good(vault: Vault) -> None:
    vault.keep(CONTACT)
    sealed = vault.seal("c1", b"what was said", "utterance")
    assert vault.unseal("c1", sealed, "utterance") == b"what was said"
    vault.erase("c1")
    assert vault.contact("c1") is None
    with pytest.raises(Erased):
        vault.keep(replace(CONTACT, revision=9))
    with pytest.raises(Erased):
        vault.unseal("c1", sealed, "utterance")


def test_a_sealed_value_opens_neither_with_another_key_nor_for_another_purpose() -> None:
    key = new_key()
    sealed = seal(key, b"secret", "contact:c1")
    assert unseal(key, sealed, "contact:c1") == b"secret"
    for other_key, purpose, payload in (
        (new_key(), "contact:c1", sealed),
        (key, "contact:c2", sealed),
        (key, "contact:c1", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (key, "contact:c1", b""),
    ):
        with pytest.raises(Unsealable):
            unseal(other_key, payload, purpose)


def test_the_shares_of_pilot_and_holdout_are_stable_and_independent(vault: Vault) -> None:
    facts = [vault.facts(f"customer-{n}") for n in range(200)]
    assert facts == [vault.facts(f"customer-{n}") for n in range(200)]
    assert 60 < sum(f.arm_point < 5_000 for f in facts) < 140
    assert any((f.arm_point < 5_000) != (f.pilot_point < 5_000) for f in facts)


OLD, NEW = b"m" * 32, b"n" * 32


def under(*ring: bytes) -> str:
    """The setting."""
    return ",".join(base64.b64encode(key).decode() for key in ring)


def test_the_vaults_key_is_renewed_while_it_is_in_use(
    dsn: str, pool: ConnectionPool, vault: Vault, capsys: pytest.CaptureFixture[str]
) -> None:
    vault.keep(CONTACT)
    vault.consent(
        CustomerConsent(customer_ref="c1", channels=(Channel.SMS,), opted_out=True, occurred_at=NOON)
    )
    sealed, hashed = vault.seal("c1", b"words", "text"), vault.address_hash(CANARY)
    vault.keep(replace(CONTACT, customer_ref="c2", phone="+447400123457"))
    vault.erase("c2")
    assert vault_keys.missing(dsn, under(NEW, OLD)) == []
    reads = Vault(pool, [NEW, OLD], b"salt", StoppedClock())
    assert vault_keys.missing(dsn, under(OLD, NEW)) == []
    both = Vault(pool, [OLD, NEW], b"salt", StoppedClock())
    assert both.contact("c1") == CONTACT
    assert both.keep(replace(CONTACT, customer_ref="c3"))
    # Whoever was restarted for the first step opens what others wrap in the second.
    assert reads.contact("c3") == replace(CONTACT, customer_ref="c3")
    # What is new needs the new key; the old one still is needed, and nobody can start without it.
    (said,) = vault_keys.missing(dsn, under(NEW))
    assert "lacks. To do: put it back" in said
    assert vault_keys.key_id(OLD) in said
    assert rekey(dsn=dsn, key=under(OLD, NEW)) == 0
    assert capsys.readouterr().out.startswith("1 keys are wrapped anew")
    assert rekey(dsn=dsn, key=under(OLD, NEW)) == 0
    assert capsys.readouterr().out.startswith("0 keys are wrapped anew")
    assert vault_keys.missing(dsn, under(NEW)) == []
    renewed = Vault(pool, [NEW], b"salt", StoppedClock())
    assert renewed.contact("c1") == CONTACT
    assert renewed.contact("c3") == replace(CONTACT, customer_ref="c3")
    assert renewed.unseal("c1", sealed, "text") == b"words"
    with pytest.raises(Erased):
        renewed.seal("c2", b"words", "text")
    # Who opted out is found as before, though this was noted under the first key.
    assert renewed.address_hash(CANARY) == hashed
    assert Channel.SMS in renewed.facts("c3").opted_out
    # A process that was left behind stops instead of wrapping under what is gone.
    with pytest.raises(KeyMissing, match=vault_keys.key_id(NEW)):
        Vault(pool, [OLD], b"salt", StoppedClock()).keep(replace(CONTACT, customer_ref="c4"))
    assert rekey(dsn=dsn, key=under(OLD)) == 2
    assert vault_keys.key_id(NEW) in capsys.readouterr().err


def test_a_vault_of_before_the_list_is_renewed_too_whatever_the_order_of_its_keys(
    dsn: str, pool: ConnectionPool, vault: Vault
) -> None:
    vault.keep(CONTACT)
    hashed = vault.address_hash(CANARY)
    with pool.connection() as connection:
        connection.execute("UPDATE customers SET key_id = NULL")
        connection.execute("DELETE FROM vault_keys")
    (said,) = vault_keys.missing(dsn, under(NEW))
    assert "no key of SAVELINE_VAULT_KEY opens what is kept" in said
    assert Vault(pool, [NEW, OLD], b"salt", StoppedClock()).address_hash(CANARY) == hashed
    assert rekey(dsn=dsn, key=under(OLD, NEW)) == 0
    renewed = Vault(pool, [NEW], b"salt", StoppedClock())
    assert renewed.contact("c1") == CONTACT
    assert renewed.address_hash(CANARY) == hashed


def test_a_key_that_somebody_wraps_under_meanwhile_is_not_taken_off_the_list(
    dsn: str, pool: ConnectionPool, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.keep(CONTACT)
    # Its bites have passed by this customer when he comes.
    monkeypatch.setattr(vault_keys, "_bite", lambda *_: [])
    assert rekey(dsn=dsn, key=under(OLD, NEW)) == 1
    monkeypatch.undo()
    assert rekey(dsn=dsn, key=under(OLD, NEW)) == 0


@pytest.mark.parametrize("wrong", ["", "short", under(OLD) + ",", under(OLD, OLD), under(b"m" * 16)])
def test_a_ring_is_made_of_different_whole_keys(wrong: str) -> None:
    with pytest.raises(ValueError, match="32 bytes in base64, or several of them"):
        vault_keys.ring_of(wrong)
