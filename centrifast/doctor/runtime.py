"""The Python that runs this, and what the server is built of."""

import importlib
import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from centrifast.doctor.finding import Finding, fail, ok, warn

PACKAGE = Path(__file__).resolve().parent.parent


def extensions() -> tuple[str, ...]:
    """Return the names of the extension modules: each is described by a stub beside it."""
    stubs = sorted(PACKAGE.rglob("_*.pyi"))
    return tuple(".".join(stub.relative_to(PACKAGE.parent).with_suffix("").parts) for stub in stubs)


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """How Python was built; *missing* holds modules that can not be imported, with the reason."""

    version: str
    config_args: str
    flags: str
    base_prefix: str
    debug: bool
    missing: tuple[str, ...] = ()
    uvloop: str = ""


def read_runtime() -> RuntimeFacts:
    """Look at the running Python."""
    # Not PGO_PROF_USE_FLAG: that is what profiles would be used with, and every build has it.
    names = ("PY_CFLAGS", "PY_CORE_CFLAGS", "PY_CORE_LDFLAGS", "CFLAGS_NODIST")
    missing: list[str] = []
    for name in extensions():
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name}: {error}")
    try:
        uvloop = str(importlib.import_module("uvloop").__version__)
    except ImportError:
        uvloop = ""
    return RuntimeFacts(
        version=f"{platform.python_implementation()} {platform.python_version()}",
        config_args=str(sysconfig.get_config_var("CONFIG_ARGS") or ""),
        flags=" ".join(str(sysconfig.get_config_var(name) or "") for name in names),
        base_prefix=sys.base_prefix,
        debug=hasattr(sys, "gettotalrefcount"),
        missing=tuple(missing),
        uvloop=uvloop,
    )


def check_runtime(facts: RuntimeFacts) -> list[Finding]:
    """Judge the build of Python, the event loop and the extensions."""
    findings = [_check_build(facts)]
    if facts.uvloop:
        findings.append(ok("uvloop", facts.uvloop))
    else:
        findings.append(fail("uvloop", "can not be imported", "the event loop", "pip install uvloop"))
    if facts.missing:
        seen = "; ".join(facts.missing)
        mends = ("pip install --force-reinstall centrifast", "make build    # in a checkout")
        findings.append(fail("extensions", seen, "all extension modules, built for this Python", *mends))
    else:
        findings.append(ok("extensions", f"{len(extensions())} built for this Python"))
    return findings


def _check_build(facts: RuntimeFacts) -> Finding:
    """A distribution builds its own Python with profiles, without saying so in the arguments of configure."""
    if facts.debug:
        seen = f"{facts.version}, a debug build"
        return warn("python", seen, "a release build: this one is several times slower")
    if "--enable-optimizations" in facts.config_args or "-fprofile-use" in facts.flags:
        return ok("python", f"{facts.version}, built with --enable-optimizations")
    if facts.base_prefix == "/usr":
        return ok("python", f"{facts.version}, the distribution's own build")
    return warn(
        "python",
        f"{facts.version} in {facts.base_prefix}, built without --enable-optimizations",
        "an optimized build: this one runs at about half the speed",
        'PYTHON_CONFIGURE_OPTS="--enable-optimizations --with-lto" pyenv install --force '
        f"{facts.version.rpartition(' ')[2]}",
        "apt-get install python3    # the distribution's Python is optimized",
    )
