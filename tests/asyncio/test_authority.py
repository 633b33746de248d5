"""An authority over real sockets: tickets, members, credentials, and what it keeps."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ockam_ref.asyncio import TCP, Node
from ockam_ref.asyncio.authority import Authority, AuthorityOptions
from ockam_ref.asyncio.authority_client import AuthorityClient
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.secure_client import RequestError, SecureClient
from ockam_ref.authority.attributes import to_attributes
from ockam_ref.authority.book import AuditRecord
from ockam_ref.authority.messages import OneTimeCode
from ockam_ref.authority.roles import ENROLLER, ROLE
from ockam_ref.authority.services import Service
from ockam_ref.errors import ErrorCode, MisuseError, StorageError, VerificationError
from ockam_ref.identities.credentials import issue_credential, unverified_credential_data, verify_credential
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.storage.audit import AuditRepository
from ockam_ref.storage.members import MemberRepository
from ockam_ref.storage.tickets import TicketRepository
from ockam_ref.wire.api import Method, RequestHeader, Status, decode_response, encode_request
from tests.asyncio.authorities import Run, Team


@pytest.mark.spec("AU-1", "AU-30", "AU-40", "AU-43", "AU-50")
def test_from_a_ticket_to_a_credential(run: Run) -> None:
    async def main() -> None:
        async with Team() as team, Node.create() as node:
            me = node.create_identity()
            async with team.asking(team.node, team.enroller) as enroller, team.asking(node, me) as member:
                code = await enroller.create_code(to_attributes({"team": "web"}), ttl_s=60, uses=2)
                assert await member.enroll(code)
                assert not await member.enroll(code)
                encoded = await member.credential()
                now = me.identity.valid_from
                verified = verify_credential(
                    encoded, subject=me.identifier, authority=team.identity.identity, now=now + 1
                )
                assert verified.attributes == ((b"team", b"web"), (b"trust_context_id", b"team"))
                members = await enroller.members()
                assert members.keys() == {me.identifier, team.enroller.identifier}
                assert members[me.identifier].attested_by == team.enroller.identifier

    run(main())


@pytest.mark.spec("AU-4", "AU-20")
def test_a_stranger_is_refused_everything(run: Run) -> None:
    async def main() -> None:
        async with Team() as team, Node.create() as node:
            me = node.create_identity()
            async with team.asking(node, me) as stranger:
                for ask in (
                    stranger.credential,
                    stranger.members,
                    stranger.revocations,
                    lambda: stranger.create_code(()),
                    lambda: stranger.enroll(OneTimeCode(bytes(32))),
                    lambda: stranger.add_member(me.identifier, ((ROLE, ENROLLER),)),
                    lambda: stranger.remove_member(team.enroller.identifier),
                ):
                    with pytest.raises(RequestError) as caught:
                        await ask()
                    assert caught.value.status is Status.FORBIDDEN
            assert team.authority.members == 1

    run(main())


@pytest.mark.spec("AU-2")
def test_without_a_channel_nothing_is_reached(run: Run) -> None:
    """From outside the services cannot be reached at all; on the node itself they say why they refuse."""

    async def main() -> None:
        async with Team() as team:
            payload = encode_request(RequestHeader(7, "/", Method.POST))
            for service in Service:
                reply = await team.node.send_and_receive(service.value, payload, timeout=10)
                header, body = decode_response(reply.payload)
                assert (header.status, header.re) == (Status.BAD_REQUEST, 0)
                assert b"secure channel required" in bytes(body)
            async with Node.create() as stranger:
                with pytest.raises(Exception, match="no reply"):
                    await stranger.send_and_receive((team.route[0], "credential_issuer"), payload, timeout=0.2)
            assert [drop.rule for drop in team.node.drops]

    run(main())


@pytest.mark.spec("AU-8", "AU-22", "AU-41", "AU-44")
def test_all_is_there_again_after_a_restart(run: Run) -> None:
    async def main() -> None:
        async with Team() as team, Node.create() as node:
            me, later = node.create_identity(), node.create_identity()
            async with team.asking(team.node, team.enroller) as enroller:
                code = await enroller.create_code((), uses=2)
                await enroller.add_member(team.identity.identifier, to_attributes({"kept": "yes"}))
            assert await team.asking(node, me).enroll(code)
            (ticket,) = await TicketRepository(team.store).list(team.identity.identifier.value)
            assert (ticket.uses_left, code.value in ticket) == (1, False)
            await team.authority.close()
            await team.start()
            assert team.authority.members == 3
            assert await team.asking(node, later).enroll(code)
            with pytest.raises(RequestError, match="Unknown enrollment token"):
                await team.asking(node, node.create_identity()).enroll(code)
            # the enroller is trusted no more
            await team.authority.close()
            team.options = AuthorityOptions()
            await team.start()
            with pytest.raises(RequestError, match="Non-enroller"):
                await team.asking(team.node, team.enroller).members()
            assert team.authority.members == 3

    run(main())


@pytest.mark.spec("AU-9")
def test_the_audit_log(run: Run) -> None:
    async def main() -> None:
        async with Team() as team, Node.create() as node:
            heard: list[AuditRecord] = []
            team.authority.on_audit = heard.append
            me = node.create_identity()
            with pytest.raises(RequestError):
                await team.asking(node, me).credential()
            await team.asking(team.node, team.enroller).revocations()
            await team.asking(team.node, team.enroller).members()
            listed, refused = await AuditRepository(team.store).list()
            assert (refused.caller, refused.what) == (me.identifier.value, "POST / at credential_issuer")
            assert refused.answer == "403 Forbidden: unauthorized member"
            assert (listed.caller, listed.what) == (team.enroller.identifier.value, "GET / at direct_authenticator")
            assert listed.answer == "200 Ok: granted"
            assert [record.what for record in heard] == [refused.what, listed.what]

    run(main())


@pytest.mark.spec("AU-8")
def test_what_cannot_be_kept_is_not_answered_with_yes(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with Team() as team, Node.create() as node, team.asking(team.node, team.enroller) as enroller:
            with monkeypatch.context() as patched, caplog.at_level(logging.CRITICAL):
                patched.setattr(team.store, "write", _broken)
                for ask in (
                    enroller.create_code,
                    lambda _: enroller.remove_member(node.create_identity().identifier),
                ):
                    with pytest.raises(RequestError) as caught:
                        await ask(())
                    assert caught.value.status is Status.INTERNAL_SERVER_ERROR
                header, _ = decode_response(
                    (await team.node.send_and_receive("credential_issuer", b"\xff", timeout=10)).payload
                )
                assert header.status is Status.INTERNAL_SERVER_ERROR
            assert len(await enroller.members()) == 1

    run(main())


async def _broken(_: Callable[[sqlite3.Connection], object]) -> object:
    raise StorageError(ErrorCode.STORAGE, "the disk is full")


@pytest.mark.spec("AU-8")
def test_a_code_is_used_once_however_many_ask_at_once(run: Run) -> None:
    async def main() -> None:
        async with Team() as team, Node.create() as node:
            code = await team.asking(team.node, team.enroller).create_code(())
            clients = [team.asking(node, node.create_identity()) for _ in range(8)]
            answers = await asyncio.gather(*(client.enroll(code) for client in clients), return_exceptions=True)
            assert sum(answer is True for answer in answers) == 1
            assert sum(isinstance(answer, RequestError) for answer in answers) == 7
            assert len(await MemberRepository(team.store).list(team.identity.identifier.value)) == 2

    run(main())


def test_an_authority_whose_address_is_taken_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        async with Team() as team:
            other = team.node.create_identity()
            with pytest.raises(MisuseError, match="there is no identity"):
                await Authority.start(team.node, team.home, other)
            with pytest.raises(Exception, match="api"):
                await Authority.start(team.node, team.home, team.identity)
            with pytest.raises(Exception, match="direct_authenticator"):
                await Authority.start(team.node, team.home, team.identity, listener="other")
            await team.node.create_secure_channel_listener(other, "other")

    run(main())


def test_a_request_without_a_way_back_is_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Team() as team:
            assert isinstance(team.asking(team.node, team.enroller), AuthorityClient)
            heard = asyncio.Event()
            team.authority.on_audit = lambda _: heard.set()
            with caplog.at_level(logging.INFO):
                await team.node.send("credential_issuer", b"?")
                await asyncio.wait_for(heard.wait(), 10)

    run(main())


@pytest.mark.spec("AU-11")
def test_two_processes_run_one_authority(run: Run, tmp_path: Path) -> None:
    """Two stores of one file are what two processes have."""

    tmp_path.chmod(0o700)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            homes = [await stack.enter_async_context(await Home.open(tmp_path / "state.db")) for _ in range(2)]
            identity = await homes[0].identities.create("authority")
            node = await stack.enter_async_context(Node.create())
            enroller = node.create_identity()
            options = AuthorityOptions({enroller.identifier: ((ROLE, ENROLLER),)})

            second = await stack.enter_async_context(Node.create())
            listener = await second.tcp_listen("127.0.0.1:0")
            await stack.enter_async_context(await Authority.start(node, homes[0], identity, options, listener="api0"))
            await stack.enter_async_context(
                await Authority.start(second, homes[1], identity, options, consumer_of=(listener,))
            )
            route = ((TCP, listener.address), "api")

            def ask(me: LocalIdentity, number: int) -> AuthorityClient:
                place = route if number else "api0"
                return AuthorityClient(SecureClient(node, me, place, identity.identifier, timeout=10))

            code = await ask(enroller, 0).create_code((), uses=2)
            people = [node.create_identity() for _ in range(6)]
            answers = await asyncio.gather(
                *(ask(me, number % 2).enroll(code) for number, me in enumerate(people)), return_exceptions=True
            )
            assert sum(answer is True for answer in answers) == 2
            member = people[answers.index(True)]
            assert await ask(member, 0).credential()
            assert await ask(member, 1).credential()
            await ask(enroller, 0).remove_member(member.identifier)
            with pytest.raises(RequestError, match="unauthorized member"):
                await ask(member, 1).credential()

    run(main())


@pytest.mark.spec("AU-8")
def test_a_key_that_may_not_attest_any_more(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Team() as team:
            client = team.asking(team.node, team.enroller)

            async def expired(_: str) -> object:
                raise VerificationError(ErrorCode.BAD_ATTESTATION, "the key has expired")

            monkeypatch.setattr(team.home.identities, "issuing_key", expired)
            with pytest.raises(RequestError, match="see its log"):
                await client.credential()

    run(main())


@pytest.mark.spec("AU-21", "AU-50")
def test_an_admin_by_credential_of_the_account_authority(run: Run) -> None:
    async def main() -> None:
        async with await Home.open_in_memory() as account, Node.create() as node:
            vouching = (await account.identities.create("account")).identity
            key = await account.identities.issuing_key("account")
            options = AuthorityOptions(project_identifier="team", account_authority=vouching.identifier)
            async with Team(options) as team:
                team.node.learn_identity(vouching.history.encoded)
                for project, status in (("other", Status.FORBIDDEN), ("team", Status.OK)):
                    me, now = node.create_identity(), vouching.valid_from
                    credential = issue_credential(
                        key.signing_key,
                        key.attestation,
                        subject=me.identifier,
                        attributes={b"project": project.encode()},
                        created_at=now,
                        expires_at=now + 1000,
                    )
                    channel = await node.create_secure_channel(me, team.route, credential=credential)
                    payload = encode_request(RequestHeader(7, "/", Method.POST))
                    reply = await node.send_and_receive((channel, "credential_issuer"), payload, timeout=10)
                    header, body = decode_response(reply.payload)
                    assert header.status is status
                said = unverified_credential_data(bytes(body)).attributes.pairs
                assert [name for name, _ in said] == [b"ockam-relay", b"ockam-tls-certificate", b"trust_context_id"]

    run(main())
