"""Microseconds per operation of the per-packet codecs: schema, general reader, fast path.

Run ``python tests/benchmarks/bench_codecs.py``; nothing here is a test.
"""

import timeit
from collections.abc import Callable
from typing import Any

from ockam_ref.wire.address import local
from ockam_ref.wire.channel_message import (
    ChannelPayload,
    channel_payload_parts,
    decode_any_channel_message,
    decode_channel_message,
    encode_channel_message,
)
from ockam_ref.wire.cursor import Cursor
from ockam_ref.wire.portal_message import Payload, decode_portal_message, encode_portal_message
from ockam_ref.wire.route import encode_route_cbor, read_route_cbor
from ockam_ref.wire.schemas import CHANNEL_MESSAGE, PORTAL_MESSAGE, ROUTE, TRANSPORT_MESSAGE, strict_parse
from ockam_ref.wire.transport_message import (
    TransportMessage,
    decode_any_transport_message,
    decode_transport_message,
    encode_transport_message,
    transport_message_parts,
)

ONWARD = (local(b"8d7b66e240a6ebb6bea404060b822fab"), local("outlet"))
RETURN = (local(b"321542deafaba330bdcfdf34736a6b96"), local("app"))
PAYLOAD = bytes(1024)
TRANSPORT = TransportMessage(ONWARD, RETURN, PAYLOAD, "{}")
CHANNEL = ChannelPayload(ONWARD, RETURN, PAYLOAD)
PORTAL = Payload(PAYLOAD)


def microseconds(call: Callable[[], Any]) -> float:
    """Return the best of five rounds of about 0.1 s."""
    timer = timeit.Timer(call)
    count, _ = timer.autorange()
    return min(timer.repeat(5, max(count // 2, 1))) / max(count // 2, 1) * 1e6


def main() -> None:
    """Print one line per operation."""
    transport = memoryview(encode_transport_message(TRANSPORT))
    channel = memoryview(encode_channel_message(CHANNEL))
    portal = memoryview(encode_portal_message(PORTAL))
    route = encode_route_cbor(ONWARD)
    local_message = TRANSPORT.to_local()
    rows: list[tuple[str, dict[str, Callable[[], Any]]]] = [
        (
            "decode transport message",
            {
                "schema": lambda: strict_parse(TRANSPORT_MESSAGE, transport),
                "general": lambda: decode_any_transport_message(transport),
                "fast": lambda: decode_transport_message(transport),
            },
        ),
        (
            "encode transport message",
            {
                "schema": lambda: TRANSPORT_MESSAGE.build(TRANSPORT),
                "general": lambda: encode_transport_message(TRANSPORT),
                "fast": lambda: transport_message_parts(TRANSPORT),
            },
        ),
        (
            "decode channel message",
            {
                "schema": lambda: strict_parse(CHANNEL_MESSAGE, channel),
                "general": lambda: decode_any_channel_message(channel),
                "fast": lambda: decode_channel_message(channel),
            },
        ),
        (
            "encode channel message",
            {
                "schema": lambda: CHANNEL_MESSAGE.build(CHANNEL),
                "general": lambda: encode_channel_message(CHANNEL),
                "fast": lambda: channel_payload_parts(ONWARD, RETURN, len(PAYLOAD)),
            },
        ),
        (
            "decode portal message",
            {
                "schema": lambda: strict_parse(PORTAL_MESSAGE, portal),
                "fast": lambda: decode_portal_message(portal),
            },
        ),
        (
            "encode portal message",
            {"schema": lambda: PORTAL_MESSAGE.build(PORTAL), "fast": lambda: encode_portal_message(PORTAL)},
        ),
        (
            "read route",
            {"schema": lambda: strict_parse(ROUTE, route), "general": lambda: read_route_cbor(Cursor(route))},
        ),
        ("encode route", {"schema": lambda: ROUTE.build(ONWARD), "fast": lambda: encode_route_cbor(ONWARD)}),
        ("edit a local message", {"fast": lambda: local_message.step_forward(ONWARD[0])}),
    ]
    print(f"{'us per operation':<28}{'schema':>10}{'general':>10}{'fast':>10}")
    for name, columns in rows:
        cells = (
            f"{microseconds(columns[kind]):10.2f}" if kind in columns else " " * 10
            for kind in ("schema", "general", "fast")
        )
        print(f"{name:<28}{''.join(cells)}")


if __name__ == "__main__":
    main()
