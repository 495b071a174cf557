"""Rate limits, demanded pauses and breakers, shared through Redis."""

import pytest
import redis

from enrichment.engine import limits
from enrichment.engine.limits import check_gate, pause_provider, record_health, reset_provider

PROVIDER = 990_001


@pytest.fixture(autouse=True)
def forgotten():
    client = limits._redis()
    for key in client.scan_iter("headwater:provider:99000*"):
        client.delete(key)
    for key in client.scan_iter("LIMITS*99000*"):
        client.delete(key)
    reset_provider(PROVIDER)


def fail(times, provider=PROVIDER):
    for _ in range(times):
        record_health(provider, [False])


def test_a_provider_nobody_complained_about_may_be_asked():
    assert check_gate(PROVIDER, ("5/second",)).open


def test_the_rate_limit_is_counted_over_all_callers():
    gates = [check_gate(PROVIDER, ("3/minute",)) for _ in range(4)]
    assert [gate.open for gate in gates] == [True, True, True, False]
    assert 0 < gates[-1].wait <= 60
    assert not gates[-1].pass_over


def test_a_refused_call_does_not_count_against_the_other_limit():
    for _ in range(10):
        check_gate(PROVIDER + 1, ("2/minute", "5/hour"))
    assert limits._limiter().get_window_stats(limits._parsed("5/hour"), str(PROVIDER + 1)).remaining == 3


def test_a_demanded_pause_holds_only_that_provider():
    pause_provider(PROVIDER, 40)
    gate = check_gate(PROVIDER, ())
    assert (gate.open, gate.pass_over) == (False, False)
    assert 30 < gate.wait <= 40
    assert check_gate(PROVIDER + 2, ()).open


def test_five_failures_of_the_last_twenty_open_the_breaker():
    fail(4)
    assert check_gate(PROVIDER, ()).open
    fail(1)
    gate = check_gate(PROVIDER, ())
    assert (gate.open, gate.pass_over) == (False, True)
    assert 0 < gate.wait <= limits.OPEN_SECONDS


def test_old_failures_are_forgotten_behind_twenty_calls():
    fail(4)
    for _ in range(limits.WINDOW):
        record_health(PROVIDER, [True])
    fail(4)
    assert check_gate(PROVIDER, ()).open


def test_after_the_minute_one_probe_goes_through_and_its_success_closes_the_breaker():
    fail(5)
    limits._redis().delete(limits._key("open", PROVIDER))
    assert check_gate(PROVIDER, ()).open
    assert check_gate(PROVIDER, ()).pass_over
    record_health(PROVIDER, [True])
    assert all(check_gate(PROVIDER, ()).open for _ in range(3))


def test_a_failed_probe_opens_the_breaker_again():
    fail(5)
    limits._redis().delete(limits._key("open", PROVIDER))
    assert check_gate(PROVIDER, ()).open
    fail(1)
    gate = check_gate(PROVIDER, ())
    assert (gate.open, gate.pass_over) == (False, True)


def test_an_unreachable_redis_lets_calls_through(monkeypatch, caplog):
    def unreachable():
        raise redis.ConnectionError("refused")

    monkeypatch.setattr(limits, "_redis", unreachable)
    assert check_gate(PROVIDER, ("1/hour",)).open
    pause_provider(PROVIDER, 5)
    record_health(PROVIDER, [False])
    assert "Redis is unreachable" in caplog.text


def test_a_passed_test_connection_forgets_pauses_and_failures():
    fail(5)
    pause_provider(PROVIDER, 100)
    reset_provider(PROVIDER)
    assert check_gate(PROVIDER, ()).open


def test_in_one_pass_a_tripped_breaker_still_lets_only_one_probe_through():
    fail(5)
    limits._redis().delete(limits._key("open", PROVIDER))
    gates = limits.Gatekeeper()
    assert [gates.check(PROVIDER, ()).open for _ in range(3)] == [True, False, False]


def test_in_one_pass_every_call_counts_against_the_limit():
    gates = limits.Gatekeeper()
    assert [gates.check(PROVIDER, ("2/minute",)).open for _ in range(3)] == [True, True, False]
