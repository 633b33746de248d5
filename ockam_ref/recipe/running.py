"""A recipe as a running node: one process, one node, and all that its entries say, or nothing at all."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ockam_ref.asyncio.admitting import OPEN_TO_ALL, Access
from ockam_ref.asyncio.carried import Streams
from ockam_ref.asyncio.handles import NodeListener, SecureChannelListener
from ockam_ref.asyncio.home import Home
from ockam_ref.asyncio.hops import Flow
from ockam_ref.asyncio.inlet_session import InletSession
from ockam_ref.asyncio.node import Node
from ockam_ref.asyncio.outlet_session import RelaySession
from ockam_ref.asyncio.projects import Membership, enroll, project_of
from ockam_ref.authority.tickets import AnyTicket, decode_ticket
from ockam_ref.channels.trust import TRUST_EVERYONE
from ockam_ref.errors import ErrorCode, MisuseError, OckamError
from ockam_ref.identities.local import LocalIdentity
from ockam_ref.policies.expression import Bool
from ockam_ref.policies.policy import HAS_CREDENTIAL, Policy, policy_of
from ockam_ref.policies.resources import Resource, ResourceType
from ockam_ref.recipe.recipe import InletEntry, OutletEntry, Recipe, RelayEntry
from ockam_ref.recipe.ways import CHANNEL_LISTENER
from ockam_ref.storage.projects import ProjectRow

EVERYBODY: Final = policy_of(Bool(True))
"""What guards an outlet or inlet without a policy on a node that is a member of no project."""


class RunningRecipe:
    """The node of a recipe.  ``async with`` starts everything; what cannot be started takes all down again.

    The message of the error says which entry it was.
    """

    def __init__(self, recipe: Recipe, home: Home) -> None:
        self._recipe = recipe
        self._home = home
        self._stack = AsyncExitStack()
        self._identity: LocalIdentity | None = None
        self._project: ProjectRow | None = None
        self._access = OPEN_TO_ALL
        self.node: Final = Node.create()
        self.observations: Final = self.node.observe()
        self.listener: NodeListener | None = None
        self.relays: Final[list[RelaySession]] = []
        self.inlets: Final[list[tuple[InletEntry, InletSession]]] = []

    @property
    def identity(self) -> LocalIdentity:
        """Who the node is.

        Raises:
            MisuseError: it was never started.
        """
        if self._identity is None:
            raise MisuseError(ErrorCode.MISUSE, "the node of the recipe is not started yet")
        return self._identity

    @property
    def project(self) -> ProjectRow | None:
        """The project that the node is a member of."""
        return self._project

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # ---- in this order

    async def _start(self) -> None:
        recipe, enter = self._recipe, self._stack.enter_async_context
        node = await enter(self.node)
        await enter(await self._home.attach(node))
        with _naming("identity"):
            self._identity = await self._home.identities.open(recipe.identity, create=True)
        await self._join_project(self._identity)
        self._set_policies()
        channels = await self._listen(self._identity)
        for outlet in recipe.outlets:
            with _naming(f"{outlet.place}: tcp-outlet '{outlet.name}'"):
                await self._open_outlet(outlet, channels)
        for relay in recipe.relays:
            with _naming(f"{relay.place}: relay '{relay.name}'"):
                self.relays.append(await enter(self._relay(relay)))
        for inlet in recipe.inlets:
            with _naming(f"{inlet.place}: tcp-inlet '{inlet.name}'"):
                self.inlets.append((inlet, await enter(await self._inlet(inlet))))

    async def _join_project(self, identity: LocalIdentity) -> None:
        recipe, home = self._recipe, self._home
        with _naming("ticket" if recipe.ticket is not None else "project"):
            if recipe.ticket is not None:
                self._project = await self._enroll(identity, decode_ticket(_ticket_text(recipe.ticket)))
            elif recipe.project is not None:
                self._project = await _known_project(home, recipe.project)
            if self._project is None:
                return
            membership = await self._stack.enter_async_context(Membership(self.node, home, identity, self._project))
            await membership.retriever.retrieve()  # now, so that what is missing is said once and here
        self._access = Access(None, membership.authority, membership.retriever)

    async def _enroll(self, identity: LocalIdentity, ticket: AnyTicket) -> ProjectRow:
        """Use the ticket; one that this node has used up before has done its work."""
        home = self._home
        try:
            return (await enroll(self.node, home, identity, ticket, name=self._recipe.project)).project
        except OckamError as error:
            known = await home.projects.get(project_of(ticket, self._recipe.project).name)
            if (
                known is None
                or error.code is not ErrorCode.ACCESS_DENIED
                or known.authority != ticket.authority.identifier.value
            ):
                raise
            return known

    def _set_policies(self) -> None:
        policies = self.node.policies
        usual = EVERYBODY if self._access.authority is None else HAS_CREDENTIAL
        for kind in (ResourceType.TCP_INLET, ResourceType.TCP_OUTLET):
            policies.set_default(kind, usual)
        for entry in self._recipe.policies:
            if isinstance(entry.guarded, ResourceType):
                policies.set_for_type(entry.guarded, entry.policy)
            else:
                policies.set_for_resource(entry.guarded, entry.policy)

    async def _listen(self, identity: LocalIdentity) -> SecureChannelListener | None:
        recipe, flows = self._recipe, list[Flow]()
        if recipe.listen is not None:
            with _naming("tcp-listener-address"):
                self.listener = await self.node.tcp_listen(recipe.listen)
            flows.append(self.listener)
        if not (flows or recipe.relays):
            return None
        return await self.node.create_secure_channel_listener(
            identity,
            CHANNEL_LISTENER,
            consumer_of=flows,
            authority=self._access.authority,
            credential=self._access.credential,
        )

    def _guard(self, name: str, kind: ResourceType, allow: Policy | None) -> Access:
        if allow is not None:
            self.node.policies.set_for_resource(name, allow)
        return self._access._replace(policy=Resource(name, kind))

    async def _open_outlet(self, outlet: OutletEntry, channels: SecureChannelListener | None) -> None:
        access = self._guard(outlet.name, ResourceType.TCP_OUTLET, outlet.allow)
        tls = None
        if outlet.tls or outlet.tls_ca is not None:
            from ockam_ref.asyncio.certificates import trust_for_tls  # noqa: PLC0415  # few outlets use it

            tls = trust_for_tls(None if outlet.tls_ca is None else Path(outlet.tls_ca))
        await self.node.create_outlet(
            outlet.name,
            outlet.target,
            consumer_of=() if channels is None else (channels,),
            tls=tls,
            policy=access.policy,
            authority=access.authority,
        )

    def _relay(self, relay: RelayEntry) -> RelaySession:
        wants_channel = self._access.authority is not None or relay.authorized is not None
        return RelaySession(
            self.node,
            hub=relay.hub,
            relay=relay.name,
            reachable=(CHANNEL_LISTENER,),
            identity=self.identity,
            access=self._access,
            hub_channel=CHANNEL_LISTENER if wants_channel else None,
            hub_trust=relay.authorized or TRUST_EVERYONE,
        )

    async def _inlet(self, inlet: InletEntry) -> InletSession:
        way, carries, identity = inlet.way, Streams(), self.identity
        if inlet.tls_certificate is not None and inlet.tls_key is not None:
            from ockam_ref.asyncio.certificates import CertificateFiles  # noqa: PLC0415  # few inlets use it

            carries = Streams(server_tls=CertificateFiles(Path(inlet.tls_certificate), Path(inlet.tls_key)))
        if inlet.identity is not None:
            identity = await self._home.identities.open(inlet.identity, create=True)
        return InletSession(
            self.node,
            inlet.listen,
            via=way.via,
            forwarding_address=way.relay,
            identity=identity,
            outlet=way.outlet,
            channel_listener=way.channel_listener,
            trust=inlet.authorized or TRUST_EVERYONE,
            carries=carries,
            access=self._guard(inlet.name, ResourceType.TCP_INLET, self._allowed_at(inlet)),
        )

    def _allowed_at(self, inlet: InletEntry) -> Policy | None:
        """Let an outlet whose identity is written down be no member, unless some rule says otherwise."""
        policies = self.node.policies
        has_rule = inlet.name in policies.of_names or ResourceType.TCP_INLET in policies.of_types
        return EVERYBODY if inlet.allow is None and inlet.authorized is not None and not has_rule else inlet.allow


@contextmanager
def _naming(entry: str) -> Iterator[None]:
    """Say in an error which entry it is about."""
    try:
        yield
    except OckamError as error:
        raise OckamError(error.code, f"{entry}: {error}") from error


async def _known_project(home: Home, name: str) -> ProjectRow:
    found = await home.projects.get(name)
    if found is None:
        names = ", ".join(row.name for row in await home.projects.list())
        problem = f"there is no project {name!r}; there are: {names or 'none'}; 'ockam-ref project enroll' makes one"
        raise MisuseError(ErrorCode.NOT_FOUND, problem)
    return found


def _ticket_text(ticket: str) -> str:
    """Return the text of a ticket that is given as such, or by the file in which it is."""
    try:
        path = Path(ticket)
        return path.read_text(encoding="utf-8") if path.is_file() else ticket
    except (OSError, ValueError):  # a ticket is longer than the name of a file can be
        return ticket
