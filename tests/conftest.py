"""What holds for every test."""

import os

from hypothesis import HealthCheck, settings

from tests.redis_servers import (  # noqa: F401 - fixtures for every test
    redis_cluster,
    redis_server,
    shared_redis_cluster,
    shared_redis_server,
)

# Speed is no matter of tests, and CI looks at the same examples each time; other runs look at new ones.
settings.register_profile(
    "centrifast",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("centrifast")
