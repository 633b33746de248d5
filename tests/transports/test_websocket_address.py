"""Addresses of WebSocket servers."""

import pytest

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_transports.websocket_address import parse_websocket_address


@pytest.mark.spec("WS-10")
@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        ("127.0.0.1:4000", (False, ("127.0.0.1", 4000), ""), "127.0.0.1:4000"),
        ("ws://127.0.0.1:4000", (False, ("127.0.0.1", 4000), ""), "127.0.0.1:4000"),
        ("WS://localhost", (False, ("localhost", 80), ""), "localhost:80"),
        ("wss://example.com", (True, ("example.com", 443), ""), "wss://example.com:443"),
        ("wss://example.com:8443/a/b?c=d", (True, ("example.com", 8443), "/a/b?c=d"), "wss://example.com:8443/a/b?c=d"),
        ("[::1]:80/x", (False, ("::1", 80), "/x"), "[::1]:80/x"),
        ("ws://[::1]", (False, ("::1", 80), ""), "[::1]:80"),
        ("ws://[::1]:81/", (False, ("::1", 81), "/"), "[::1]:81/"),
        ("4000", (False, ("127.0.0.1", 4000), ""), "127.0.0.1:4000"),
        ("4000/path", (False, ("127.0.0.1", 4000), "/path"), "127.0.0.1:4000/path"),
        (":4000", (False, ("127.0.0.1", 4000), ""), "127.0.0.1:4000"),
        ("wss://host/a%20b", (True, ("host", 443), "/a%20b"), "wss://host:443/a%20b"),
    ],
)
def test_forms(text: str, expected: tuple[bool, tuple[str, int], str], shown: str) -> None:
    address = parse_websocket_address(text)
    assert address == expected
    assert str(address) == shown
    assert parse_websocket_address(shown) == address


@pytest.mark.spec("WS-10")
def test_path_and_query() -> None:
    address = parse_websocket_address("ws://h/a/b?c=d?e")
    assert (address.path, address.query) == ("/a/b", "c=d?e")
    assert (parse_websocket_address("h:1").path, parse_websocket_address("h:1").query) == ("", "")


@pytest.mark.spec("WS-10")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "http://host:80",
        "ws://",
        "ws:///path",
        "wss://host:99999",
        "host:80/a b",
        "host:80/ä",
        "host:80/#f",
        "ws://user:secret@host/",
        "host/path",
        "ws://ho st/",
        "host:80?query",
        "host:80/a\r\nb",
        "ws://host:/",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(MisuseError) as caught:
        parse_websocket_address(text)
    assert caught.value.code is ErrorCode.BAD_ADDRESS
