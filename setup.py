"""The extensions. Everything else about the package is in pyproject.toml.

CENTRIFAST_BUILD chooses how they are built: ``release`` (default), ``debug`` (live counters, C assertions), ``trace``
(line tracing for coverage) or ``asan`` (address and undefined-behaviour sanitizers).
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

BUILD = os.environ.get("CENTRIFAST_BUILD", "release")
COMPILE_ARGUMENTS = {
    "release": ["-O3", "-fno-plt"],
    "debug": ["-O1", "-g", "-UNDEBUG"],
    "trace": ["-O0", "-g"],
    "asan": ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"],
}
MACROS: dict[str, list[tuple[str, str | None]]] = {
    "release": [],
    "debug": [("CENTRIFAST_DEBUG", "1")],
    "trace": [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0"), ("CENTRIFAST_DEBUG", "1")],
    "asan": [("CENTRIFAST_DEBUG", "1")],
}
MODULES = {
    "centrifast._fossil": "centrifast/_fossil.pyx",
    "centrifast._metrics": "centrifast/_metrics.pyx",
    "centrifast._framing": "centrifast/_framing.pyx",
    "centrifast._wheel": "centrifast/_wheel.pyx",
    "centrifast._intake": "centrifast/_intake.pyx",
    "centrifast._core": "centrifast/_core.pyx",
    "centrifast._channel": "centrifast/_channel.pyx",
    "centrifast.transports._connection": "centrifast/transports/_connection.pyx",
    "centrifast_loadgen._board": "tools/loadgen/centrifast_loadgen/_board.pyx",
    "centrifast_loadgen._client": "tools/loadgen/centrifast_loadgen/_client.pyx",
}

setup(
    ext_modules=cythonize(
        [
            Extension(
                name,
                [source],
                extra_compile_args=COMPILE_ARGUMENTS[BUILD],
                extra_link_args=["-fsanitize=address,undefined"] if BUILD == "asan" else [],
                define_macros=MACROS[BUILD],
                depends=[str(path) for path in Path("centrifast").glob("*.pxd")],
            )
            for name, source in MODULES.items()
            if Path(source).exists()
        ],
        build_dir=f"build/cython-{BUILD}",
        language_level=3,
        compiler_directives={
            "binding": True,
            "auto_pickle": False,
            "autotestdict": False,
            "linetrace": BUILD == "trace",
        },
    )
)
