"""What the pinned policy says about one command, and the parcel that comes of it."""

from collections.abc import Callable

from connectors.channels.parcel import Parcel
from connectors.checks import Addresses, Limits
from connectors.clock import Clock
from connectors.wording import Wording
from schemas.commands import ChannelCommand
from schemas.words import EvidencePart
from state.policy import Policy, SmsAmbiguous


class Terms:
    """`policy_of` reads a policy by its key `id@version`; `shown` leaves out of a command what is blocked."""

    def __init__(
        self,
        policy_of: Callable[[str], Policy],
        wording: Wording,
        addresses: Addresses,
        clock: Clock,
        shown: Callable[[ChannelCommand], ChannelCommand],
    ) -> None:
        self._policy_of, self._wording, self._addresses, self._clock = policy_of, wording, addresses, clock
        self._shown = shown

    def limits(self, command: ChannelCommand) -> Limits:
        policy = self._policy_of(command.policy)
        return Limits(
            caps=policy.caps,
            quiet=policy.quiet,
            repeat_after_list=policy.sms_ambiguous is SmsAmbiguous.REPEAT_AFTER_LIST,
        )

    def may_repeat(self, command: ChannelCommand) -> bool:
        return self.limits(command).repeat_after_list

    def days_for(self, policy: str, part: EvidencePart) -> int:
        return self._policy_of(policy).retention.evidence_days.get(part, 1)

    def address_of(self, command: ChannelCommand) -> str | None:
        address = self._addresses(command.customer_ref, command.channel)
        return address.to if address else None

    def parcel(self, command: ChannelCommand, to: str) -> Parcel:
        address = self._addresses(command.customer_ref, command.channel)
        zones = command.zones or (address.zones if address else ())
        until = command.respond_by_at or command.not_after_at
        return Parcel(
            command_id=command.command_id,
            order_id=command.order_id,
            channel=command.channel,
            purpose=command.purpose,
            to=to,
            text=self._wording(self._shown(command), zones[0] if zones else "UTC"),
            valid_s=max(1, int((until - self._clock.now()).total_seconds())),
            silent=command.silent,
            locale=command.locale,
        )
