"""One turn under way: it gathers words, facts and the next stage, and ends as a session and what to say."""

import re
from decimal import Decimal
from typing import Any, Literal

import msgspec
from babel.numbers import format_currency, get_currency_precision

from state.dialogue.events import Ended, Outcome, Presented, Say
from state.dialogue.moves import Cause, moved
from state.dialogue.script import Script
from state.dialogue.session import OFFERED_MAX, REFUND, Session, Stage
from state.understand import Offer

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
WAIT_MS = 6_000
# A relay operator types what we say and reads what is typed back.
RELAY_WAIT_MS = 60_000
HOLD_WAIT_MS = 20_000


class Turn:
    """Mutable for the length of one `hear`, and known to nobody else."""

    def __init__(self, session: Session, script: Script) -> None:
        self.session = session
        self._script = script
        self._texts: list[str] = []
        self._prompts: list[str] = []
        self._outcomes: list[Outcome] = []
        self._ending: Literal["", "hang_up", "transfer"] = ""
        self._record: Literal["", "start", "stop"] = ""
        self._holds = False

    def change(self, **fields: Any) -> None:
        self.session = msgspec.structs.replace(self.session, **fields)

    def move(self, cause: Cause, **fields: Any) -> None:
        self.session = msgspec.structs.replace(moved(self.session, cause), **fields)

    def say(self, prompt: str, **values: object) -> None:
        """Add a text of the script. Values are put in once: a product's name cannot name a placeholder."""
        filled = {"retailer": self.session.retailer, **{k: str(v) for k, v in values.items()}}
        text = _PLACEHOLDER.sub(lambda m: filled.get(m[1], ""), self._script.texts[prompt])
        # Without a size or a note its commas would be heard as a pause.
        self._texts.append(re.sub(r"\s+", " ", re.sub(r",\s*(?=[,;.])", "", text)).strip())
        self._prompts.append(prompt)

    def say_again(self) -> None:
        self._texts.append(self.session.last)
        self._prompts.append("again")

    def text(self, prompt: str, **values: object) -> str:
        """A text to be put into another."""
        aside = Turn(self.session, self._script)
        aside.say(prompt, **values)
        self._prompts.append(prompt)
        return aside._texts[0]

    def bring(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)

    def record(self, what: Literal["start", "stop"]) -> None:
        self._record = what

    def hold(self) -> None:
        """Bear a longer silence after these words."""
        self._holds = True

    def end(
        self,
        cause: Cause,
        why: Literal["settled", "hung_up", "no_answer", "other"] = "other",
        ending: Literal["hang_up", "transfer"] = "hang_up",
    ) -> None:
        """The call ends with the words of this turn; what is not committed stays open."""
        self.move(cause)
        self._ending = ending
        self.bring(Ended(why, tuple(self.session.lines[i].case_id for i in self.session.open_lines)))

    def money(self, minor: int, currency: str) -> str:
        amount = Decimal(minor).scaleb(-get_currency_precision(currency))
        return format_currency(amount, currency, locale=self.session.locale.replace("-", "_"))

    def done(self) -> tuple[Session, Say]:
        text = " ".join(filter(None, self._texts))
        # "Say it again" must not gather a longer and longer answer.
        if text and "again" not in self._prompts and not self._holds:
            self.change(last=text)
        session = self.session
        wait_ms = RELAY_WAIT_MS if session.relay else HOLD_WAIT_MS if self._holds else WAIT_MS
        return session, Say(
            text=text,
            script=session.script,
            prompts=tuple(self._prompts),
            outcomes=tuple(self._outcomes),
            ending=self._ending,
            wait_ms=wait_ms,
            private=session.stage is Stage.CODE,
            record=self._record,
            keys_max=4 if session.stage is Stage.CODE else 1,
            hints=self._hints(),
        )

    def _hints(self) -> tuple[str, ...]:
        """Words that a recogniser should expect."""
        session = self.session
        if session.stage is Stage.CHOICE:
            brands = dict.fromkeys(o.brand for o in session.offered if o.brand)
            return (*brands, "one", "two", "three", "refund", "cheaper", "repeat", "person")
        return ("yes", "no") if session.stage in (Stage.PERSON, Stage.READBACK) else ()

    def present(self, shown: tuple[int, ...] | None = None) -> None:
        """Read out the options of the line; a line without any goes straight to the readback of a refund."""
        line = self.session.line
        picked = (self.session.available if shown is None else shown)[:OFFERED_MAX]
        self.change(shown=picked, heard_out=True, essential_chars=0)
        if not picked:
            self.say(
                "line_refund_only" if line.kind == "item" else "line_delivery_refund_only", item=line.item
            )
            if line.refund_allowed:
                self.read_back(REFUND)
            return
        self.bring(Presented(line.case_id, tuple(o.option_id for o in self.session.offered)))
        spoken = " ".join(self._option(n, at) for n, at in enumerate(picked, 1))
        name = f"line_{line.kind}" if line.refund_allowed else f"line_{line.kind}_no_refund"
        self.say(name, item=line.item, options=spoken)
        self.say("one_option_hint" if len(picked) == 1 else "options_hint")

    def _option(self, n: int, at: int) -> str:
        option = self.session.line.options[at]
        if not option.price_minor:
            return self.text("option_plain", n=n, name=option.name, note=option.note)
        currency = self.session.line.currency
        return self.text(
            "option" if self.session.line.quantity == 1 else "option_each",
            n=n,
            name=option.name,
            size=option.size,
            note=option.note,
            price=self.money(option.price_minor, currency),
            total=self.money(self.session.total_with(at), currency),
        )

    def read_back(self, option: int, quantity: int = 0) -> None:
        """Say exactly what would be decided, and wait for an explicit yes. Nothing is decided yet."""
        self.move(Cause.CHOSEN, pending=option, quantity=quantity, heard_out=True)
        before = len(" ".join(filter(None, self._texts)))
        self._say_readback(option)
        text = " ".join(filter(None, self._texts))
        total = self.money(self.session.total_with(option), self.session.line.currency)
        stated = text.find(total, before)
        # A yes counts only if the total was heard, or the whole where nothing costs anything.
        self.change(said_back=text, essential_chars=stated if stated > 0 else len(text) * 2 // 3)

    def _say_readback(self, option: int) -> None:
        line, wanted = self.session.line, self.session.wanted
        if option == REFUND and line.kind == "delivery":
            self.say("readback_delivery_refund", item=line.item)
            return
        if option == REFUND:
            total = self.money(self.session.total_with(REFUND), line.currency)
            self.say("readback_refund", quantity=_counted(line.quantity), item=line.item, total=total)
            return
        taken = line.options[option]
        if line.kind == "delivery":
            self.say("readback_delivery", item=line.item, name=taken.name)
            return
        self.say(
            "readback" if wanted == line.quantity else "readback_fewer",
            quantity=_counted(line.quantity, wanted),
            rest=line.quantity - wanted,
            name=taken.name,
            size=taken.size,
            item=line.item,
            price=self.money(taken.price_minor * wanted, line.currency),
            total=self.money(self.session.total_with(option), line.currency),
        )


def _counted(of: int, taken: int | None = None) -> str:
    """How many, where there is more than one to take: what goes as a whole names its own number, if it has one."""
    return "" if of == 1 else str(of if taken is None else taken)


def offers(session: Session) -> tuple[Offer, ...]:
    """The options behind the keys, as understanding sees them."""
    return tuple(Offer(n, o.name, o.price_minor, o.size, o.brand) for n, o in enumerate(session.offered, 1))
