"""What is chosen for a case before it becomes a decision: by a customer, by the policy's default, by upstream's."""

import msgspec

from schemas.facts import Chosen
from schemas.words import Actor, Channel, Kind, OptionKind, Resolution, UpstreamDefault
from state.admissible import Candidate, admissible, question
from state.conversation import Case
from state.gate import Pricing, may_be_default
from state.pricing import replacements
from state.turn import Turn

BY_OPTION_KIND = {
    OptionKind.REDELIVER: Resolution.REDELIVER,
    OptionKind.SAFE_PLACE: Resolution.INSTRUCTIONS,
    OptionKind.NEIGHBOUR: Resolution.INSTRUCTIONS,
    OptionKind.LOCKER: Resolution.INSTRUCTIONS,
    OptionKind.INSTRUCTIONS: Resolution.INSTRUCTIONS,
    OptionKind.ADDRESS_CHANGE: Resolution.INSTRUCTIONS,
    OptionKind.PICKUP: Resolution.PICKUP,
    OptionKind.RETURN: Resolution.RETURNED,
    OptionKind.REFUND: Resolution.REFUNDED,
}
_BY_UPSTREAM = {
    UpstreamDefault.CANCEL_LINE: Resolution.REFUNDED,
    UpstreamDefault.AUTO_SUBSTITUTE: Resolution.SUBSTITUTED,
    UpstreamDefault.CANCEL_ORDER: Resolution.CANCEL_ORDER,
    UpstreamDefault.RETURN_TO_DEPOT: Resolution.RETURNED,
    UpstreamDefault.UNKNOWN: Resolution.REFUNDED,
}
# After an attempt at the door the money has been taken; before it, the line is just not charged.
PAID_KINDS = frozenset({Kind.REFUSED_AT_DOOR})


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen for a case, before it is made a decision; quantities already add up."""

    resolution: Resolution
    keep_quantity: int = 0
    chosen: tuple[Chosen, ...] = ()
    refund_quantity: int = 0
    actor: Actor
    channel: Channel = Channel.UNKNOWN
    absorbed_minor: int = 0
    fee_minor: int = 0
    readback: str = ""
    response_id: str = ""
    reference: str = ""


def refund(case: Case, actor: Actor, resolution: Resolution = Resolution.REFUNDED) -> Choice:
    """What cannot be had is not charged; what there is, is kept."""
    line = case.exception.line
    if line is None:
        return Choice(resolution=resolution, actor=actor)
    return Choice(
        resolution=resolution,
        keep_quantity=line.quantity_available,
        refund_quantity=case.quantity_short,
        actor=actor,
    )


def substitute(case: Case, candidate: Candidate, actor: Actor) -> Choice:
    """All that is missing is replaced by one option, without asking."""
    line, option, verdict = case.exception.line, candidate.option, candidate.verdict
    short = case.quantity_short
    chosen = Chosen(option_id=option.option_id, quantity=short, components=replacements(option, short, short))
    return Choice(
        resolution=Resolution.SUBSTITUTED,
        keep_quantity=line.quantity_available if line is not None else 0,
        chosen=(chosen,),
        actor=actor,
        absorbed_minor=verdict.dearer_minor if verdict.pricing is Pricing.OLD_PRICE else 0,
    )


def by_default(turn: Turn, case: Case) -> Choice | None:
    """What happens where nobody answers; None where neither a substitute nor a refund is allowed."""
    exception, policy = case.exception, turn.policy_of(case)
    permitted = turn.conversation.facts.substitute_by_default and case.round <= policy.options.rounds_max
    if permitted and exception.kind is not Kind.RECALLED:
        asked = question(turn, case, case.quantity_short)
        for candidate in admissible(turn, case)[0]:
            if may_be_default(candidate.option, asked):
                return substitute(case, candidate, Actor.DEFAULT)
    wanted = policy.default.resolution
    if wanted is Resolution.REFUNDED and not exception.refund_allowed:
        # Then only what upstream would do by itself: never a substitute that nobody permitted, and no money back. A
        # line that upstream cancels before it was paid for is just not charged.
        if exception.upstream_default in (UpstreamDefault.AUTO_SUBSTITUTE, UpstreamDefault.UNKNOWN):
            return None
        wanted = _BY_UPSTREAM[exception.upstream_default]
        if wanted is Resolution.REFUNDED and exception.kind in PAID_KINDS:
            return None
    return refund(case, Actor.DEFAULT, wanted)


def by_upstream(turn: Turn, case: Case) -> Choice:
    """What would have happened without us."""
    wanted = _BY_UPSTREAM[case.exception.upstream_default]
    if wanted is not Resolution.SUBSTITUTED:
        return refund(case, Actor.DEFAULT, wanted)
    for candidate in admissible(turn, case)[0]:
        if candidate.verdict.pricing is Pricing.NOT_DEARER and candidate.option.kind is OptionKind.SUBSTITUTE:
            return substitute(case, candidate, Actor.DEFAULT)
    return refund(case, Actor.DEFAULT)
