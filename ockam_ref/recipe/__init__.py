"""The recipe of a node: a file in YAML that says all that ``ockam-ref node create`` runs (facts 05 section 9.4).

Reading is pure: ``read_recipe`` makes a value of a text, or an error that points into it.
"""

from ockam_ref.recipe.place import Place, RecipeError
from ockam_ref.recipe.plan import Step, steps_of
from ockam_ref.recipe.reading import read_recipe
from ockam_ref.recipe.recipe import InletEntry, OutletEntry, PolicyEntry, Recipe, RelayEntry, Way

__all__ = [
    "InletEntry",
    "OutletEntry",
    "Place",
    "PolicyEntry",
    "Recipe",
    "RecipeError",
    "RelayEntry",
    "Step",
    "Way",
    "read_recipe",
    "steps_of",
]
