"""The driver app's door: what a customer left for the driver, told once and to nobody else."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.edge.doors import NO_STORE, Refused, SignedDoor
from connectors.notes import Notes
from connectors.vault import Erased

_REFERENCE_CHARS_MAX = 64


class DriverDoor:
    """Reading it is what uses it up, so that no second request, signed or overheard, sees it again."""

    def __init__(self, door: SignedDoor, notes: Notes) -> None:
        self._door, self._notes = door, notes

    def routes(self) -> list[Route]:
        return [Route("/driver/v1/refs/{reference}", self._tell, methods=["GET"])]

    async def _tell(self, request: Request) -> Response:
        await self._door.body(request)
        reference = request.path_params["reference"]
        if len(reference) > _REFERENCE_CHARS_MAX or not await asyncio.to_thread(self._notes.known, reference):
            raise Refused(404, "there is nothing under this reference")
        try:
            text = await asyncio.to_thread(self._notes.take, reference)
        except Erased:
            text = None
        if text is None:
            raise Refused(410, "it was told already, or is gone with its customer")
        return JSONResponse({"text": text}, headers=NO_STORE)
