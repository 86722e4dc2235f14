from centrifast.server.health import add_health
from centrifast.server.routes import Routes
from tests.server.http_peer import get, post, run, serving


def test_health_says_that_the_process_serves_and_whether_it_can_work() -> None:
    async def scenario() -> None:
        is_ready = True
        away: list[str] = []
        routes = Routes()
        add_health(routes, "/health", lambda: is_ready, lambda: away)
        async with serving(routes) as served:
            peer = await served.connect()
            for request, expected in [
                (get("/health"), (200, b"{}")),
                (post("/health", b"x"), (200, b"{}")),
                (get("/health/ready"), (200, b"{}")),
            ]:
                peer.send(request)
                answer = await peer.answer()
                assert (answer.status, answer.body) == expected
                assert answer.headers["content-type"] == "application/json"
            is_ready = False
            peer.send(get("/health/ready") + get("/health"))
            assert [(await peer.answer()).status for _ in range(2)] == [503, 200]
            is_ready, away = True, ["redis-2:6379"]
            peer.send(get("/health/ready"))
            answer = await peer.answer()
            assert (answer.status, answer.body) == (503, b'{"away":["redis-2:6379"]}')

    run(scenario())
