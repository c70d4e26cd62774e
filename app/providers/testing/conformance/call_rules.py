"""Rules for the verbs that call: what a broken, silent or lying line may lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from app.providers import (
    ClientCertificate,
    Declined,
    HttpClient,
    HttpResponse,
    Kind,
    ProviderError,
    Retryable,
    Unknown,
)
from app.providers.http import MAX_RESPONSE_BYTES
from app.providers.testing.conformance.checks import (
    UNKNOWN_WORD,
    RuleGroup,
    attempt,
    facts_in,
    needs_hook,
    online,
    where,
)
from app.providers.testing.conformance.journeys import BreakingHttp, Call, calls_in, paid, started_payment

UNHEARD = ("timeout", "timeout_after", "error500")
SPOILT = (*UNHEARD, "garbage", "empty", "html", "html404", "json404")
MOST_REQUESTS = 12  # of one verb: a scan goes through all feeds


class KeptAnswers:
    """Passes requests on and keeps the answers; later gives these again, in their order, whatever is asked."""

    def __init__(self, inner: HttpClient) -> None:
        self._inner = inner
        self._answers: list[HttpResponse] = []
        self._again: Iterator[HttpResponse] | None = None

    def gives_again(self) -> None:
        self._again = iter(self._answers)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_bytes: int = MAX_RESPONSE_BYTES,
        certificate: ClientCertificate | None = None,
    ) -> HttpResponse:
        if self._again is not None:
            kept = next(self._again, None)
            if kept is None:
                raise Unknown("no answer is left")
            return kept
        answer = self._inner.request(
            method, url, headers=headers, body=body, max_bytes=max_bytes, certificate=certificate
        )
        self._answers.append(answer)
        return answer


class CallRules(RuleGroup):
    """What a verb may make of its line."""

    def test_every_verb_works(self) -> None:
        """Over a sound line each verb returns: none is a stub, none needs more than a few requests."""
        world = self.world()
        for call in calls_in(world):
            line = BreakingHttp(world.http)
            result = attempt(partial(call.make, online(world, line)), call.name)
            assert not isinstance(result, ProviderError), f"{call.name}: {type(result).__name__}: {result}"
            assert line.calls <= MOST_REQUESTS, f"{call.name}: {line.calls} requests"

    def test_a_refused_connection_is_retryable(self) -> None:
        """Where nothing could be sent, nothing happened: Retryable."""
        for call, result, calls in self._results("refused"):
            if calls:
                assert isinstance(result, Retryable), f"{call.name}, connection refused: {_said(result)}"

    def test_a_lost_or_spoilt_answer_leaves_it_unknown(self) -> None:
        """Timeout, garbage, nothing, HTML, a proxy's page or a 500: Unknown, since it may have happened; a query may
        say Retryable.

        Never Declined, never a fact, never an exception of another kind.
        """
        for fault in SPOILT:
            for call, result, calls in self._results(fault):
                allowed = (Unknown,) if call.moves else (Unknown, Retryable)
                if calls and (call.tells or fault in UNHEARD):
                    assert isinstance(result, allowed), f"{call.name}, {fault}: {_said(result)}"

    def test_a_line_that_breaks_midway_declines_nothing(self) -> None:
        """In a verb of several requests, a fault at a later one is no definite no, and no raw exception."""
        for breaks_at in range(2, self._most_requests() + 1):
            for fault in ("refused", *SPOILT):
                self._breaks_midway(fault, breaks_at)

    @needs_hook("refusing")
    def test_an_error_that_nobody_knows_leaves_it_unknown(self) -> None:
        """A genuine error with a code that is in no table is Unknown, at the first request and at a later one: it may
        be said after the money has moved. Never Declined, never nothing."""
        for starts_at in range(1, self._most_requests() + 1):
            world = self.world()
            for call in calls_in(world):
                line = BreakingHttp(world.http, breaks_at=starts_at, broken=world.refusing(UNKNOWN_WORD))
                what = f"{call.name}, an unknown error at request {starts_at}"
                result = attempt(partial(call.make, online(world, line)), what)
                if line.calls >= starts_at:
                    assert not isinstance(result, Declined), f"{what}: Declined"
                    assert starts_at > 1 or isinstance(result, Unknown), f"{what}: {_said(result)}"

    @where(lambda traits: traits.signs_replies)
    def test_a_liar_is_not_believed(self) -> None:
        """An answer that the provider did not sign leaves it Unknown, whatever it says: success, failure, nothing."""
        names = list(self.world().liars())
        assert names, "World.liars is empty, though Traits.signs_replies"
        for name in names:
            world = self.world()
            line = BreakingHttp(world.liars()[name])
            for call in (call for call in calls_in(world) if call.tells):
                before = line.calls
                result = attempt(partial(call.make, online(world, line)), f"{call.name}, {name}")
                if line.calls > before:
                    assert isinstance(result, Unknown), f"{call.name}, {name}: {_said(result)}"

    @where(lambda traits: traits.names_our_number)
    def test_an_answer_to_another_question_says_nothing_of_this_one(self) -> None:
        """The genuine answer about a payment that was paid, given to the question about one that was not, tells no
        fact of the latter: whose payment it is stands in the answer, and not in the question."""
        world = self.world()
        provider = online(world)
        paid_one, _ = paid(world, provider)
        waiting = started_payment(world, provider)
        kept = KeptAnswers(world.http)
        provider_that_keeps = online(world, kept)
        provider_that_keeps.query(paid_one.ref)
        kept.gives_again()
        told = attempt(partial(provider_that_keeps.query, waiting.ref), "query, with the answer to another")
        wrong = [fact for fact in facts_in(told) if fact.ref.ours == waiting.ref.ours and fact.kind is not Kind.PENDING]
        assert not wrong, f"another payment's answer is told of this one: {wrong[0].kind}"

    def _results(self, fault: str) -> Iterator[tuple[Call, object, int]]:
        """Each call over a line with that fault: what it came to, and the number of requests it made."""
        world = self.world()
        for call in calls_in(world):
            line = BreakingHttp(world.http, fault)
            yield call, attempt(partial(call.make, online(world, line)), f"{call.name}, {fault}"), line.calls

    def _most_requests(self) -> int:
        """How many requests the longest verb makes over a sound line."""
        world, most = self.world(), 0
        for call in calls_in(world):
            line = BreakingHttp(world.http)
            attempt(partial(call.make, online(world, line)), call.name)
            most = max(most, line.calls)
        return most

    def _breaks_midway(self, fault: str, breaks_at: int) -> None:
        world = self.world()
        for call in calls_in(world):
            what = f"{call.name}, {fault} at request {breaks_at}"
            line = BreakingHttp(world.http, fault, breaks_at)
            result = attempt(partial(call.make, online(world, line)), what)
            assert not isinstance(result, Declined) or line.calls < breaks_at, f"{what}: Declined"


def _said(result: object) -> str:
    return type(result).__name__ if isinstance(result, ProviderError) else f"returned {result!r}"
