"""Any order of what people do with identities, in two processes and over years, leaves a store that makes sense."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ockam_ref.asyncio.identities import Identities
from ockam_ref.errors import ErrorCode, MisuseError, VerificationError
from ockam_ref.identities.change_history import Comparison, VerifiedIdentity, compare_histories
from ockam_ref.identities.keys import KeyKind
from ockam_ref.identities.presentation import decode_presentation, verify_presentation
from ockam_ref.identities.purpose_keys import CredentialSigningKey
from ockam_ref.storage.secret_keys import SecretRepository, SecretUse
from ockam_ref.storage.store import Store
from ockam_ref.vault.handles import signing_key_handle, x25519_key_handle

T = TypeVar("T")

NOW = 1_700_000_000
YEAR = 365 * 86_400
NAMES = st.sampled_from(["one", "two", "three"])


class Lifecycle(RuleBasedStateMachine):
    """``known`` is what others have last seen of each identity, by its name here."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.now = NOW
        self.store = self.do(Store.open(None))
        self.processes = [Identities(self.store, clock=lambda: self.now) for _ in range(2)]
        self.known: dict[str, VerifiedIdentity] = {}

    def teardown(self) -> None:
        self.do(self.store.close())
        self.runner.close()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def attempt(self, work: Coroutine[Any, Any, T], name: str) -> T | None:
        """Return what comes of it; a name that is not there, and a key that has ended, are refused as such."""
        known = self.known.get(name)
        try:
            found = self.do(work)
        except (MisuseError, VerificationError) as error:
            has_ended = known is not None and known.valid_until < self.now
            if error.code is (ErrorCode.BAD_ATTESTATION if has_ended else ErrorCode.NOT_FOUND):
                return None
            raise
        assert known is not None
        return found

    @rule(name=NAMES, kind=st.sampled_from(KeyKind), process=st.integers(0, 1))
    def create(self, name: str, kind: KeyKind, process: int) -> None:
        try:
            made = self.do(self.processes[process].create(name, kind=kind))
        except MisuseError as error:
            if error.code is ErrorCode.NAME_TAKEN and name in self.known:
                return
            raise
        assert name not in self.known
        self.known[name] = made.identity

    @rule(name=NAMES, process=st.integers(0, 1))
    def open(self, name: str, process: int) -> None:
        local = self.attempt(self.processes[process].open(name), name)
        if local is None:
            return
        shown = decode_presentation(local.presentation)
        peer = verify_presentation(shown, noise_static=local.static.public, now=self.now)
        assert peer.identity == self.known[name]
        # at least a tenth of a life is left, or there is no longer one to be had
        assert local.expires_at >= min(self.now + YEAR // 2, peer.identity.valid_until)

    @rule(name=NAMES, process=st.integers(0, 1))
    def sign_credentials(self, name: str, process: int) -> None:
        key = self.attempt(self.processes[process].issuing_key(name), name)
        assert key is None or key.expires_at >= min(self.now + YEAR // 2, key.identity.valid_until)

    @rule(name=NAMES, process=st.integers(0, 1), kind=st.sampled_from([None, *KeyKind]))
    def rotate(self, name: str, process: int, kind: KeyKind | None) -> None:
        rotated = self.attempt(self.processes[process].rotate(name, kind=kind), name)
        if rotated is not None:
            assert compare_histories(rotated.identity.history, self.known[name].history) is Comparison.NEWER
            self.known[name] = rotated.identity

    @rule(name=NAMES, process=st.integers(0, 1))
    def delete(self, name: str, process: int) -> None:
        if self.attempt(self.processes[process].delete(name), name) is not None:
            del self.known[name]

    @rule(years=st.integers(1, 7))
    def wait(self, years: int) -> None:
        self.now += years * YEAR

    @invariant()
    def exactly_the_secrets_that_are_needed_are_there(self) -> None:
        identities, secrets = self.processes[0], SecretRepository(self.store)
        stored = self.do(identities.list())
        assert {entry.name: entry.identity for entry in stored} == self.known
        signing = {signing_key_handle(entry.identity.latest_key).value for entry in stored}
        x25519 = set()
        for entry in stored:
            for attested in self.do(identities.attested(entry.name)):
                if isinstance(attested.public_key, CredentialSigningKey):
                    signing.add(signing_key_handle(attested.public_key.public).value)
                else:
                    x25519.add(x25519_key_handle(attested.public_key.public).value)
        assert set(self.do(secrets.handles(SecretUse.SIGNING))) == signing
        assert set(self.do(secrets.handles(SecretUse.X25519))) == x25519


Lifecycle.TestCase.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


TestLifecycle = pytest.mark.spec("ID-34", "ID-35", "ID-39")(Lifecycle.TestCase)
