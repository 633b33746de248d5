"""Messages between nodes on real sockets: bodies, workers, refusals, and what a caller is told."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Self

import pytest

from ockam_ref.asyncio import Cbor, Node, Routed, Worker
from ockam_ref.channels.trust import TrustIdentifiers
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError, OckamError
from ockam_ref.identities.identifier import Identifier
from ockam_ref.observations import ChannelOpened, PeerLearned
from ockam_ref.routing.access_control import DENY_ALL, AllowIdentifiers
from ockam_ref.wire.address import TCP, Address, local
from tests.asyncio.conftest import free_port, hub

Run = Callable[[Coroutine[Any, Any, None]], None]


async def echoer(message: Routed) -> None:
    """Send a text back."""
    await message.reply(message.body(str))


class Pair:
    """Alice is connected to Bob, who listens."""

    async def __aenter__(self) -> Self:
        self.alice, self.bob = Node.create(), Node.create()
        self.listener = await self.bob.tcp_listen("127.0.0.1:0")
        self.connection = await self.alice.tcp_connect(self.listener.address)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.alice.close()
        await self.bob.close()


# ---- bodies and replies


def test_alice_and_bob_over_tcp(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            await pair.bob.start_worker("echoer", echoer, consumer_of=(pair.listener,))
            reply = await pair.alice.send_and_receive((pair.connection, "echoer"), "hello")
            assert reply.body(str) == "hello"
            assert reply.peer is None
            assert reply.payload == b"\x05hello"

    run(main())


def test_bodies_are_typed(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            await pair.bob.start_echo(consumer_of=(pair.listener,))
            route = (pair.connection, "echo")
            assert (await pair.alice.send_and_receive(route, b"\x00\xff")).body(bytes) == b"\x00\xff"
            value = {"a": [1, None, True], "b": b"c"}
            assert (await pair.alice.send_and_receive(route, Cbor(value))).body(Cbor) == Cbor(value)
            assert (await pair.alice.send_and_receive(route, None)).payload == b""
            with pytest.raises(DecodeError):
                (await pair.alice.send_and_receive(route, b"\x05abc")).body(str)

    run(main())


def test_services(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            await pair.bob.start_uppercase(consumer_of=(pair.listener,))
            await pair.bob.start_hop(consumer_of=(pair.listener,))
            assert (await pair.alice.send_and_receive((pair.connection, "uppercase"), "hé")).body(str) == "HÉ"
            routed = await pair.alice.send_and_receive((pair.connection, "hop", "uppercase"), "via hop")
            assert routed.body(str) == "VIA HOP"
            assert local("hop") in routed.return_route

    run(main())


def test_routes_are_written_in_many_ways(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            await pair.bob.start_echo(consumer_of=(pair.listener,))
            await pair.alice.start_echo()
            sender = pair.connection.sender_address
            for route in (
                "echo",
                local("echo"),
                ["echo"],
                f"{sender} => echo",
                (sender, local("echo")),
                (pair.connection, "0#echo"),
            ):
                assert (await pair.alice.send_and_receive(route, "x")).body(str) == "x"
            with pytest.raises(OckamError, match=r"cannot connect to 127\.0\.0\.1:1"):
                await pair.alice.send((TCP, "127.0.0.1:1"), "x")
            with pytest.raises(MisuseError, match="no hop"):
                await pair.alice.send((7,), "x")  # type: ignore[arg-type]
            with pytest.raises(DecodeError):
                await pair.alice.send("a#b#c", "x")

    run(main())


def test_a_secure_channel_carries_messages_and_names_its_ends(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            alice, bob = pair.alice.create_identity(), pair.bob.create_identity()
            channels = await pair.bob.create_secure_channel_listener(bob, "api", consumer_of=(pair.listener,))
            seen: list[Identifier | None] = []

            async def remember(message: Routed) -> None:
                seen.append(message.peer)
                await message.reply(message.body(str))

            await pair.bob.start_worker("echoer", remember, consumer_of=(channels,))
            channel = await pair.alice.create_secure_channel(alice, (pair.connection, "api"), trust=bob.identifier)
            assert channel.peer == bob.identifier
            reply = await pair.alice.send_and_receive((channel, "echoer"), "secret")
            assert reply.body(str) == "secret"
            assert reply.peer == bob.identifier
            assert seen == [alice.identifier]

    run(main())


def test_alice_and_bob_through_a_hub(run: Run) -> None:
    async def main() -> None:
        async with hub() as address, Node.create() as alice, Node.create() as bob:
            to_hub = await bob.tcp_connect(address)
            channels = await bob.create_secure_channel_listener(bob.create_identity(), "api", consumer_of=(to_hub,))
            await bob.start_worker("echoer", echoer, consumer_of=(channels,))
            relay = await bob.create_relay(to_hub, name="bob")
            assert relay.remote_address == local("forward_to_bob")
            assert relay.forwarding_route[-1] == relay.remote_address
            random_relay = await bob.create_relay((to_hub,))
            for name in (str(relay.remote_address), random_relay.remote_address):
                connection = await alice.tcp_connect(address)
                route = (connection, name, "api")
                channel = await alice.create_secure_channel(alice.create_identity(), route)
                assert (await alice.send_and_receive((channel, "echoer"), "hi")).body(str) == "hi"

    run(main())


def test_a_worker_of_ones_own_in_the_middle(run: Run) -> None:
    class Forwarder(Worker):
        def __init__(self, connection: Any) -> None:
            self.connection = connection

        async def handle_message(self, message: Routed) -> None:
            await message.forward((self.connection, *message.onward_route[1:]), open_flow_controls=True)

    async def main() -> None:
        async with Pair() as pair, Node.create() as middle:
            await pair.bob.start_worker("echoer", echoer, consumer_of=(pair.listener,))
            listener = await middle.tcp_listen("127.0.0.1:0")
            forwarder = Forwarder(await middle.tcp_connect(pair.listener.address))
            await middle.start_worker("to_bob", forwarder, consumer_of=(listener,))
            connection = await pair.alice.tcp_connect(listener.address)
            reply = await pair.alice.send_and_receive((connection, "to_bob", "echoer"), "two hops")
            assert reply.body(str) == "two hops"

    run(main())


def test_forward_can_stay_in_the_way_back(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            hops = []

            async def through(message: Routed) -> None:
                hops.append(message.payload)
                await message.forward(message.onward_route[1:], add_return_hop=True)

            await pair.bob.start_worker("through", through, consumer_of=(pair.listener,))
            await pair.bob.start_echo()
            await pair.alice.send_and_receive((pair.connection, "through", "echo"), "x")
            assert hops == [b"\x01x", b"\x01x"]

    run(main())


# ---- workers


@pytest.mark.spec("HOST-15")
def test_a_worker_handles_one_message_after_the_other(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            running, order = 0, []
            done = asyncio.Event()

            async def slow(message: Routed) -> None:
                nonlocal running
                running += 1
                assert running == 1
                for _ in range(3):
                    await asyncio.sleep(0)
                order.append(message.body(bytes))
                running -= 1
                if len(order) == 200:
                    done.set()

            await pair.bob.start_worker("slow", slow, consumer_of=(pair.listener,))
            for number in range(200):
                await pair.alice.send((pair.connection, "slow"), b"%d" % number)
            await done.wait()
            assert order == [b"%d" % number for number in range(200)]

    run(main())


@pytest.mark.spec("HOST-15")
def test_a_handler_that_raises_is_logged_and_goes_on(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Pair() as pair:

            async def fragile(message: Routed) -> None:
                text = message.body(str)
                if text == "bad":
                    raise ValueError("as asked")
                await message.reply(text)

            await pair.bob.start_worker("fragile", fragile, consumer_of=(pair.listener,))
            route = (pair.connection, "fragile")
            await pair.alice.send(route, "bad")
            await pair.alice.send(route, b"\xff not a text")
            assert (await pair.alice.send_and_receive(route, "good")).body(str) == "good"
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert [record.exc_info[0] for record in errors if record.exc_info] == [ValueError, DecodeError]
        assert "0#fragile" in errors[0].getMessage()

    run(main())


def test_a_worker_has_a_beginning_and_an_end(run: Run) -> None:
    class Witness(Worker):
        def __init__(self) -> None:
            self.seen: list[str] = []

        async def initialize(self, node: Node) -> None:
            await node.start_echo("mine")
            self.seen.append("initialize")

        async def handle_message(self, message: Routed) -> None:
            self.seen.append(message.body(str))

        async def shutdown(self) -> None:
            self.seen.append("shutdown")

    async def main() -> None:
        async with Node.create() as node:
            first, second = Witness(), Witness()
            handle = await node.start_worker("first", first)
            await node.send("first", "one")
            await node.send("first", "two")
            await handle.close()
            await handle.close()
            assert first.seen == ["initialize", "one", "two", "shutdown"]
            with pytest.raises(MisuseError):
                await node.send("first", "gone")
            await node.start_worker("first", second)
            with pytest.raises(MisuseError) as caught:
                await node.start_worker("first", second)
            assert caught.value.code is ErrorCode.ADDRESS_TAKEN
        assert second.seen[-1] == "shutdown"

    run(main())


def test_a_worker_that_cannot_begin_frees_its_address(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Worker):
        async def initialize(self, node: Node) -> None:
            del node
            raise RuntimeError("no database")

    async def main() -> None:
        async with Node.create() as node:
            handle = await node.start_worker("broken", Broken())
            await handle._task.task
            await node.start_worker("broken", echoer)
            assert (await node.send_and_receive("broken", "ok")).body(str) == "ok"
        assert "failed to initialize" in caplog.text

    run(main())


def test_a_worker_may_close_itself(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            handles: list[Any] = []

            async def once(message: Routed) -> None:
                await message.reply("bye")
                await handles[0].close()

            handles.append(await node.start_worker("once", once))
            assert (await node.send_and_receive("once", "x")).body(str) == "bye"
            await handles[0]._task.task
            with pytest.raises(MisuseError):
                await node.send("once", "x")

    run(main())


def test_a_reply_needs_a_way_back(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Node.create() as node:
            caught: asyncio.Future[OckamError] = asyncio.get_running_loop().create_future()

            async def answer(message: Routed) -> None:
                message._message = message._message._replace(return_route=())
                try:
                    await message.reply("x")
                except MisuseError as error:
                    caught.set_result(error)

            await node.start_worker("answer", answer)
            await node.send("answer", "x")
            assert (await caught).code is ErrorCode.INCOMPLETE_ROUTE
        assert not caplog.records

    run(main())


# ---- refusals


@pytest.mark.spec("HOST-17", "HOST-18")
def test_a_worker_that_is_nobodys_consumer_is_silent(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            await pair.bob.start_worker("echoer", echoer)
            with pytest.raises(OckamError, match="is it a consumer of") as caught:
                await pair.alice.send_and_receive((pair.connection, "echoer"), "x", timeout=0.2)
            assert caught.value.code is ErrorCode.TIMEOUT
            assert [drop.rule for drop in pair.bob.drops] == ["outgoing:flow-control"]
            assert pair.alice.drops == []
            pair.bob.add_consumer("echoer", pair.listener)
            assert (await pair.alice.send_and_receive((pair.connection, "echoer"), "x")).body(str) == "x"

    run(main())


@pytest.mark.spec("HOST-17", "HOST-18")
def test_silence_is_explained_by_our_own_drops(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            await node.start_worker("closed", echoer, incoming=DENY_ALL)
            await node.start_worker("mute", echoer, outgoing=DENY_ALL)
            with pytest.raises(OckamError, match=r"this node dropped 1: incoming:deny-all \(0#closed takes nothing"):
                await node.send_and_receive("closed", "x", timeout=0.05)
            with pytest.raises(OckamError, match="this node dropped 1: outgoing:deny-all"):
                await node.send_and_receive("mute", "x", timeout=0.05)

    run(main())


def test_access_control_by_identity(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            alice, mallory = pair.alice.create_identity(), pair.alice.create_identity()
            channels = await pair.bob.create_secure_channel_listener(
                pair.bob.create_identity(), "api", consumer_of=(pair.listener,)
            )
            only_alice = AllowIdentifiers(frozenset({alice.identifier.value}))
            await pair.bob.start_worker("echoer", echoer, consumer_of=(channels,), incoming=only_alice)
            route = (pair.connection, "api")
            good = await pair.alice.create_secure_channel(alice, route)
            bad = await pair.alice.create_secure_channel(mallory, route)
            assert (await pair.alice.send_and_receive((good, "echoer"), "x")).body(str) == "x"
            with pytest.raises(OckamError):
                await pair.alice.send_and_receive((bad, "echoer"), "x", timeout=0.1)
            assert pair.bob.drops[-1].rule == "incoming:allow-identifiers"

    run(main())


def test_an_untrusted_responder_is_refused(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            await pair.bob.create_secure_channel_listener(
                pair.bob.create_identity(), "api", consumer_of=(pair.listener,)
            )
            with pytest.raises(OckamError, match="no secure channel over") as caught:
                await pair.alice.create_secure_channel(
                    pair.alice.create_identity(), (pair.connection, "api"), trust=TrustIdentifiers(frozenset())
                )
            assert caught.value.code is ErrorCode.REFUSED

    run(main())


def test_a_channel_without_an_answer_times_out(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            identity = pair.alice.create_identity()
            with pytest.raises(OckamError, match="did not answer in time") as caught:
                await pair.alice.create_secure_channel(identity, (pair.connection, "nobody"), timeout=0.05)
            assert caught.value.code is ErrorCode.TIMEOUT
            with pytest.raises(OckamError) as caught:
                await pair.alice.create_secure_channel(identity, "nowhere")
            assert caught.value.code is ErrorCode.UNKNOWN_ADDRESS
            with pytest.raises(OckamError):
                await pair.alice.create_secure_channel(identity, ())

    run(main())


def test_waiting_for_a_channel_can_be_given_up(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            before = set(pair.alice._driver.core.addresses())
            step = pair.alice.create_secure_channel(pair.alice.create_identity(), (pair.connection, "nobody"))
            task = asyncio.ensure_future(step)
            await asyncio.sleep(0)
            assert set(pair.alice._driver.core.addresses()) > before
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert set(pair.alice._driver.core.addresses()) == before

    run(main())


def test_a_relay_without_a_hub_fails(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            with pytest.raises(OckamError, match="did not confirm") as caught:
                await pair.alice.create_relay(pair.connection, timeout=0.05)
            assert caught.value.code is ErrorCode.TIMEOUT

    run(main())


def test_a_message_for_the_root_mailbox_is_a_recorded_drop(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            observations = node.observe()
            await node.start_echo()
            await node.send("echo", "x")
            assert [drop.rule for drop in node.drops] == ["no-receiver"]
            assert await anext(observations) == node.drops[0]

    run(main())


@pytest.mark.spec("HOST-16")
def test_only_the_first_reply_counts(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:

            async def twice(message: Routed) -> None:
                await message.reply("first")
                await message.reply("second")

            await node.start_worker("twice", twice)
            assert (await node.send_and_receive("twice", "x")).body(str) == "first"

    run(main())


@pytest.mark.spec("HOST-16")
def test_many_requests_at_once(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            await pair.bob.start_worker("echoer", echoer, consumer_of=(pair.listener,))
            route = (pair.connection, "echoer")
            before = pair.alice._driver.core.addresses()
            replies = await asyncio.gather(*(pair.alice.send_and_receive(route, str(number)) for number in range(500)))
            assert [reply.body(str) for reply in replies] == [str(number) for number in range(500)]
            assert pair.alice._driver.receivers == {}
            assert pair.alice._driver.core.addresses() == before

    run(main())


# ---- connections


def test_a_refused_connection_says_what_to_do(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            port = free_port()
            with pytest.raises(OckamError, match="nothing listens there") as caught:
                await node.tcp_connect(f"127.0.0.1:{port}")
            assert caught.value.code is ErrorCode.LINK_FAILED
            with pytest.raises(OckamError, match="is not a socket address"):
                await node.tcp_connect("nonsense")
            with pytest.raises(MisuseError):
                await node.tcp_listen("nonsense")
            async with await node.tcp_listen("127.0.0.1:0") as listener:
                with pytest.raises(OckamError, match="the port is taken"):
                    await node.tcp_listen(listener.address)
            await node.tcp_listen(listener.address)

    run(main())


def test_connecting_has_a_deadline_of_the_caller(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            with pytest.raises(OckamError) as caught:
                await pair.alice.tcp_connect(pair.listener.address, timeout=0)
            assert caught.value.code is ErrorCode.TIMEOUT

    run(main())


def test_the_end_of_a_connection_is_told_at_both_ends(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            other = await pair.alice.tcp_connect(pair.listener.address)
            channels = await pair.bob.create_secure_channel_listener(
                pair.bob.create_identity(), "api", consumer_of=(pair.listener,)
            )
            channel = await pair.alice.create_secure_channel(pair.alice.create_identity(), (other, "api"))
            relay_less = pair.alice._driver.core
            await other.close()
            assert await other.wait_closed() == "closed by this node"
            assert other.closed
            assert await channel.wait_closed() == "the way to the peer is gone"
            assert channel.hop not in relay_less
            await pair.bob.start_echo(consumer_of=(pair.listener, channels))
            assert (await pair.alice.send_and_receive((pair.connection, "echo"), "x")).body(str) == "x"
            with pytest.raises(MisuseError):
                await pair.alice.send((other, "echo"), "x")
            reasons: list[str] = []
            pair.connection.on_closed(reasons.append)
            await pair.bob.close()
            assert await pair.connection.wait_closed() == "the peer closed the connection"
            await asyncio.sleep(0)
            assert reasons == ["the peer closed the connection"]

    run(main())


def test_closing_a_channel_is_told_to_the_other_end(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            await pair.bob.create_secure_channel_listener(
                pair.bob.create_identity(), "api", consumer_of=(pair.listener,)
            )
            observations = pair.bob.observe()
            channel = await pair.alice.create_secure_channel(pair.alice.create_identity(), (pair.connection, "api"))
            assert [type(await anext(observations)) for _ in range(2)] == [PeerLearned, ChannelOpened]
            await channel.close()
            assert await channel.wait_closed() == "closed by this node"
            assert "the peer closed the channel" in str(await anext(observations))

    run(main())


def test_a_closed_listener_leaves_its_connections(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            await pair.bob.start_echo(consumer_of=(pair.listener,))
            await pair.listener.close()
            assert (await pair.alice.send_and_receive((pair.connection, "echo"), "x")).body(str) == "x"
            with pytest.raises(OckamError):
                await pair.alice.tcp_connect(pair.listener.address)

    run(main())


def test_a_stopped_node_says_so(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            observations = pair.alice.observe()
            await pair.alice.close()
            assert await pair.connection.wait_closed() == "the node stopped"
            with pytest.raises(OckamError) as caught:
                await pair.alice.send("app", "x")
            assert caught.value.code is ErrorCode.CLOSED
            with pytest.raises(OckamError):
                await pair.alice.tcp_connect(pair.listener.address)
            with pytest.raises(OckamError):
                await pair.alice.send_and_receive("app", "x")
            assert [observation async for observation in observations] == []
            await pair.alice.close()

    run(main())


def test_an_address_type_is_kept(run: Run) -> None:
    async def main() -> None:
        async with Node.create() as node:
            await node.start_worker(Address(7, b"odd"), echoer)
            assert (await node.send_and_receive("7#odd", "x")).body(str) == "x"

    run(main())
