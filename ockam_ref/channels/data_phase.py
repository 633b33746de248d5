"""The encrypted packets of an open channel: explicit nonces, a receive window, automatic rekeying.

A packet is ``be64 nonce || ciphertext || tag``, 24 bytes more than its plaintext (facts 04 sections 3.1, 3.4-3.8).
Both ends rekey by the value of the nonce: key number ``i`` covers the nonces ``32 i`` to ``32 i + 31``.
Named tuples, because each packet makes a new state and they are the cheapest frozen value there is.
"""

from enum import Enum
from struct import Struct
from typing import Final, NamedTuple, NoReturn, SupportsIndex

from ockam_ref.errors import ErrorCode, MisuseError, PeerError
from ockam_ref.noise.primitives import MAX_NONCE, TAG_LENGTH, Aead, Buffer, Cipher, SessionKey, refuse_copy

REKEY_INTERVAL: Final = 32
"""Messages that one key encrypts."""
WINDOW: Final = 32
"""How far, both ways, a packet may be from the largest nonce accepted so far."""
NONCE_LENGTH: Final = 8
OVERHEAD: Final = NONCE_LENGTH + TAG_LENGTH
"""Bytes a packet has more than its plaintext; no shorter packet is genuine."""

_BE64: Final = Struct(">Q")
_pack_nonce: Final = _BE64.pack
_unpack_nonce: Final = _BE64.unpack_from
_SEEN_MASK: Final = (1 << (WINDOW + 1)) - 1


class NonceWindow(NamedTuple):
    """The largest nonce accepted so far, and which of it and the 32 before it were: bit ``i`` is ``largest - i``.

    At the start nonce 0 is the largest but was not seen, so it is still welcome.
    """

    largest: int = 0
    seen: int = 0


def accept(window: NonceWindow, nonce: int) -> NonceWindow:
    """Return the window in which that nonce was seen (facts 04 section 3.6).

    Raises:
        PeerError: ``NONCE_REJECTED``, for a nonce seen before or more than 32 away from the largest.
    """
    largest, seen = window
    ahead = nonce - largest
    if 0 < ahead <= WINDOW:
        return NonceWindow(nonce, (seen << ahead | 1) & _SEEN_MASK)
    bit = 1 << -ahead if -WINDOW <= ahead <= 0 else 0
    if not bit or seen & bit:
        raise PeerError(ErrorCode.NONCE_REJECTED, f"nonce {nonce} is a repetition or outside of the window")
    return NonceWindow(largest, seen | bit)


class KeyChoice(Enum):
    """Which key a nonce belongs to, seen from the receiver's current one."""

    PREVIOUS = "previous"
    CURRENT = "current"
    NEXT = "next"


def choose_key(nonce: int, *, rekeys: int, interval: int = REKEY_INTERVAL) -> KeyChoice:
    """Tell the key of that nonce after so many rekeys (facts 04 section 3.7).

    One step ahead and one step back are the most there is, so that a forged nonce costs one derivation at most.
    Once the current interval would begin beyond the last nonce, nothing is accepted any more.

    Raises:
        PeerError: ``NONCE_REJECTED``.
    """
    start = rekeys * interval
    if start <= MAX_NONCE:
        ahead = (nonce - start) // interval
        if ahead == 0:
            return KeyChoice.CURRENT
        if ahead == 1:
            return KeyChoice.NEXT
        if ahead == -1:
            return KeyChoice.PREVIOUS
    raise PeerError(ErrorCode.NONCE_REJECTED, f"nonce {nonce} belongs to no key at hand")


class SendingState(NamedTuple):
    """The key in force and the nonce of the next packet; stepped once."""

    aead: Aead
    next_nonce: int

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        refuse_copy(self)


class ReceivingKeys(NamedTuple):
    """The current key, the one before it, and how often a new one was installed.

    Before the first rekey ``previous`` is the current key as well: no nonce is small enough to ask for it.
    """

    current: Aead
    previous: Aead
    rekeys: int

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        refuse_copy(self)


class ReceivingState(NamedTuple):
    """The keys and the window of one direction."""

    keys: ReceivingKeys
    window: NonceWindow

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        refuse_copy(self)


def start_sending(key: SessionKey) -> SendingState:
    """Return the state before the first packet, whose nonce is 0.

    Raises:
        MisuseError: the key is not for AES-256-GCM, the only cipher of the data phase.
    """
    return SendingState(_checked(key), 0)


def start_receiving(key: SessionKey) -> ReceivingState:
    """Return the state in which nothing was received yet.

    Raises:
        MisuseError: the key is not for AES-256-GCM, the only cipher of the data phase.
    """
    aead = _checked(key)
    return ReceivingState(ReceivingKeys(aead, aead, 0), NonceWindow())


def seal(state: SendingState, plaintext: Buffer) -> tuple[SendingState, bytes]:
    """Encrypt the plaintext into the next packet, with a new key before each positive multiple of 32.

    Raises:
        MisuseError: ``NONCE_EXHAUSTED``, when only the reserved nonce 2**64 - 1 is left.
    """
    aead, nonce = state
    if nonce >= MAX_NONCE:
        raise MisuseError(ErrorCode.NONCE_EXHAUSTED, "no nonce is left in this direction")
    if nonce and not nonce % REKEY_INTERVAL:
        aead = aead.rekeyed()
    # Joined: encrypting into place gives a bytearray, and making bytes of that costs at least as much.
    return SendingState(aead, nonce + 1), _pack_nonce(nonce) + aead.encrypt(nonce, b"", plaintext)


def packet_nonce(packet: Buffer) -> int:
    """Return the nonce a packet claims.

    Raises:
        PeerError: ``TRUNCATED``, for a packet that is shorter than the 24 bytes every packet has.
    """
    if len(packet) < OVERHEAD:
        raise PeerError(ErrorCode.TRUNCATED, f"a packet of {len(packet)} bytes is too short")
    nonce: int = _unpack_nonce(packet)[0]
    return nonce


def open_packet(state: ReceivingState, packet: Buffer) -> tuple[ReceivingState, bytes]:
    """Decrypt a packet; whatever is raised, the state given is still good for the next one.

    Raises:
        PeerError: ``TRUNCATED``, ``NONCE_REJECTED`` (repeated or out of the window) or ``AUTHENTICATION_FAILED``.
    """
    nonce = packet_nonce(packet)
    keys, window = state
    window = accept(window, nonce)
    choice = choose_key(nonce, rekeys=keys.rekeys)
    if choice is KeyChoice.CURRENT:
        aead = keys.current
    elif choice is KeyChoice.NEXT:
        aead = keys.current.rekeyed()
        keys = ReceivingKeys(aead, keys.current, keys.rekeys + 1)
    else:
        aead = keys.previous
    # The new window and keys take effect with this state only, which nobody has before the tag was right.
    return ReceivingState(keys, window), aead.decrypt(nonce, b"", memoryview(packet)[NONCE_LENGTH:])


def _checked(key: SessionKey) -> Aead:
    if key.cipher is not Cipher.AES_256_GCM:
        raise MisuseError(ErrorCode.MISUSE, f"the data phase has no packets under {key.cipher.name}")
    return Aead(key)
