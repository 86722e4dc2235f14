"""What a node counts, where more than one line does it."""

from centrifast.metrics.metrics import ACTIONS, HTTP, Metrics


def test_clients_that_look_alike_share_their_meter() -> None:
    metrics = Metrics()
    plain = metrics.meter_of("websocket", named=False, versioned=False)
    assert metrics.meter_of("websocket", named=False, versioned=False) is plain
    plain.accepted.add()
    metrics.meter_of("websocket", named=True, versioned=False).accepted.add()
    metrics.meter_of("sse", named=True, versioned=True).accepted.add()
    assert [labels for labels, _ in metrics.accepted] == [
        ("sse", "unregistered", "unregistered"),
        ("websocket", "unnamed", "unversioned"),
        ("websocket", "unregistered", "unversioned"),
    ]


def test_subscriptions_are_counted_over_transports_and_versions() -> None:
    metrics = Metrics()
    metrics.meter_of("websocket", named=True, versioned=False).subscriptions.add()
    metrics.meter_of("sse", named=True, versioned=True).subscriptions.add()
    assert list(metrics.subscriptions) == [(("unregistered",), 2)]


def test_a_method_is_measured_from_its_first_call_on() -> None:
    calls = Metrics().api_calls[HTTP]
    assert not calls
    calls["publish"].observe(0.1)
    calls["publish"].observe(0.1)
    assert {method: times.cumulative()[-1] for method, times in calls.items()} == {"publish": 2}


def test_recoveries_are_told_apart_and_measured_only_if_they_succeed() -> None:
    metrics = Metrics(recovered_publications=True)
    metrics.recovery_ended(3, recovered=True)
    metrics.recovery_ended(0, recovered=True)
    metrics.recovery_ended(0, recovered=False)
    metrics.recovery_ended(1, recovered=False)
    assert list(metrics.recoveries) == [
        (("no", "no"), 1),
        (("no", "yes"), 1),
        (("yes", "no"), 1),
        (("yes", "yes"), 1),
    ]
    assert metrics.recovered is not None
    assert metrics.recovered.cumulative()[:4] == [1, 1, 1, 2]
    Metrics().recovery_ended(3, recovered=True)  # nobody asked for the histogram


def test_actions_are_named_once() -> None:
    assert len(set(ACTIONS)) == len(ACTIONS)
