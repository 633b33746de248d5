"""Whatever an authority is sent, it answers, in any order, and nobody gets what nobody gave them."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ockam_ref.authority.attributes import Attributes, sorted_attributes
from ockam_ref.authority.book import Book, MemberRemoved, apply
from ockam_ref.authority.messages import (
    AddMember,
    AttributesEntry,
    CreateToken,
    OneTimeCode,
    Revocation,
    decode_add_member,
    decode_create_token,
    decode_identifiers,
    decode_members,
    decode_one_time_code,
    decode_revocations,
    encode_add_member,
    encode_attributes_entry,
    encode_create_token,
    encode_identifiers,
    encode_members,
    encode_one_time_code,
    encode_revocations,
    read_attributes_entry,
)
from ockam_ref.authority.multi_address import (
    Component,
    format_multi_address,
    from_tcp_route,
    parse_multi_address,
    to_tcp_route,
)
from ockam_ref.authority.services import ENTROPY_BYTES, Service
from ockam_ref.authority.tickets import (
    OfflineTicket,
    Ticket,
    decode_ticket,
    encode_exported_ticket,
    encode_legacy_ticket,
    encode_offline_ticket,
)
from ockam_ref.errors import DecodeError, OckamError
from ockam_ref.identities.credentials import unverified_credential_data, verify_credential
from ockam_ref.identities.identifier import Identifier
from ockam_ref.wire.api import Method, RequestHeader, Status, decode_response, encode_request
from ockam_ref.wire.cursor import Cursor
from tests.unit.authority.parts import ADMIN, ENROLLS, IDENTITY, NOW, Desk, book, changes, member, someone

U64 = st.integers(0, 2**64 - 1)
IDENTIFIERS = st.binary(min_size=32, max_size=32).map(Identifier)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def attributes(strategy: st.SearchStrategy[bytes]) -> st.SearchStrategy[Attributes]:
    return st.dictionaries(strategy, strategy, max_size=4).map(lambda pairs: sorted_attributes(pairs.items()))


TEXTS = attributes(TEXT.map(str.encode))
ENTRIES = st.builds(AttributesEntry, attributes(st.binary(max_size=8)), U64, st.none() | U64, st.none() | IDENTIFIERS)


@given(
    st.builds(CreateToken, TEXTS, st.none() | U64, st.none() | U64),
    st.builds(AddMember, IDENTIFIERS, TEXTS),
    st.binary(min_size=32, max_size=32).map(OneTimeCode),
)
def test_requests_are_read_back(token: CreateToken, adding: AddMember, code: OneTimeCode) -> None:
    assert decode_create_token(encode_create_token(token)) == token
    assert decode_add_member(encode_add_member(adding)) == adding
    assert decode_one_time_code(encode_one_time_code(code)) == code


@given(st.dictionaries(IDENTIFIERS, ENTRIES, max_size=3), st.lists(st.builds(Revocation, IDENTIFIERS, U64, U64)))
def test_answers_are_read_back(members: Mapping[Identifier, AttributesEntry], revoked: list[Revocation]) -> None:
    assert decode_members(encode_members(members)) == members
    assert sorted(decode_identifiers(encode_identifiers(members)), key=str) == sorted(members, key=str)
    assert decode_revocations(encode_revocations(revoked)) == tuple(revoked)
    for entry in members.values():
        assert read_attributes_entry(Cursor(encode_attributes_entry(entry))) == entry


@given(st.binary())
def test_any_bytes_are_a_body_or_a_decode_error(data: bytes) -> None:
    for decode in (
        decode_create_token,
        decode_add_member,
        decode_one_time_code,
        decode_members,
        decode_identifiers,
        decode_revocations,
    ):
        try:
            decode(data)
        except DecodeError:
            continue


# ---- tickets and MultiAddrs

WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/,"), min_size=1, max_size=8)
PORTS = st.integers(0, 65535).map(str)
HOSTS = st.one_of(
    st.ip_addresses(v=4).map(lambda ip: ("ip4", str(ip))),
    st.ip_addresses(v=6).map(lambda ip: ("ip6", str(ip))),
    st.from_regex(r"[a-z][a-z0-9.]{0,9}", fullmatch=True).map(lambda host: ("dnsaddr", host)),
)
NODES = st.builds(
    lambda host, port, workers: (
        Component(*host),
        Component("tcp", port),
        *(Component("service", name) for name in workers),
    ),
    HOSTS,
    PORTS,
    st.lists(WORD, max_size=3),
)


@pytest.mark.spec("AU-75", "AU-76")
@given(NODES)
def test_addresses_are_read_back_also_by_way_of_a_route(address: tuple[Component, ...]) -> None:
    assert parse_multi_address(format_multi_address(address)) == address
    assert from_tcp_route(to_tcp_route(address), resolved=True) == address


@pytest.mark.spec("AU-75", "AU-73")
@given(st.one_of(st.text(), st.text("/abcdehiorstvw4.:") | st.binary().map(bytes.hex)))
def test_any_text_is_an_address_or_a_ticket_or_a_decode_error(text: str) -> None:
    try:
        address = parse_multi_address(text)
    except DecodeError:
        pass
    else:
        assert parse_multi_address(format_multi_address(address)) == address
    with pytest.raises(OckamError):
        decode_ticket(text)


@pytest.mark.spec("AU-70", "AU-74")
@given(
    st.binary(min_size=32, max_size=32).map(OneTimeCode),
    WORD,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters=","), max_size=8),
    NODES,
    st.binary(max_size=8),
)
def test_tickets_are_read_back(
    code: OneTimeCode, project: str, name: str, place: tuple[Component, ...], credential: bytes
) -> None:
    route = format_multi_address((Component("dnsaddr", "host"), Component("service", project)))
    ticket = Ticket(code, project, name, route, IDENTITY, IDENTITY, format_multi_address(place))
    assert decode_ticket(encode_exported_ticket(ticket)) == decode_ticket(encode_legacy_ticket(ticket)) == ticket
    offline = OfflineTicket(project, name, IDENTITY, credential, format_multi_address(place))
    assert decode_ticket(encode_offline_ticket(offline)) == offline


# ---- any requests in any order

PEOPLE = st.integers(1, 5).map(someone)


class AnyRequests(RuleBasedStateMachine):
    """A model beside an authority: who is a member with what, which code works how often, who was removed when."""

    @initialize()
    def begin(self) -> None:
        self.desk = Desk(book(member(ADMIN, ENROLLS, is_pre_trusted=True)), credential_ttl_s=1000)
        self.members: dict[Identifier, Attributes] = {ADMIN: ENROLLS}
        self.codes: list[tuple[OneTimeCode, Attributes, int, int]] = []
        self.removed: dict[Identifier, int] = {}
        self.drawn = 0

    def is_enroller(self, who: Identifier) -> bool:
        return ENROLLS[0] in self.members.get(who, ())

    def ask(self, service: Service, who: Identifier, method: Method, path: str, body: bytes = b"") -> tuple[Any, bool]:
        self.drawn += 1
        before = self.desk.book
        entropy = self.drawn.to_bytes(36) + bytes(ENTROPY_BYTES - 36)
        answered = self.desk.ask(service, who, method, path, body, entropy=entropy)
        again = before
        for change in changes(answered):
            again = apply(again, change)
        assert Book(again.members, again.tokens, again.revocations) == Book(
            answered.book.members, answered.book.tokens, answered.book.revocations
        )
        assert decode_response(answered.response.encode())[0] == answered.response.header
        return answered, answered.response.header.status is Status.OK

    @rule(who=PEOPLE, ttl=st.integers(0, 5), uses=st.integers(0, 3), given=st.sampled_from([(), ENROLLS]))
    def make_code(self, who: Identifier, ttl: int, uses: int, given: Attributes) -> None:
        answered, ok = self.ask(
            Service.ENROLLMENT_TOKEN_ISSUER, who, Method.POST, "/", encode_create_token(CreateToken(given, ttl, uses))
        )
        assert ok == self.is_enroller(who)
        if ok:
            code = decode_one_time_code(answered.response.body)
            self.codes.append((code, given, self.desk.now + ttl, max(uses, 1)))

    @rule(who=PEOPLE, index=st.integers(0, 3))
    def use_code(self, who: Identifier, index: int) -> None:
        if index >= len(self.codes):
            return
        code, given, until, left = self.codes[index]
        _, ok = self.ask(Service.ENROLLMENT_TOKEN_ACCEPTOR, who, Method.POST, "/", encode_one_time_code(code))
        if ok:
            assert who not in self.members
            assert left > 0
            assert self.desk.now < until
            self.members[who] = given
            self.codes[index] = (code, given, until, left - 1)
        else:
            guesses = self.desk.book.rates.count(("guess", who.value), now=self.desk.now)
            assert who in self.members or left == 0 or self.desk.now >= until or guesses == 5

    @rule(who=PEOPLE, whom=PEOPLE, given=st.sampled_from([(), ENROLLS, ((b"a", b"1"),)]))
    def add(self, who: Identifier, whom: Identifier, given: Attributes) -> None:
        _, ok = self.ask(Service.DIRECT_AUTHENTICATOR, who, Method.POST, "/", encode_add_member(AddMember(whom, given)))
        assert ok == self.is_enroller(who)
        if ok:
            self.members[whom] = given

    @rule(who=PEOPLE, whom=PEOPLE)
    def remove(self, who: Identifier, whom: Identifier) -> None:
        answered, ok = self.ask(Service.DIRECT_AUTHENTICATOR, who, Method.DELETE, f"/{whom}")
        if ok and whom in self.members:
            assert any(isinstance(change, MemberRemoved) for change in answered.changes)
            del self.members[whom]
            self.removed[whom] = max(self.desk.now, self.removed.get(whom, 0))
        elif ok:
            assert self.is_enroller(who)

    @rule(who=PEOPLE)
    def credential(self, who: Identifier) -> None:
        answered, ok = self.ask(Service.CREDENTIAL_ISSUER, who, Method.POST, "/")
        assert ok == (who in self.members)
        if ok:
            encoded = answered.response.body
            verified = verify_credential(encoded, subject=who, authority=IDENTITY, now=self.desk.now)
            assert verified.attributes == self.members[who]
            assert unverified_credential_data(encoded).created_at > self.removed.get(who, -1)

    @rule(service=st.sampled_from(Service), who=PEOPLE, payload=st.binary(max_size=40))
    def garbage(self, service: Service, who: Identifier, payload: bytes) -> None:
        members = self.desk.book.members
        answered = self.desk.send(service, who, payload)
        assert decode_response(answered.response.encode())
        assert self.desk.book.members == members

    @rule(
        service=st.sampled_from(Service),
        method=st.sampled_from(Method),
        who=PEOPLE,
        path=st.text("/memsinctokrdal_", max_size=12),
    )
    def any_path(self, service: Service, method: Method, who: Identifier, path: str) -> None:
        payload = encode_request(RequestHeader(1, path, method))
        assert decode_response(self.desk.send(service, who, payload).response.encode())
        self.forget_removed()

    def forget_removed(self) -> None:
        for who in set(self.members) - set(self.desk.book.members):
            del self.members[who]
            self.removed[who] = max(self.desk.now, self.removed.get(who, 0))

    @rule(seconds=st.integers(1, 70))
    def wait(self, seconds: int) -> None:
        self.desk.now += seconds

    @invariant()
    def the_book_is_as_the_model(self) -> None:
        assert {who: one.attributes for who, one in self.desk.book.members.items()} == self.members
        revocations = self.desk.book.revocations
        assert {who: revocation.not_after for who, revocation in revocations.items()} == self.removed
        numbers = [revocation.number for revocation in revocations.values()]
        assert len(set(numbers)) == len(numbers)
        assert self.desk.now >= NOW


TestAnyRequests = pytest.mark.spec("AU-20", "AU-30", "AU-41", "AU-60", "AU-62")(AnyRequests.TestCase)
