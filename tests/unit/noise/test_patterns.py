import pytest

from ockam_ref.errors import ErrorCode, MisuseError
from ockam_ref.noise.patterns import OCKAM_XX_25519_AES256_GCM_SHA256, XX, Pattern, Token
from ockam_ref.noise.primitives import Cipher, HashName


@pytest.mark.spec("NOISE-1")
def test_ockam_suite() -> None:
    suite = OCKAM_XX_25519_AES256_GCM_SHA256
    assert suite.protocol_name == b"OCKAM_XX_25519_AES256_GCM_SHA256"
    assert len(suite.protocol_name) == 32
    assert (suite.cipher, suite.hash_name, suite.swap_split) == (Cipher.AES_256_GCM, HashName.SHA256, True)


@pytest.mark.spec("NOISE-1")
def test_xx_reads_as_in_the_paper() -> None:
    assert [" ".join(token.value for token in tokens) for tokens in XX.messages] == ["e", "e ee s es", "s se"]
    assert OCKAM_XX_25519_AES256_GCM_SHA256.pattern is XX


@pytest.mark.parametrize(
    "messages",
    [
        ((Token.E,), (Token.E, Token.EE)),
        ((Token.E,), (Token.E, Token.EE, Token.S, Token.ES)),
        ((Token.E, Token.S), (Token.E, Token.EE, Token.SE)),
        ((Token.E, Token.S), (Token.E, Token.EE, Token.SE, Token.S, Token.ES), (Token.S,)),
    ],
)
@pytest.mark.spec("NOISE-4")
def test_a_pattern_shows_each_static_key_once(messages: tuple[tuple[Token, ...], ...]) -> None:
    with pytest.raises(MisuseError) as refused:
        Pattern("odd", messages)
    assert refused.value.code == ErrorCode.MISUSE
