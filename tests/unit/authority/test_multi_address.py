"""MultiAddrs: the texts of the peer, and what they mean as routes."""

import pytest

from ockam_ref.authority.multi_address import (
    MAX_COMPONENTS,
    Component,
    format_multi_address,
    from_tcp_route,
    parse_multi_address,
    to_tcp_route,
)
from ockam_ref.errors import DecodeError, ErrorCode, MisuseError
from ockam_ref.wire.address import Address, local
from ockam_ref.wire.route import Route, parse_route

TEXTS = [
    "/ip4/127.0.0.1/tcp/80",
    "/ip4/127.0.0.1/tcp/4000/service/echo",
    "/ip6/::1/tcp/443",
    "/dnsaddr/example.com/tcp/80",
    "/dnsaddr/localhost/tcp/4000/service/api",
    "/worker/w",
    "/node/n1",
    "/project/p",
    "/space/s",
    "/secure/api",
    "",
    "/ip4/127.0.0.1/tcp/80/ip4/192.168.0.1/ip6/::1/tcp/443/dnsaddr/example.com/tcp/80",
]


@pytest.mark.spec("AU-75")
@pytest.mark.parametrize("text", TEXTS)
def test_texts_of_the_peer(text: str) -> None:
    assert format_multi_address(parse_multi_address(text)) == text


@pytest.mark.spec("AU-75")
@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("self", "/secure/api"),
        ("service/echo", "/service/echo"),
        ("/service", "/service/"),
        ("/service/", "/service/"),
        ("/tcp/+0080", "/tcp/80"),
        ("/ip6/0:0::1", "/ip6/::1"),
        ("/service/a b", "/service/a b"),
    ],
)
def test_other_spellings(text: str, canonical: str) -> None:
    assert format_multi_address(parse_multi_address(text)) == canonical


@pytest.mark.spec("AU-75")
@pytest.mark.parametrize(
    "text",
    [
        "/udp/127.0.0.1",
        "/foo/bar",
        "/tcp/65536",
        "/tcp/100000",
        "/tcp/",
        "/tcp/x",
        "/ip4/1.2.3",
        "/ip4/",
        "/ip6/::g",
        "//service/a",
        "/service/echo/",
        "/",
        "/service/\ud800",
        "default",
        "/service/a" * (MAX_COMPONENTS + 1),
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_multi_address(text)


@pytest.mark.spec("AU-76")
@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("/ip4/127.0.0.1/tcp/80", "1#127.0.0.1:80"),
        ("/ip6/::1/tcp/443/service/api", "1#[::1]:443 => api"),
        ("/dnsaddr/example.com/tcp/80/worker/a/secure/b/service/c", "1#example.com:80 => a => b => c"),
    ],
)
def test_as_a_route(text: str, route: str) -> None:
    assert to_tcp_route(parse_multi_address(text)) == parse_route(route)


@pytest.mark.spec("AU-76")
def test_of_a_route() -> None:
    route = parse_route("1#127.0.0.1:80 => api")
    assert from_tcp_route(route) == (
        Component("dnsaddr", "127.0.0.1"),
        Component("tcp", "80"),
        Component("service", "api"),
    )
    for text in ("/ip4/127.0.0.1/tcp/80/service/api", "/ip6/::1/tcp/80", "/dnsaddr/localhost/tcp/80"):
        address = parse_multi_address(text)
        assert from_tcp_route(to_tcp_route(address), resolved=True) == address


@pytest.mark.spec("AU-76")
@pytest.mark.parametrize(
    "text", ["", "/service/a", "/tcp/80", "/ip4/1.2.3.4", "/ip4/1.2.3.4/tcp/1/node/n", "/dnsaddr/a/service/b/tcp/1"]
)
def test_what_is_no_route(text: str) -> None:
    with pytest.raises(DecodeError) as caught:
        to_tcp_route(parse_multi_address(text))
    assert caught.value.code is ErrorCode.BAD_ADDRESS


@pytest.mark.spec("AU-76")
@pytest.mark.parametrize(
    "route",
    [
        (),
        (local("api"),),
        parse_route("2#127.0.0.1:80"),
        parse_route("1#a:80 => 1#b:80"),
        parse_route("1#a:port"),
        parse_route("1#a"),
        (Address(1, b"\xff:80"),),
        (Address(1, b"a:80"), local(b"\xff")),
        (Address(1, b"a:80"), local("x/y")),
        (Address(1, b"a/b:80"),),
    ],
)
def test_routes_without_a_form(route: Route) -> None:
    with pytest.raises(MisuseError):
        from_tcp_route(route)
