"""English: how wishes, topics and persons sound."""

import re

from state.understand.cues import Cues


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(alternatives) + r")\b")


_NUMBER = r"(\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
_SAME_NUMBER = _NUMBER.replace("(", "(?:", 1)
_PIECES = r"(?: (?:packs?|packets?|pieces?|units?|lots?|loaf|loaves|bottles?|tins?|cans?|box|boxes|bags?|cartons?|jars?|tubs?|pots?|bunch|bunches))?"
# Of what, and what nobody means by it; anything else behind a number makes it another number: "just one second".
_SO_MANY = (
    _NUMBER
    + _PIECES
    + r"(?: of .+| not "
    + _SAME_NUMBER
    + r")?(?: (?:please|thanks|thank you|ta|cheers|then|love|mate|instead|actually|today|for me|for now|if i can|will do|is fine))*$"
)
_PIECES_WANTED = (
    r"(?:just|only|make (?:it|that)|(?:reduce|cut|change|drop|take) (?:it|that) (?:down )?to|down to) (?:the |a |need |want |take |have |get |like |about )*"
    + _SO_MANY,
    r"(?:ill (?:just |only )?(?:take|have)|give me|i(?:d)? (?:just |only )?(?:want|need|like)|(?:can|could) i (?:just |only )?(?:have|get|take)) (?:just |only )?(?:the )?"
    + _SO_MANY,
    _NUMBER + r" of (?:them|those|these|it|each)",
    _NUMBER + _PIECES + r" (?:is|are|would be|will be|should be) (?:enough|plenty)",
)

CUES = Cues(
    wishes={
        "usual": _any(r"(?:the|my) usual", r"what i (?:normally|usually|always) (?:get|have|buy|order)", r"same as (?:always|usual|last time|normal)"),
        "cheaper": _any(r"cheap(?:er|est)?", r"less (?:expensive|money|pricey)", r"lower price", r"too (?:dear|expensive|pricey|much)", r"cost(?:s)? less", r"(?:on|in) offer", r"reduced"),
        "dearer": _any(r"dearer", r"more expensive", r"better quality", r"premium", r"posher", r"nicer one"),
        "bigger": _any(r"bigger", r"larger", r"biggest", r"largest", r"big(?: one)?", r"large(?: one)?", r"too small", r"more in it"),
        "smaller": _any(r"smaller", r"smallest", r"littler", r"small one", r"too (?:big|large|much of it)", r"less in it"),
        "fewer": _any(r"fewer", *_PIECES_WANTED, r"not (?:so|that|as) many", r"less of (?:them|those)"),
        "other_brand": _any(r"(?:other|another|different|better) (?:brand|make|one|kind|type)s?", r"own brand", r"any other brands?", r"(?:dont|do not) like (?:that|this|the) brand"),
        "more": _any(r"what else", r"anything else", r"(?:any|the) others?", r"other (?:options|choices|ones)", r"more (?:options|choices)", r"something else", r"what other", r"more"),
    },
    topics={
        "scam": _any(r"scam", r"fraud", r"genuine", r"legit\w*", r"con artist", r"is this real", r"know this is real", r"phishing", r"trust (?:you|this)", r"prove"),
        "machine": _any(r"(?:a )?(?:machine|robot|bot|computer|ai|recording|real person|human)", r"automated", r"are you real"),
        "recording": _any(r"record(?:ed|ing)?", r"listening in", r"taped"),
        "allergens": _any(r"allerg\w*", r"contain\w*", r"nuts?", r"peanuts?", r"gluten", r"dairy", r"lactose", r"soya?", r"eggs?", r"sesame", r"ingredients?", r"vegan", r"vegetarian", r"whats in (?:it|them|that)", r"halal", r"kosher", r"safe"),
        "refund": _any(r"refund", r"money back", r"credited"),
        "why": _any(r"why", r"how come", r"what happened", r"reason", r"what(?:s| is) (?:this|it) about", r"out of stock"),
        "who": _any(r"who(?:s| is| are)?", r"what company", r"which (?:company|shop|store)", r"what (?:shop|store)", r"where are you (?:calling|ringing|phoning) from", r"my number"),
        "size": _any(r"size", r"how (?:big|large|heavy|many)", r"weigh\w*", r"grams?", r"litres?", r"weight"),
        "price": _any(r"price", r"how much", r"cost\w*", r"total", r"charged?", r"pay", r"expensive", r"difference", r"cheaper"),
        "options": _any(r"options?", r"choices?", r"alternatives?", r"what (?:else|other|have you got|do you have)", r"whats available", r"which ones?"),
    },
    parties={
        "relay": _any(r"relay", r"typetalk", r"interpret\w*", r"deaf person", r"captioned"),
        "child": _any(r"im (?:only |just )?(?:a kid|a child|" + _NUMBER + r"(?: years old)?$|" + _NUMBER + r" years old)", r"my (?:mummy|mommy|daddy)", r"the babysitter", r"mummy(?:s)?", r"daddy(?:s)?"),
        "wrong_number": _any(r"wrong (?:number|person|house|family|guy|man|woman)", r"(?:nobody|no one) (?:by|of|with|called)", r"(?:doesnt|dont|does not|no longer) (?:live|work)s?", r"(?:havent|have not|didnt|did not|never) (?:ordered|order|placed|bought|made)", r"never heard of", r"not (?:me|my order|her|him)", r"moved out", r"died", r"passed away", r"dont (?:shop|have an account|know (?:her|him|them|anyone))"),
        "household": _any(r"(?:this is|im|i am|its|speaking to) (?:her|his|their|the) (?:son|daughter|husband|wife|mother|father|carer|partner|mum|dad|brother|sister|flatmate|housemate|roommate|assistant|nanny)"),
        "absent": _any(r"(?:isnt|is not|s not|not) (?:here|in|home|at home|available|around)", r"(?:out|away|asleep|at work|upstairs|in the (?:shower|bath|garden))", r"gone out", r"cant come to the phone"),
    },
    speaking=_any(r"speaking", r"(?:thats|this is|its|it is|that is) (?:me|she|he|him|her)", r"you(?:ve| have)? (?:got|found) me", r"i am$", r"yes i am", r"thats right"),
    quantity=_any(*_PIECES_WANTED),
    screens=_any(r"(?:your|the) (?:name|reason)", r"whos? (?:is )?calling", r"screen\w*", r"what its about", r"why youre calling", r"reason for (?:calling|your call)", r"call assistant", r"stay on the line"),
    seeks=_any(r"anything", r"something", r"any", r"got", r"have you", r"(?:do|dont) you (?:have|do)", r"(?:is|are|isnt|arent) there", r"can i", r"could i", r"what (?:else|other)", r"show me", r"give me", r"prefer", r"want", r"too (?:dear|big|small|expensive|much)", r"other (?:options|choices|brands?)", r"the usual"),
    goes_back=_any(r"go back", r"chang(?:e|ed) my mind", r"change (?:the|my) (?:first|last|previous|other) one", r"(?:the )?previous one", r"undo (?:that|it)", r"actually (?:can i )?change (?:the|that|it)", r"about the (?:first|last|other) one"),
    holds_on=_any(r"hang on", r"hold on", r"(?:one|a|two|just a) (?:second|sec|secs|seconds|moment|minute|min|mo|tick)", r"bear with me", r"wait", r"let me (?:think|see|check|ask|get|find|look)", r"give me (?:a|one|two)", r"im thinking", r"two (?:seconds|ticks|minutes|mins)"),
    refuses_recording=_any(r"(?:dont|do not|stop|no|not|without|object to|turn off|switch off) (?:be |being |the |this |want to be |me |any )*(?:record\w*|tap(?:e|ed|ing))", r"dont (?:want|like) (?:to be |being |this |it )*record\w*"),
    letters={w: str(n) for n, w in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])} | {"oh": "0", "o": "0", "nought": "0", "double": "", "to": "2", "too": "2", "for": "4", "ate": "8", "won": "1"} | {w: w[0] for w in ["alpha", "alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "juliett", "kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "xray", "yankee", "zulu"]} | {"ay": "a", "bee": "b", "be": "b", "see": "c", "sea": "c", "dee": "d", "ee": "e", "eff": "f", "gee": "g", "aitch": "h", "eye": "i", "jay": "j", "kay": "k", "ell": "l", "em": "m", "en": "n", "pee": "p", "queue": "q", "are": "r", "ess": "s", "tea": "t", "tee": "t", "you": "u", "vee": "v", "ex": "x", "why": "y", "zed": "z", "zee": "z"},
)  # fmt: skip
