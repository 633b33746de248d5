"""Who the commands are, and who may use what they offer."""

import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.certificates import Certificate, make_certificate
from tests.commands import OURS, environment, run
from tests.interop.harness import ANY_PORT, CommandLine, Event, Peer, Peers, Relayed
from tests.interop.traffic import Target, check_http, connect
from tests.processes import HOME_VARIABLE

CUT_S = 5.0
"""Who may no longer has lost what is open after this time."""


class At:
    """The command line with a state of its own."""

    def __init__(self, peers: Peers, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir(mode=0o700)
        self._peers = peers
        self.variables = {**environment(), HOME_VARIABLE: str(self.folder)}

    def start(self, *words: str) -> tuple[Peer, Event]:
        peer = self._peers.add(Peer(words[0], [*OURS, *words, "--json"], environment=self.variables))
        return peer, peer.ready()

    def run(self, *words: str) -> str:
        done = run(*words, variables=self.variables)
        assert done.code == 0, done.errors
        return done.output.strip()

    def identifier(self) -> str:
        return self.run("identity", "show").partition(": ")[2].partition("\n")[0]


@pytest.fixture
def bob(peers: Peers, tmp_path: Path) -> At:
    return At(peers, tmp_path, "bob")


@pytest.fixture
def alice(peers: Peers, tmp_path: Path) -> At:
    return At(peers, tmp_path, "alice")


@pytest.fixture
def mallory(peers: Peers, tmp_path: Path) -> At:
    return At(peers, tmp_path, "mallory")


def is_cut(stream: socket.socket, within_s: float) -> bool:
    stream.settimeout(within_s)
    try:
        return stream.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


# ---- who we are


@pytest.mark.spec("CLI-90")
def test_a_command_has_the_default_identity_which_is_made_once(bob: At, target: Target) -> None:
    first, ready = bob.start("outlet", target.address, "--listen", ANY_PORT)
    first.signal(signal.SIGTERM)
    assert first.ended() == 0
    assert ready["identifier"] == bob.identifier()
    again = bob.start("outlet", target.address, "--listen", ANY_PORT)[1]
    assert again["identifier"] == ready["identifier"]
    assert bob.start("hub", "--listen", ANY_PORT)[1]["identifier"] == ready["identifier"]


@pytest.mark.spec("CLI-90")
def test_another_identity_or_one_for_once(bob: At, target: Target) -> None:
    bob.run("identity", "create", "me")
    bob.run("identity", "create", "work")
    outlet = ("outlet", target.address, "--listen", ANY_PORT)
    work = bob.start(*outlet, "--identity", "work")[1]["identifier"]
    assert work in bob.run("identity", "show", "work")
    assert work != bob.identifier()
    for_once = {str(bob.start(*outlet, "--ephemeral")[1]["identifier"]) for _ in range(2)}
    assert len(for_once | {work, bob.identifier()}) == 4
    unknown = run(*outlet, "--identity", "nobody", variables=bob.variables)
    assert unknown.code == 1
    assert "nobody" in unknown.errors
    unknown = run(*outlet, "--authority", "site", variables=bob.variables)
    assert unknown.code == 1
    assert "there is no project 'site' here; known: none. 'ockam-ref project enroll'" in unknown.errors


@pytest.mark.spec("CLI-90")
def test_for_once_touches_no_state(bob: At, target: Target) -> None:
    bob.start("outlet", target.address, "--listen", ANY_PORT, "--ephemeral")
    bob.start("hub", "--listen", ANY_PORT, "--ephemeral")
    assert not list(bob.folder.iterdir())


@pytest.mark.spec("CLI-20", "CLI-90")
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("outlet", "x:1", "--listen", ANY_PORT, "--ephemeral", "--identity", "me"), "--ephemeral makes somebody"),
        (("hub", "--ephemeral", "--authority", "site"), "--ephemeral makes somebody"),
        (("outlet", "x:1", "--listen", ANY_PORT, "--no-channel", "--allow", "a"), "nobody proves who they are"),
        (("inlet", ANY_PORT, "--node", "x:1", "--no-channel", "--ephemeral"), "nobody proves who they are"),
        (("outlet", "x:1", "--listen", ANY_PORT, "--allow", "role="), "^"),
        (("outlet", "x:1", "--listen", ANY_PORT, "--hub-channel"), "--hub-channel makes a name ours"),
        (("inlet", ANY_PORT, "--node", "x:1", "--tls-key", __file__), "belong together"),
        (("inlet", ANY_PORT, "--node", "x:1", "--tls-key", "/none"), "does not exist"),
    ],
)
def test_what_does_not_go_together(words: tuple[str, ...], why: str) -> None:
    refused = run(*words)
    assert (refused.code, refused.output) == (2, "")
    assert why in " ".join(refused.errors.split())


# ---- who may


@pytest.mark.spec("CLI-91")
def test_an_outlet_for_one_identity(bob: At, alice: At, mallory: At, target: Target) -> None:
    alice.run("identity", "create", "alice")
    outlet = bob.start("outlet", target.address, "--listen", ANY_PORT, "--allow", alice.identifier())[1]
    place = ("inlet", ANY_PORT, "--node", str(outlet["listen"]))
    check_http(str(alice.start(*place)[1]["listen"]))
    stranger = mallory.start(*place)[1]
    with connect(str(stranger["listen"])) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert is_cut(stream, 15.0)


@pytest.mark.spec("CLI-91", "CLI-92")
def test_an_outlet_says_to_whom_it_is_open(bob: At, target: Target) -> None:
    outlet = ("outlet", target.address, "--listen", ANY_PORT)
    assert bob.start(*outlet)[1]["allowed"] == "everybody who proves an identity"
    assert bob.start(*outlet, "--allow", "role=reader")[1]["allowed"] == "role=reader"
    bob.run("policy", "create", "--resource-type", "tcp-outlet", "role=writer")
    assert bob.start(*outlet)[1]["allowed"] == "role=writer"
    assert "allowed" not in bob.start(*outlet, "--no-channel")[1]


@pytest.mark.spec("CLI-91")
def test_an_inlet_for_one_outlet(bob: At, alice: At, target: Target) -> None:
    outlet = bob.start("outlet", target.address, "--listen", ANY_PORT)[1]
    place = ("inlet", ANY_PORT, "--node", str(outlet["listen"]))
    check_http(str(alice.start(*place, "--allow", str(outlet["identifier"]))[1]["listen"]))
    inlet, ready = alice.start(*place, "--allow", "I" + "5a" * 32)
    with connect(str(ready["listen"])) as stream:
        assert is_cut(stream, 2.0)
    closed = inlet.event("connection-closed")
    assert closed["reason"] == "the peer may not pass any more (policy)"


@pytest.mark.spec("CLI-92")
def test_a_stored_policy_counts_as_it_is(bob: At, alice: At, target: Target) -> None:
    """Also for what is open, and when another process changes it."""
    alice.run("identity", "create", "alice")
    outlet = bob.start("outlet", target.address, "--listen", ANY_PORT)[1]
    inlet = alice.start("inlet", ANY_PORT, "--node", str(outlet["listen"]))[1]
    address = str(inlet["listen"])
    check_http(address)
    with connect(address) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        bob.run("policy", "create", "--resource", "outlet", "I" + "5a" * 32)
        began = time.monotonic()
        assert is_cut(stream, CUT_S)
        assert time.monotonic() - began < CUT_S
    bob.run("policy", "create", "--resource", "outlet", alice.identifier())
    deadline = time.monotonic() + 2 * CUT_S
    while time.monotonic() < deadline:
        with connect(address) as stream:
            stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
            stream.settimeout(1.0)
            try:
                if stream.recv(4) == b"HTTP":
                    return
            except (TimeoutError, ConnectionResetError):
                pass
    raise AssertionError


# ---- names on a hub


@pytest.mark.spec("CLI-93")
def test_a_name_that_was_registered_through_a_channel_is_ours(
    bob: At, mallory: At, command_line: CommandLine, target: Target
) -> None:
    hub = str(command_line.hub()["listen"])
    outlet = ("outlet", target.address, "--hub", hub, "--relay", "db")
    ready = bob.start(*outlet, "--hub-channel")[1]
    for thief in (("--hub-channel",), ()):
        stolen = run(*outlet, *thief, variables=mallory.variables)
        assert stolen.code == 1
        assert "the hub refuses the name 'db': the name belongs to another identity" in stolen.errors
        assert stolen.seconds < 4.0
    way = Relayed(hub, str(ready["forwarding_address"]))
    check_http(str(command_line.inlet(way, expect=str(ready["identifier"]))[1]["listen"]))


@pytest.mark.spec("CLI-93")
def test_a_hub_may_have_rules_for_names(bob: At, mallory: At, alice: At, target: Target) -> None:
    bob.run("identity", "create", "bob")
    rule = f'(and (= subject.identifier "{bob.identifier()}") (= relay.name "db"))'
    hub = str(alice.start("hub", "--listen", ANY_PORT, "--relay-policy", rule)[1]["listen"])
    ready = bob.start("outlet", target.address, "--hub", hub, "--relay", "db", "--hub-channel")[1]
    assert ready["forwarding_address"] == "forward_to_db"
    for words in (("--relay", "db", "--hub-channel"), ("--relay", "db")):
        refused = run("outlet", target.address, "--hub", hub, *words, variables=mallory.variables)
        assert refused.code == 1
        assert "the rules of this hub do not give it to you" in refused.errors
        assert "--hub-channel or --authority" in refused.errors
    refused = run("outlet", target.address, "--hub", hub, "--relay", "other", "--hub-channel", variables=bob.variables)
    assert refused.code == 1


@pytest.mark.spec("CLI-93")
def test_they_may_be_stored(bob: At, mallory: At, alice: At, target: Target) -> None:
    bob.run("identity", "create", "bob")
    alice.run("policy", "create", "--resource", "forwarding_service", bob.identifier())
    hub = str(alice.start("hub", "--listen", ANY_PORT)[1]["listen"])
    words = ("outlet", target.address, "--hub", hub, "--relay", "db", "--hub-channel")
    refused = run(*words, variables=mallory.variables)
    assert refused.code == 1
    assert "the rules of this hub" in refused.errors
    assert bob.start(*words)[1]["forwarding_address"] == "forward_to_db"


# ---- TLS


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@contextmanager
def tls_echo(certificate: Certificate) -> Iterator[str]:
    """A service that speaks TLS, and sends one line back."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            with suppress(OSError), sock, context.wrap_socket(sock, server_side=True) as stream:
                stream.sendall(stream.recv(100).upper())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield "{}:{}".format(*listening.getsockname())
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@pytest.mark.spec("CLI-94")
def test_both_plain_sides_may_speak_tls(bob: At, alice: At, certificate: Certificate) -> None:
    with tls_echo(certificate) as target:
        outlet = bob.start("outlet", target, "--listen", ANY_PORT, "--tls-ca", str(certificate.chain))[1]
        files = ("--tls-certificate", str(certificate.chain), "--tls-key", str(certificate.key))
        inlet = alice.start("inlet", ANY_PORT, "--node", str(outlet["listen"]), *files)[1]
        context = ssl.create_default_context(cafile=str(certificate.chain))
        with (
            connect(str(inlet["listen"])) as sock,
            context.wrap_socket(sock, server_hostname="localhost") as stream,
        ):
            stream.sendall(b"hello")
            assert stream.recv(100) == b"HELLO"


@pytest.mark.spec("CLI-94")
def test_the_system_does_not_trust_everybody(bob: At, alice: At, certificate: Certificate) -> None:
    with tls_echo(certificate) as target:
        outlet, ready = bob.start("outlet", target, "--listen", ANY_PORT, "--tls")
        inlet = alice.start("inlet", ANY_PORT, "--node", str(ready["listen"]))[1]
        with connect(str(inlet["listen"])) as stream:
            assert is_cut(stream, 5.0)
        assert "the server's certificate is not trusted" in str(outlet.event("connection-closed")["reason"])


@pytest.mark.spec("CLI-21", "CLI-94")
def test_files_that_cannot_be_used_end_the_command(certificate: Certificate, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for words in (
        ("outlet", "x:1", "--listen", ANY_PORT, "--tls-ca", str(empty)),
        ("inlet", ANY_PORT, "--node", "x:1", "--tls-certificate", str(empty), "--tls-key", str(certificate.key)),
    ):
        refused = run(*words)
        assert refused.code == 1
        assert str(empty) in refused.errors


@pytest.mark.spec("CLI-91")
def test_datagrams_too(bob: At, mallory: At) -> None:
    words = ("udp-outlet", "127.0.0.1:9", "--listen", ANY_PORT, "--allow", "I" + "5a" * 32)
    outlet, ready = bob.start(*words)
    inlet = mallory.start("udp-inlet", ANY_PORT, "--node", str(ready["listen"]))[1]
    host, _, port = str(inlet["listen"]).rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"let me in", (host, int(port)))
        assert outlet.event("message-dropped")["rule"] == "incoming:policy"
