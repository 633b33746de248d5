"""A small Internet of network namespaces: a public server, and two hosts that are each behind a NAT of their own.

::

    server 203.0.113.1 --- nat-a 203.0.113.10 | 10.0.1.1 --- host-a 10.0.1.2
                       \\-- nat-b 203.0.113.20 | 10.0.2.1 --- host-b 10.0.2.2

Two kinds of NAT, by nftables.  Both keep the port of the host where they can, and give one host and port one outside
port whatever the destination.

* *port-restricted*: a datagram comes in only from an address and port to which the inner one has sent; plain
  masquerading does that.
* *full-cone*: once an inner port has sent anything anywhere, everybody may send to it.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

SERVER_ADDRESS: Final = "203.0.113.1"
NAT_ADDRESSES: Final = {"a": "203.0.113.10", "b": "203.0.113.20"}

_COMMON: Final = """
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat
        oifname "wan" masquerade
    }
}
table ip filter {
    # Neither an answer, nor an entry of connection tracking that would take away the port which a host is about to use.
    chain input {
        type filter hook input priority filter
        iifname "wan" drop
    }
    chain forward {
        type filter hook forward priority filter; policy drop
        ct state established,related accept
        iifname "lan" oifname "wan" accept
        ct status dnat accept
    }
}
"""

_ANYBODY: Final = """
table ip cone {
    set mapped {
        type inet_service
        flags dynamic,timeout
        timeout 60s
    }
    chain outgoing {
        type filter hook forward priority filter - 5
        iifname "lan" oifname "wan" udp sport 1-65535 update @mapped { udp sport }
    }
    chain incoming {
        type nat hook prerouting priority dstnat
        iifname "wan" udp dport @mapped dnat to HOST
    }
}
"""

RULES: Final = {"port-restricted": _COMMON, "full-cone": _COMMON + _ANYBODY}


class UnavailableError(Exception):
    """Namespaces or nftables cannot be had here; the text says why."""


class Internet:
    """The namespaces; ``command`` puts words in front of a command so that it runs in one of them."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def name(self, namespace: str) -> str:
        """Return the name of a namespace for ``ip netns``."""
        return f"{self._prefix}-{namespace}"

    def command(self, namespace: str, *words: str) -> list[str]:
        """Return a command that runs in the namespace."""
        return ["ip", "netns", "exec", self.name(namespace), *words]

    def run(self, namespace: str, *words: str, given: str | None = None) -> str:
        """Run a command there to its end; return what it printed."""
        return _run(*self.command(namespace, *words), given=given)

    def cut_direct_path(self) -> None:
        """From now on the NATs drop all UDP between the two hosts; what goes to the server passes."""
        for side in "ab":
            self.run(f"nat-{side}", "nft", "-f", "-", given=_CUT)

    def mend_direct_path(self) -> None:
        """Undo that."""
        for side in "ab":
            self.run(f"nat-{side}", "nft", "delete", "table", "ip", "cut")


_CUT: Final = f"""
table ip cut {{
    chain forward {{
        type filter hook forward priority filter - 10
        meta l4proto udp ip saddr != {SERVER_ADDRESS} ip daddr != {SERVER_ADDRESS} drop
    }}
}}
"""


@contextmanager
def internet(kind: str) -> Iterator[Internet]:
    """Make the namespaces with two NATs of that kind, and remove them.

    Raises:
        UnavailableError: they cannot be had here.
    """
    check_available()
    net = Internet(f"ockam{os.getpid()}")
    with ExitStack() as stack:
        for namespace in ("server", "nat-a", "nat-b", "host-a", "host-b"):
            _run("ip", "netns", "add", net.name(namespace))
            stack.callback(_run, "ip", "netns", "delete", net.name(namespace))
            _ip(net, namespace, "link set lo up")
        _ip(net, "server", "link add public type bridge")
        _ip(net, "server", f"addr add {SERVER_ADDRESS}/24 dev public")
        _ip(net, "server", "link set public up")
        for number, side in enumerate("ab", 1):
            _connect(net, side, f"10.0.{number}")
            rules = RULES[kind].replace("HOST", f"10.0.{number}.2")
            net.run(f"nat-{side}", "nft", "-f", "-", given=rules)
        yield net


def check_available() -> None:
    """Raise ``UnavailableError`` with a sentence where the namespaces cannot be had."""
    for program, package in (("ip", "iproute2"), ("nft", "nftables"), ("sysctl", "procps")):
        if shutil.which(program) is None:
            raise UnavailableError(f"there is no program {program!r} (Debian: apt install {package})")
    probe = f"ockam{os.getpid()}-probe"
    try:
        _run("ip", "netns", "add", probe)
    except subprocess.CalledProcessError as error:
        raise UnavailableError(f"network namespaces are not allowed here: {error.stderr.strip()}") from None
    try:
        _run("ip", "netns", "exec", probe, "nft", "-f", "-", given=_COMMON + _ANYBODY.replace("HOST", "10.0.0.2"))
    except subprocess.CalledProcessError as error:
        raise UnavailableError(f"nftables does not work here: {error.stderr.strip()}") from None
    finally:
        _run("ip", "netns", "delete", probe)


def _connect(net: Internet, side: str, private: str) -> None:
    """Put a NAT between the public network and a host."""
    nat, host = f"nat-{side}", f"host-{side}"
    _ip(net, nat, f"link add wan type veth peer name port-{side} netns {net.name('server')}")
    _ip(net, "server", f"link set port-{side} master public up")
    _ip(net, nat, f"addr add {NAT_ADDRESSES[side]}/24 dev wan")
    _ip(net, nat, "link set wan up")
    _ip(net, nat, f"link add lan type veth peer name eth0 netns {net.name(host)}")
    _ip(net, nat, f"addr add {private}.1/24 dev lan")
    _ip(net, nat, "link set lan up")
    _ip(net, host, f"addr add {private}.2/24 dev eth0")
    _ip(net, host, "link set eth0 up")
    _ip(net, host, f"route add default via {private}.1")
    net.run(nat, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def _ip(net: Internet, namespace: str, words: str) -> None:
    _run("ip", "-n", net.name(namespace), *words.split())


def _run(*command: str, given: str | None = None) -> str:
    return subprocess.run(command, input=given, check=True, capture_output=True, text=True, timeout=30).stdout
