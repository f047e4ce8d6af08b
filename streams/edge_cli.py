"""`saveline edge`: the choice page, the app's door and Twilio's webhooks, stateless behind any balancer."""

import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Annotated

import psycopg
from pydantic import AfterValidator, PositiveFloat, PositiveInt, SecretStr
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from connectors import vault_keys
from connectors.claims import Claims
from connectors.clock import SystemClock
from connectors.edge.app import Edge
from connectors.edge.doors import SignedDoor
from connectors.edge.driver import DriverDoor
from connectors.edge.facts import KafkaFacts
from connectors.edge.measured import MeasuredRequests
from connectors.edge.relay import RelaySockets
from connectors.edge.signed import Signed
from connectors.edge.staff import StaffDoor
from connectors.edge.texts import Texts
from connectors.edge.tokens import Links
from connectors.edge.turns import Exchange, Manner, Transport
from connectors.edge.twilio import TwilioHooks
from connectors.edge.verdicts import Verdicts
from connectors.edge.voice import VoiceHooks
from connectors.notes import Notes
from connectors.outbox import Outbox
from connectors.postgres import open_pool
from connectors.register import migrate
from connectors.second_opinion import SecondOpinion
from connectors.tasks import Tasks
from connectors.tracing import TracedRequests
from connectors.vault import Vault
from connectors.voice.calls import Calls
from connectors.voice.opening import House
from connectors.voice.provider import CallsInProgress
from schemas.codec import Codec
from schemas.registry import registry
from schemas.words import Channel
from state import shelf
from streams import access, edge_platform, logs, rights
from streams.access import RefusedError, UnreachableError
from streams.connector_settings import ring_of_keys, several_secrets
from streams.edge_probes import Probed, UnderTest
from streams.environment import Faulty, FromEnvironment, read

# Longer than balancers and providers keep an idle connection (60 s at most of them): who closes first must be the
# one who asks, else a webhook meets the closing and is lost.
_KEEP_ALIVE_S = 75
_Secrets = Annotated[SecretStr, AfterValidator(several_secrets)]


@dataclass(frozen=True, kw_only=True)
class EdgeSettings(FromEnvironment):
    """Several secrets are separated by commas, the one that signs last."""

    pg_dsn: SecretStr
    public_url: str
    """What customers and providers are told; signatures are checked against it, never the Host header."""
    link_secrets: _Secrets
    app_secrets: _Secrets
    staff_secrets: _Secrets | None = None
    """Without any there is no door for staff tools."""
    driver_secrets: _Secrets | None = None
    """Without any there is no door for the driver's app."""
    twilio_auth_token: _Secrets
    vault_key: Annotated[SecretStr, AfterValidator(ring_of_keys)]
    vault_salt: SecretStr
    retailer: str
    """As whom a call introduces itself."""
    twilio_base_url: str = ""
    provider_timeout_s: float = 10.0
    voice_transport: Transport = "gather"
    """Webhooks with `<Gather>`, or a ConversationRelay socket, where the account has it; `both` is half of each."""
    voice_pace: PositiveFloat = 1.0
    """1 is how fast people speak; only a simulator's may be faster."""
    staff_number: str = ""
    """Who takes a call that is handed over; without one, a link is sent and a person calls back."""
    second_opinion_url: str = ""
    """A second understanding that may propose; empty for none."""
    http_port: int = 8082
    platform_port: PositiveInt | None = None
    """Where probes, metrics and the version are asked; without one on `http_port`, beside the doors."""
    connections_max: int = 20
    database_wait_s: float = 4.0
    """For how long a request waits for a connection: a provider waits some seconds more."""
    test_switch: bool = False
    """Whether `/_test/...` exists. Never in production."""

    @staticmethod
    def contradictions(given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        yield from FromEnvironment.contradictions(given)
        if str(given.get("platform_port", "")) == str(given.get("http_port", EdgeSettings.http_port)):
            yield "platform_port", "is SAVELINE_HTTP_PORT: set another, or none"


def edge() -> int:
    """Answer customers, the retailer's app and Twilio until a signal ends it; settings from `SAVELINE_...`."""
    try:
        settings = read(EdgeSettings)
        lacking = _lacking(settings)
    except (Faulty, RefusedError) as error:
        print(error, file=sys.stderr)
        return 2
    if lacking:
        print("\n".join(lacking), file=sys.stderr)
        return 2
    import uvicorn

    logs.configure("edge")
    config = uvicorn.Config(
        application(settings),
        host=settings.http_host,
        port=settings.http_port,
        access_log=False,
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    sockets = [config.bind_socket()]
    if settings.platform_port is not None:
        config.port = settings.platform_port
        sockets.append(config.bind_socket())
    uvicorn.Server(config).run(sockets)
    return 0


def _lacking(settings: EdgeSettings) -> list[str]:
    """What no waiting will mend, one line each; raises `RefusedError`."""
    found: list[str] = []
    # Away is not lacking: requests are told so until it is back.
    with suppress(psycopg.OperationalError):
        dsn = settings.pg_dsn.get_secret_value()
        if revisions := migrate.lacking(dsn):
            found.append(
                f"postgres: lacks the revisions {', '.join(revisions)}. To do: run `saveline migrate`"
            )
        else:
            found += vault_keys.missing(dsn, settings.vault_key.get_secret_value())
    with suppress(UnreachableError):
        missing = access.require(settings.client, rights.of_edge(), patient=False)
        found += [access.missing(topic) for topic in missing]
    return found


def application(settings: EdgeSettings) -> ASGIApp:
    codec, clock = Codec(registry(settings.schema_registry_url)), SystemClock()
    pool = open_pool(
        settings.pg_dsn.get_secret_value(),
        max_size=settings.connections_max,
        wait_s=settings.database_wait_s,
    )
    vault = Vault(
        pool,
        vault_keys.ring_of(settings.vault_key.get_secret_value()),
        settings.vault_salt.get_secret_value().encode(),
        clock,
    )

    def zone_of(customer_ref: str) -> str:
        address = vault.address(customer_ref, Channel.SMS) or vault.address(customer_ref, Channel.EMAIL)
        return address.zones[0] if address and address.zones else "UTC"

    outbox, notes = Outbox(codec.encode), Notes(pool, vault, clock)
    pages = Edge(
        pool=pool,
        facts=KafkaFacts(settings.client, codec),
        links=Links(_split(settings.link_secrets), settings.public_url),
        clock=clock,
        app_secrets=_split(settings.app_secrets),
        public_url=settings.public_url,
        new_id=lambda: uuid.uuid4().hex,
        zone_of=zone_of,
        notes=notes,
    ).app()
    claims = Claims(pool, outbox, clock, f"edge/{uuid.uuid4().hex}")
    tokens = _split(settings.twilio_auth_token)
    signed = Signed(tokens, settings.public_url)
    calls = Calls(
        House(retailer=settings.retailer, staff_available=bool(settings.staff_number)),
        pool=pool,
        outbox=outbox,
        claims=claims,
        clock=clock,
        vault=vault,
        policy_of=shelf.load(settings.policies).by_key.get,
    )
    second = SecondOpinion(settings.second_opinion_url, clock) if settings.second_opinion_url else None
    exchange = Exchange(
        calls,
        clock,
        signed,
        CallsInProgress(tokens[-1], settings.twilio_base_url, settings.provider_timeout_s),
        Manner(
            pace=settings.voice_pace,
            transport=settings.voice_transport,
            staff_number=settings.staff_number,
        ),
        second,
    )
    texts = Texts(pool, outbox, clock, vault, zone_of)
    voice = VoiceHooks(exchange, claims)
    hooks = TwilioHooks(claims, texts, signed, calls.hung_up, voice.stopped)
    pages.add_middleware(TracedRequests)
    if settings.test_switch:
        under_test = UnderTest()
        pages.add_middleware(Probed, under_test=under_test)
        pages.router.routes.extend(under_test.routes())
    pages.add_middleware(MeasuredRequests, clock=clock)
    if second is not None:
        pages.router.lifespan_context = _asking(second)
    tools: list[Route] = []
    if settings.staff_secrets is not None:
        door = SignedDoor(_split(settings.staff_secrets), settings.public_url, clock)
        tasks, verdicts = Tasks(pool, outbox, clock), Verdicts(pool, clock)
        tools += StaffDoor(door, tasks, verdicts, pool, clock, zone_of, summary_of=calls.handed_over).routes()
    if settings.driver_secrets is not None:
        door = SignedDoor(_split(settings.driver_secrets), settings.public_url, clock)
        tools += DriverDoor(door, notes).routes()
    talk: list[BaseRoute] = [*voice.routes(), *RelaySockets(exchange).routes()]
    pages.router.routes.extend([*tools, *hooks.routes(), *talk])
    platform = edge_platform.routes(pool)
    if settings.platform_port is None:
        pages.router.routes.extend(platform)
        return pages
    return edge_platform.ByPort(pages, Starlette(routes=platform), settings.platform_port)


def _asking(second: SecondOpinion) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with second:
            yield

    return lifespan


def _split(secrets: SecretStr) -> list[str]:
    return secrets.get_secret_value().split(",")
