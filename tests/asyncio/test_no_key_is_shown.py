"""No object of a running node shows a byte of a secret key, and no log or exception either."""

import gc
import logging
import os
import traceback
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from ockam_ref.asyncio import Node
from ockam_ref.asyncio.home import Home
from ockam_ref.errors import OckamError
from ockam_ref.identities.change_history import create_identity
from ockam_ref.identities.keys import KeyKind, ed25519_from_seed
from ockam_ref.noise.primitives import Cipher, SessionKey
from ockam_ref.vault.handles import AeadKeyHandle
from tests.secret_bytes import found_in, secrets_of

Run = Callable[[Coroutine[Any, Any, None]], None]

KEY_BYTES = 32
NOW = 1_700_000_000


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every key: what was drawn at random with the length of one, and the keys of channels."""
    keys: list[bytes] = []
    urandom, make = os.urandom, SessionKey.__init__

    def draw(length: int) -> bytes:
        data = urandom(length)
        if length == KEY_BYTES:
            keys.append(data)
        return data

    def note(self: SessionKey, cipher: Cipher, secret: bytes) -> None:
        keys.append(secret)
        make(self, cipher, secret)

    monkeypatch.setattr(os, "urandom", draw)
    monkeypatch.setattr(SessionKey, "__init__", note)
    return keys


@pytest.fixture
def few_objects() -> Iterator[None]:
    """Take what earlier tests left in this process out of the sight of ``what_objects_show``: it can be very much."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def what_objects_show() -> bytes:
    shown = []
    for thing in gc.get_objects():
        if str(type(thing).__module__).startswith(("ockam_ref.", "ockam_transports.")):
            shown += [repr(thing), str(thing)]
    assert len(shown) > 200
    return "\n".join(shown).encode(errors="backslashreplace")


async def exceptions(home: Home, node: Node) -> bytes:
    """Return the tracebacks of much that can go wrong with keys."""
    seed = os.urandom(KEY_BYTES)
    history = create_identity(ed25519_from_seed(seed), valid_from=NOW, valid_until=2 * NOW).history.encoded
    vault = home.identities.vault.secure_channel_vault
    buffer = await vault.import_secret_buffer(os.urandom(KEY_BYTES))
    key = await vault.convert_secret_buffer_to_aead_key(buffer)
    told = []
    for operation in (
        home.identities.import_(history, os.urandom(KEY_BYTES)),
        home.identities.import_(history, seed[:31]),
        home.identities.import_(history, seed, name="no name"),
        vault.aead_decrypt(key, bytes(40), bytes(12), b""),
        vault.aead_encrypt(key, bytes(40), bytes(11), b""),
        vault.hkdf(buffer, None, 2),
        vault.load_aead_key(AeadKeyHandle(bytes(8))),
        home.identities.create("mine"),
        node.create_secure_channel(await home.identities.open("mine"), "nobody", timeout=0.01),
    ):
        with pytest.raises(OckamError) as caught:
            await operation
        told += traceback.format_exception(caught.value)
    return "\n".join(told).encode()


@pytest.mark.spec("ID-10", "ID-43", "VLT-10")
@pytest.mark.usefixtures("few_objects")
def test_a_running_node(run: Run, tmp_path: Path, drawn: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    written: list[bytes] = []

    async def main() -> None:
        async with (
            await Home.open(tmp_path / "home" / "state.db") as home,
            Node.create() as node,
            Node.create() as peer,
        ):
            await home.attach(node)
            mine = await home.identities.create("mine", kind=KeyKind.P256)
            issuing = await home.identities.issuing_key()
            listener = await node.tcp_listen("127.0.0.1:0")
            channels = await node.create_secure_channel_listener(mine, "api", consumer_of=[listener])
            await node.start_echo(consumer_of=[channels])
            stranger = peer.create_identity()
            connection = await peer.tcp_connect(listener.address)
            channel = await peer.create_secure_channel(stranger, (connection, "api"), trust=mine.identifier)
            reply = await peer.send_and_receive((channel, "echo"), "secret")
            written.append(what_objects_show())
            drawn.extend(secrets_of(tmp_path / "home"))
            rotated = await home.identities.rotate()
            node.replace_identity(rotated)
            written.append(await exceptions(home, node))
            written.append(what_objects_show())
            assert reply.body(str) == "secret"
            written.append(f"{issuing!r} {home!r} {home.identities.vault!r} {home.store!r}".encode())
        written.append(caplog.text.encode())

    run(main())
    secrets = {*drawn, *secrets_of(tmp_path / "home")}
    assert len(secrets) > 15
    assert found_in(b"\n".join(written), secrets) == []
