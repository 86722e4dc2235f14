"""What the answers of a WebSocket endpoint mean, and what to change in the proxy in front of it."""

from collections.abc import Callable, Iterator, Mapping

from centrifast.doctor.certificate import check_certificate, read_der
from centrifast.doctor.endpoint_probe import EndpointFacts, Stay, Stream
from centrifast.doctor.finding import Finding, fail, ok, unknown, warn
from centrifast.doctor.wire import Answer
from centrifast.doctor.wording import foreign

NGINX = """\
map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}    # in http {{ }}
location /connection/ {{
    proxy_pass http://127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header Host $host;
    proxy_buffering off;
    proxy_read_timeout 60s;
    proxy_send_timeout 60s;
}}"""


def nginx_lines(port: int) -> str:
    """Return what nginx needs in front of a server on *port* (engines specification 9.1)."""
    return NGINX.format(port=port)


def check_endpoint(facts: EndpointFacts, port: int, now: float) -> list[Finding]:
    """Judge all that was seen; *port* is the server's own, for the lines to copy."""
    findings = [*_check_tls(facts, now)]
    findings.append(_check_handshake(facts, port))
    if facts.plain.accepted:
        findings.append(_check_origin(facts))
        if facts.stay is not None:
            findings += _check_stay(facts.stay, port)
    findings += (_check_stream(stream, port) for stream in facts.streams)
    return findings


def _check_tls(facts: EndpointFacts, now: float) -> Iterator[Finding]:
    if facts.tls_error:
        yield fail(
            "url certificate",
            facts.tls_error,
            "a certificate that browsers trust, with the whole chain, for the host name of the URL",
            f"openssl s_client -connect {facts.target.host}:{facts.target.port} -servername {facts.target.host}",
        )
    if facts.certificate:
        try:
            yield from check_certificate("url certificate", read_der(facts.certificate), now)
        except ValueError as error:
            yield fail("url certificate", f"can not be read: {foreign(str(error))}")


# ------------------------------------------------------------------ handshake


def _check_handshake(facts: EndpointFacts, port: int) -> Finding:
    name, answer = "url handshake", facts.plain.answer
    if answer is None:
        return fail(
            name,
            facts.plain.error,
            f"a server that answers at {facts.target.authority}",
            *_reach(facts, port),
        )
    if facts.plain.accepted:
        return ok(name, f"101: the upgrade passes{_by(answer)}")
    if answer.status == 101:
        needed = "a WebSocket server; something in between answers by itself"
        return fail(name, f"101 with a wrong Sec-WebSocket-Accept{_by(answer)}", needed)
    seen = f"HTTP {answer.status}{_by(answer)}{_quoted(answer)}"
    needed, mends = _explain(answer, facts, port)
    return fail(name, seen, needed, *mends)


def _reach(facts: EndpointFacts, port: int) -> Iterator[str]:
    if "can not be resolved" in facts.plain.error:
        yield f"getent hosts {facts.target.host}    # does the name exist?"
    elif "reached" in facts.plain.error:
        yield f"ss -ltnp 'sport = :{facts.target.port}'    # on that machine: does anything listen?"
    elif "TLS" in facts.plain.error or "not HTTP" in facts.plain.error:
        yield "use ws:// if that port speaks no TLS, wss:// if it does"
    else:
        yield nginx_lines(port)


def _by(answer: Answer) -> str:
    found = answer.header("server") or answer.header("via")
    return f", by {foreign(found, 60)}" if found else ""


def _quoted(answer: Answer) -> str:
    text = foreign(answer.body.decode("utf-8", "replace"), 80)
    return f": {text}" if text else ""


def _explain(answer: Answer, facts: EndpointFacts, port: int) -> tuple[str, tuple[str, ...]]:
    """Return what would be right instead, and what to change."""
    status = answer.status
    if status in (301, 302, 303, 307, 308):
        where = foreign(answer.header("location"))
        return "no redirect: WebSocket clients do not follow them", (f"use the URL it leads to: {where}",)
    if 200 <= status < 300:
        needed = "a WebSocket, but a page or another application answers there"
        return needed, (f"does the proxy send {facts.target.path} to the server?\n{nginx_lines(port)}",)
    return EXPLANATIONS.get(status, OTHER)(facts, port)


def _no_upgrade(facts: EndpointFacts, port: int) -> tuple[str, tuple[str, ...]]:
    needed = "Upgrade and Connection headers at the server; a proxy drops them unless told to pass them on"
    return needed, (nginx_lines(port),)


def _forbidden(facts: EndpointFacts, port: int) -> tuple[str, tuple[str, ...]]:
    needed = (
        "no refusal of a request without Origin: it is the proxy's or a firewall's, the server allows those"
    )
    return needed, ("look into the log of the proxy for the rule that forbids it",)


def _unauthorized(facts: EndpointFacts, port: int) -> tuple[str, tuple[str, ...]]:
    return "no login at the proxy: browsers can not answer it for a WebSocket", (
        "exempt the path of the WebSocket from the proxy's authentication; tokens protect it",
    )


def _no_path(facts: EndpointFacts, port: int) -> tuple[str, tuple[str, ...]]:
    return f"an endpoint at {foreign(facts.target.path, 80)}", (
        "compare the path with websocket.handler_prefix, /connection/websocket by default; does the proxy rewrite it?",
    )


def _no_server(facts: EndpointFacts, port: int) -> tuple[str, tuple[str, ...]]:
    return "a server that the proxy can reach", (
        f"curl -i http://127.0.0.1:{port}/connection/websocket    # where the proxy runs; 400 is right",
        "setsebool -P httpd_can_network_connect 1    # with SELinux",
        f"compare proxy_pass with http_server.address and http_server.port = {port}",
    )


def _busy(facts: EndpointFacts, port: int) -> tuple[str, tuple[str, ...]]:
    return "room for another connection", (
        "look at client.connection_limit, client.connection_rate_limit and the descriptor limit, and in the log: "
        "the server refuses connections beyond them, and while it stops",
    )


def _other(facts: EndpointFacts, port: int) -> tuple[str, tuple[str, ...]]:
    return "status 101", ("ask the server itself, without the proxy, with --url ws://127.0.0.1:PORT/...",)


OTHER = _other
EXPLANATIONS: Mapping[int, Callable[[EndpointFacts, int], tuple[str, tuple[str, ...]]]] = {
    400: _no_upgrade,
    426: _no_upgrade,
    401: _unauthorized,
    407: _unauthorized,
    403: _forbidden,
    404: _no_path,
    405: _no_path,
    502: _no_server,
    504: _no_server,
    503: _busy,
}


# ---------------------------------------------------------------- what follows


def _check_origin(facts: EndpointFacts) -> Finding:
    name, answer = "url origin", facts.browser.answer
    if facts.browser.accepted:
        return ok(name, f"pages of {facts.origin} may connect")
    if answer is not None and answer.status == 403:
        return warn(
            name,
            f"HTTP 403: pages of {facts.origin} may not connect",
            "the origins of your pages in client.allowed_origins; try others with --origin",
            f'"client": {{"allowed_origins": ["{facts.origin}"]}}',
        )
    seen = facts.browser.error if answer is None else f"HTTP {answer.status} to a request with an Origin"
    return fail(name, seen, "101, as without an Origin header")


def _check_stay(stay: Stay, port: int) -> Iterator[Finding]:
    if stay.pong:
        yield ok("url frames", "a ping frame came back: frames pass in both directions")
    else:
        needed = "the answer to a ping frame; something in between understands no WebSocket frames"
        yield fail("url frames", "no answer to a ping frame", needed, nginx_lines(port))
    name = "url pings"
    if stay.refusal:
        yield unknown(
            name,
            f"the connect command was refused ({foreign(stay.refusal)}), so nothing could be waited for",
            "a token to connect with",
            "centrifast gentoken -u doctor -q | centrifast doctor --url URL --token -",
        )
    elif not stay.period:
        yield warn(name, "the server sends no pings", "client.ping_interval, so that proxies see traffic")
    elif stay.pinged_after is not None:
        yield ok(name, f"one after {stay.pinged_after:.1f} s of silence, every {stay.period:g} s")
    elif stay.closed_after is not None:
        yield fail(
            name,
            f"the connection was cut after {stay.closed_after:.1f} s of silence, before the first ping",
            f"idle timeouts of proxies well above the ping interval, {stay.period:g} s: 60 s or more",
            "proxy_read_timeout 60s; proxy_send_timeout 60s;    # nginx, in the location",
            "timeout tunnel 1h    # HAProxy",
        )
    else:
        seen = f"none came, although the server sends one every {stay.period:g} s"
        yield fail(
            name, seen, "pings that pass; a proxy in between keeps what the server sends", nginx_lines(port)
        )


def _check_stream(stream: Stream, port: int) -> Finding:
    name = f"url {stream.transport}"
    if stream.error:
        return fail(name, stream.error, "an answer that begins at once")
    if stream.status not in (0, 200):
        return fail(name, f"HTTP {stream.status}", "status 200; does the proxy send that path to the server?")
    if stream.first_byte_after is not None:
        return ok(
            name, f"the first byte came after {stream.first_byte_after * 1000:.0f} ms: nothing is buffered"
        )
    begun = "the head of the answer came, its body did not" if stream.status else "no answer came"
    return fail(
        name,
        f"{begun}: a proxy buffers the stream",
        "no response buffering and no compression on this path",
        "proxy_buffering off; proxy_cache off; gzip off;    # nginx, in the location",
    )
