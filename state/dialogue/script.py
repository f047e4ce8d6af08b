"""The words of a call, as data: which texts there are, what each may and must name, and English to start from."""

import re
from collections.abc import Mapping

import msgspec

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class Prompt(msgspec.Struct, frozen=True):
    """One text: the placeholders that it may use, and those without which it would not be true or complete."""

    english: str
    may: frozenset[str] = frozenset()
    must: frozenset[str] = frozenset()


def _prompt(english: str, may: str = "", must: str = "") -> Prompt:
    required = frozenset(must.split())
    return Prompt(english, frozenset(may.split()) | required | {"retailer"}, required)


PROMPTS: Mapping[str, Prompt] = {
    "greeting": _prompt(
        "Hello, this is {retailer}. I am an automated assistant, an AI voice, calling about an order. {recording} "
        "Am I speaking with {called}? Say yes, or press 1.",
        must="retailer recording called",
    ),
    "greeting_unnamed": _prompt(
        "Hello, this is {retailer}. I am an automated assistant, an AI voice, calling about an order. {recording} "
        "Am I speaking with the person who placed it? Say yes, or press 1.",
        must="retailer recording",
    ),
    "recording_notice": _prompt("This call will be recorded; say 'don't record' if you object."),
    "greeting_again": _prompt(
        "This is {retailer}, about an order. Am I speaking with the person who placed it? Say yes or press 1, say no "
        "or press 2.",
        must="retailer",
    ),
    "incoming": _prompt(
        "Hello, this is {retailer}. I am an automated assistant, an AI voice. {recording} "
        "Please say or type the last four characters of your order number.",
        must="retailer recording",
    ),
    "code_again": _prompt(
        "That does not match. Please say or type the last four characters of your order number."
    ),
    "code_failed": _prompt("I am sorry, I cannot find that order. Please use our app or website. Goodbye."),
    "nothing_open": _prompt("Nothing about your order needs an answer right now. Thank you, goodbye."),
    "who_else": _prompt(
        "I am sorry. Is this the wrong number, or is the person not there at the moment? Press 1 for "
        "wrong number, 2 for not there."
    ),
    "wrong_number": _prompt("I am sorry, I have the wrong number, and will not call it again. Goodbye."),
    "absent": _prompt("Thank you. I will send a message instead. Goodbye."),
    "household": _prompt(
        "Thank you, but I may only discuss this with the person who placed the order. I will send a message. "
        "Goodbye."
    ),
    "child": _prompt("Please tell a grown-up that {retailer} called. Thank you, goodbye.", must="retailer"),
    "relay": _prompt("Thank you. I will wait as long as you need."),
    "voicemail": _prompt(
        "Hello, this is {retailer} with a question about your order. Please look at our message or app, or call "
        "us back. Goodbye.",
        must="retailer",
    ),
    "screener": _prompt(
        "This is {retailer}, an automated assistant, with a question about today's order.", must="retailer"
    ),
    "line_item": _prompt("{item} is not available. {options} Or 0 for a refund.", must="item options"),
    "line_item_no_refund": _prompt("{item} is not available. {options}", must="item options"),
    "line_refund_only": _prompt("{item} is not available, and I have nothing similar.", must="item"),
    "line_delivery": _prompt("About {item}: {options} Or 0 to cancel it and not pay.", must="item options"),
    "line_delivery_no_refund": _prompt("About {item}: {options}", must="item options"),
    "line_delivery_refund_only": _prompt("About {item}: there is no other way to deliver it.", must="item"),
    "option": _prompt(
        "{n}: {name}, {size}, for {price}; new total {total}.", may="size note", must="n name price total"
    ),
    "option_each": _prompt(
        "{n}: {name}, {size}, for {price} each; new total {total}.",
        may="size note",
        must="n name price total",
    ),
    "option_plain": _prompt("{n}: {name}.", may="note", must="n name"),
    "one_option_hint": _prompt("Shall I take it? Say yes, or press 1."),
    "options_hint": _prompt("Say or press the number."),
    "next_line": _prompt("The next one."),
    "readback": _prompt(
        "So that is {quantity} {name}, {size}, instead of {item}, for {price}; your new total is {total}. Say yes or "
        "press 1; say no or press 2.",
        may="size",
        must="quantity name item price total",
    ),
    "readback_fewer": _prompt(
        "So that is {quantity} {name}, {size}, and a refund for the other {rest}, instead of {item}, for {price}; your "
        "new total is {total}. Say yes or press 1; say no or press 2.",
        may="size",
        must="quantity rest name item price total",
    ),
    "readback_refund": _prompt(
        "So I take {quantity} {item} off and you do not pay for it; your new total is {total}. Say yes or press 1; say "
        "no or press 2.",
        must="quantity item total",
    ),
    "readback_delivery": _prompt(
        "So for {item}: {name}. Say yes or press 1; say no or press 2.", must="item name"
    ),
    "readback_delivery_refund": _prompt(
        "So, about {item}: it is cancelled, and you do not pay for it. Say yes or press 1; say no or press 2.",
        must="item",
    ),
    "none_then": _prompt("All right, none of these."),
    "noted": _prompt("Noted, thank you."),
    "closing": _prompt(
        "That is all. We pass it on now, and you get a confirmation by message. Goodbye.",
    ),
    "no_refund": _prompt(
        "I am sorry, {retailer} does not offer a refund for this one. Say 'person' and a colleague can look at it."
    ),
    "which_one": _prompt("Which one would you like?"),
    "which_for": _prompt("{quantity} of which one?", must="quantity"),
    "too_many": _prompt("I can offer at most {quantity}.", must="quantity"),
    "quantity_unknown": _prompt(
        "I cannot split that one; it is all {quantity} or a refund.", must="quantity"
    ),
    "not_offered": _prompt("That is not one of the choices."),
    "no_more": _prompt("Those are all that I have."),
    "none_such": _prompt("I have nothing like that."),
    "cheaper_smaller": _prompt("This costs less, but it holds less for the money."),
    "usual_unknown": _prompt("I do not know what you usually take."),
    "take_your_time": _prompt("Take your time."),
    "back": _prompt("Of course, we go back."),
    "option_gone": _prompt("I am sorry, that one has just run out."),
    "line_decided": _prompt("{item} has just been settled by another message.", must="item"),
    "line_withdrawn": _prompt("Good news: {item} is available after all.", must="item"),
    "line_expired": _prompt("I am sorry, it is too late now to change {item}.", must="item"),
    "answer_who": _prompt(
        "I am the automated assistant of {retailer}, calling about your order.", must="retailer"
    ),
    "answer_machine": _prompt("Yes, I am an AI voice. Say 'person' if you would rather talk to someone."),
    "answer_scam": _prompt(
        "You are right to ask. You can hang up and use our app instead. I never ask for a card, a password or a code."
    ),
    "answer_recording": _prompt("Say 'don't record' and I go on without recording."),
    "answer_why": _prompt("It was not there when your order was picked."),
    "answer_why_private": _prompt("It is about an order; I may only say more to the person who placed it."),
    "answer_why_delivery": _prompt("Something stands in the way of the delivery."),
    "answer_price": _prompt("{name} is {price}; your new total would be {total}.", must="name price total"),
    "answer_free": _prompt("It costs nothing extra."),
    "answer_size": _prompt("{name}: {size}.", must="name size"),
    "answer_size_unknown": _prompt("I have no size for {name}.", must="name"),
    "answer_allergens": _prompt(
        "For {name} the product data lists: {allergens}. Please check the label.", must="name allergens"
    ),
    "answer_allergens_none": _prompt(
        "For {name} the product data lists no allergen. Please check the label.", must="name"
    ),
    "answer_allergens_unknown": _prompt(
        "I have no allergen data for {name}, so I cannot say that it is safe.", must="name"
    ),
    "answer_refund": _prompt("A refund goes back to the way you paid."),
    "answer_unknown": _prompt("I cannot answer that. Say 'person' and a colleague can."),
    "recording_off": _prompt("All right, I go on without recording."),
    "sorry": _prompt("Sorry, I did not understand."),
    "still_there": _prompt("Are you still there?"),
    "use_keys": _prompt("Let us use the keys."),
    "keys_choice": _prompt("Press the number of your choice, 9 for a person, star to hear it again."),
    "yes_or_one": _prompt("Please say yes or press 1, say no or press 2."),
    "handoff": _prompt("I put you through to a colleague, who knows what we have said so far."),
    "no_staff": _prompt("No colleague is free now. I send you a message with a link instead. Goodbye."),
    "send_link": _prompt("I am sorry that this does not work. I send you a message with a link. Goodbye."),
    "later": _prompt(
        "All right. We try again if there is time before the deadline; you can also answer our message. Goodbye."
    ),
    "optout": _prompt(
        "We will not call or text you about orders any more. Your order stays as it is. Goodbye."
    ),
    "goodbye": _prompt("Goodbye."),
    "no_answer": _prompt("I cannot hear you, so I send a message instead. Goodbye."),
}


class Script(msgspec.Struct, frozen=True):
    """The words of one locale. `version` is kept with everything that was said by it."""

    locale: str
    version: str
    texts: Mapping[str, str]

    @property
    def key(self) -> str:
        return f"{self.locale}/{self.version}"


def faults(texts: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with the texts of a script: nothing may be said before this is empty."""
    found = [f"{key}: is missing" for key in PROMPTS if not texts.get(key, "").strip()]
    found += [f"{key}: no call says this" for key in texts if key not in PROMPTS]
    for key, text in texts.items():
        prompt = PROMPTS.get(key)
        if prompt is None or not text.strip():
            continue
        used = set(_PLACEHOLDER.findall(text))
        found += [f"{key}: unknown placeholder {{{name}}}" for name in sorted(used - prompt.may)]
        found += [f"{key}: does not name {{{name}}}" for name in sorted(prompt.must - used)]
        if text.count("{") != len(_PLACEHOLDER.findall(text)) or text.count("}") != text.count("{"):
            found.append(f"{key}: a brace is not closed")
    return found


def script(locale: str, version: str, texts: Mapping[str, str]) -> Script:
    """A script that is whole, or `ValueError` naming all its faults."""
    found = faults(texts)
    if found:
        raise ValueError("; ".join(found))
    return Script(locale, version, dict(texts))


ENGLISH = script("en-GB", "1", {key: prompt.english for key, prompt in PROMPTS.items()})
