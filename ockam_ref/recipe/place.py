"""Where something stands in a recipe, and the error that points there."""

from typing import NamedTuple

from ockam_ref.errors import ErrorCode, OckamError


class Place(NamedTuple):
    """A character of a file; lines and columns count from one."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def after(self, characters: int) -> "Place":
        """Return the place so many characters further in the same line."""
        return self._replace(column=self.column + characters)


class RecipeError(OckamError):
    """The recipe cannot be followed; the message begins with the place and says what to write."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(ErrorCode.BAD_RECIPE, f"{place}: {problem}")
        self.place = place
        self.problem = problem
