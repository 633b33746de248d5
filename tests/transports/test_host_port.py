"""The notations of a socket address, with the peer's own examples (facts 02 section 1.5)."""

import pytest

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_transports.host_port import is_ip_literal, parse_host_port


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost:80", "localhost", 80),
        ("33domain:80", "33domain", 80),
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("127.0.1:80", "127.0.1", 80),
        ("xn--74h.com:80", "xn--74h.com", 80),
        ("sub.xn_74h.com:80", "sub.xn_74h.com", 80),
        (":80", "127.0.0.1", 80),
        ("80", "127.0.0.1", 80),
        ("+080", "127.0.0.1", 80),
        ("[2001:db8:85a3::8a2e:370:7334]:8080", "2001:db8:85a3::8a2e:370:7334", 8080),
        ("[::1]:0", "::1", 0),
        ("a" * 63 + ":65535", "a" * 63, 65535),
    ],
)
def test_accepted(text: str, host: str, port: int) -> None:
    assert parse_host_port(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "invalid",
        "localhost:80:80",
        "192,166,0.1:9999",
        "-hostname-with-leading-hyphen:80",
        "hostname-with-trailing-hyphen-:80",
        ".hostname-with-leading-dot:80",
        "hostname-with-trailing-dot.:80",
        "hostname..with..multiple..dots:80",
        "localhost:65536",
        "localhost:",
        "localhost:-1",
        "localhost:٣",
        "hôte:80",
        "[::1]",
        "[::1]:",
        "[::1",
        "[127.0.0.1]:80",
        "[zz::]:80",
        "::1:80",
        "a" * 64 + ":80",
        ".".join(["a" * 60] * 5) + ":80",
        *(f"x{character}y:80" for character in "!@# \\/:;\"'?*&%$~^[]{}()+=,<>\x00"),
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(MisuseError, match="is not a socket address") as caught:
        parse_host_port(text)
    assert caught.value.code is ErrorCode.BAD_ADDRESS


def test_printed_form_is_read_back() -> None:
    for text in ("localhost:80", "127.0.0.1:0", "[::1]:8080"):
        assert str(parse_host_port(text)) == text
    assert str(parse_host_port("80")) == "127.0.0.1:80"


def test_literals_need_no_look_up() -> None:
    assert all(map(is_ip_literal, ("127.0.0.1", "::1", "2001:db8::1")))
    assert not any(map(is_ip_literal, ("localhost", "127.0.1", "", ":", "1", "\x00")))
