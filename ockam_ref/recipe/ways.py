"""Where hubs and outlets are, in the notations that a recipe may use."""

from typing import Final

from ockam_ref.authority.multi_address import HOST_PROTOCOLS, MultiAddress, parse_multi_address
from ockam_ref.errors import DecodeError
from ockam_ref.recipe.document import Scalar
from ockam_ref.recipe.fields import host_port, to_address
from ockam_ref.recipe.place import Place, RecipeError
from ockam_ref.recipe.recipe import Way

RELAY_PREFIX: Final = "forward_to_"
"""What a hub puts before the name of a relay to make its address."""

CHANNEL_LISTENER: Final = "api"
"""Where nodes answer handshakes."""

_FORMS: Final = (
    "NAME, /service/NAME or a route such as /ip4/HOST/tcp/PORT/service/forward_to_RELAY/secure/api/service/NAME"
)


def read_hub(scalar: Scalar, hub: str | None) -> str:
    """Return the ``host:port`` of a hub, written so or as a MultiAddr; ``/project/NAME`` is the hub of the recipe."""
    if not scalar.text.startswith("/"):
        return host_port(scalar)
    first, workers = _split(scalar, hub)
    if workers:
        raise RecipeError(scalar.place, f"'{scalar.text}' goes on behind the hub; write HOST:PORT")
    return first


def read_way(scalar: Scalar, relay: str, hub: str | None) -> Way:
    """Return the way to an outlet: by its name through the relay on the hub, or by a route that says all."""
    text, place = scalar.text, scalar.place
    if not text.startswith("/") or text.startswith("/service/"):
        return named_way(text.removeprefix("/service/"), relay, hub, place)
    via, workers = _split(scalar, hub)
    match workers:
        case (("service", at_hub), ("secure", listener), ("service", outlet)):
            return Way(via, to_address(at_hub, place), to_address(listener, place), to_address(outlet, place))
        case (("secure", listener), ("service", outlet)):
            return Way(via, None, to_address(listener, place), to_address(outlet, place))
        case _ if all(protocol != "secure" for protocol, _ in workers):
            raise RecipeError(
                place, f"'{text}' has no secure channel, and the inlets of a recipe need one: /secure/api"
            )
        case _:
            raise RecipeError(place, f"'{text}' is no way to an outlet; write {_FORMS}")


def named_way(outlet: str, relay: str, hub: str | None, place: Place) -> Way:
    """Return the way to an outlet of that name on the node that has that relay."""
    at_hub, listener = to_address(RELAY_PREFIX + relay, place), to_address(CHANNEL_LISTENER, place)
    return Way(require_hub(hub, place), at_hub, listener, to_address(outlet, place))


def require_hub(hub: str | None, place: Place) -> str:
    """Return the hub of the recipe."""
    if hub is None:
        raise RecipeError(place, "through which hub? Write 'hub: HOST:PORT' at the top of the recipe")
    return hub


def _split(scalar: Scalar, hub: str | None) -> tuple[str, MultiAddress]:
    try:
        address = parse_multi_address(scalar.text)
    except DecodeError as error:
        raise RecipeError(scalar.place, str(error)) from None
    match address:
        case (("project", _), *workers):
            return require_hub(hub, scalar.place), tuple(workers)
        case ((protocol, host), ("tcp", port), *workers) if protocol in HOST_PROTOCOLS and host:
            literal = f"[{host}]" if protocol == "ip6" else host
            return f"{literal}:{port}", tuple(workers)
        case _:
            raise RecipeError(
                scalar.place, f"'{scalar.text}' begins with no hub: /ip4/HOST/tcp/PORT or /dnsaddr/HOST/tcp/PORT"
            )
