"""Everything that is looked at, in order: configuration, files, Python, machine, ports, what is behind, a URL."""

import resource
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from centrifast.auth.issue import issue_token
from centrifast.config.schema import Config
from centrifast.doctor import (
    certificate,
    clock,
    configuration,
    descriptors,
    endpoint,
    files,
    key_sets,
    network,
    ports,
    redis,
    resources,
    runtime,
    settings,
)
from centrifast.doctor.endpoint_probe import EndpointFacts, Progress, Wanted, probe
from centrifast.doctor.finding import Finding, fail, unknown
from centrifast.doctor.machine import Machine
from centrifast.doctor.wire import ProbeError, Target, parse_url
from centrifast.server.listeners import ListenError

CONNECTIONS = 10_000
"""What the machine is measured by when neither the command line nor ``client.connection_limit`` says."""

TOKEN_LIFETIME = 300
"""Seconds that a token made for looking at a URL counts."""

USER = "centrifast-doctor"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to look at, as the command line says; 0 connections = see ``CONNECTIONS``."""

    config: Path
    connections: int = 0
    url: str = ""
    origin: str = ""
    token: str = ""


@dataclass(slots=True)
class Checkup:
    """One run; findings come as they are made."""

    plan: Plan
    environ: Mapping[str, str]
    machine: Machine
    progress: Progress

    def run(self) -> Iterator[Finding]:
        """Look at everything. What can not be looked at is UNKNOWN; no failure here ends the run."""
        config, found = configuration.read_configuration(self.plan.config, self.environ)
        yield from found
        yield from settings.check_settings(config)
        yield from map(files.check_file, files.read_files(config))
        yield from runtime.check_runtime(runtime.read_runtime())
        connections = self.plan.connections or config.client.connection_limit or CONNECTIONS
        yield from self._machine(config, connections)
        for step in (self._ports, self._certificates, self._redis):
            yield from guarded(step, config)
        skews: list[clock.Skew] = []
        yield from self._key_sets(config, skews)
        if self.plan.url:
            yield from self._url(config, skews)
        yield from clock.check_clock(clock.read_synchronised(), skews)

    def _machine(self, config: Config, connections: int) -> Iterator[Finding]:
        self.progress(f"looking at the machine, for {connections:,} connections")
        pid = files.read_server_pid(config.pid_file) or ports.server_pid(config)
        limits = descriptors.read_descriptors(self.machine, pid)
        yield from descriptors.check_descriptors(limits, connections)
        kernel = network.read_network(self.machine, resource.getpagesize())
        yield from network.check_network(kernel, connections)
        left = resources.read_resources(self.machine)
        yield resources.check_memory(left, connections, config.client.queue_max_size)
        yield resources.check_processors(left)

    def _ports(self, config: Config) -> Iterator[Finding]:
        try:
            addresses = ports.addresses_of(config)
        except ListenError:
            return  # told as a problem of the configuration
        for address in addresses:
            self.progress(f"looking at port {address.port}")
            yield ports.check_port(ports.read_port(config, address))

    def _certificates(self, config: Config) -> Iterator[Finding]:
        server = config.http_server
        for name, tls in (("http_server.tls", server.tls), ("http_server.internal_tls", server.internal_tls)):
            if not tls.enabled or not (tls.cert_pem and tls.key_pem):
                continue
            try:
                facts = certificate.read_pem(tls.cert_pem, tls.key_pem)
            except ValueError as error:
                yield fail(name, str(error), "certificate and key in PEM form")
                continue
            yield from certificate.check_certificate(name, facts, time.time())

    def _redis(self, config: Config) -> Iterator[Finding]:
        for name, _ in redis.sections_of(config):
            self.progress(f"asking Redis ({name})")
        yield from map(redis.check_redis, redis.read_redis(config))

    def _key_sets(self, config: Config, skews: list[clock.Skew]) -> Iterator[Finding]:
        for option, url in key_sets.endpoints_of(config):
            self.progress(f"fetching a key set ({option})")
            facts = key_sets.read_key_set(option, url)
            if facts.skew is not None:
                skews.append(facts.skew)
            yield key_sets.check_key_set(facts)

    def _url(self, config: Config, skews: list[clock.Skew]) -> Iterator[Finding]:
        try:
            facts = look_at(self.plan, config, self.progress)
        except ProbeError as error:
            yield fail("url", str(error), "a URL such as wss://example.com/connection/websocket")
            return
        if facts.skew is not None:
            skews.append(facts.skew)
        yield from endpoint.check_endpoint(facts, config.http_server.port, time.time())


def guarded(step: Callable[[Config], Iterator[Finding]], config: Config) -> Iterator[Finding]:
    """Run a step; the machine may refuse in ways that nobody has thought of."""
    try:
        yield from step(config)
    except OSError as error:
        yield unknown(step.__name__.strip("_"), f"could not be looked at: {error}")


def look_at(plan: Plan, config: Config, progress: Progress) -> EndpointFacts:
    """Look at the URL of the plan. Raises ProbeError if it is none."""
    target = parse_url(plan.url)
    streams = streams_of(target, config)
    return probe(target, Wanted(plan.origin, plan.token or token_of(config), streams), progress)


def token_of(config: Config) -> str:
    """Make a token to connect with, if the configuration has a secret for that; it soon expires."""
    settings = config.client.token
    if not settings.hmac_secret_key or settings.jwks_public_endpoint:
        return ""
    name = settings.user_id_claim or "sub"
    claims: dict[str, object] = {name: USER, "exp": int(time.time()) + TOKEN_LIFETIME}
    if settings.audience:
        claims["aud"] = settings.audience
    if settings.issuer:
        claims["iss"] = settings.issuer
    return issue_token(claims, settings.hmac_secret_key)


def streams_of(target: Target, config: Config) -> dict[str, Target]:
    """Return the streaming transports that are switched on, beside the WebSocket that the URL names."""
    path = target.path.partition("?")[0]
    prefix = config.websocket.handler_prefix
    before = path.removesuffix(prefix)
    if before == path:
        return {}
    return {
        name: Target(target.tls, target.host, target.port, before + place)
        for name, is_on, place in (
            ("sse", config.sse.enabled, config.sse.handler_prefix),
            ("http_stream", config.http_stream.enabled, config.http_stream.handler_prefix),
        )
        if is_on
    }
