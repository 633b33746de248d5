"""The full syntax of policies, ``(= subject.role "admin")`` (facts 06 section 5.2).

Tokens are those of the text format of WebAssembly, as the peer's reader takes them.  An expression may leave out its
outermost parentheses, and a ``)`` too many puts everything before it in a list, for the peer reads it so.
"""

from dataclasses import dataclass, field
from typing import Final

from ockam_ref.errors import DecodeError, ErrorCode, OckamError
from ockam_ref.policies.expression import (
    FALSE,
    HEX_DIGITS,
    MAX_DEPTH,
    MAX_INT,
    MIN_INT,
    OPERATORS,
    TRUE,
    Expression,
    Float,
    Ident,
    Int,
    List,
    Seq,
    Str,
    are_digits,
    incomparable_neighbours,
    is_name,
)

MAX_TEXT_LENGTH: Final = 65_536
"""Characters of a policy; a ``member?`` of nine hundred identifiers fits."""


class PolicySyntaxError(DecodeError):
    """The text is no policy; the message shows the line and points at the place.

    ``line`` and ``column`` count from one, ``offset`` from zero; ``problem`` is the message without the picture.
    """

    def __init__(self, text: str, offset: int, problem: str, *, code: ErrorCode = ErrorCode.BAD_POLICY) -> None:
        before = text[:offset].split("\n")
        self.line = len(before)
        self.column = len(before[-1]) + 1
        self.problem = problem
        shown = "".join(one if one.isprintable() else " " for one in text.split("\n")[self.line - 1])
        picture = f"\n    {shown}\n    {' ' * (self.column - 1)}^" if shown else ""
        OckamError.__init__(self, code, f"line {self.line}, column {self.column}: {problem}{picture}")
        self.offset = offset


def parse_expression(text: str) -> Expression:
    """Read one expression, which must begin with an operator.

    Raises:
        PolicySyntaxError: it is none.
    """
    if len(text) > MAX_TEXT_LENGTH:
        raise PolicySyntaxError(
            text[:1], 0, f"a policy has at most {MAX_TEXT_LENGTH} characters", code=ErrorCode.TOO_LONG
        )
    elements = _Reader(text).elements()
    if not elements:
        raise PolicySyntaxError(text, len(text), "the policy is empty")
    expression = elements[0] if len(elements) == 1 else List(tuple(elements))
    if not _is_operation(expression):
        raise PolicySyntaxError(text, 0, f"an expression begins with one of the operators {', '.join(OPERATORS)}")
    return expression


def _is_operation(expression: Expression) -> bool:
    while isinstance(expression, List) and expression.elements:
        expression = expression.elements[0]
    return isinstance(expression, Ident) and expression.name in OPERATORS


@dataclass(slots=True)
class _Frame:
    """A bracket that is open, what stands in it so far, and how deep that nests."""

    opening: str
    offset: int
    elements: list[Expression] = field(default_factory=list)
    depth: int = 0


_SPACE: Final = frozenset(" \t\r\n")
_TOKEN: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&'*+-./:<=>?@\\^_`|~")
_CONFUSING: Final = frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u206c")
"""They change the direction of what follows, so that a text shows as something else than it is."""
_CLOSES: Final = {")": "(", "]": "["}
_MATCHING: Final = {"(": ")", "[": "]"}


class _Reader:
    """One pass over the text."""

    __slots__ = ("_at", "_frames", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._frames = [_Frame("", 0)]

    def elements(self) -> list[Expression]:
        """Return what stands in the text, outside of any bracket."""
        text = self._text
        while self._at < len(text):
            character = text[self._at]
            if character in _SPACE:
                self._at += 1
            elif text.startswith(";;", self._at):
                self._skip_line_comment()
            elif text.startswith("(;", self._at):
                self._skip_block_comment()
            elif character in _MATCHING:
                self._open(character)
            elif character in _CLOSES:
                self._close(character)
            elif character == '"' or character in _TOKEN:
                self._frames[-1].elements.append(self._token())
            else:
                raise self._fail(self._at, f"{character!r} belongs into quotation marks")
        if len(self._frames) > 1:
            frame = self._frames[-1]
            raise self._fail(frame.offset, f"'{frame.opening}' without '{_MATCHING[frame.opening]}'")
        return self._frames[0].elements

    def _fail(self, offset: int, problem: str, code: ErrorCode = ErrorCode.BAD_POLICY) -> PolicySyntaxError:
        return PolicySyntaxError(self._text, offset, problem, code=code)

    # white space and comments

    def _skip_line_comment(self) -> None:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in "\r\n":
            self._at += 1
        self._refuse_confusing(start)

    def _skip_block_comment(self) -> None:
        start = self._at
        self._at += 2
        level = 1
        while level:
            if self._at >= len(self._text):
                raise self._fail(start, "'(;' without ';)'")
            mark = self._text[self._at : self._at + 2]
            level += {"(;": 1, ";)": -1}.get(mark, 0)
            self._at += 2 if mark in ("(;", ";)") else 1
        self._refuse_confusing(start)

    def _refuse_confusing(self, start: int) -> None:
        for offset in range(start, self._at):
            if self._text[offset] in _CONFUSING:
                raise self._fail(offset, "a character that changes the direction of writing")

    # brackets

    def _open(self, bracket: str) -> None:
        if len(self._frames) > MAX_DEPTH:
            raise self._too_deep()
        self._frames.append(_Frame(bracket, self._at))
        self._at += 1

    def _close(self, bracket: str) -> None:
        frame = self._frames[-1]
        if bracket == ")" and not frame.opening:
            self._put_all_in_a_list(frame)
        elif frame.opening != _CLOSES[bracket]:
            raise self._fail(self._at, f"'{bracket}' without '{_CLOSES[bracket]}'")
        else:
            self._frames.pop()
            outer = self._frames[-1]
            outer.elements.append(self._closed(frame))
            outer.depth = max(outer.depth, frame.depth + 1)
        self._at += 1

    def _closed(self, frame: _Frame) -> Expression:
        elements = tuple(frame.elements)
        if frame.opening == "(":
            return List(elements)
        if (error := incomparable_neighbours(elements)) is not None:
            raise self._fail(frame.offset, f"a sequence holds values of one type: {error}")
        return Seq(elements)

    def _put_all_in_a_list(self, frame: _Frame) -> None:
        frame.elements = [List(tuple(frame.elements))]
        frame.depth += 1
        if frame.depth > MAX_DEPTH:
            raise self._too_deep()

    def _too_deep(self) -> PolicySyntaxError:
        return self._fail(self._at, f"more than {MAX_DEPTH} brackets inside one another", ErrorCode.TOO_DEEP)

    # tokens

    def _token(self) -> Expression:
        """Read characters and strings that stand together, and make of them what they are."""
        text, start = self._text, self._at
        strings: list[tuple[int, bytes]] = []
        while self._at < len(text):
            if text[self._at] == '"':
                strings.append((self._at, self._string()))
            elif text[self._at] in _TOKEN:
                self._at += 1
            else:
                break
        token = text[start : self._at]
        if not strings:
            return self._word(token, start)
        (offset, content), *more = strings
        if not more and token.endswith('"'):
            if offset == start:
                return Str(self._utf8(content, start))
            if offset == start + 1 and token[0] in "$@":
                return self._marked_name(token[0], self._utf8(content, start), start)
        raise self._fail(start, "a text in quotation marks stands by itself, with white space around it")

    def _utf8(self, content: bytes, start: int) -> str:
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise self._fail(start, "the text is not UTF-8") from error

    def _word(self, token: str, start: int) -> Expression:
        if (number := self._number(token, start)) is not None:
            return number
        if token[0] in "$@":
            return self._marked_name(token[0], token[1:], start)
        if (constant := _CONSTANTS.get(token)) is not None:
            return constant
        if not is_name(token):
            raise self._fail(start, f"{token} is neither a number nor a name")
        return Ident(token)

    def _marked_name(self, mark: str, name: str, start: int) -> Ident:
        if not name:
            raise self._fail(start, f"a name expected after '{mark}'")
        if mark == "@" and not is_name(name):
            raise self._fail(start, f"{name} is no name")
        return Ident(name)

    def _number(self, token: str, start: int) -> Expression | None:
        digits = token[1:] if token[0] in "+-" else token
        if digits == "inf":
            return Float(float(token))
        if digits == "nan" or (digits.startswith("nan:0x") and are_digits(digits[6:], HEX_DIGITS)):
            return Float(float("nan"))  # the peer drops sign and payload too
        is_hex = digits.startswith("0x")
        if are_digits(digits[2:] if is_hex else digits, HEX_DIGITS if is_hex else _DIGITS):
            return Int(self._whole(token, digits, start))
        return Float(float(token)) if _is_decimal(digits) else None

    def _whole(self, token: str, digits: str, start: int) -> int:
        is_hex = digits.startswith("0x")
        significant = digits[2 if is_hex else 0 :].replace("_", "").lstrip("0") or "0"
        if len(significant) <= _DIGITS_OF_64_BITS:
            value = int(significant, 16 if is_hex else 10) * (-1 if token[0] == "-" else 1)
            if MIN_INT <= value <= MAX_INT:
                return value
        raise self._fail(start, "the number does not fit into 64 bits", ErrorCode.OUT_OF_RANGE)

    # strings

    def _string(self) -> bytes:
        """Read a string in quotation marks, and leave what follows it."""
        start = self._at
        self._at += 1
        content = bytearray()
        while (character := self._next(start)) != '"':
            if character == "\\":
                content += self._escape(start)
            elif character < " " or character == "\x7f":
                raise self._fail(self._at - 1, "a control character; write it as \\n, \\t or \\u{…}")
            elif character in _CONFUSING:
                raise self._fail(self._at - 1, "a character that changes the direction of writing")
            else:
                content += character.encode("utf-8", "surrogatepass")
        return bytes(content)

    def _next(self, start: int) -> str:
        if self._at >= len(self._text):
            raise self._fail(start, "the text has no closing quotation mark")
        self._at += 1
        return self._text[self._at - 1]

    def _escape(self, start: int) -> bytes:
        backslash = self._at - 1
        character = self._next(start)
        if (simple := _SIMPLE_ESCAPES.get(character)) is not None:
            return simple
        if character == "u":
            return self._code_point(start, backslash)
        if character in HEX_DIGITS and (other := self._next(start)) in HEX_DIGITS:
            return bytes.fromhex(character + other)
        problem = "no escape; there are \\t \\n \\r \\\" \\' \\\\ \\u{…} and two hexadecimal digits"
        raise self._fail(backslash, problem)

    def _code_point(self, start: int, backslash: int) -> bytes:
        digits = ""
        if self._next(start) == "{":
            while (character := self._next(start)) not in '}"':
                digits += character
            number = int(digits.replace("_", ""), 16) if _are_digits_with_underscores(digits) else -1
            if character == "}" and 0 <= number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF:
                return chr(number).encode()
        raise self._fail(backslash, "a character is written as \\u{1F600}, with its number in hexadecimal digits")


_CONSTANTS: Final = {"true": TRUE, "false": FALSE}
_SIMPLE_ESCAPES: Final = {"t": b"\t", "n": b"\n", "r": b"\r", '"': b'"', "'": b"'", "\\": b"\\"}
_DIGITS: Final = frozenset("0123456789")
_DIGITS_OF_64_BITS: Final = 19


def _are_digits_with_underscores(text: str) -> bool:
    """Return whether these are hexadecimal digits, the first and the last one among them, with underscores between."""
    return text[:1] in HEX_DIGITS and text[-1:] in HEX_DIGITS and HEX_DIGITS.issuperset(text.replace("_", ""))


def _is_decimal(text: str) -> bool:
    """Return whether this is a number with a dot or an exponent; underscores make it none, as for the peer."""
    mantissa, mark, exponent = text.replace("E", "e").partition("e")
    whole, dot, fraction = mantissa.partition(".")
    if not (whole and _DIGITS.issuperset(whole) and _DIGITS.issuperset(fraction)) or not (mark or dot):
        return False
    return not mark or (
        bool(exponent.lstrip("+-")) and _DIGITS.issuperset(exponent[1:] if exponent[0] in "+-" else exponent)
    )
