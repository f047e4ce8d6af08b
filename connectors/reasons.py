"""Why an answer was not taken, in the customer's words."""

_WORDS = {
    "en": {
        "older_version": "something else was decided meanwhile; you can change it",
        "already_picked": "it was already packed",
        "already_closed": "it is already settled",
        "line_removed": "the item is no longer part of your order",
        "refund_is_final": "the money is already on its way back",
        "refund_not_possible": "a refund is not possible here",
        "too_late": "the order is already packed",
        "changes_not_possible": "this could not be changed any more",
        "not_authorised": "the higher price could not be authorised",
        "total_changed": "the total has changed; please look at it again",
        "total_not_confirmed": "the total would rise; please confirm the new total",
        "confirm_total": "the total would rise; please send the same answer again to confirm",
        "not_available": "this choice can no longer be had",
        "login_needed": "please log in to your account for that",
        "not_entitled": "only the customer can decide this",
        "which_one": "please say for which item",
        "quantities": "the quantities do not add up",
        "unclear": "we did not understand your answer",
        "not_confirmed": "please answer with the number of your choice",
    },
    "de": {
        "older_version": "inzwischen wurde anders entschieden; Sie können es ändern",
        "already_picked": "es ist schon gepackt",
        "already_closed": "es ist schon erledigt",
        "line_removed": "der Artikel gehört nicht mehr zu Ihrer Bestellung",
        "refund_is_final": "das Geld ist schon unterwegs zu Ihnen",
        "refund_not_possible": "eine Erstattung ist hier nicht möglich",
        "too_late": "die Bestellung ist schon gepackt",
        "changes_not_possible": "das ließ sich nicht mehr ändern",
        "not_authorised": "der höhere Preis wurde nicht genehmigt",
        "total_changed": "die Summe hat sich geändert; bitte sehen Sie noch einmal nach",
        "total_not_confirmed": "die Summe würde steigen; bitte bestätigen Sie die neue Summe",
        "confirm_total": "die Summe würde steigen; bitte senden Sie zur Bestätigung dieselbe Antwort noch einmal",
        "not_available": "diese Wahl gibt es nicht mehr",
        "login_needed": "bitte melden Sie sich dafür an",
        "not_entitled": "das kann nur der Kunde entscheiden",
        "which_one": "bitte sagen Sie, für welchen Artikel",
        "quantities": "die Mengen gehen nicht auf",
        "unclear": "wir haben Ihre Antwort nicht verstanden",
        "not_confirmed": "bitte antworten Sie mit der Nummer Ihrer Wahl",
    },
}
# All of these say that what was named is none of the choices.
_UNKNOWN = ("unknown_case", "unknown_letter", "unknown_option", "unknown_key", "nothing_chosen")
for _words in _WORDS.values():
    _words.update(dict.fromkeys(_UNKNOWN, _words["unclear"]))


def in_words(reason: str, locale: str) -> str:
    """One or several reasons of `decide`, joined by `; `, for the customer; what is no such word stays as it is."""
    words = _WORDS.get(locale.split("-", maxsplit=1)[0], _WORDS["en"])
    told = [words.get(one.split(":", maxsplit=1)[0], one) for one in reason.split("; ")]
    return "; ".join(dict.fromkeys(told))
