"""The REST interface as the SDK speaks it: messages, calls, recordings, their lists and their errors."""

import base64
import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tests.world.simulators.book import command_id_in
from tests.world.simulators.desk import answer, headers_of, never_answer
from tests.world.simulators.faults import Verdict
from tests.world.simulators.twilio.account import API_VERSION, Account
from tests.world.simulators.twilio.calls import Calls
from tests.world.simulators.twilio.messages import Messages, Refusal

_STATUS_OF = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503}
Handler = Callable[[web.Request, dict[str, str]], Awaitable[web.StreamResponse]]


class Rest:
    """`application` is the product's door."""

    def __init__(self, account: Account, messages: Messages, calls: Calls) -> None:
        self.account, self.messages, self.calls = account, messages, calls
        self.application = web.Application(client_max_size=1_000_000)
        base = f"/{API_VERSION}/Accounts/{account.sid}"
        for method, path, handler in (
            ("POST", "/Messages.json", self._create_message),
            ("GET", "/Messages.json", self._list_messages),
            ("GET", "/Messages/{sid}.json", self._fetch_message),
            ("POST", "/Messages/{sid}.json", self._update_message),
            ("DELETE", "/Messages/{sid}.json", self._delete_message),
            ("POST", "/Calls.json", self._create_call),
            ("GET", "/Calls.json", self._list_calls),
            ("GET", "/Calls/{sid}.json", self._fetch_call),
            ("POST", "/Calls/{sid}.json", self._update_call),
            ("DELETE", "/Calls/{sid}.json", self._delete_call),
            ("GET", "/Calls/{sid}/Recordings.json", self._list_recordings),
            ("POST", "/Calls/{sid}/Recordings.json", self._create_recording),
            ("POST", "/Calls/{sid}/Recordings/{recording}.json", self._update_recording),
            ("GET", "/Recordings.json", self._list_recordings),
            ("GET", "/Recordings/{recording}.json", self._fetch_recording),
            ("DELETE", "/Recordings/{recording}.json", self._delete_recording),
            ("GET", "/Recordings/{recording}.wav", self._media),
            ("GET", "/Recordings/{recording}", self._media),
        ):
            self.application.router.add_route(method, base + path, self._guarded(handler))

    def _guarded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            raw = await request.text()
            form = {name: str(value) for name, value in (await request.post()).items()}
            try:
                self._authorise(request)
                return await handler(request, form)
            except Refusal as refusal:
                body = {
                    "code": refusal.code,
                    "message": refusal.message,
                    "status": refusal.status,
                    "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
                }
                self._note(request, raw, refusal.status, body, "", request.get("verdict", Verdict()))
                return answer(body, refusal.status)

        return handle

    def _authorise(self, request: web.Request) -> None:
        expected = base64.b64encode(f"{self.account.sid}:{self.account.token}".encode()).decode()
        if not hmac.compare_digest(request.headers.get("Authorization", ""), f"Basic {expected}"):
            raise Refusal(20003, "Authenticate", 401)

    def _note(
        self, request: web.Request, raw: str, status: int, body: Any, provider_id: str, verdict: Verdict
    ) -> None:
        form = request.get("form", {})
        self.account.book.write(
            "request",
            method=request.method,
            path=request.path_qs,
            headers=headers_of(request),
            body=raw,
            status=status,
            answer=body,
            provider_id=provider_id,
            command_id=_command_id(form),
            to=form.get("To", ""),
            fault=verdict.then,
        )

    async def _created(
        self, request: web.Request, form: dict[str, str], resource: str, create: Callable[[Verdict], Any]
    ) -> web.StreamResponse:
        """Creates a message or call as the fault in force allows."""
        request["form"] = form
        raw = await request.text()
        verdict = self.account.desk.faults.meet(resource, form.get("To", ""), _command_id(form), raw)
        request["verdict"] = verdict
        match verdict.name:
            case "http_429":
                raise Refusal(20429, "Too Many Requests", 429)
            case "reject":
                code = int(verdict.code)
                raise Refusal(code, f"Rejected with {code}", _STATUS_OF.get(code, 400))
            case "http_500":
                raise Refusal(20500, "Internal Server Error", 500)
            case "html":
                self._note(request, raw, 200, "<html>", "", verdict)
                return web.Response(text="<html><body>Maintenance</body></html>", content_type="text/html")
        created = create(verdict)
        body = created.json()
        status = {"accept_then_timeout": 0, "accept_then_500": 500}.get(verdict.name, 201)
        self._note(request, raw, status, body, created.sid, verdict)
        if verdict.name == "accept_then_timeout":
            return await never_answer(request)
        if verdict.name == "accept_then_500":
            return answer({"code": 20500, "message": "Internal Server Error", "status": 500}, 500)
        return answer(body, 201)

    async def _create_message(self, request: web.Request, form: dict[str, str]) -> web.StreamResponse:
        return await self._created(request, form, "messages", lambda v: self.messages.create(form, v))

    async def _create_call(self, request: web.Request, form: dict[str, str]) -> web.StreamResponse:
        events = [str(value) for value in (await request.post()).getall("StatusCallbackEvent", [])]
        return await self._created(request, form, "calls", lambda v: self.calls.create(form, events, v))

    async def _page(
        self,
        request: web.Request,
        name: str,
        found: list[Any],
        shown_as: Callable[[Any], dict[str, Any]] = lambda one: one.json(),
    ) -> web.StreamResponse:
        verdict = self.account.desk.faults.meet("listing", request.query.get("To", ""))
        self._note(request, "", 500 if verdict.listing == "http_500" else 200, len(found), "", verdict)
        if verdict.listing == "http_500":
            return answer({"code": 20500, "message": "Internal Server Error", "status": 500}, 500)
        if verdict.listing == "empty":
            found = []
        size, page = int(request.query.get("PageSize", "50")), int(request.query.get("Page", "0"))
        shown = found[page * size : (page + 1) * size]
        query = {key: value for key, value in request.query.items() if key not in ("Page", "PageToken")}

        def uri(number: int) -> str:
            return str(request.rel_url.with_query({**query, "Page": str(number)}))

        return answer(
            {
                "first_page_uri": uri(0),
                "uri": uri(page),
                "page": page,
                "page_size": size,
                "previous_page_uri": uri(page - 1) if page else None,
                "next_page_uri": uri(page + 1) if len(found) > (page + 1) * size else None,
                "start": page * size,
                "end": page * size + len(shown) - 1,
                name: [shown_as(one) for one in shown],
            }
        )

    async def _list_messages(self, request: web.Request, _form: dict[str, str]) -> web.StreamResponse:
        found = [m for m in self.messages.all.values() if _fits(request, m, m.created, "DateSent")]
        return await self._page(request, "messages", sorted(found, key=lambda m: m.created, reverse=True))

    async def _list_calls(self, request: web.Request, _form: dict[str, str]) -> web.StreamResponse:
        found = [c for c in self.calls.all.values() if _fits(request, c, c.created, "StartTime")]
        return await self._page(request, "calls", sorted(found, key=lambda c: c.created, reverse=True))

    async def _list_recordings(self, request: web.Request, _form: dict[str, str]) -> web.StreamResponse:
        of_call = request.match_info.get("sid", "")
        call = of_call or request.query.get("CallSid", "")
        found = [r for r in self.calls.recordings.values() if call in ("", r.call_sid)]
        return await self._page(request, "recordings", found, lambda r: r.json(of_call=bool(of_call)))

    async def _fetch_message(self, request: web.Request, _form: dict[str, str]) -> web.StreamResponse:
        return answer(_one(self.messages.all, request.match_info["sid"]).json())

    async def _update_message(self, request: web.Request, form: dict[str, str]) -> web.StreamResponse:
        message = _one(self.messages.all, request.match_info["sid"])
        self.messages.update(message, form)
        return self._changed(request, form, message)

    async def _delete_message(self, request: web.Request, form: dict[str, str]) -> web.StreamResponse:
        message = _one(self.messages.all, request.match_info["sid"])
        del self.messages.all[message.sid]
        self._changed(request, form, message)
        return web.Response(status=204)

    async def _fetch_call(self, request: web.Request, _form: dict[str, str]) -> web.StreamResponse:
        return answer(_one(self.calls.all, request.match_info["sid"]).json())

    async def _update_call(self, request: web.Request, form: dict[str, str]) -> web.StreamResponse:
        call = _one(self.calls.all, request.match_info["sid"])
        self.calls.update(call, form)
        return self._changed(request, form, call)

    async def _delete_call(self, request: web.Request, form: dict[str, str]) -> web.StreamResponse:
        call = _one(self.calls.all, request.match_info["sid"])
        del self.calls.all[call.sid]
        self._changed(request, form, call)
        return web.Response(status=204)

    async def _create_recording(self, request: web.Request, form: dict[str, str]) -> web.StreamResponse:
        call = _one(self.calls.all, request.match_info["sid"])
        if call.status != "in-progress":
            raise Refusal(21220, "Requested resource is not eligible for recording")
        wanted = {"channels": form.get("RecordingChannels", "mono"), **form}
        recording = self.calls.start_recording(call, "StartCallRecordingAPI", wanted)
        return self._changed(request, form, recording, 201, recording.json(of_call=True))

    async def _update_recording(self, request: web.Request, form: dict[str, str]) -> web.StreamResponse:
        call = _one(self.calls.all, request.match_info["sid"])
        sid = request.match_info["recording"]
        current = [one for one in call.recordings if sid in ("Twilio.CURRENT", one.sid)]
        if not current:
            raise Refusal(20404, f"The requested resource {request.path} was not found", 404)
        if form.get("Status") == "stopped":
            self.calls.stop_recording(call, current[-1])
        else:
            current[-1].status = form.get("Status", "")
            self.account.book.write("recording", provider_id=current[-1].sid, state=current[-1].status)
        return self._changed(request, form, current[-1], 200, current[-1].json(of_call=True))

    async def _fetch_recording(self, request: web.Request, _form: dict[str, str]) -> web.StreamResponse:
        return answer(_one(self.calls.recordings, request.match_info["recording"]).json())

    async def _delete_recording(self, request: web.Request, form: dict[str, str]) -> web.StreamResponse:
        recording = _one(self.calls.recordings, request.match_info["recording"])
        del self.calls.recordings[recording.sid]
        self._changed(request, form, recording)
        return web.Response(status=204)

    async def _media(self, request: web.Request, _form: dict[str, str]) -> web.StreamResponse:
        recording = _one(self.calls.recordings, request.match_info["recording"])
        if recording.status != "completed":
            raise Refusal(20404, "The recording is not ready yet.", 404)
        self._changed(request, {}, recording)
        return web.Response(body=recording.wav, content_type="audio/x-wav")

    def _changed(
        self,
        request: web.Request,
        form: dict[str, str],
        subject: Any,
        status: int = 200,
        body: dict[str, Any] | None = None,
    ) -> web.StreamResponse:
        request["form"] = form
        self._note(request, urlencode(form), status, None, subject.sid, Verdict())
        return answer(body or subject.json(), status)


def _command_id(form: dict[str, str]) -> str:
    urls = (form.get("StatusCallback", ""), form.get("Url", ""), form.get("AsyncAmdStatusCallback", ""))
    return next((found for found in map(command_id_in, urls) if found), "")


def _one(things: dict[str, Any], sid: str) -> Any:
    if sid not in things:
        raise Refusal(20404, f"The requested resource {sid} was not found", 404)
    return things[sid]


def _fits(request: web.Request, thing: Any, created: datetime, date: str) -> bool:
    query = request.query
    if query.get("To", thing.to) != thing.to or query.get("From", thing.sender) != thing.sender:
        return False
    if query.get("Status", thing.status) != thing.status:
        return False
    after, before, on = query.get(f"{date}>"), query.get(f"{date}<"), query.get(date)
    if after and created < _instant(after):
        return False
    if before and created > _instant(before):
        return False
    return not on or created.date() == _instant(on).date()


def _instant(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
