"""How tests say which cells of the table they prove."""

import pytest

from tests.interop.matrix import Row, cells


def rows(*wanted: Row, control: bool = True) -> pytest.MarkDecorator:
    """Parametrise a test with the cells of these rows, and with those of the control."""
    found = [cell for cell in cells() if cell.row in wanted and (control or cell.in_table)]
    return pytest.mark.parametrize("cell", [pytest.param(cell, id=cell.id) for cell in found])
