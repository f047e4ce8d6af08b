"""Commands and requests as the database keeps them, read back; raises `msgspec.DecodeError` for anything else."""

import msgspec

from schemas.commands import ChannelCommand, EvidenceRequest, OrderUpdate

# A decoder is made when its module is imported, here and everywhere in these packages: msgspec learns a type when it
# is first asked for it, and two threads that ask at once crash the process (a NULL pointer in its C, as of 0.22).
command = msgspec.json.Decoder(ChannelCommand).decode
update = msgspec.json.Decoder(OrderUpdate).decode
evidence_request = msgspec.json.Decoder(EvidenceRequest).decode
