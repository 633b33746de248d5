"""Requests over secure channels: one channel a request or one for all, and what a caller is told when it fails."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Self

import pytest

from ockam_ref.asyncio import TCP, Node, Routed, Stream
from ockam_ref.asyncio.secure_client import RequestError, SecureClient
from ockam_ref.errors import ErrorCode, OckamError, PeerError
from ockam_ref.observations import ChannelClosed, ChannelOpened, LinkLost, Observation
from ockam_ref.wire.api import ApiError, Method, Status, decode_request
from ockam_ref.wire.bare import encode_data
from ockam_ref.wire.responses import failed, ok, without_body

Run = Callable[[Coroutine[Any, Any, None]], None]


async def service(message: Routed) -> None:
    """Answer with what was asked, by whom and in which way, or as the path says."""
    header, body = decode_request(message.payload)
    assert header.method is not None
    if header.path == "/silence":
        return
    if header.path == "/garbage":
        await message.reply(b"\xff")
        return
    response = ok(1, header.id, f"{header.method.name} {bytes(body)!r} {message.peer}".encode())
    if header.path.startswith("/status/"):
        response = failed(1, header, Status(int(header.path[8:])), "for a reason")
    if header.path == "/bare":
        response = without_body(1, header.id, Status.CONFLICT)
    payload = response.encode()
    if header.path == "/null":
        payload = encode_data(bytes.fromhex("a4 0101 0201 03f6 04f4"))
    await message.reply(payload)


class Setting:
    """A server with a service behind a secure channel listener, and a client node."""

    async def __aenter__(self) -> Self:
        self.node, self.server = Node.create(), Node.create()
        self.me, self.them = self.node.create_identity(), self.server.create_identity()
        await self.listen("127.0.0.1:0")
        return self

    async def listen(self, address: str) -> None:
        self.listener = await self.server.tcp_listen(address)
        api = await self.server.create_secure_channel_listener(self.them, "api", consumer_of=(self.listener,))
        await self.server.start_worker("service", service, consumer_of=(api,))
        self.route = ((TCP, self.listener.address), "api")

    async def __aexit__(self, *_: object) -> None:
        await self.node.close()
        await self.server.close()

    def client(self, timeout: float = 10) -> SecureClient:
        return SecureClient(self.node, self.me, self.route, self.them.identifier, timeout=timeout)


async def until(stream: Stream[Observation], kind: type[Observation]) -> list[type[Observation]]:
    """Wait for an observation of a kind; return the kinds of all that were seen."""
    seen: list[type[Observation]] = []
    while kind not in seen:
        seen.append(type(await anext(stream)))
    return seen


@pytest.mark.spec("CRED-20")
def test_a_request_has_a_channel_and_a_connection_of_its_own(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            observed = setting.server.observe()
            for body in (b"body", b""):
                response = await setting.client().ask("service", Method.POST, "/", body)
                assert response.header.status is Status.OK
                assert response.body.decode() == f"POST {body!r} {setting.me.identifier}"
                await until(observed, ChannelOpened)
                await until(observed, ChannelClosed)
                await until(observed, LinkLost)

    run(main())


@pytest.mark.spec("CRED-20")
def test_a_channel_is_kept_and_shared(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            observed = setting.server.observe()
            async with setting.client() as client:
                asked = (client.ask("service", Method.GET, f"/{n}") for n in range(5))
                responses = await asyncio.gather(*asked)
                assert {response.body for response in responses} == {f"GET b'' {setting.me.identifier}".encode()}
            seen = await until(observed, LinkLost)
            assert seen.count(ChannelOpened) == 1

    run(main())


@pytest.mark.spec("CRED-20")
def test_a_lost_channel_is_replaced(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting, setting.client() as client:
            await client.ask("service", Method.GET, "/")
            address = setting.listener.address
            observed = setting.node.observe()
            await setting.server.close()
            await until(observed, LinkLost)
            with pytest.raises(OckamError, match="is that node running") as caught:
                await client.ask("service", Method.GET, "/")
            assert caught.value.code is ErrorCode.LINK_FAILED
            setting.server = Node.create()
            await setting.listen(address)
            assert (await client.ask("service", Method.GET, "/")).header.status is Status.OK

    run(main())


@pytest.mark.spec("CRED-20")
def test_a_channel_that_gave_no_answer_is_replaced(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting, setting.client(timeout=0.2) as client:
            observed = setting.server.observe()
            for path in ("/silence", "/"):
                with contextlib.suppress(OckamError):
                    await client.ask("service", Method.GET, path)
                await until(observed, ChannelOpened)

    run(main())


@pytest.mark.spec("CRED-20")
def test_a_client_that_is_closed_while_it_opens_keeps_nothing(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            observed = setting.server.observe()
            client = setting.client()
            async with client:
                asking = asyncio.create_task(client.ask("service", Method.GET, "/"))
                await asyncio.sleep(0)
            with pytest.raises(OckamError) as caught:
                await asking
            assert caught.value.code is ErrorCode.CLOSED
            await until(observed, LinkLost)
            assert (await client.ask("service", Method.GET, "/")).header.status is Status.OK

    run(main())


@pytest.mark.spec("CRED-21")
@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_a_refusal_says_what_to_do(run: Run, status: Status) -> None:
    async def main() -> None:
        async with Setting() as setting:
            with pytest.raises(RequestError, match="for a reason; ") as caught:
                await setting.client().ask("service", Method.GET, f"/status/{int(status)}")
            denied = status in {Status.UNAUTHORIZED, Status.FORBIDDEN}
            assert caught.value.code is (ErrorCode.ACCESS_DENIED if denied else ErrorCode.REFUSED)
            assert caught.value.status is status
            assert caught.value.error == ApiError(f"/status/{int(status)}", Method.GET, "for a reason")
            assert (str(setting.me.identifier) in str(caught.value)) == denied
            response = await setting.client().request("service", Method.GET, f"/status/{int(status)}")
            assert response.header.status is status

    run(main())


@pytest.mark.spec("CRED-21")
def test_a_refusal_without_words(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            with pytest.raises(RequestError, match="409 Conflict; look at what is there already"):
                await setting.client().ask("service", Method.GET, "/bare")
            with pytest.raises(RequestError, match="None; it gave no status"):
                await setting.client().ask("service", Method.GET, "/null")

    run(main())


@pytest.mark.spec("CRED-21")
def test_what_is_no_answer(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            with pytest.raises(PeerError, match="is it that service") as garbage:
                await setting.client().ask("service", Method.GET, "/garbage")
            assert garbage.value.code is ErrorCode.PROTOCOL
            with pytest.raises(OckamError, match=r"0#nowhere of I[0-9a-f]{64} gave no answer") as silence:
                await setting.client(timeout=0.1).ask("nowhere", Method.GET, "/")
            assert silence.value.code is ErrorCode.TIMEOUT

    run(main())


@pytest.mark.spec("CRED-20", "CRED-21")
def test_another_identity_is_not_asked(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting:
            other = setting.node.create_identity().identifier
            client = SecureClient(setting.node, setting.me, setting.route, other, timeout=1)
            with pytest.raises(OckamError, match="still the same identity") as caught:
                await client.ask("service", Method.GET, "/")
            assert caught.value.code is ErrorCode.REFUSED

    run(main())


@pytest.mark.spec("CRED-20")
def test_a_route_through_a_connection_that_is_there(run: Run) -> None:
    async def main() -> None:
        async with Setting() as setting, await setting.node.tcp_connect(setting.listener.address) as connection:
            client = SecureClient(setting.node, setting.me, (connection, "api"), setting.them.identifier)
            assert (await client.ask("service", Method.GET, "/")).header.status is Status.OK
            assert not connection.closed

    run(main())
