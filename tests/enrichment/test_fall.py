"""One lead's fall: who is asked next, and what each answer means."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from enrichment.engine.fall import Fall, Result, Step

HUNTER, APOLLO, PDL, PROSPEO = 1, 2, 3, 4
NAMES = {HUNTER: "Hunter", APOLLO: "Apollo", PDL: "People Data Labs", PROSPEO: "Prospeo"}


@dataclass(frozen=True)
class FakeCandidate:
    channel: str
    value: str = "value"
    usable: bool = True


@dataclass(frozen=True)
class FakeVerdict:
    usable: bool
    normalized: str
    reason_code: str = "bad"
    message: str = "Not usable."


def judge(candidate):
    return FakeVerdict(candidate.usable, candidate.value)


def order(*providers, skip=()):
    return [
        Step(p, NAMES[p], "switched off" if p in skip else "", "off" if p in skip else "") for p in providers
    ]


def start(**orders):
    return Fall.start(orders, judge)


def test_the_first_provider_is_asked_first_and_a_usable_answer_ends_the_channel():
    fall = start(work_email=order(HUNTER, APOLLO))
    assert fall.due(0) == [HUNTER]
    fall.asking(HUNTER)
    assert fall.due(0) == []
    findings = fall.answered(HUNTER, [FakeCandidate("work_email")])
    assert [(f.channel, f.provider, f.result) for f in findings] == [("work_email", HUNTER, Result.FOUND)]
    assert fall.done
    assert fall.outcome("work_email") == "found"


def test_a_miss_falls_to_the_next_provider():
    fall = start(work_email=order(HUNTER, APOLLO))
    fall.asking(HUNTER)
    (miss,) = fall.answered(HUNTER, [])
    assert miss.result is Result.NOT_FOUND
    assert fall.due(0) == [APOLLO]


def test_a_provider_two_channels_stand_at_is_asked_once_for_both():
    fall = start(work_email=order(PDL), phone=order(PDL, PROSPEO))
    assert fall.due(0) == [PDL]
    assert fall.wanted(PDL) == ["work_email", "phone"]
    fall.asking(PDL)
    findings = fall.answered(PDL, [FakeCandidate("work_email"), FakeCandidate("phone")])
    assert [f.result for f in findings] == [Result.FOUND, Result.FOUND]
    assert fall.done


def test_an_answer_for_a_channel_further_up_is_kept_and_used_without_a_second_call():
    fall = start(work_email=order(PDL), phone=order(PROSPEO, PDL))
    assert fall.due(0) == [PDL, PROSPEO]
    assert fall.wanted(PDL) == ["work_email", "phone"]
    fall.asking(PDL)
    fall.asking(PROSPEO)
    first = fall.answered(PDL, [FakeCandidate("work_email"), FakeCandidate("phone")])
    assert [f.channel for f in first] == ["work_email"]
    later = fall.answered(PROSPEO, [])
    assert [(f.provider, f.result) for f in later] == [(PROSPEO, Result.NOT_FOUND), (PDL, Result.FOUND)]
    assert fall.due(0) == []


def test_an_unusable_answer_keeps_its_reason_and_falls_on():
    fall = start(work_email=order(HUNTER, APOLLO))
    fall.asking(HUNTER)
    (finding,) = fall.answered(HUNTER, [FakeCandidate("work_email", "info@x.example", usable=False)])
    assert (finding.result, finding.reason, finding.message) == (Result.UNUSABLE, "bad", "Not usable.")
    assert fall.due(0) == [APOLLO]


def test_the_first_usable_of_several_values_is_taken():
    fall = start(personal_email=order(PDL))
    fall.asking(PDL)
    values = [FakeCandidate("personal_email", "a", usable=False), FakeCandidate("personal_email", "b")]
    (finding,) = fall.answered(PDL, values)
    assert finding.verdict.normalized == "b"


def test_a_channel_fails_only_when_everybody_asked_failed():
    fall = start(phone=order(PDL, PROSPEO), work_email=order(HUNTER, PDL))
    fall.asking(PDL)
    fall.failed(PDL, "no_answer", "no answer in time")
    fall.asking(PROSPEO)
    fall.failed(PROSPEO, "no_answer", "no answer in time")
    assert fall.outcome("phone") == "failed"
    fall.asking(HUNTER)
    fall.answered(HUNTER, [])
    assert fall.outcome("work_email") == "not_found"


def test_a_skipped_provider_is_noted_not_asked_and_not_counted_as_depth():
    fall = start(work_email=order(HUNTER, APOLLO, skip=(HUNTER,)))
    (skipped,) = fall.advance()
    assert (skipped.result, skipped.message) == (Result.SKIPPED, "switched off")
    fall.asking(APOLLO)
    (miss,) = fall.answered(APOLLO, [])
    assert miss.depth == 0


def test_a_waiting_provider_holds_its_channel_until_its_time():
    fall = start(work_email=order(HUNTER, APOLLO))
    fall.asking(HUNTER)
    fall.wait(HUNTER, 100.0)
    assert fall.due(99.0) == []
    assert fall.next_retry() == 100.0
    assert fall.due(100.0) == [HUNTER]


def test_nobody_to_ask_is_not_found_at_once():
    fall = start(work_email=[])
    assert fall.done
    assert fall.outcome("work_email") == "not_found"


ORDERS = st.dictionaries(
    st.sampled_from(["work_email", "personal_email", "phone", "linkedin_url"]),
    st.lists(st.sampled_from(list(NAMES)), unique=True, max_size=4),
    min_size=1,
)
ANSWERS = st.fixed_dictionaries(
    {
        provider: st.one_of(
            st.just("error"),
            st.lists(
                st.tuples(
                    st.sampled_from(["work_email", "personal_email", "phone", "linkedin_url"]), st.booleans()
                ),
                max_size=4,
            ),
        )
        for provider in NAMES
    }
)


@given(orders=ORDERS, answers=ANSWERS, data=st.data())
def test_whatever_the_answers_and_their_order_each_channel_ends_as_the_plain_waterfall_would(
    orders, answers, data
):
    fall = start(**{channel: order(*providers) for channel, providers in orders.items()})
    findings, asked, flying = fall.advance(), [], []
    while not fall.done:
        for provider in fall.due(0):
            fall.asking(provider)
            asked.append(provider)
            flying.append(provider)
        provider = flying.pop(data.draw(st.integers(0, len(flying) - 1)))
        answer = answers[provider]
        if answer == "error":
            findings += fall.failed(provider, "no_answer", "")
        else:
            findings += fall.answered(provider, [FakeCandidate(c, "v", usable) for c, usable in answer])
    assert len(asked) == len(set(asked))
    for channel, providers in orders.items():
        expected = next(
            (p for p in providers if answers[p] != "error" and (channel, True) in answers[p]), None
        )
        hits = [f.provider for f in findings if f.channel == channel and f.result is Result.FOUND]
        assert hits == ([] if expected is None else [expected])
        stop = len(providers) if expected is None else providers.index(expected) + 1
        assert [f.provider for f in findings if f.channel == channel] == list(providers[:stop])
