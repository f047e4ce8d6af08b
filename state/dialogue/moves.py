"""The law of a call: which cause leads from which stage to which. Nothing moves but by this table."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from state.dialogue.session import Session, Stage


class Cause(StrEnum):
    PICKED_UP = "picked up"
    CALLED_US = "called us"
    SCREENER = "screener"
    MACHINE = "voicemail or fax"
    RIGHT_PERSON = "right person"
    SOMEBODY_ELSE = "somebody else"
    NOT_THEM = "wrong number, absent or child"
    CODE_RIGHT = "code is right"
    CODE_FAILED = "code wrong 3 times"
    CHOSEN = "chose or refused all"
    REFUSED = "no to the readback"
    COMMITTED = "yes or key 1, next line"
    SETTLED = "yes or key 1, last line"
    NOTHING_OPEN = "nothing open any more"
    STAY = "asked, wished or not understood"
    BACK = "changed their mind"
    GAVE_UP = "4 failures or too long"
    PERSON_WANTED = "wants a person"
    OPTED_OUT = "opted out"
    LATER = "call later"
    HUNG_UP = "hung up"


_LISTENING = (Stage.PERSON, Stage.WHO, Stage.CODE, Stage.SCREENED, Stage.CHOICE, Stage.READBACK)

MOVES: Mapping[tuple[Stage, Cause], Stage] = {
    (Stage.DIALLED, Cause.PICKED_UP): Stage.PERSON,
    (Stage.DIALLED, Cause.CALLED_US): Stage.CODE,
    (Stage.PERSON, Cause.RIGHT_PERSON): Stage.CHOICE,
    (Stage.PERSON, Cause.SOMEBODY_ELSE): Stage.WHO,
    (Stage.CHOICE, Cause.SOMEBODY_ELSE): Stage.WHO,
    (Stage.READBACK, Cause.SOMEBODY_ELSE): Stage.WHO,
    (Stage.WHO, Cause.RIGHT_PERSON): Stage.CHOICE,
    (Stage.PERSON, Cause.SCREENER): Stage.SCREENED,
    (Stage.SCREENED, Cause.PICKED_UP): Stage.PERSON,
    (Stage.CODE, Cause.CODE_RIGHT): Stage.CHOICE,
    (Stage.CODE, Cause.CODE_FAILED): Stage.ENDED,
    (Stage.CHOICE, Cause.CHOSEN): Stage.READBACK,
    (Stage.READBACK, Cause.CHOSEN): Stage.READBACK,
    (Stage.READBACK, Cause.REFUSED): Stage.CHOICE,
    (Stage.READBACK, Cause.COMMITTED): Stage.CHOICE,
    (Stage.READBACK, Cause.SETTLED): Stage.ENDED,
    (Stage.CHOICE, Cause.BACK): Stage.CHOICE,
    (Stage.READBACK, Cause.BACK): Stage.CHOICE,
    **{(stage, Cause.MACHINE): Stage.ENDED for stage in (Stage.DIALLED, *_LISTENING)},
    **{(stage, Cause.NOT_THEM): Stage.ENDED for stage in _LISTENING},
    **{(stage, Cause.NOTHING_OPEN): Stage.ENDED for stage in (Stage.DIALLED, *_LISTENING)},
    **{(stage, Cause.STAY): stage for stage in _LISTENING},
    **{(stage, Cause.GAVE_UP): Stage.ENDED for stage in _LISTENING},
    **{(stage, Cause.PERSON_WANTED): Stage.ENDED for stage in _LISTENING},
    **{(stage, Cause.OPTED_OUT): Stage.ENDED for stage in _LISTENING},
    **{(stage, Cause.LATER): Stage.ENDED for stage in _LISTENING},
    **{(stage, Cause.HUNG_UP): Stage.ENDED for stage in (Stage.DIALLED, *_LISTENING)},
}


def moved(session: Session, cause: Cause) -> Session:
    """The session in the stage that the law names. A move that the law does not know is a bug."""
    return msgspec.structs.replace(session, stage=MOVES[session.stage, cause])
