"""A software vault has nothing to wait for: its operations run to their end in one step, without an event loop."""

from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from ockam_ref.vault.handles import SecretBufferHandle
from ockam_ref.vault.interfaces import Entropy, SecretsRepository, VaultForSecureChannels
from ockam_ref.vault.memory import MemorySecrets
from ockam_ref.vault.vault import Vault, software_vault

Result = TypeVar("Result")

SECRET: Final = bytes(range(32))


def done(operation: Coroutine[Any, Any, Result]) -> Result:
    try:
        operation.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    operation.close()
    raise AssertionError("it waits")


def counting() -> Entropy:
    """Return different bytes each time, the same in every run."""
    count = 0

    def draw(length: int) -> bytes:
        nonlocal count
        count += 1
        return count.to_bytes(length)

    return draw


def memory_vault(secrets: SecretsRepository | None = None) -> Vault:
    return software_vault(secrets or MemorySecrets(), counting())


def exposed(vault: VaultForSecureChannels, secrets: MemorySecrets, buffer: SecretBufferHandle) -> bytes:
    """Return what is in a buffer of 32 bytes, by way of the repository: the vault itself tells nobody."""
    key = done(vault.convert_secret_buffer_to_aead_key(buffer))
    done(vault.persist_aead_key(key))
    secret = done(secrets.aead_secret(key.value))
    assert secret is not None
    assert done(vault.delete_aead_secret_key(key))
    return secret
