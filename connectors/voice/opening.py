"""How a call begins: whether it may be spoken at all, about which lines, and with which first words."""

from collections.abc import Callable

import msgspec
import structlog
from psycopg_pool import ConnectionPool

from connectors.blocks import without_blocked
from connectors.clock import Clock
from connectors.outbox import Connection
from connectors.vault import Vault
from connectors.voice import standing
from connectors.voice.lines import lines_of
from connectors.voice.sessions import Call
from schemas.commands import ChannelCommand
from schemas.facts import CustomerFacts
from schemas.words import Channel, EvidencePart, EvidencePath
from state.dialogue.events import Answered
from state.dialogue.hear import hear
from state.dialogue.script import ENGLISH, Script
from state.dialogue.session import Session, started
from state.policy import Policy

log = structlog.get_logger()


class House(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls. Without staff nobody is put through, and a link is sent instead."""

    retailer: str
    staff_available: bool = False


class Openings:
    """Reads only: whoever gets a call from here has to keep it before its words are spoken."""

    def __init__(
        self,
        house: House,
        *,
        pool: ConnectionPool[Connection],
        clock: Clock,
        vault: Vault,
        policy_of: Callable[[str], Policy | None],
    ) -> None:
        self._house, self._pool = house, pool
        self._clock, self._vault, self._policy_of = clock, vault, policy_of

    def script_of(self, session: Session) -> Script:
        """The words that a call began with; a policy is shipped until nothing uses it any more."""
        policy = self._policy_of(session.policy)
        return policy.call_scripts.get(session.script, ENGLISH) if policy else ENGLISH

    def of_command(self, command_id: str, sid: str) -> Call | None:
        """The call that a command asked for; None if it must not, or need not, be spoken any more."""
        with self._pool.connection() as connection:
            command = standing.command_of(connection, command_id)
        address = self._vault.address(command.customer_ref, Channel.VOICE) if command else None
        if command is None or address is None:
            return None
        with self._pool.connection() as connection:
            why = standing.objection(connection, command, address.hashed)
        if why:
            log.info("call_not_spoken", command_id=command_id, reason=why)
            return None
        session = self._with_lines(command, self._session(command, command_id), gifts=True)
        return self._opened(command, session, sid) if session is not None else None

    def _with_lines(self, command: ChannelCommand, session: Session, *, gifts: bool) -> Session | None:
        """With what is open of it now; None if nothing is."""
        with self._pool.connection() as connection:
            known = standing.cases_of(connection, command)
            cases = without_blocked(connection, command.cases)
        open_cases = [case for case in cases if standing.is_open(known.get(case.case_id))]
        until_at = command.respond_by_at or command.not_after_at
        lines = lines_of(open_cases, until_at, self._clock.now(), gifts=gifts)
        total = next((case.total.minor for case in open_cases if case.total), 0)
        return started(msgspec.structs.replace(session, lines=lines, total_minor=total)) if lines else None

    def _session(self, command: ChannelCommand, call_id: str) -> Session:
        contact = self._vault.contact(command.customer_ref)
        facts = self._vault.facts(command.customer_ref) if contact else CustomerFacts()
        gifts = any(case.gift for case in command.cases)
        policy = self._policy_of(command.policy)
        script = policy.call_script_for(command.script) if policy and command.script else ENGLISH
        return Session(
            call_id=call_id,
            script=script.key,
            policy=command.policy,
            locale=script.locale,
            retailer=self._house.retailer,
            lines=(),
            called=contact.name if contact else "",
            # Where a gift is among the lines, nobody decides but the buyer.
            delegate_known=facts.has_delegate and not gifts,
            staff_available=self._house.staff_available,
            recording_wanted=self._records(command.policy),
        )

    def _records(self, policy_key: str) -> bool:
        policy = self._policy_of(policy_key)
        wanted = policy.evidence.required.get(EvidencePath.VOICE, ()) if policy else ()
        return EvidencePart.RECORDING in wanted

    def of_caller(self, command: ChannelCommand, sid: str) -> Call | None:
        """The call of a customer about what they were contacted about; None if nothing of it is open."""
        # Whoever knows an order's number may be its recipient, who hears nothing of gifts.
        session = self._with_lines(command, self._session(command, sid), gifts=False)
        if session is None:
            return None
        tail = [character for character in command.order_id if character.isalnum()][-4:]
        session = msgspec.structs.replace(
            session, incoming=True, order_tail="".join(tail), delegate_known=False
        )
        return self._opened(command, session, sid)

    def _opened(self, command: ChannelCommand, session: Session, sid: str) -> Call:
        session, say = hear(session, Answered(), self.script_of(session))
        now = self._clock.now()
        return Call(
            call_id=session.call_id,
            command_id=command.command_id,
            order_id=command.order_id,
            conversation_id=command.conversation_id,
            customer_ref=command.customer_ref,
            provider_id=sid,
            incoming=session.incoming,
            session=session,
            say=say,
            started_at=now,
            spoken_at=now,
        )
