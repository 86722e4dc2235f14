"""The schema as text: the page of options, and which options have a flag.

How the page is built: one part per top-level section, with a table of all options below it. A section class
that occurs in several places (TLS, proxies, channel options) has a part of its own, and is referred to.
"""

import dataclasses
import functools
import json
import re
from collections import Counter
from collections.abc import Iterator

from centrifast.config.duration import format_duration
from centrifast.config.error import ConfigError
from centrifast.config.option import Facts, Kind, Option, Support, options_of, walk
from centrifast.config.schema import Config

FLAGS = (
    "http_server.address",
    "http_server.port",
    "http_server.internal_address",
    "http_server.internal_port",
    "pid_file",
    "workers",
    "engine.type",
    "broker.enabled",
    "broker.type",
    "presence_manager.enabled",
    "presence_manager.type",
    "map_broker.type",
    "log.level",
    "log.file",
    "debug.enabled",
    "admin.enabled",
    "admin.external",
    "admin.insecure",
    "prometheus.enabled",
    "health.enabled",
    "swagger.enabled",
    "uni_websocket.enabled",
    "uni_sse.enabled",
    "uni_http_stream.enabled",
    "sse.enabled",
    "http_stream.enabled",
    "init.enabled",
    "client.insecure",
    "http_api.insecure",
    "http_api.external",
    "grpc_api.enabled",
    "grpc_api.port",
    "uni_grpc.enabled",
    "uni_grpc.port",
    "quickstart.enabled",
)
"""Options that have a flag of the server, ``--<path>`` (server specification 1.5)."""

SHORT_FLAGS = {"http_server.address": "-a", "http_server.port": "-p"}

INTRODUCTION = """\
Generated from the schema by `centrifast configdoc -m`; do not edit.

An option is set in the configuration file (`client: {{allowed_origins: [...]}}`, or with a dotted key), by a
variable named after its path (`CENTRIFAST_CLIENT_ALLOWED_ORIGINS`, or the same with `CENTRIFUGO_`), or, for
those in the list of flags below, by a flag. A flag wins over a variable, a variable over the file.

Durations are written with a unit: `300ms`, `10s`, `1h30m`.

Flags: {flags}.
"""

STATES = {
    Support.ACCEPTED: "*No effect yet.*",
    Support.WARNED: "*Not built yet: no effect, a warning at start.*",
    Support.REFUSED: "*Not built yet: the server refuses to start with it.*",
}


def reference_page(base_level: int = 0) -> str:
    """Return the whole page in Markdown; *base_level* shifts its headings down."""
    flags = ", ".join(f"`--{path}`" for path in FLAGS)
    parts = [f"{heading(1, base_level)} Configuration options\n\n{INTRODUCTION.format(flags=flags)}"]
    parts += [part(option.name, option, base_level) for option in options_of(Config) if option.section]
    alone = [option for option in options_of(Config) if option.section is None]
    rows = "\n".join(row(option.name, option) for option in alone)
    parts.append(f"{heading(2, base_level)} Other options\n\n{TABLE_HEAD}{rows}\n")
    for kind in shared_sections():
        title = f"{heading(2, base_level)} {title_of(kind)}\n\n{summary(kind)}\n\n"
        parts.append(f"{title}{TABLE_HEAD}{rows_of(kind, '')}\n")
    return "\n".join(parts)


def reference_section(path: str, base_level: int = 0) -> str:
    """Return the part about one section, by its path (items as ``path[]``)."""
    for found, option in walk(Config):
        if found == path and option.section is not None:
            return part(path, option, base_level)
    raise ConfigError(f"there is no section {path!r}")


def heading(level: int, base_level: int) -> str:
    """Return the marks of a heading."""
    return "#" * (level + base_level)


TABLE_HEAD = "| Option | Type | Default | Meaning |\n|---|---|---|---|\n"


def part(path: str, option: Option, base_level: int) -> str:
    """Describe one section under a heading."""
    assert option.section is not None
    below = f"{path}[]." if option.kind is Kind.ITEMS else f"{path}."
    rows = rows_of(option.section, below, option.facts.support)
    return f"{heading(2, base_level)} {path}\n\n{summary(option.section)}\n\n{TABLE_HEAD}{rows}\n"


def summary(kind: type) -> str:
    """Return what a section says about itself."""
    return (kind.__doc__ or "").strip()


def rows_of(kind: type, prefix: str, support: Support = Support.BUILT) -> str:
    """Return the rows of a section and of the sections inside it that have no part of their own."""
    return "\n".join(iterate_rows(kind, prefix, support))


def iterate_rows(kind: type, prefix: str, support: Support) -> Iterator[str]:
    """Give row by row; options that come from a shared section are one row that refers to it."""
    shared = shared_sections()
    base = base_of(kind)
    if base in shared:
        yield reference_row(prefix, base, support)
    for declared in own_options(kind) if base in shared else options_of(kind):
        option = with_support(declared, support)
        path = prefix + option.name
        if option.section is None:
            yield row(path, option)
            continue
        if option.kind is Kind.ITEMS:
            yield row(path, option)
            path += "[]"
        if option.section in shared:
            yield reference_row(f"{path}.", option.section, option.facts.support)
        else:
            yield from iterate_rows(option.section, f"{path}.", option.facts.support)


def reference_row(prefix: str, kind: type, support: Support) -> str:
    """Return the row that stands for all options of a shared section."""
    state = f" {STATES[support]}" if support in STATES else ""
    return f"| `{prefix}*` | | | The options of [{title_of(kind)}](#{anchor(kind)}).{state} |"


def with_support(option: Option, support: Support) -> Option:
    """Return the option with at least the support level of its section."""
    facts = dataclasses.replace(option.facts, support=Support(max(support, option.facts.support)))
    return dataclasses.replace(option, facts=facts)


def row(path: str, option: Option) -> str:
    """Return the row of one option."""
    kind = option.kind.value if option.facts.unit is None else f"{option.kind.value}, {option.facts.unit}"
    return f"| `{path}` | {kind} | {default_of(option)} | {meaning(option.facts)} |"


def default_of(option: Option) -> str:
    """Write a default as in a file; nothing for what is empty."""
    if not option.default:
        return ""
    if isinstance(option.default, float):
        return f"`{format_duration(option.default)}`"
    return f"`{json.dumps(option.default) if not isinstance(option.default, str) else option.default}`"


def meaning(facts: Facts) -> str:
    """Return help, allowed words, and how far the option is built."""
    words = [facts.help]
    if facts.choices:
        words.append(f"One of {', '.join(f'`{choice}`' if choice else 'empty' for choice in facts.choices)}.")
    if facts.later:
        words.append(f"*Not built yet: {', '.join(f'`{choice}`' for choice in facts.later)}.*")
    if facts.extension:
        words.append("*An addition of centrifast.*")
    if facts.support in STATES:
        words.append(STATES[facts.support])
    return " ".join(words).replace("|", "\\|")


SPELLINGS = {"Tls": "TLS", "Rpc Options": "RPC options", "Web Socket Options": "WebSocket options"}


@functools.cache
def shared_sections() -> tuple[type, ...]:
    """Return the section classes that occur in several places, in the order of first use."""
    kinds = tuple(section_classes(Config, {}))
    uses = Counter(base_of(kind) for kind in kinds)
    uses.update(option.section for kind in kinds for option in own_options(kind))
    return tuple(kind for kind in kinds if uses[kind] > 1)


def section_classes(kind: type, found: dict[type, None]) -> dict[type, None]:
    """Collect a section class and all it is made of, each once."""
    if kind not in found:
        found[kind] = None
        base = base_of(kind)
        if base is not None:
            section_classes(base, found)
        for option in own_options(kind):
            if option.section is not None:
                section_classes(option.section, found)
    return found


def base_of(kind: type) -> type | None:
    """Return the section class that a section extends."""
    base = kind.__bases__[0]
    return None if base is object else base


def own_options(kind: type) -> tuple[Option, ...]:
    """Return the options a section does not have from the class it extends."""
    base = base_of(kind)
    inherited = {option.name for option in options_of(base)} if base else set()
    return tuple(option for option in options_of(kind) if option.name not in inherited)


def title_of(kind: type) -> str:
    """Return the heading of a shared section, made from the name of its class."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__.removesuffix("Config"))
    return SPELLINGS.get(words, words.capitalize())


def anchor(kind: type) -> str:
    """Return the link target of a shared section's heading."""
    return title_of(kind).lower().replace(" ", "-")
