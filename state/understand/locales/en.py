"""English: numbers, units, extremes and farewells; what decides is in `data/grammar_en.txt`."""

import re

from state.understand.lexicon import Lexicon, grammar, spelling

_ORDINALS = {
    "first": 1, "1st": 1, "furst": 1, "forst": 1, "second": 2, "2nd": 2, "secound": 2, "secand": 2, "sekond": 2,
    "third": 3, "3rd": 3, "thurd": 3, "fourth": 4, "4th": 4, "fifth": 5, "last": -1, "middle": 0, "top": 1, "bottom": -1,
}  # fmt: skip

_EXTREMES: dict[str, tuple[str, bool]] = {
    **dict.fromkeys(("cheapest", "least expensive", "lowest price", "lowest priced", "cheepest", "chepest", "least pricey", "cheap one"), ("price-", False)),
    **dict.fromkeys(("cheaper", "less expensive", "lower price", "lower priced", "cheeper", "cheper", "less pricey"), ("price-", True)),
    **dict.fromkeys(("most expensive", "dearest", "priciest", "highest price", "expensive one"), ("price+", False)),
    **dict.fromkeys(("dearer", "more expensive", "pricier", "higher price"), ("price+", True)),
    **dict.fromkeys(("biggest", "largest", "bigest", "most rolls", "big one", "large one"), ("size+", False)),
    **dict.fromkeys(("bigger", "larger", "biger"), ("size+", True)),
    **dict.fromkeys(("smallest", "littlest", "smalest", "small one"), ("size-", False)),
    **dict.fromkeys(("smaller", "littler"), ("size-", True)),
}  # fmt: skip

_TEENS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"

_UNITS: dict[str, tuple[str, int]] = {
    **dict.fromkeys(("g", "gm", "gr", "gram", "grams", "gramme", "grammes"), ("mass", 1)),
    **dict.fromkeys(("kg", "kgs", "kilo", "kilos", "kilogram", "kilograms", "kilogramme"), ("mass", 1000)),
    **dict.fromkeys(("ml", "mil", "mils", "millilitre", "millilitres", "milliliters", "milliliter"), ("volume", 1)),
    **dict.fromkeys(("cl", "centilitre", "centilitres"), ("volume", 10)),
    **dict.fromkeys(("l", "lt", "ltr", "litre", "litres", "liter", "liters"), ("volume", 1000)),
    **dict.fromkeys(("%", "percent"), ("share", 1)),
    **dict.fromkeys(("pint", "pints", "pinter"), ("pint", 1)),
    **dict.fromkeys(
        ("pack", "packs", "pk", "pks", "pack of", "roll", "rolls", "piece", "pieces", "pc", "pcs", "ct", "count", "bag", "bags", "sheets", "eggs", "tablets", "tabs", "capsules", "pods", "bottles", "cans", "tins", "slices"),
        ("count", 1),
    ),
}  # fmt: skip

_CONTACT = r"(?:call|ring|phon|text|messag|contact|email|e mail|bother|harass|pester|bug|spam|disturb|sms|calng|caling|txt|msg|telephon|notif|dial|hassl|wast|annoy)\w*"
_CONTACT_NOW = r"(?:call|ring|phone|telephone|text|message|contact|email|bother|harass|pester|bug|spam|disturb|txt|msg)(?:ing)?"
_ME = r"(?:me|us|my|our|this|here|the)"
_PATTERNS = [
    rf"\b(?:stop|stp|sotp|stopp|quit|cease|halt|end|finish|enough of|enough with|pack in|knock off|give over) (?:\w+ ){{0,4}}{_CONTACT}\b",
    r"\b(?:stop|stp|quit|cease|end) (?:\w+ ){0,2}(?:sending|these|this|those|all this|it all)\b",
    rf"\b(?:dont|do not|donot|never|no longer|not to|didnt ask you to|wish you wouldnt|stop trying to|cant keep|not|please dont) (?:ever |you |dare |want you to |you ever |try to |keep |want you |ask you to |be |to |wish to |like ){{0,3}}(?:(?:be|being) {_CONTACT}|{_CONTACT_NOW}) (?:(?:\w+ ){{0,2}}(?:again|any ?more|ever|please|number|house)|{_ME})\b",
    rf"\b(?:dont|do not|never|no) (?:ever )?{_CONTACT} (?:again|any ?more|ever)\b",
    rf"\bno more (?:\w+ ){{0,2}}(?:{_CONTACT}|notifications)\b",
    r"\b(?:dont|do not|never|no longer|not|didnt) (?:ever )?(?:want|wanna|need|wish|like|interested in|agree|consent|ask)\w* (?:to )?(?:\w+ ){0,4}(?:calls?|texts?|messages?|phone calls|notifications|sms|contact|contacted|called|rung|phoned|telephoned|texted|emails?|hear from)\b",
    r"\bhear from (?:you|your company|you people|you lot) (?:again|any ?more|ever)\b",
    r"\b(?:take|remove|delete|erase|scrub|scratch|strike|get|wipe) (?:me|us|my|our|this|the|that)(?: \w+){0,4} (?:off|from|out of)\b.{0,30}\b(?:list|lists|records?|database|system|books?|file|files|calls?|marketing|contacts?)\b",
    r"\b(?:remove|delete|erase|lose|forget|block|bin|get rid of) (?:my|this|our|the) (?:phone |mobile |home |cell )?(?:number|details|contact|contacts|phone|data)\b",
    r"\b(?:remove|delete|erase) me\b",
    r"\btake (?:me|us) off\b",
    r"\b(?:do not|dont|no) (?:call|contact) (?:list|register)\b",
    r"\b(?:un ?subscri\w*|unsubcri\w*|unsuscri\w*|unsubsri\w*|opt(?:ing|ed)? ?(?:me |us |this number )?out|optout|stopall|stop all)\b",
    r"\b(?:withdraw|revoke|cancel) (?:\w+ ){0,2}(?:consent|permission|subscription|alerts?|texts?|messages?|calls?|notifications)\b",
    r"\b(?:leave|let) (?:me|us) (?:alone|be|in peace)\b",
    r"\b(?:lose|forget|bin) (?:my|this|our) number\b",
    r"\b(?:go away|get lost|bugger off|piss off|sod off|fuck off|f off|jog on|do one)\b",
    rf"\b(?:sick|tired|fed up|had enough) (?:to death )?(?:of|with) (?:\w+ ){{0,3}}{_CONTACT}\b",
    r"\b(?:blocking|reporting) (?:you|your number)\b",
    r"\b(?:please|just|oi|right|ok|okay|hey|yes|yeah|no|well|oh|um|now) stop(?: it| now| please| this)?$",
    r"^stop(?: it| now| please| this| that| thanks| thank you| stop| asap| immediately| mate)*$",
    rf"\b(?:thats|this is) the last {_CONTACT}\b",
    rf"\bnever want (?:\w+ ){{0,3}}{_CONTACT}\b",
    r"\b(?:dont|do not|never) (?:ever )?(?:use|keep|store|have) (?:my|this|our) (?:phone )?number\b",
    r"\byou (?:shouldnt|should not|cannot|cant|may not|must not|have no right to) (?:be )?(?:call|ring|phon|text|contact|messag)\w*\b",
    rf"\b(?:no|any|without|want no) (?:more |further |future |other ){{1,2}}(?:\w+ ){{0,2}}(?:{_CONTACT}|notifications|communications?)\b(?! (?:from the driver|until|before|after|about))",
    r"^(?:please |and |so )?no (?:more |further )?(?:phone |robo ?|robot |automated |cold |marketing )?(?:calls?|texts?|messages?|contact|sms|robocalls?)(?: please| thanks| thank you| anymore| any more)?$",
    # "I asked you not to ring", "make sure nobody calls me", "I'd rather you didn't".
    rf"\b(?:ask|asked|told|tell|said|warned|rather|prefer|sure|want|request|insist|demand|wish)\w* (?:\w+ ){{0,3}}(?:not to|nobody|no one|you not|not be|not|you didnt|you dont|you wouldnt|you stopped|never|no longer)(?: be| to be| ever)? {_CONTACT}\b",
    rf"\b(?:want|need|like|make) (?:this|these|it|that|them|those|all this|the)(?: {_CONTACT})? (?:to )?(?:stop|end|cease|be over|stopped)\b",
    rf"\bif (?:you|anyone|anybody) (?:ever )?{_CONTACT} (?:\w+ ){{0,2}}again\b",
    rf"\b{_CONTACT_NOW} (?:me|us|here) (?:one more time|again) (?:and|or|ill|i will)\b",
    r"\b(?:youre|you are|keep|this is|thats|stop) (?:spamming|harassing|harassment|spam|hounding|stalking|nuisance)\b",
    r"^(?:please |just |oi |pls |plz )?(?:dont|do not|never|no) (?:ever )?(?:(?:call|ring|phone|text|message|contact|txt)(?: me| us| here| this number| my number)?|(?:bother|disturb) (?:me|us))(?: please| thanks| ever)?$",
    r"\b(?:turn|switch|shut) (?:off |these |those |the |my |all |your |this )+(?:\w+ )?(?:notifications?|messages?|texts?|calls?|alerts?|sms|reminders?)(?: off)?\b",
    r"\b(?:disable|mute|deactivate|silence|end|cancel|block) (?:\w+ ){0,2}(?:notifications?|messages?|texts?|calls?|alerts?|sms)\b",
    r"\bunsub\b",
    r"\bcease and desist\b",
    r"\bblock (?:me|us|my number|my phone|this number)\b(?! account| card)",
    r"\b(?:take|remove|strike|scratch|get|cross|wipe) (?:my|our|this|the) (?:name|number|details) off\b",
    r"\b(?:be|get|being|been) (?:removed|taken off|deleted|erased|unsubscribed|opted out|left alone|off your list)\b",
    r"\b(?:pls|plz|plse) (?:stop|quit)(?: it| now)?$",
]
_EXCEPTIONS = [
    # A phone as a thing is not phoning, and another number is no farewell.
    r"\b(?:to|on|from|with|off) (?:my|the|your|a) (?:mobile |cell )?phone\b",
    r"\b(?:dont|do not) (?:call|ring|phone|text) (?:the|my|this) (?:landline|house|home|work|office|mobile)(?: phone| number)? (?:call|ring|use|try|phone|text)\b",
    # An appointment is no farewell: "don't call me now, call after six".
    rf"\b(?:dont|do not|cant|not) {_CONTACT}(?: \w+){{0,3}} (?:now|right now|yet|until|till|before|today|tonight|at work|while|after)\b",
    r"\b(?:dont|do not) (?:stop|forget to)\b",
    r"\b(?:never|didnt|dont|havent|hasnt|not) (?:got|get|gotten|received?|had|seen|see) (?:\w+ ){0,3}(?:calls?|texts?|messages?|emails?|refund)\b",
    r"\b(?:dont|do not|didnt) (?:call|ring|phone|text) (?:\w+ ){0,4}(?:driver|store|shop)\b",
]

LEXICON = Lexicon(
    locale="en",
    grammar=grammar("grammar_en.txt"),
    contracted=re.compile(r"(?<=\w)['’]s (?=(?:fine|good|ok|okay|great|perfect|lovely|alright|all right)\b)", re.IGNORECASE),  # noqa: RUF001 - as phones type it
    hesitations=frozenset(["um", "umm", "uh", "uhh", "uhm", "erm", "errm", "er"]),
    polite=frozenset(["please", "pls", "plz", "plse", "pleas", "thanks", "thx", "tx", "ty", "ta", "cheers", "thankyou", "thanx", "tnx", "love", "mate", "pal", "duck", "luv", "x", "xx", "🙂", "😊", "🙏"]),
    spelling={"n": "and", "choc": "chocolate", "veg": "vegetable", **spelling(["please", "thanks", "refund", "option", "number", "definitely", "absolutely", "perfect", "first", "second", "third", "cheapest", "cheaper", "biggest", "smallest"])},
    ordinals=_ORDINALS,
    cardinals={w: n for n, w in enumerate(_TEENS.split())} | {w: 10 * n for n, w in enumerate(_TENS.split(), 2)},
    heard_as={"to": 2, "too": 2, "tu": 2, "won": 1, "wun": 1, "tree": 3, "for": 4},
    extremes=_EXTREMES,
    sizable={"cheap": "price-", "inexpensive": "price-", "expensive": "price+", "pricey": "price+", "big": "size+", "large": "size+", "small": "size-"},
    units=_UNITS,
    packs=frozenset({"pack", "pk"}),
    pounds=frozenset({"£", "$", "€", "pound", "pounds", "quid", "pnd", "euro", "euros", "dollar", "dollars"}),
    pence=frozenset({"p", "pence", "penny", "pee", "cent", "cents"}),
    negators=frozenset(["no", "without", "non", "low", "less", "reduced", "zero", "not", "never", "free"]),
    whereabouts=frozenset(["in", "on", "at", "with", "from", "behind", "under", "beside", "by", "near", "outside", "inside"]),
    negations=frozenset(["no", "not", "nope", "nah", "dont", "doesnt", "didnt", "wont", "cant", "cannot", "isnt", "wasnt", "never", "none", "neither", "nothing", "nobody", "without", "cancel", "leave", "forget", "skip", "disagree", "refuse", "wrong", "negative", "false", "rather"]),
    function_words=frozenset(
        ["honey", "dear", "darling", "sweetheart", "babe", "baby", "babes", "hun", "morning", "afternoon", "evening", "night", "today", "tomorrow", "day", "up", "down", "off", "out", "over", "about", "again", "back", "here", "there", "who", "what", "a", "an", "and", "or", "the", "of", "in", "on", "at", "to", "for", "from", "with", "without", "by", "no", "not", "none", "non", "free", "yes", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "zero", "first", "second", "third", "last", "next", "other", "another", "any", "all", "both", "it", "is", "be", "my", "me", "i", "you", "your", "we", "us", "our", "this", "that", "these", "those", "more", "less", "than", "added", "extra", "only", "plus", "new", "old", "best", "nice", "usual", "normal", "good", "great", "perfect", "ok", "okay", "fine", "right", "real", "just", "so", "as", "if", "but", "refund", "money", "back", "later", "never", "stop", "please", "thanks", "cheaper", "cheapest", "bigger", "small", "large", "big", "little", "same", "choice", "option"]
    ),
    exclaimed=frozenset(["first", "furst", "forst", "last", "top", "bottom", "middle", "super", "brilliant", "lovely", "smashing", "magic", "cool", "sweet", "classic", "original", "natural", "simply", "pure", "rich", "fresh", "real", "special", "value", "everyday", "daily", "perfect", "nut", "peanut", "gluten", "dairy", "sugar", "salt", "finest", "happy", "smart", "fair", "easy", "free", "whole", "half", "plain"]),
    at_the_door={
        **{day: ("TIME", day) for day in ("today", "tonight", "tomorrow")},
        **dict.fromkeys(("2moz", "2moro", "tomoz", "tmrw", "2morrow"), ("TIME", "tomorrow")),
        **{hour: ("HOUR", hour) for hour in ("morning", "afternoon", "evening")},
        "this evening": ("HOUR", "evening"),
        **dict.fromkeys(("next door", "next doors"), ("PLACE", "neighbour")),
        **dict.fromkeys(("shop", "store"), ("PLACE", "store")),
        **dict.fromkeys(("collect", "collect it", "pick up", "pick it up", "fetch it", "get it", "pick it up myself"), ("PLACE", "collect")),
    },
    opt_out_words=frozenset(["stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"]),
    opt_out_patterns=tuple(map(re.compile, _PATTERNS)),
    opt_out_exceptions=tuple(map(re.compile, _EXCEPTIONS)),
)  # fmt: skip
