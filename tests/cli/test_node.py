"""``ockam-ref node create``: a recipe as a running node, and what happens to one that cannot run."""

import json
import re
import ssl
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.asyncio.conftest import free_port
from tests.certificates import make_certificate
from tests.cli.test_access import tls_echo
from tests.cli.test_project import Person, start_authority
from tests.commands import OURS, Finished, environment, run
from tests.interop.harness import ANY_PORT, CommandLine, Event, Peer, Peers
from tests.interop.traffic import Target, check_http, connect, http_get
from tests.processes import REPOSITORY

Start = Callable[..., tuple[Peer, Event]]

PORTAL = """
variables: {NAME: alone}
name: $NAME
hub: $HUB
relays: [$NAME]
tcp-outlets:
  db: {to: $TARGET}
tcp-inlets:
  way-in: {via: $NAME}
"""


def variables_of(folder: Path, **more: str) -> dict[str, str]:
    return environment() | {"OCKAM_REF_HOME": str(folder / "home")} | more


@pytest.fixture
def create(peers: Peers, tmp_path: Path) -> Start:
    """Run a recipe as a process."""

    def start(text: str, *words: str, state: str = "home", **variables: str) -> tuple[Peer, Event]:
        file = tmp_path / f"recipe-{len(peers.started)}.yaml"
        file.write_text(text, encoding="utf-8")
        known = environment() | {"OCKAM_REF_HOME": str(tmp_path / state)} | variables
        command = [*OURS, "node", "create", str(file), "--json", *words]
        process = peers.add(Peer("node create", command, environment=known))
        return process, process.ready()

    return start


def refused(tmp_path: Path, text: str, *words: str, **variables: str) -> Finished:
    file = tmp_path / "bad.yaml"
    file.write_text(text, encoding="utf-8")
    done = run("node", "create", str(file), *words, variables=variables_of(tmp_path, **variables))
    assert (done.code, done.output) == (1, "")
    return done


@pytest.mark.spec("RCP-30", "RCP-33", "RCP-36")
def test_a_node_that_is_both_ends(command_line: CommandLine, target: Target, create: Start) -> None:
    hub = command_line.hub()["listen"]
    _, ready = create(PORTAL, "--variable", f"TARGET={target.address}", HUB=hub)
    assert list(ready)[:6] == ["event", "role", "listen", "forwarding_address", "identifier", "pid"]
    assert (ready["role"], ready["name"], ready["listen"]) == ("node", "alone", None)
    assert ready["outlets"] == [{"name": "db", "target": target.address}]
    assert ready["relays"] == [{"name": "alone", "hub": hub, "forwarding_address": "forward_to_alone"}]
    (inlet,) = ready["inlets"]
    assert (inlet["name"], inlet["peer"]) == ("way-in", ready["identifier"])
    check_http(inlet["listen"])


@pytest.mark.spec("RCP-30")
def test_two_nodes_and_an_identity_that_lasts(target: Target, create: Start) -> None:
    serving = "tcp-listener-address: 127.0.0.1:0\nidentity: web\ntcp-outlets: {web: {to: $TARGET}, down: {to: 1}}"
    first, ready = create(serving, TARGET=target.address)
    leading = (
        "tcp-inlets:\n  web: {to: /ip4/127.0.0.1/tcp/$PORT/secure/api/service/web, authorized: $WHO}\n"
        "  down: {to: /ip4/127.0.0.1/tcp/$PORT/secure/api/service/down}"
    )
    port = ready["listen"].rpartition(":")[2]
    _, leads = create(leading, state="other", PORT=port, WHO=ready["identifier"])
    web, down = leads["inlets"]
    assert web["peer"] == down["peer"] == ready["identifier"] != leads["identifier"]
    assert http_get(web["listen"]) == "target"
    with connect(down["listen"]) as client:
        assert client.recv(1) == b""
    first.stop()
    _, again = create(serving, TARGET=target.address)
    assert again["identifier"] == ready["identifier"]


@pytest.mark.spec("RCP-30")
def test_ways_are_repaired(command_line: CommandLine, target: Target, create: Start) -> None:
    hub = command_line.start("hub", "--listen", ANY_PORT)
    address = hub.ready()["listen"]
    node, ready = create(PORTAL, HUB=address, TARGET=target.address)
    hub.kill()
    node.event("link-lost")
    command_line.start("hub", "--listen", address).ready()
    for _ in ("relay", "inlet"):
        node.event("link-restored")
    check_http(ready["inlets"][0]["listen"])


@pytest.mark.spec("RCP-31")
@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        (PORTAL, ":5:10: relay 'alone': ", "nothing listens there"),
        (
            "tcp-inlets: {a: {to: /ip4/127.0.0.1/tcp/1/secure/api/service/x}}",
            ":1:14: tcp-inlet 'a': ",
            "nothing listens",
        ),
        ("tcp-listener-address: $TAKEN", "tcp-listener-address: ", "cannot listen"),
        ("project: nowhere", "project: ", "there is no project 'nowhere'; there are: none"),
        ("ticket: abc", "ticket: ", "ticket"),
        ("tcp-outlets: {a: {to: 1, tls-ca: /nowhere.pem}}", ":1:15: tcp-outlet 'a': ", "/nowhere.pem"),
    ],
)
def test_what_cannot_be_started_takes_all_down(tmp_path: Path, target: Target, text: str, where: str, why: str) -> None:
    done = refused(tmp_path, text, HUB="127.0.0.1:1", TARGET=target.address, TAKEN=target.address)
    assert done.errors.startswith("ockam-ref: ")
    assert where in done.errors
    assert why in done.errors


@pytest.mark.spec("RCP-2", "RCP-31")
def test_what_cannot_be_read(tmp_path: Path) -> None:
    done = refused(tmp_path, "name: n\ntcp-outlts: {}")
    assert (
        done.errors
        == f"ockam-ref: {tmp_path}/bad.yaml:2:1: a recipe has no 'tcp-outlts': did you mean 'tcp-outlets'?\n"
    )
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff")
    done = run("node", "create", str(tmp_path / "bytes.yaml"))
    assert (done.code, done.errors) == (1, f"ockam-ref: {tmp_path}/bytes.yaml: this is no text in UTF-8\n")
    assert not (tmp_path / "home").exists()


@pytest.mark.spec("CLI-20", "RCP-33")
@pytest.mark.parametrize("words", [["/nowhere.yaml"], [], ["-", "--variable", "X"], ["-", "--variable", "=x"]])
def test_arguments_that_cannot_be_understood(words: list[str]) -> None:
    done = run("node", "create", *words)
    assert (done.code, done.output) == (2, "")


@pytest.mark.spec("RCP-32")
def test_a_dry_run(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(f"ticket: SECRET\n{PORTAL}", encoding="utf-8")
    words = ("node", "create", str(tmp_path / "r.yaml"), "--dry-run")
    known = variables_of(tmp_path, HUB="127.0.0.1:1", TARGET="127.0.0.1:2")
    done = run(*words, variables=known)
    assert (done.code, done.errors) == (0, "")
    assert done.output.splitlines() == [
        "ticket              enrolls the default identity, once",
        "node        alone   is the default identity",
        "tcp-outlet  db      leads to 127.0.0.1:2",
        "relay       alone   leads here from the hub 127.0.0.1:1",
        "tcp-inlet   way-in  listens at 127.0.0.1:0 and leads to 127.0.0.1:1 => forward_to_alone => db",
    ]
    events = [json.loads(line) for line in run(*words, "--json", variables=known).output.splitlines()]
    assert [(one["event"], one["kind"]) for one in events] == [
        ("step", kind) for kind in ("ticket", "node", "tcp-outlet", "relay", "tcp-inlet")
    ]
    assert not (tmp_path / "home").exists()


def test_the_recipe_of_the_documentation(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "recipes.rst").read_text(encoding="utf-8")
    recipe, *consoles = [textwrap.dedent(block) for block in re.findall(r"code-block:: \w+\n\n((?:   .*\n|\n)+)", page)]
    (tmp_path / "web.yaml").write_text(recipe, encoding="utf-8")
    command, *table = consoles[2].strip().splitlines()
    shown = command.removeprefix("$ ockam-ref ").replace("web.yaml", str(tmp_path / "web.yaml"))
    assert run(*shown.split(), variables=variables_of(tmp_path)).output.splitlines() == table


@pytest.mark.spec("RCP-33")
def test_a_recipe_from_the_standard_input(tmp_path: Path) -> None:
    def piped(text: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*OURS, "node", "create", "-", *words],
            input=text,
            cwd=REPOSITORY,
            env=variables_of(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )

    assert piped("name: n1", "--dry-run").stdout == "node  n1  is the default identity\n"
    assert piped("nam: n1").stderr == "ockam-ref: (standard input):1:1: a recipe has no 'nam': did you mean 'name'?\n"
    assert "has ended" in piped("exit-on-eof: true").stderr


@pytest.mark.spec("RCP-37")
def test_the_end_of_the_standard_input(peers: Peers, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("exit-on-eof: true", encoding="utf-8")
    command = [*OURS, "node", "create", str(tmp_path / "r.yaml"), "--json"]
    process = peers.add(Peer("node", command, environment=variables_of(tmp_path)))
    process.ready()
    process.write("something that nobody needs\n")
    assert process.is_running
    process.close_input()
    assert process.ended() == 0


@pytest.mark.spec("RCP-35")
def test_policies_of_a_recipe_and_of_the_state(target: Target, create: Start, tmp_path: Path) -> None:
    guest = run("identity", "create", "--json", variables=environment() | {"OCKAM_REF_HOME": str(tmp_path / "other")})
    who = json.loads(guest.output)["identifier"]
    serving = (
        "tcp-listener-address: 127.0.0.1:0\n"
        "policies: [{resource-type: tcp-outlet, allow: '(= subject.identifier \"$WHO\")'}]\n"
        "tcp-outlets: {open: {to: $TARGET}, shut: {to: $TARGET, allow: '(= subject.identifier \"nobody\")'}}"
    )
    node, ready = create(serving, TARGET=target.address, WHO=who)
    port = ready["listen"].rpartition(":")[2]
    leading = "tcp-inlets:\n" + "".join(
        f"  {name}: {{to: /ip4/127.0.0.1/tcp/{port}/secure/api/service/{name}}}\n" for name in ("open", "shut")
    )
    _, of_guest = create(leading, state="other")
    _, of_stranger = create(leading, state="third")
    assert of_guest["identifier"] == who
    assert http_get(of_guest["inlets"][0]["listen"]) == "target"
    for shut in (of_guest["inlets"][1], *of_stranger["inlets"]):
        with connect(shut["listen"]):
            assert node.event("message-dropped")["rule"] == "incoming:policy"


def test_an_inlet_with_a_policy_leads_to_nobody_else(target: Target, create: Start) -> None:
    _, ready = create("tcp-listener-address: 127.0.0.1:0\ntcp-outlets: {to: $TARGET}", TARGET=target.address)
    port = ready["listen"].rpartition(":")[2]
    to = f"to: /ip4/127.0.0.1/tcp/{port}/secure/api/service/outlet"
    leading = f"tcp-inlets: {{a: {{{to}, allow: '(= subject.identifier \"x\")'}}, b: {{{to}}}}}"
    _, leads = create(leading, "--explain", state="other")
    shut, is_open = leads["inlets"]
    with connect(shut["listen"]) as client:
        assert client.recv(1) == b""
    assert http_get(is_open["listen"]) == "target"


@pytest.mark.spec("RCP-34", "RCP-35")
def test_members_of_a_project(peers: Peers, target: Target, create: Start, tmp_path: Path) -> None:
    """The guide of a team in two recipes: a ticket each, one hub that asks for members, and a policy."""
    alice = Person(tmp_path / "alice")
    start_authority(peers, alice, "--project", "team")
    hub = peers.add(
        Peer(
            "hub",
            [*OURS, "hub", "--listen", ANY_PORT, "--authority", "team", "--json"],
            environment=alice.variables,
        )
    ).ready()
    of_web = alice.good("project", "ticket", "-a", "role=web", "--relay", "web")
    of_client = alice.good("project", "ticket", "-a", "role=client")
    (tmp_path / "web.ticket").write_text(of_web, encoding="utf-8")
    serving = (
        "ticket: $TICKET\nhub: $HUB\nrelay: web\n"
        "tcp-outlets: {web: {to: $TARGET, allow: role=client}, admin: {to: $TARGET, allow: role=admin}}"
    )
    variables = {"HUB": hub["listen"], "TARGET": target.address}
    node, ready = create(serving, state="web", TICKET=str(tmp_path / "web.ticket"), **variables)
    assert (ready["project"], ready["relays"][0]["forwarding_address"]) == ("team", "forward_to_web")
    leading = (
        "ticket: $TICKET\nhub: $HUB\n"
        "tcp-inlets: {web: {to: web, via: web, allow: role=web}, admin: {to: admin, via: web}}"
    )
    client, leads = create(leading, state="client", TICKET=of_client, **variables)
    web, admin = leads["inlets"]
    assert http_get(web["listen"]) == "target"
    with connect(admin["listen"]):
        assert node.event("message-dropped")["rule"] == "incoming:policy"
    node.stop()
    _, again = create(serving, state="web", TICKET=of_web, **variables)  # it was used, and does no harm
    assert again["identifier"] == ready["identifier"]
    for _ in leads["inlets"]:
        client.event("link-restored")
    assert http_get(web["listen"]) == "target"


@pytest.mark.spec("RCP-31", "RCP-34")
def test_tickets_that_are_of_no_use(peers: Peers, tmp_path: Path) -> None:
    alice, bob = Person(tmp_path / "alice"), Person(tmp_path / "bob")
    start_authority(peers, alice)
    used = alice.good("project", "ticket")
    bob.good("project", "enroll", used)
    stale = refused(tmp_path, "ticket: $TICKET", TICKET=used)
    assert "ticket: the authority does not take the ticket" in stale.errors
    for text, why in (("nowhere.ticket", "ticket: "), (used[:40], "ticket: ")):
        done = refused(tmp_path, "ticket: $TICKET", TICKET=text)
        assert why in done.errors
        assert used not in done.errors


@pytest.mark.spec("RCP-30")
def test_tls_at_both_plain_sides(create: Start, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    with tls_echo(certificate) as target:
        text = (
            "tcp-listener-address: $LISTEN\ntcp-outlets: {echo: {to: $TARGET, tls-ca: $CHAIN}}\n"
            "tcp-inlets: {i: {to: /ip4/127.0.0.1/tcp/$PORT/secure/api/service/echo, "
            "tls-certificate: $CHAIN, tls-key: $KEY}}"
        )
        port = free_port()
        files = {"CHAIN": str(certificate.chain), "KEY": str(certificate.key)}
        _, ready = create(text, LISTEN=f"127.0.0.1:{port}", PORT=str(port), TARGET=target, **files)
        context = ssl.create_default_context(cafile=str(certificate.chain))
        with (
            connect(ready["inlets"][0]["listen"]) as sock,
            context.wrap_socket(sock, server_hostname="localhost") as stream,
        ):
            stream.sendall(b"hello")
            assert stream.recv(100) == b"HELLO"
