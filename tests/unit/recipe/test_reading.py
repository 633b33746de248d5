"""What a recipe says, in all the forms that it may be written in, and what is refused with which advice."""

from typing import Any

import pytest

from ockam_ref.identities.identifier import Identifier
from ockam_ref.policies.parsing import parse_policy
from ockam_ref.policies.resources import ResourceType
from ockam_ref.recipe import InletEntry, OutletEntry, Place, Recipe, RecipeError, Way, read_recipe, steps_of
from ockam_ref.wire.address import local

HUB = "hub: 127.0.0.1:4000\n"
SOMEBODY = Identifier(bytes(range(32)))


def read(text: str, **options: Any) -> Recipe:
    return read_recipe(text, file="r", **options)


def way(outlet: str = "outlet", relay: str | None = "forward_to_default", via: str = "127.0.0.1:4000") -> Way:
    return Way(via, None if relay is None else local(relay), local("api"), local(outlet))


def inlet(text: str) -> InletEntry:
    (found,) = read(HUB + "tcp-inlets:\n  i:\n" + "".join(f"    {line}\n" for line in text.split("\n"))).inlets
    return found


MINIMAL = """
variables:
  NODE_PORT: 3333
  SERVICE_PORT: 5000
  CLIENT_PORT: 15000

name: n1
hub: 127.0.0.1:4000
tcp-listener-address: 127.0.0.1:$NODE_PORT

relay: default

tcp-outlet:
  db-outlet:
    to: $SERVICE_PORT

tcp-inlet:
  web-inlet:
    from: $CLIENT_PORT
"""


@pytest.mark.spec("RCP-1", "RCP-20", "RCP-24", "RCP-25")
def test_the_peers_smallest_example() -> None:
    recipe = read(MINIMAL)
    assert (recipe.name, recipe.listen) == ("n1", "127.0.0.1:3333")
    assert recipe.outlets == (OutletEntry("db-outlet", "127.0.0.1:5000", Place("r", 14, 3)),)
    (relay,), (led,) = recipe.relays, recipe.inlets
    assert (relay.name, relay.hub, relay.place) == ("default", "127.0.0.1:4000", Place("r", 11, 8))
    assert led == InletEntry("web-inlet", "127.0.0.1:15000", way("db-outlet"), Place("r", 18, 3))


def test_a_recipe_may_be_empty() -> None:
    assert read("") == Recipe()
    assert read("{}") == Recipe()


@pytest.mark.spec("RCP-3", "RCP-5")
def test_the_keys_of_the_node() -> None:
    text = "version: '1'\nforeground: true\nexit_on_eof: true\nidentity: web\nproject: p\nticket: abc\ntcp_listener_address: 4001"
    recipe = read(text)
    assert (recipe.exit_on_eof, recipe.identity, recipe.project, recipe.ticket) == (True, "web", "p", "abc")
    assert recipe.listen == "127.0.0.1:4001"
    assert "abc" not in repr(recipe)
    assert read("version: 1").exit_on_eof is False


@pytest.mark.spec("RCP-20")
@pytest.mark.parametrize("key", ["relays", "relay"])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("r1", ["r1"]),
        ("[r1, r2]", ["r1", "r2"]),
        ("{r1: {}, r2: {at: '127.0.0.1:5'}}", ["r1", "r2"]),
        ("[r1, {r2: {}, r3: {}}]", ["r1", "r2", "r3"]),
        ("{relay-address: r1}", ["r1"]),
        ("{r1: {relay-address: r2}}", ["r2"]),
        ("{at: '127.0.0.1:5'}", ["default"]),
        ("[]", []),
        ("{}", []),
    ],
)
def test_forms_of_relays(key: str, text: str, names: list[str]) -> None:
    assert [relay.name for relay in read(f"{HUB}{key}: {text}").relays] == names


@pytest.mark.spec("RCP-20", "RCP-21")
@pytest.mark.parametrize("key", ["tcp-outlets", "tcp-outlet", "tcp_outlets", "tcp_outlet"])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{to: 5}", ["outlet"]),
        ("{to: 5, from: a}", ["a"]),
        ("{a: {to: 5}, b: {to: 6}}", ["a", "b"]),
        ("{a: {to: 5, from: /service/c}}", ["c"]),
        ("[{to: 5}, {to: 6, from: b}, {c: {to: 7}}]", ["outlet", "b", "c"]),
    ],
)
def test_forms_of_outlets(key: str, text: str, names: list[str]) -> None:
    outlets = read(f"{key}: {text}").outlets
    assert [outlet.name for outlet in outlets] == names
    assert [outlet.target for outlet in outlets] == [f"127.0.0.1:{5 + n}" for n in range(len(names))]


@pytest.mark.spec("RCP-20", "RCP-21")
def test_forms_of_inlets() -> None:
    many = read(f"{HUB}tcp_inlet: [{{from: 5}}, {{a: {{from: 6}}, b: {{alias: c}}}}, {{alias: d}}]").inlets
    assert [(one.name, one.listen) for one in many] == [
        ("inlet-1", "127.0.0.1:5"),
        ("a", "127.0.0.1:6"),
        ("c", "127.0.0.1:0"),
        ("d", "127.0.0.1:0"),
    ]


@pytest.mark.spec("RCP-23")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("to: db", way("db")),
        ("to: /service/db", way("db")),
        ("to: db\nvia: west", way("db", "forward_to_west")),
        ("via: west", way("outlet", "forward_to_west")),
        (
            "to: /ip4/10.0.0.1/tcp/5000/service/forward_to_x/secure/api/service/db",
            way("db", "forward_to_x", "10.0.0.1:5000"),
        ),
        ("to: /ip6/::1/tcp/5000/secure/entry/service/db", Way("[::1]:5000", None, local("entry"), local("db"))),
        ("to: /dnsaddr/hub.example/tcp/5000/secure/api/service/db", way("db", None, "hub.example:5000")),
        ("to: /project/any/service/forward_to_x/secure/api/service/db", way("db", "forward_to_x")),
    ],
)
def test_ways_to_outlets(text: str, found: Way) -> None:
    assert inlet(text).way == found


@pytest.mark.spec("RCP-24")
def test_an_inlet_of_ones_own_relay_leads_to_ones_only_outlet() -> None:
    def leads_to(text: str) -> list[str]:
        return [one.way.outlet.value.decode() for one in read(HUB + text).inlets]

    outlet, outlets = "tcp-outlets: {db: {to: 5}}\n", "tcp-outlets: {db: {to: 5}, web: {to: 6}}\n"
    assert leads_to(f"{outlet}relay: default\ntcp-inlets: {{from: 0}}") == ["db"]
    assert leads_to(f"{outlet}relay: west\ntcp-inlets: {{from: 0, via: west}}") == ["db"]
    assert leads_to(f"{outlet}relay: west\ntcp-inlets: {{from: 0}}") == ["outlet"]
    assert leads_to(f"{outlets}relay: default\ntcp-inlets: {{from: 0}}") == ["outlet"]
    elsewhere = "relay: {default: {at: '127.0.0.1:9'}}\n"
    assert leads_to(f"{outlet}{elsewhere}tcp-inlets: {{from: 0}}") == ["outlet"]


@pytest.mark.spec("RCP-26")
def test_rules() -> None:
    recipe = read(
        "name: n\npolicies:\n- {at: n, resource: db, allow: role=admin}\n"
        '- resource-type: tcp-inlet\n  expression: (= subject.role "x")\n'
        "tcp-outlets: {db: {to: 5, allow: a and b, at: /node/n}}"
    )
    assert [(one.guarded, one.policy.text) for one in recipe.policies] == [
        ("db", "role=admin"),
        (ResourceType.TCP_INLET, '(= subject.role "x")'),
    ]
    assert recipe.outlets[0].allow == parse_policy("a and b")
    (single,) = read("policy: {resource: db, allow: a}").policies
    assert single.policy == parse_policy("a")


def test_the_rest_of_the_arguments() -> None:
    found = inlet(f"authorized: {SOMEBODY}\nallow: a\nidentity: web\ntls-certificate: c.pem\ntls_key: k.pem")
    assert (found.authorized, found.allow, found.identity) == (SOMEBODY, parse_policy("a"), "web")
    assert (found.tls_certificate, found.tls_key) == ("c.pem", "k.pem")
    assert inlet(f"expect: {SOMEBODY}").authorized == SOMEBODY
    plain, tls, own = read(
        "tcp-outlets: {a: {to: 5, tls: false}, b: {to: 5, tls: true}, c: {to: 5, tls-ca: ca.pem}}"
    ).outlets
    assert [(one.tls, one.tls_ca) for one in (plain, tls, own)] == [(False, None), (True, None), (False, "ca.pem")]
    (relay,) = read(f"name: n\nrelay: {{r: {{to: n, at: /ip4/127.0.0.1/tcp/7, authorized: {SOMEBODY}}}}}").relays
    assert (relay.hub, relay.authorized) == ("127.0.0.1:7", SOMEBODY)


OUTLET, RELAY, INLET = "tcp-outlets: {a: {to: 5, %s}}", HUB + "relays: {a: {%s}}", HUB + "tcp-inlets: {a: {%s}}"


@pytest.mark.spec("RCP-2", "RCP-3", "RCP-5", "RCP-21", "RCP-22", "RCP-23", "RCP-26")
@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("[]", "1:1", "a recipe is a table, such as 'name: n1'"),
        ("tcp-outlats: {}", "1:1", "a recipe has no 'tcp-outlats': did you mean 'tcp-outlets'?"),
        ("name: n\nqqq: 1", "2:1", "a recipe has no 'qqq': it may have version, ticket, name, "),
        (
            "tcp-inlet: {from: 1}\ntcp_inlets: {}",
            "2:1",
            "'tcp_inlets' and 'tcp-inlet' in line 1 are the same; keep one",
        ),
        ("name: [a]", "1:7", "'name' of a recipe has one value, on the same line"),
        ("name:", "1:6", "'name' of a recipe has one value, on the same line"),
        ("name: ''", "1:7", "this is empty"),
        ("version: 2", "1:10", "version '2' of recipes is not known; write 'version: 1'"),
        ("foreground: false", "1:13", "a node runs in the foreground; leave it out"),
        ("exit-on-eof: yes", "1:14", "'yes' is neither true nor false"),
        ("exit-on-eof: 'true'", "1:14", "'true' is neither true nor false"),
        ("hub: nowhere", "1:6", "'nowhere' is not a socket address: a port from 0 to 65535"),
        ("hub: /project/x", "1:6", "through which hub? Write 'hub: HOST:PORT' at the top of the recipe"),
        ("hub: /ip4/1.2.3.4/tcp/5/service/x", "1:6", "'/ip4/1.2.3.4/tcp/5/service/x' goes on behind the hub"),
        ("hub: /service/x", "1:6", "'/service/x' begins with no hub"),
        ("hub: /dnsaddr//tcp/5", "1:6", "'/dnsaddr//tcp/5' begins with no hub"),
        ("hub: /ipv4/x", "1:6", "'ipv4' is no protocol of a MultiAddr"),
        ("tcp-outlets: {a: {}}", "1:18", "the outlet 'a' needs 'to: HOST:PORT'"),
        ("tcp-outlets: web", "1:14", "an outlet needs arguments, in a table"),
        ("tcp-outlets: [web]", "1:15", "an outlet is a table of arguments"),
        ("tcp-outlets: {a: {to: 5}, to: 6}", "1:31", "the arguments of 'to' are a table, as beside it"),
        (OUTLET % "too: 1", "1:26", "the outlet 'a' has no 'too': did you mean 'to'?"),
        (OUTLET % "from: api", "1:15", "'api' is where the node answers handshakes; give the outlet another name"),
        (OUTLET % "from: 1#x", "1:32", "'1#x' is not the name of a worker"),
        (OUTLET % "from: a#b#c", "1:32", "more than one '#' in the address"),
        (OUTLET % "from: /service/", "1:32", "'' is not the name of a worker"),
        (OUTLET % "at: n", "1:26", "'n' is not the node of this recipe; leave 'at' out, or write 'name: n' at the top"),
        ("tcp-outlets: [{to: 5}, {to: 6}]", "1:24", "the outlet 'outlet' is there already, in line 1"),
        ("tcp-outlets: {a: {to: 5, allow: '(= a'}}", "1:33", "this is no policy: line 1, column "),
        (
            HUB + "tcp-outlets: {a: {to: 5}}\ntcp-inlets: {a: {from: 0}}",
            "3:14",
            "the inlet or outlet 'a' is there already",
        ),
        ("relays: [a, a]", "1:10", "through which hub? Write 'hub: HOST:PORT' at the top of the recipe"),
        (HUB + "relays: [a, a]", "2:13", "the relay 'a at 127.0.0.1:4000' is there already, in line 2"),
        (HUB + "relays: [[a]]", "2:10", "a list stands where a relay is expected"),
        (HUB + "relays: ", "2:8", "there is no name of a relay"),
        (HUB + "relays: register", "2:9", "a relay's name has 1 to "),
        (RELAY % "to: other", "2:14", "'other' is not the node of this recipe; leave 'to' out"),
        (RELAY % "at: /service/x", "2:18", "'/service/x' begins with no hub"),
        (RELAY % "authorized: me", "2:26", "copy the identifier that 'identity show' prints"),
        ("tcp-inlets: {a: {from: 0}}", "1:17", "through which hub?"),
        (INLET % "to: x, via: 'a#b'", "2:30", "a relay's name has 1 to "),
        (INLET % "to: /ip4/1.2.3.4/tcp/5/secure/api/service/x, via: b", "2:22", "a whole route names the relay itself"),
        (
            INLET % "to: /ip4/1.2.3.4/tcp/5/service/x",
            "2:22",
            "has no secure channel, and the inlets of a recipe need one",
        ),
        (INLET % "to: /ip4/1.2.3.4/tcp/5/secure/api", "2:22", "is no way to an outlet; write NAME, /service/NAME or"),
        (INLET % "tls-key: k", "2:17", "'tls-certificate: FILE' and 'tls-key: FILE' belong together"),
        ("policies: {resource: a, resource-type: relay, allow: a}", "1:11", "a policy needs one of"),
        ("policies: [{allow: a}]", "1:12", "a policy needs one of 'resource: NAME' and 'resource-type: TYPE'"),
        ("policies: {resource: a}", "1:11", "a policy needs 'allow: EXPRESSION'"),
        ("policies: {resource-type: door, allow: a}", "1:27", "'door' is no type of resource; there are tcp-inlet, "),
        ("policies: {x: {resource: a, allow: a}}", "1:12", "policies have no names; write them as a list"),
    ],
)
def test_what_is_refused(text: str, place: str, problem: str) -> None:
    with pytest.raises(RecipeError) as failure:
        read(text)
    assert str(failure.value).startswith(f"r:{place}: ")
    assert problem in str(failure.value)


@pytest.mark.spec("RCP-4")
@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("kafka-inlet: {}", "1:1", "'kafka-inlet' needs Kafka portals, which are not here; leave it out"),
        ("kafka_outlet: {}", "1:1", "'kafka_outlet' needs Kafka portals"),
        ("influxdb-inlets: {}", "1:1", "'influxdb-inlets' needs InfluxDB portals"),
        ("http-server: true", "1:1", "'http-server' is the peer's status page"),
        ("launch-config: x", "1:1", "'launch-config' belongs to the peer's cloud product; leave it out"),
        ("skip-is-running-check: true", "1:1", "has no meaning here"),
        ("nodes: [a]", "1:1", "write 'name: NAME'"),
        (OUTLET % "ebpf: true", "1:26", "'ebpf' needs a part of the kernel"),
        (RELAY % "no-connection-wait: true", "2:14", "is tried again until it is there"),
        (INLET % "udp: true", "2:18", "use 'ockam-ref inlet --rendezvous'"),
        (INLET % "retry-wait: 5s", "2:18", "is tried again until it is there"),
        (INLET % "tls: true", "2:18", "write 'tls-certificate: FILE' and 'tls-key: FILE'"),
    ],
)
def test_what_is_not_ours(text: str, place: str, problem: str) -> None:
    test_what_is_refused(text, place, problem)


@pytest.mark.spec("RCP-10")
def test_variables_are_replaced_before_anything_is_read() -> None:
    recipe = read(
        "$KEY: {$NAME: {to: $PORT, tls: $TLS}}",
        environment={"KEY": "tcp-outlets", "NAME": "db"},
        given={"PORT": "5", "TLS": "true"},
    )
    assert [(one.name, one.target, one.tls) for one in recipe.outlets] == [("db", "127.0.0.1:5", True)]


@pytest.mark.spec("RCP-32")
def test_the_steps_in_their_order() -> None:
    text = (
        f"name: n1\nticket: SECRET\nproject: p\nidentity: web\ntcp-listener-address: 1\n{HUB}"
        "policies: [{resource: db, allow: a}, {resource-type: tcp-inlet, allow: b}]\n"
        f"relays: {{r: {{authorized: {SOMEBODY}}}, s: {{}}}}\n"
        "tcp-outlets: {db: {to: 5, tls: true, allow: c}, e: {to: 6}}\n"
        f"tcp-inlets: {{i: {{from: 7, authorized: {SOMEBODY}, allow: d, tls-certificate: x, tls-key: y}}, "
        "j: {to: /ip4/1.2.3.4/tcp/5/secure/api/service/x}}"
    )
    steps = steps_of(read(text))
    assert [(step.kind, step.name, step.line) for step in steps] == [
        ("ticket", "p", 0),
        ("node", "n1", 0),
        ("tcp-listener", "127.0.0.1:1", 0),
        ("policy", "db", 7),
        ("policy", "all of type tcp-inlet", 7),
        ("tcp-outlet", "db", 9),
        ("tcp-outlet", "e", 9),
        ("relay", "r", 8),
        ("relay", "s", 8),
        ("tcp-inlet", "i", 10),
        ("tcp-inlet", "j", 10),
    ]
    does = [step.does for step in steps]
    assert does[5:7] == ["leads to 127.0.0.1:5 over TLS, if c", "leads to 127.0.0.1:6"]
    assert does[7] == f"leads here from the hub 127.0.0.1:4000, which has to be {SOMEBODY}"
    assert does[9] == (
        "listens at 127.0.0.1:7 over TLS and leads to 127.0.0.1:4000 => forward_to_default => outlet, "
        f"which has to be {SOMEBODY}, if d"
    )
    assert does[10] == "listens at 127.0.0.1:0 and leads to 1.2.3.4:5 => x"
    assert "SECRET" not in "".join(does)
    project = steps_of(read("project: p"))
    assert [(step.kind, step.name) for step in project] == [("node", ""), ("project", "p")]
