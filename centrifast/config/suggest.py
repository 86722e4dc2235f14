"""What the operator may have meant by a key or a variable that no option has."""

import difflib
import functools
import re
from collections.abc import Collection, Iterator

from centrifast.config.environment import PREFIXES
from centrifast.config.old_names import ADVICE, CHANNEL_RENAMED, CONSUMER_ADVICE, RENAMED, SWITCHES
from centrifast.config.option import Kind, options_of, walk
from centrifast.config.schema import ChannelOptions, Config

OLDER = "an option of an older version;"

INDEX = re.compile(r"\.\[\d+\]")
NAMESPACE = re.compile(r"channel\.(namespaces\.\[\d+\]|without_namespace)\.")
OLD_NAMESPACE = re.compile(r"namespaces\.\[\d+\]\.")
CONSUMER_DISABLED = re.compile(r"consumers\.\[\d+\]\.disabled")

NEAR = 0.68
"""Likeness of names in one section, 0 to 1; below it a suggestion misleads more often than it helps."""

NEAR_PATH = 0.85
"""The same for whole paths, which share long beginnings."""

FEW = 4
"""Places an option name may have to be suggested for a key that stands in the wrong section."""


@functools.cache
def known_paths() -> tuple[str, ...]:
    """Return the path of every option and section, those that are built first; items as ``path[]``."""
    return tuple(path for path, _ in sorted(walk(Config), key=lambda known: known[1].facts.support))


@functools.cache
def joined_paths() -> dict[str, str]:
    """Return the paths by how older versions and the environment write them: ``client_channel_limit``."""
    return {path.replace(".", "_"): path for path in reversed(known_paths()) if "[]" not in path}


@functools.cache
def channel_options() -> frozenset[str]:
    """Return the names of all channel options."""
    return frozenset(option.name for option in options_of(ChannelOptions))


def explain_key(key: str) -> str:
    """Return an unknown key with what was probably meant."""
    advice = advice_on(key)
    return f"`{key}` ({advice})" if advice else f"`{key}`"


def advice_on(key: str) -> str:
    """Return what to do about an unknown key; empty for one like no other."""
    old = old_advice(key)
    if old:
        return f"{OLDER} {old}"
    close = closest(key)
    return f"did you mean `{close}`?" if close else ""


def old_advice(key: str) -> str:
    """Return what does the work of an option of an older version; empty for one that never was."""
    namespace = NAMESPACE.match(key) or OLD_NAMESPACE.match(key)
    if namespace:
        place, name = namespace[0], key[namespace.end() :]
        place = place if place.startswith("channel.") else f"channel.{place}"
    else:
        place, name = "channel.without_namespace.", key
    if name in CHANNEL_RENAMED:
        return f"use `{place}{CHANNEL_RENAMED[name]}`"
    if name in ADVICE:
        return ADVICE[name]
    if namespace:
        return ""
    if CONSUMER_DISABLED.fullmatch(key):
        return CONSUMER_ADVICE
    if key in RENAMED:
        return f"use `{RENAMED[key]}`"
    return f"use `{place}{key}`" if key in channel_options() else ""


def old_keys_below(key: str, value: object) -> Iterator[str]:
    """Give the renamed keys inside a list that has moved as a whole, such as ``namespaces``."""
    if key != "namespaces" or not isinstance(value, list):
        return
    for index, item in enumerate(value):
        for name in item if isinstance(item, dict) else ():
            path = f"{key}.[{index}].{name}"
            if old_advice(path):
                yield path


def closest(key: str) -> str:
    """Return the path most like an unknown key: in the same section if possible; empty when there is none."""
    plain = INDEX.sub("[]", key)
    joined = joined_paths().get(plain)
    if joined:
        return joined
    section, _, name = plain.rpartition(".")
    close = closest_sibling(section, name)
    if close:
        return key[: len(key) - len(name)] + close
    if section and section not in known_paths():
        near = difflib.get_close_matches(plain, known_paths(), 1, NEAR_PATH)
        if near:
            return near[0]
    below = [path for path in known_paths() if path.endswith(f".{plain}")]
    if below and (section or len(below) <= FEW):
        return below[0]
    elsewhere = [path for path in known_paths() if path.rpartition(".")[2] == name]
    return elsewhere[0] if 0 < len(elsewhere) <= FEW else ""


def closest_sibling(section: str, name: str) -> str:
    """Return the name in a section most like another: nearly the same, or the same with more words around it."""
    siblings = {path.rpartition(".")[2] for path in known_paths() if path.rpartition(".")[0] == section}
    near = difflib.get_close_matches(name, siblings, 1, NEAR)
    if not near and section:
        words = f"_{name}_"
        near = sorted((it for it in siblings if words in f"_{it}_" or f"_{it}_" in words), key=len)
    return near[0] if near else ""


def explain_variable(name: str, known: Collection[str] = ()) -> str:
    """Return an unknown variable with what was probably meant; *known* are those of this configuration's items."""
    advice = advice_on_variable(name, known)
    return f"`{name}` ({advice})" if advice else f"`{name}`"


def advice_on_variable(name: str, known: Collection[str] = ()) -> str:
    """Return what to do about an unknown variable; empty for one like no other."""
    prefix = next(prefix for prefix in PREFIXES if name.startswith(prefix))
    key = name.removeprefix(prefix).lower()
    new = RENAMED.get(key) or SWITCHES.get(key)
    if key in CHANNEL_RENAMED:
        new = f"channel.without_namespace.{CHANNEL_RENAMED[key]}"
    elif new is None and key in channel_options():
        new = f"channel.without_namespace.{key}"
    if new:
        return f"{OLDER} use `{variable_of(prefix, new)}`"
    if key in ADVICE:
        return f"{OLDER} {ADVICE[key]}"
    candidates = [found for found in known or known_variables(prefix) if found.startswith(prefix)]
    close = difflib.get_close_matches(name, candidates, 1, NEAR_PATH)
    return f"did you mean `{close[0]}`?" if close else ""


def variable_of(prefix: str, path: str) -> str:
    """Return the variable of an option."""
    return prefix + path.replace(".", "_").upper()


def known_variables(prefix: str) -> list[str]:
    """Return the variables that exist whatever the configuration."""
    return [
        variable_of(prefix, path)
        for path, option in walk(Config)
        if option.kind is not Kind.SECTION and "[]" not in path
    ]
