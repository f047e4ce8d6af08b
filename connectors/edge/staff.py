"""The staff tool's door: which tasks wait for a person, what each is about, and what the person says."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from psycopg_pool import ConnectionPool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.clock import Clock
from connectors.edge.choices import choices
from connectors.edge.doors import NO_STORE, Refused, SignedDoor
from connectors.edge.requests import Id, Picked, RequestId, answer_of
from connectors.edge.verdicts import Verdicts
from connectors.outbox import Connection
from connectors.register.projection import plain
from connectors.tasks import Task, Tasks, TaskState
from schemas.events import ResponseReceived
from schemas.words import Channel, Responder

_SETTLED = (TaskState.DONE, TaskState.DECLINED, TaskState.CANCELLED)


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person says of a task. `by` is the tool's own name for them."""

    request_id: RequestId
    by: Id
    state: Literal["taken", "done", "declined", "decision"]
    reason: Annotated[str, msgspec.Meta(max_length=100, pattern="^[a-z_]*$")] = ""
    decisions: Annotated[tuple[Picked, ...], msgspec.Meta(max_length=50)] = ()

    def __post_init__(self) -> None:
        if bool(self.decisions) != (self.state == "decision"):
            raise ValueError("decisions belong to the state `decision`, and only to it")
        if any(picked.note for picked in self.decisions):
            raise ValueError("a note is the customer's own")


_decoder = msgspec.json.Decoder(Said)


class StaffDoor:
    """Everything that is said is durable as a fact before it is answered."""

    def __init__(
        self,
        door: SignedDoor,
        tasks: Tasks,
        verdicts: Verdicts,
        pool: ConnectionPool[Connection],
        clock: Clock,
        zone_of: Callable[[str], str],
        *,
        summary_of: Callable[[str], str] = lambda _conversation_id: "",
    ) -> None:
        """`summary_of` a conversation is what was said in the call that was handed over, if there was one."""
        self._door, self._tasks, self._verdicts = door, tasks, verdicts
        self._pool, self._clock, self._zone_of = pool, clock, zone_of
        self._summary_of = summary_of

    def routes(self) -> list[Route]:
        one = "/staff/v1/tasks/{command_id:path}"
        return [
            Route("/staff/v1/tasks", self._list, methods=["GET"]),
            Route(one, self._show, methods=["GET"]),
            Route(one, self._say, methods=["POST"]),
        ]

    async def _list(self, request: Request) -> Response:
        await self._door.body(request)
        found = await asyncio.to_thread(self._tasks.waiting, request.query_params.get("store", ""))
        return JSONResponse({"tasks": [self._told(task) for task in found]}, headers=NO_STORE)

    async def _show(self, request: Request) -> Response:
        await self._door.body(request)
        task = await self._task(request)
        cases = await asyncio.to_thread(self._cases, task)
        summary = await asyncio.to_thread(self._summary_of, task.command.conversation_id)
        return JSONResponse({**self._told(task), "cases": cases, "summary": summary}, headers=NO_STORE)

    async def _say(self, request: Request) -> Response:
        said = _decoded(await self._door.body(request))
        task = await self._task(request)
        if task.taken_by not in ("", said.by):
            raise Refused(409, "somebody else has taken it")
        if said.state == "decision":
            return await self._decide(task, said)
        wanted = TaskState(said.state)
        after = await asyncio.to_thread(
            self._tasks.says, task.command.command_id, wanted, said.by, said.reason
        )
        if after is None or after.state is not wanted or after.taken_by != said.by:
            raise Refused(409, f"it is {after.state if after else 'gone'} already")
        return JSONResponse(self._told(after), headers=NO_STORE)

    async def _decide(self, task: Task, said: Said) -> Response:
        if task.state in _SETTLED:
            raise Refused(409, f"it is {task.state} already")
        command = task.command
        unknown = sorted({picked.case_id for picked in said.decisions} - set(command.about))
        if unknown:
            raise Refused(422, f"not part of this task: {', '.join(unknown)}")
        fact = ResponseReceived(
            event_id=f"{command.command_id}/{said.request_id}",
            order_id=command.order_id,
            channel=Channel.PERSON,
            command_id=command.command_id,
            responder=Responder.STAFF,
            answers=tuple([answer_of(picked) for picked in said.decisions]),
            received_at=self._clock.now(),
        )
        await asyncio.to_thread(self._tasks.tells, fact)
        verdict, reason = await self._verdicts.soon(command.order_id, fact.event_id)
        return JSONResponse({"verdict": verdict, "reason": reason}, headers=NO_STORE)

    async def _task(self, request: Request) -> Task:
        task = await asyncio.to_thread(self._tasks.find, request.path_params["command_id"])
        if task is None:
            raise Refused(404, "there is no such task")
        return task

    def _cases(self, task: Task) -> Any:
        """What the task is about as the customer's page shows it; empty where the customer was never asked."""
        command = task.command
        with self._pool.connection() as connection:
            found = choices(connection, command.order_id, command.conversation_id, self._zone_of)
        cases = found.cases if found else ()
        return plain(tuple(case for case in cases if case.case_id in command.about))

    def _told(self, task: Task) -> dict[str, Any]:
        command = task.command
        return {
            "command_id": command.command_id,
            "order_id": command.order_id,
            "store_id": command.store_id,
            "purpose": str(command.purpose),
            "about": list(command.about),
            "reason": command.reason,
            "state": str(task.state),
            "taken_by": task.taken_by,
            "filed_at": task.filed_at,
            "not_after_at": command.not_after_at.isoformat(),
            "late": task.state not in _SETTLED and command.not_after_at <= self._clock.now(),
        }


def _decoded(body: bytes) -> Said:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise Refused(422, f"the body is nothing that can be said of a task: {error}") from error
