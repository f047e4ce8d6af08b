"""I10: no personal data in clear text outside `customer.contacts.v1`: not in topics, tables, objects or logs."""

import re
from collections.abc import Iterator

from schemas.catalogue import Topic
from schemas.events import CustomerContact
from streams.verifier.seen import Seen
from streams.verifier.verdict import Finding

# Shorter words occur by chance.
_CHARS_MIN = 8


def check(seen: Seen) -> Finding:
    finding = Finding(invariant="I10")
    words = personal_words(seen)
    if not words:
        finding.skip(f"{Topic.CONTACTS} holds no address to look for")
        return finding
    if seen.register is None:
        finding.skip("tables: no database was given")
    if seen.bucket is None:
        finding.skip("objects: no bucket was given")
    if not seen.texts:
        finding.skip("logs: no folder was given")
    search = re.compile(_pattern(sorted(words)))
    for place, body in _bodies(seen):
        finding.checked += 1
        found = search.search(body)
        if found is not None:
            finding.wrong(expected="no personal data in clear text", found=words[found.group()], look=place)
    return finding


def personal_words(seen: Seen) -> dict[bytes, str]:
    """Each word to look for, and what it is: never the word itself, since the verdict is read by many."""
    found: dict[bytes, str] = {}
    for one in seen.topics.of(Topic.CONTACTS):
        contact = one.record
        if not isinstance(contact, CustomerContact):
            continue
        whose = f"of customer {contact.customer_ref}"
        phones = (contact.phone, contact.delegate_phone, contact.recipient_phone)
        named = [
            *[("a phone number", "".join(filter(str.isdigit, phone))) for phone in phones],
            ("the e-mail address", contact.email),
            *[("a device token", token) for token in contact.push_tokens],
            # One word alone may be anybody's, or a brand's.
            ("the name", contact.name if " " in contact.name else ""),
        ]
        for what, word in named:
            if len(word) >= _CHARS_MIN:
                found[word.encode()] = f"{what} {whose}"
    return found


def _bodies(seen: Seen) -> Iterator[tuple[str, bytes]]:
    contacts = str(Topic.CONTACTS)
    for topic, messages in seen.topics.messages.items():
        if topic == contacts:
            continue
        for one in messages:
            # What comes back to the publisher of contacts is theirs, byte for byte.
            if contacts not in one.header("original-topic"):
                headers = b"".join(value for _, value in one.headers)
                yield one.place, (one.key or b"") + b"\n" + (one.value or b"") + b"\n" + headers
    if seen.register is not None:
        for table, raw in seen.register.raw.items():
            yield f"table {table}", raw
    if seen.bucket is not None:
        for key, link in seen.bucket.links.items():
            yield f"s3://{seen.bucket.name}/{key}", link
        for stored in seen.bucket.objects.values():
            yield f"s3://{seen.bucket.name}/{stored.key}", stored.body or b""
    for text in seen.texts:
        yield text.name, text.body


def _pattern(words: list[bytes]) -> bytes:
    """One expression for all of them, branching where they part: thousands of words at the speed of a few."""
    if len(words) == 1:
        return re.escape(words[0])
    shared = _shared(words[0], words[-1])
    if shared:
        rest = [word[len(shared) :] for word in words]
        tail = _pattern([one for one in rest if one])
        return re.escape(shared) + (b"(?:" + tail + b")?" if b"" in rest else tail)
    branches: dict[int, list[bytes]] = {}
    for word in words:
        branches.setdefault(word[0], []).append(word)
    return b"(?:" + b"|".join(_pattern(group) for group in branches.values()) + b")"


def _shared(first: bytes, last: bytes) -> bytes:
    """What all of a sorted list begin with, by its ends."""
    n = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[: min(len(first), len(last)) if n is None else n]
