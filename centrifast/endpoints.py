"""Which endpoint is served on which listener (server specification 2.1)."""

from collections.abc import Callable
from dataclasses import dataclass

from centrifast.api.handler import ApiHandler
from centrifast.api.live import TailEndpoint
from centrifast.config.schema import Config
from centrifast.node import Node
from centrifast.server.admin import AdminEndpoints
from centrifast.server.health import add_health
from centrifast.server.prometheus import add_prometheus
from centrifast.server.quickstart import add_quickstart
from centrifast.server.routes import Routes, UpgradeHandler
from centrifast.server.swagger import add_swagger
from centrifast.transports.init import add_init
from centrifast.transports.origin import OriginPolicy

DEBUG_ECHO_PATH = "/debug/echo"


@dataclass(frozen=True, slots=True)
class Parts:
    """What endpoints answer from. *is_ready*: the server has an engine and is not stopping.

    *is_stopping*: a graceful stop has begun.
    """

    node: Node
    websocket: UpgradeHandler
    echo: UpgradeHandler
    is_ready: Callable[[], bool]
    is_stopping: Callable[[], bool]


def add_endpoints(config: Config, parts: Parts, external: Routes, internal: Routes) -> None:
    """Fill the routes of both listeners, which may be the same. Raises ``RouteError`` if a path is taken."""
    if not config.websocket.disabled:
        external.add_upgrade(config.websocket.handler_prefix, "websocket", parts.websocket)
    if config.init.enabled:
        origins = OriginPolicy(config.client.allowed_origins)
        add_init(external, config.init.handler_prefix, origins, parts.node.admission.admits)
    if not config.http_api.disabled:
        api = ApiHandler(config.http_api, parts.node, parts.is_stopping)
        api_routes = external if config.http_api.external else internal
        api.add_to(api_routes)
        if config.http_api.tail_enabled:
            api.add_endpoint(api_routes, "tail", TailEndpoint(parts.node).serve)
    if config.health.enabled:
        add_health(internal, config.health.handler_prefix, parts.is_ready, parts.node.stores_away)
    if config.prometheus.enabled:
        add_prometheus(internal, config.prometheus.handler_prefix, parts.node.control.metrics_of_all)
    if config.admin.enabled:
        admin = AdminEndpoints(config.admin, parts.node, parts.node.clock, parts.is_stopping)
        admin.add_to(external if config.admin.external else internal)
    if config.swagger.enabled:
        is_api_here = not config.http_api.disabled and (external is internal or not config.http_api.external)
        add_swagger(internal, config.swagger.handler_prefix, config.http_api, is_api_here=is_api_here)
    if config.debug.enabled:
        internal.add_upgrade(DEBUG_ECHO_PATH, "debug", parts.echo)
    if config.quickstart.enabled:
        add_quickstart(
            external,
            websocket_prefix=config.websocket.handler_prefix,
            api_prefix=config.http_api.handler_prefix,
        )
