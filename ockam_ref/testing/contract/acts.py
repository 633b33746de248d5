"""What the tests of the contract do over and over."""

from typing import Final

from ockam_ref.testing.contract.held import HeldLink
from ockam_ref.testing.contract.rig import Rig
from ockam_ref.testing.contract.scene import Scene

MANY: Final = 20
"""Links that are open at a time."""

_WRITE_BYTES: Final = 64 * 1024


def write_big(scene: Scene, link: HeldLink) -> bytes:
    """Write more than fits between two ends, in pieces that the link takes; return it."""
    size = min(_WRITE_BYTES, link.mtu or _WRITE_BYTES)
    block = bytes(range(251)) * (size // 251 + 1)
    pieces = []
    for number in range(-(-scene.rig.big_bytes // size)):
        pieces.append(number.to_bytes(4, "big") + block[: size - 4])
        link.write(pieces[-1])
    return b"".join(pieces)


async def link_in_state(scene: Scene, state: str) -> tuple[HeldLink, HeldLink | None]:
    """Return a link in that state, and its other end if there is one already."""
    if state == "opening":
        return scene.open(scene.rig.target_of(scene.listener.address)), None
    near, far = await scene.pair()
    if state == "named":
        near.write(b"a few bytes")
    elif state == "reading":
        near.start_reading()
    elif state == "full":
        write_big(scene, near)
    elif state == "finished":
        near.finish_sending()
    elif state == "ended":
        near.start_reading()
        far.finish_sending()
        if scene.rig.half_close:
            await scene.host.told("finished", near.id)
    return near, far


def use_every_call(link: HeldLink) -> None:
    """Make every call there is on a link that is over: nothing may come of it."""
    link.write(b"nobody there")
    link.stop_reading()
    link.start_reading()
    link.finish_sending()
    link.report_drained()
    link.report_relieved()


async def nobody_at(scene: Scene) -> str:
    """Return an address in good form at which nobody listens: somebody did a moment ago."""
    listener = await scene.listen()
    target = scene.rig.target_of(listener.address)
    listener.close()
    scene.listeners.remove(listener)
    return target


def check_sentence(rig: Rig, text: str, target: str) -> None:
    """A reason for people names the transport and the address, and no number or class of an operating system."""
    name = rig.plugin.name
    assert name in text.lower(), f"the sentence does not name the transport {name!r}: {text}"
    assert target in text or repr(target) in text, f"the sentence does not name {target!r}: {text}"
    assert "Errno" not in text, f"this is no sentence for people: {text}"
    assert "Error" not in text, f"this is no sentence for people: {text}"


async def fail(scene: Scene, target: str, times: int, *, give_up: bool) -> None:
    """Fail to open a link that often, or close it while it opens."""
    for _ in range(times // MANY):
        links = [scene.open(target) for _ in range(MANY)]
        for link in links:
            if give_up:
                link.close()
        for link in links:
            await scene.host.until(lambda over=link.id: scene.host.is_over(over))  # type: ignore[misc]
        for accepted in scene.host.accepted:
            link = scene.hold(accepted)
            link.abort()
            await scene.host.until(lambda over=link.id: scene.host.is_over(over))  # type: ignore[misc]
        scene.host.forget()
