"""Offers and ways of speaking, from which the tests of understanding build what customers may say."""

from state.understand import Offer

BREAD = (
    Offer(1, "Baker's Row Sourdough", 240, "400 g", "Baker's Row"),
    Offer(2, "Corner Shop White Sourdough", 160, "500 g", "Corner Shop"),
)
ROLLS = (
    Offer(1, "Cloudsoft Toilet Roll", 525, "9 pack", "Cloudsoft"),
    Offer(2, "Corner Shop Toilet Roll", 310, "4 pack", "Corner Shop"),
    Offer(3, "Panda Bamboo Toilet Roll", 700, "12 pack", "Panda"),
)
COFFEE = (Offer(1, "Kestrel Ground Coffee", 450, "227 g", "Kestrel"),)
# Names made to mislead: numbers, negations, agreement and greetings as brands.
TRICKY = (
    Offer(1, "Two Rivers Semi Skimmed Milk", 125, "2 pints", "Two Rivers"),
    Offer(2, "No Added Sugar Apple Juice", 145, "1 l", "No Added Sugar"),
    Offer(3, "First Choice Good Morning Oats", 200, "1 kg", "First Choice"),
)
DOORSTEP = (
    Offer(1, "Redeliver Saturday morning", 0),
    Offer(2, "Leave in the porch", 0),
    Offer(3, "Leave with a neighbour", 0),
)
CHEESE = (
    Offer(1, "Dairy Lane Mature Cheddar", 385, "350 g", "Dairy Lane"),
    Offer(2, "Hollow Tree Vegan Slices", 310, "200 g", "Hollow Tree"),
    Offer(3, "Oakham Farm Red Leicester", 420, "400 g", "Oakham Farm"),
)
MILK = (
    Offer(1, "Two Rivers Semi Skimmed Milk", 125, "2 pints", "Two Rivers"),
    Offer(2, "Happy Cow Whole Milk", 145, "2 pints", "Happy Cow"),
    Offer(3, "Meadow Oat Drink", 190, "1 l", "Meadow"),
)
TEA = (
    Offer(1, "Harbour Lane Breakfast Tea", 320, "80 bags", "Harbour Lane"),
    Offer(2, "Copper Kettle Everyday Tea", 210, "80 bags", "Copper Kettle"),
    Offer(3, "Golden Leaf Decaf Tea", 280, "40 bags", "Golden Leaf"),
)
CEREAL = (
    Offer(1, "Sunfield Honey Hoops", 250, "375 g", "Sunfield"),
    Offer(2, "Morning Mill Bran Bites", 190, "500 g", "Morning Mill"),
    Offer(3, "Alder & Oak Muesli", 310, "1 kg", "Alder & Oak"),
)
BUTTER = (Offer(1, "Hillside Butter", 280, "250 g", "Hillside"),)
FISH = (Offer(1, "Northfish Cod Fillets", 600, "4 pack", "Northfish"),)
DOOR = (
    Offer(1, "Redeliver on Monday", 0),
    Offer(2, "Leave in the shed", 0),
    Offer(3, "Leave with a neighbour", 0),
)
SHED = (
    Offer(1, "Redeliver on Thursday", 0),
    Offer(2, "Leave in the greenhouse", 0),
    Offer(3, "Leave with a neighbour", 0),
)
NAMED = {
    "BREAD": BREAD, "ROLLS": ROLLS, "COFFEE": COFFEE, "MILK": MILK, "DOORSTEP": DOORSTEP, "TEA": TEA, "CEREAL": CEREAL,
    "BUTTER": BUTTER, "FISH": FISH, "DOOR": DOOR, "SHED": SHED,
}  # fmt: skip
SHELVES = (BREAD, ROLLS, COFFEE, TRICKY, DOORSTEP, CHEESE)

# A choice of offer {n}, with its brand {brand}: each commits where it names exactly one.
CHOOSING = (
    "{brand} please",
    "the {brand} one",
    "the {brand} one please",
    "i'll take the {brand}",
    "i'll have the {brand} one thanks",
    "can i have the {brand} please",
    "let's go with the {brand}",
    "erm the {brand} i think",
    "{brand} is fine",
    "{brand} will do",
    "yes the {brand} one please",
    "number {n}",
    "number {n} please",
    "option {n}",
    "{n} pls",
    "{n} thx",
    "go for number {n}",
    "i want option {n} please",
    "i'd rather have number {n}",
    "the {nth} one",
    "the {nth} please",
    "i'll go for the {nth}",
    "{nth} one please love",
    "put me down for the {nth} one",
    "oh go for the {nth} then",
)
ACCEPTING = (
    "yes", "yes please", "yeah", "yep do that", "ok then yes", "sure", "that's fine", "sounds good", "yes that's right",
    "absolutely", "yeah that one's fine", "i'll take it", "yes go ahead please", "correct", "👍",
)  # fmt: skip
REFUNDING = (
    "refund", "refund please", "i want a refund", "just refund it", "no thanks just refund me", "i'd rather have the refund",
    "can i have my money back", "none just refund it", "give me a refund please", "0",
)  # fmt: skip
ORDINALS = {1: "first", 2: "second", 3: "third"}

# Each takes a commit back, doubts it, asks about it, or is about something else.
SPOILING = (
    "not {}", "don't {}", "do not {}", "i don't want {}", "i do not like {}", "never {}", "{} never", "no not {}",
    "anything but {}", "everything except {}", "{} but cheaper", "{} but only one", "yes but {} is too dear",
    "only if {}", "{} only if it is fresh", "{} if my wife agrees", "{} unless it's frozen", "{} as long as it has no nuts",
    "{}?", "is {} ok", "is {} vegan?", "did you say {}", "why {}", "what about {}", "how much is {}", "what is {}",
    "maybe {}", "maybe later {}", "{} maybe later", "{} perhaps", "{} or not", "not sure about {}", "i'm not sure {}",
    "my son is allergic to {}", "allergic {}", "she is allergic {}", "{} makes me ill", "i hate {}", "{} was horrible",
    "i had {} last time", "i ordered {} already", "you sent {} last time", "you never sent {}", "he said {}", "my wife said {}",
    "{} is not ok", "{} isn't fine", "{} no", "{} nah", "{} no way", "no {} no", "{} hang on", "wait {}", "{} wait",
    "{} in two minutes", "{} when you have time", "{} hmm let me ask", "i'd never take {}", "without {}", "instead of {}",
    "rather than {}", "cancel {}", "{} aber nein", "nein {}", "{} pas du tout", "{} pero no", "{} cannot", "{} can't",
    "i said {} before", "stop saying {}", "{} is a joke", "{} my foot", "who wants {}", "wouldn't want {}", "{} seconds",
    "{} minutes", "{} of them", "{} each", "{} and the other", "both {}", "either {}", "neither {} nor that", "less {}",
    "{} hates it", "{} she hates it", "pretend {}", "{} allergy", "except {}", "avoid {}", "hate {}", "{} yuck", "{} lol",
)  # fmt: skip


def choices(offers: tuple[Offer, ...]) -> list[tuple[str, int]]:
    """Every way of choosing each of the offers, with the offer's number."""
    return [
        (way.format(brand=offer.brand.lower() or offer.name.lower(), n=offer.n, nth=ORDINALS[at]), offer.n)
        for at, offer in enumerate(offers, 1)
        for way in CHOOSING
    ]


def commits(offers: tuple[Offer, ...]) -> list[str]:
    """Everything above that decides something about the offers."""
    return [*(text for text, _ in choices(offers)), *ACCEPTING, *REFUNDING]
