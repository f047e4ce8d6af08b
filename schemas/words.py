"""The closed enumerations. `unknown` is each one's Avro default: an old reader survives a new word."""

from enum import StrEnum


class Channel(StrEnum):
    UNKNOWN = "unknown"
    PUSH = "push"
    SMS = "sms"
    EMAIL = "email"
    VOICE = "voice"
    PERSON = "person"
    # Where answers come from although nothing is sent there.
    PAGE = "page"
    APP = "app"


class Kind(StrEnum):
    """What went wrong: the first four concern a line, the others a delivery."""

    UNKNOWN = "unknown"
    ITEM_UNAVAILABLE = "item_unavailable"
    PARTLY_AVAILABLE = "partly_available"
    RECALLED = "recalled"
    DAMAGED_ITEM = "damaged_item"
    DELIVERY_MISSED = "delivery_missed"
    ACCESS_ISSUE = "access_issue"
    ADDRESS_ISSUE = "address_issue"
    DRIVER_WAITING = "driver_waiting"
    AGE_CHECK_FAILED = "age_check_failed"
    REFUSED_AT_DOOR = "refused_at_door"


LINE_KINDS = frozenset({Kind.ITEM_UNAVAILABLE, Kind.PARTLY_AVAILABLE, Kind.RECALLED, Kind.DAMAGED_ITEM})


class OptionKind(StrEnum):
    UNKNOWN = "unknown"
    SUBSTITUTE = "substitute"
    REDELIVER = "redeliver"
    SAFE_PLACE = "safe_place"
    NEIGHBOUR = "neighbour"
    LOCKER = "locker"
    INSTRUCTIONS = "instructions"
    ADDRESS_CHANGE = "address_change"
    PICKUP = "pickup"
    RETURN = "return"
    REFUND = "refund"


class Resolution(StrEnum):
    UNKNOWN = "unknown"
    SUBSTITUTED = "substituted"
    ALTERNATIVE = "alternative"
    REFUNDED = "refunded"
    CANCEL_ORDER = "cancel_order"
    REDELIVER = "redeliver"
    INSTRUCTIONS = "instructions"
    PICKUP = "pickup"
    RETURNED = "returned"


class RefundForm(StrEnum):
    """Sets the wording: nothing was charged yet, money goes back, or a credit is given."""

    UNKNOWN = "unknown"
    NOT_CHARGED = "not_charged"
    REFUND = "refund"
    CREDIT = "credit"


class Actor(StrEnum):
    UNKNOWN = "unknown"
    CUSTOMER = "customer"
    DELEGATE = "delegate"
    STAFF = "staff"
    STORED_PREFERENCE = "stored_preference"
    DEFAULT = "default"


class UpstreamDefault(StrEnum):
    UNKNOWN = "unknown"
    CANCEL_LINE = "cancel_line"
    AUTO_SUBSTITUTE = "auto_substitute"
    CANCEL_ORDER = "cancel_order"
    RETURN_TO_DEPOT = "return_to_depot"


class WithdrawalReason(StrEnum):
    UNKNOWN = "unknown"
    FOUND = "found"
    PICKED = "picked"
    CANCELLED = "cancelled"


class PriceKind(StrEnum):
    UNKNOWN = "unknown"
    FIXED = "fixed"
    # By weight: the unit price is the most that one piece may cost.
    BY_WEIGHT = "by_weight"


class Storage(StrEnum):
    UNKNOWN = "unknown"
    AMBIENT = "ambient"
    CHILLED = "chilled"
    FROZEN = "frozen"


class Group(StrEnum):
    """What a line belongs to, beside itself."""

    UNKNOWN = "unknown"
    RECIPE = "recipe"
    MULTI_BUY = "multi_buy"
    GIFT = "gift"


class Contents(StrEnum):
    """What a parcel holds that limits where it may be left."""

    UNKNOWN = "unknown"
    AGE_RESTRICTED = "age_restricted"
    FROZEN = "frozen"
    CHILLED = "chilled"
    MEDICINE = "medicine"
    HIGH_VALUE = "high_value"


class ContactMode(StrEnum):
    UNKNOWN = "unknown"
    ANY = "any"
    NO_VOICE = "no_voice"
    SMS_ONLY = "sms_only"
    RELAY = "relay"


class Purpose(StrEnum):
    """Why a channel command is sent."""

    UNKNOWN = "unknown"
    ASK = "ask"
    CALL = "call"
    UPDATE = "update"
    CONFIRM = "confirm"
    DEFAULT = "default"
    WITHDRAWAL = "withdrawal"
    REPLY = "reply"
    HELP = "help"
    OPTOUT_ACK = "optout_ack"
    OPTIN_ACK = "optin_ack"
    CALLBACK = "callback"
    LINK = "link"
    SATISFACTION = "satisfaction"


class Responder(StrEnum):
    """Who answered. A household member decides only as a registered delegate."""

    UNKNOWN = "unknown"
    CUSTOMER = "customer"
    DELEGATE = "delegate"
    HOUSEHOLD = "household"
    CHILD = "child"
    STRANGER = "stranger"
    RELAY_OPERATOR = "relay_operator"
    STAFF = "staff"


class Signal(StrEnum):
    """What a response says beside, or instead of, a choice."""

    UNKNOWN = "unknown"
    NONE = "none"
    OPT_OUT_KEYWORD = "opt_out_keyword"
    OPT_OUT_SENTENCE = "opt_out_sentence"
    OPT_IN = "opt_in"
    HELP = "help"
    WRONG_NUMBER = "wrong_number"
    HOLDER_ABSENT = "holder_absent"
    PERSON_WANTED = "person_wanted"
    CALL_LATER = "call_later"
    UNCLEAR = "unclear"
    RATING = "rating"


class ReceiptState(StrEnum):
    """What became of a channel command."""

    UNKNOWN = "unknown"
    SENT = "sent"
    DELIVERED = "delivered"
    # Final, and the address's own fault: another channel may do.
    FAILED = "failed"
    # The provider's fault, given up after its retries: not the customer's undeliverability.
    PROVIDER_DOWN = "provider_down"
    AMBIGUOUS = "ambiguous"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    RINGING = "ringing"
    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    VOICEMAIL = "voicemail"
    SCREENED = "screened"
    COMPLETED = "completed"
    TAKEN = "taken"
    DONE = "done"
    DECLINED = "declined"


class WriteBackOutcome(StrEnum):
    """What the OMS made of an update; `applied` means read back and equal."""

    UNKNOWN = "unknown"
    APPLIED = "applied"
    ALREADY_APPLIED = "already_applied"
    LINE_CHANGED = "line_changed"
    LINE_FULFILLED = "line_fulfilled"
    ORDER_NOT_MODIFIABLE = "order_not_modifiable"
    ORDER_BEING_MODIFIED = "order_being_modified"
    AUTHORISATION_REFUSED = "authorisation_refused"
    REJECTED = "rejected"
    MISMATCH = "mismatch"
    UNDETERMINED = "undetermined"


class TriggerKind(StrEnum):
    UNKNOWN = "unknown"
    RELEASE = "release"
    REFUND = "refund"
    REDELIVER = "redeliver"
    RETURN = "return"
    PICKUP = "pickup"
    CANCEL = "cancel"
    INSTRUCTIONS = "instructions"


class TriggerState(StrEnum):
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DONE = "done"


class HoldState(StrEnum):
    UNKNOWN = "unknown"
    ASKING = "asking"
    DECIDED = "decided"
    MOVE_ON = "move_on"


class CaseState(StrEnum):
    """Where a case stands; `done` still accepts changes, `closed` none."""

    UNKNOWN = "unknown"
    OPEN = "open"
    DECIDED = "decided"
    DONE = "done"
    CLOSED = "closed"


class CloseReason(StrEnum):
    UNKNOWN = "unknown"
    NONE = "none"
    DONE = "done"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"
    PICKED = "picked"
    SHADOW = "shadow"
    HOLDOUT = "holdout"
    STUCK = "stuck"


class Arm(StrEnum):
    UNKNOWN = "unknown"
    TREATMENT = "treatment"
    HOLDOUT = "holdout"


class Mode(StrEnum):
    UNKNOWN = "unknown"
    SHADOW = "shadow"
    PILOT = "pilot"
    LIVE = "live"


class EvidencePath(StrEnum):
    """How the decision came about: each has its own list of required parts in the policy."""

    UNKNOWN = "unknown"
    DIGITAL = "digital"
    VOICE = "voice"
    PERSON = "person"
    STORED_PREFERENCE = "stored_preference"
    DEFAULT = "default"


class EvidencePart(StrEnum):
    UNKNOWN = "unknown"
    MANIFEST = "manifest"
    MESSAGES = "messages"
    CONFIRMATION = "confirmation"
    CALL_LOG = "call_log"
    TRANSCRIPT = "transcript"
    RECORDING = "recording"


class SwitchScope(StrEnum):
    UNKNOWN = "unknown"
    CHANNEL = "channel"
    STORE = "store"
    KIND = "kind"
