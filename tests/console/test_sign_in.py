"""Who gets in, who does not, and how a session ends."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from app.services.accounts.operators import (
    FREE_ATTEMPTS,
    MOST_CHECKS,
    ROLES,
    CodeSecrets,
    SignInRefused,
    TooManyAttempts,
    end_operator,
    renew_operator,
    sign_in,
)
from tests.support.console_browser import CHEAP, KEYS, SECRET, Browser, code_of, make_operator
from tests.support.web_client import build_client
from tests.support.world import World


def test_password_and_code_together_open_the_console(world: World, visitor: Browser) -> None:
    told = make_operator(world.core)
    assert visitor.get("/console/").path == "/console/sign-in"
    page = visitor.sign_in(told, world.core)
    assert (page.status, page.path) == (200, "/console/")
    assert "mei" in page.text
    assert "Nothing waits." in page.text


@pytest.mark.parametrize(
    "wrong", [{"name": "nobody"}, {"password": "another"}, {"code": "000000"}, {"code": ""}, {"password": ""}]
)
def test_one_wrong_field_is_refused_without_a_word_which(world: World, visitor: Browser, wrong: dict[str, str]) -> None:
    page = visitor.sign_in(make_operator(world.core), world.core, **wrong)
    assert page.status == 401
    assert "Name, password and code do not fit together" in page.text
    assert visitor.get("/console/").path == "/console/sign-in"


def test_a_code_counts_once(world: World, visitor: Browser, engine: Engine) -> None:
    told = make_operator(world.core)
    assert visitor.sign_in(told, world.core).path == "/console/"
    thief = Browser(build_client(world, engine, console={"secret_key": SECRET}))
    assert thief.sign_in(told, world.core).status == 401
    world.clock.advance(30)
    assert thief.sign_in(told, world.core).path == "/console/"


def test_the_clock_of_the_device_may_be_a_step_off_and_no_more(world: World, visitor: Browser) -> None:
    told = make_operator(world.core)
    for steps, status in ((-2, 401), (2, 401), (-1, 200)):
        assert visitor.sign_in(told, world.core, code=code_of(told, world.core, steps=steps)).status == status


def test_who_guesses_codes_waits_longer_and_longer_and_at_most_a_quarter_of_an_hour(
    world: World, visitor: Browser
) -> None:
    told = make_operator(world.core)
    for _ in range(6):
        assert visitor.sign_in(told, world.core, code="000000").status == 401
    waiting = visitor.sign_in(told, world.core)
    assert waiting.status == 429
    assert "Too many attempts. Try again after 3 s." in waiting.text
    for _ in range(12):
        world.clock.advance(15 * 60 + 1)
        assert visitor.sign_in(told, world.core, code="000000").status == 401
    world.clock.advance(14 * 60)
    assert visitor.sign_in(told, world.core).status == 429
    world.clock.advance(61)
    assert visitor.sign_in(told, world.core).path == "/console/"


def test_who_has_no_password_shuts_nobody_out_and_learns_no_name(world: World, visitor: Browser) -> None:
    told = make_operator(world.core)
    names = (*["mei"] * 9, "nobody", "no\x00body")
    pages = [visitor.sign_in(told, world.core, name=name, password="a guess") for name in names]
    answers = {(page.status, page.text) for page in pages}
    assert len(answers) == 1
    assert visitor.sign_in(told, world.core).path == "/console/"


def test_the_log_names_operators_and_never_what_was_typed(
    world: World, visitor: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    told = make_operator(world.core)
    code = code_of(told, world.core)
    with capture_logs() as lines:
        visitor.sign_in(told, world.core, name=told.password)
        visitor.sign_in(told, world.core, password="another", code=code)
        visitor.sign_in(told, world.core, code="000000")
        visitor.sign_in(told, world.core)
    refused = [(line["operator"], line["knew_password"]) for line in lines if line["event"] == "operator_refused"]
    assert refused == [(None, False), ("mei", False), ("mei", True)]
    assert any(line["event"] == "operator_signed_in" for line in lines)
    written = repr(lines) + "".join(capsys.readouterr())
    assert all(secret not in written for secret in (told.password, code, "another", "000000"))


def test_an_attempt_waits_for_no_other_attempts_check(world: World) -> None:
    """Attempts that waited for their turn would keep all threads of a web process from providers."""
    together = threading.Barrier(8)

    def attempt(_: int) -> bool:
        together.wait()
        try:
            sign_in(world.core, "nobody", "a guess", "", KEYS)
        except TooManyAttempts:
            return False
        except SignInRefused:
            return True
        raise AssertionError("nobody is in")

    with ThreadPoolExecutor(8) as many:
        assert MOST_CHECKS <= sum(many.map(attempt, range(8))) < 8


def test_a_look_at_the_form_is_no_attempt(world: World, visitor: Browser) -> None:
    told = make_operator(world.core)
    fields = {"name": "mei", "password": told.password, "code": code_of(told, world.core)}
    answer = visitor.client.head("/console/sign-in", data=fields)
    assert answer.status_code == 200
    assert visitor.get("/console/").path == "/console/sign-in"
    assert visitor.sign_in(told, world.core).path == "/console/"


def test_a_form_that_was_sent_too_late_leads_to_a_page_after_signing_in(world: World, mei: Browser) -> None:
    token = mei.get("/console/").token
    world.clock.advance(31 * 60)
    sent = mei.client.post("/console/sign-out", data={"csrf_token": token})
    assert sent.location == "/console/sign-in"


def test_a_new_session_ends_the_earlier_one(world: World, visitor: Browser, engine: Engine) -> None:
    told = make_operator(world.core)
    visitor.sign_in(told, world.core)
    world.clock.advance(30)
    another = Browser(build_client(world, engine, console={"secret_key": SECRET}))
    assert another.sign_in(told, world.core).path == "/console/"
    assert visitor.get("/console/").path == "/console/sign-in"


def test_a_session_ends_when_nobody_reads_and_after_half_a_day(world: World, visitor: Browser) -> None:
    told = make_operator(world.core)
    visitor.sign_in(told, world.core)
    world.clock.advance(31 * 60)
    assert visitor.get("/console/").path == "/console/sign-in"
    visitor.sign_in(told, world.core)
    for _ in range(25):
        world.clock.advance(28 * 60)
        assert visitor.get("/console/").path == "/console/"
    world.clock.advance(28 * 60)
    assert visitor.get("/console/").path == "/console/sign-in"


def test_signing_out_ends_the_session_for_a_stolen_cookie_too(world: World, mei: Browser) -> None:
    stolen = mei.client.get_cookie("tillbook_console", path="/console")
    assert stolen is not None
    assert mei.send("/console/sign-out").path == "/console/sign-in"
    mei.client.set_cookie("tillbook_console", stolen.value, path="/console")
    assert mei.get("/console/").path == "/console/sign-in"


def test_an_operator_who_has_ended_or_was_renewed_is_out_at_once(world: World, visitor: Browser) -> None:
    told = make_operator(world.core)
    visitor.sign_in(told, world.core)
    world.core.home.transact(lambda tx: end_operator(tx, "mei", "operator:ann"))
    assert visitor.get("/console/").path == "/console/sign-in"
    world.clock.advance(60)
    assert visitor.sign_in(told, world.core).status == 401
    anew = world.core.home.transact(lambda tx: renew_operator(tx, "mei", None, "operator:ann", KEYS, CHEAP))
    assert visitor.sign_in(told, world.core).status == 401
    assert visitor.sign_in(anew, world.core).path == "/console/"


@pytest.mark.parametrize(
    "edit", ['roles = \'["finance", "support"]\'', "made_by = 'operator:other'", "password = password || ' '"]
)
def test_a_row_that_somebody_edits_in_the_database_opens_no_door(
    world: World, visitor: Browser, engine: Engine, edit: str
) -> None:
    told = make_operator(world.core, "mei", "support")
    visitor.sign_in(told, world.core)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE operators SET {edit}"))
    assert visitor.get("/console/").path == "/console/sign-in"
    world.clock.advance(30)
    assert visitor.sign_in(told, world.core).status == 401


def test_the_database_alone_does_not_give_the_code(world: World, engine: Engine) -> None:
    told = make_operator(world.core)
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT code_secret, password FROM operators")).one()
    secret = told.address.split("secret=")[1].split("&")[0]
    assert secret not in kept.code_secret
    assert told.password not in kept.password
    assert CodeSecrets(["another secret that is long enough for this"]).decrypt(kept.code_secret) is None
    replaced = CodeSecrets(["another secret that is long enough for this", SECRET])
    assert replaced.decrypt(kept.code_secret) == secret


def test_a_form_from_elsewhere_does_nothing(world: World, mei: Browser) -> None:
    refused = mei.client.post("/console/sign-out", headers=mei.headers)
    assert refused.status_code == 400
    assert mei.get("/console/").path == "/console/"


def test_signing_in_leads_to_the_page_that_was_wanted_and_never_to_another_site(world: World, visitor: Browser) -> None:
    told = make_operator(world.core)
    wanted = visitor.client.get("/console/users?user=alice")
    assert wanted.location == "/console/sign-in?to=/console/users?user%3Dalice"
    fields = {"name": "mei", "password": told.password, "code": code_of(told, world.core)}
    assert visitor.send(wanted.location, **fields).path == "/console/users"
    for address in ("https://evil.example/", "//evil.example/console/", "/console/\\evil.example", "/v1/orders"):
        world.clock.advance(30)
        token = visitor.get("/console/sign-in").token
        fields = {"csrf_token": token, "name": "mei", "password": told.password, "code": code_of(told, world.core)}
        answer = visitor.client.post("/console/sign-in", query_string={"to": address}, data=fields)
        assert answer.location == "/console/"


def test_the_cookie_is_for_the_console_alone_and_for_no_script(world: World, engine: Engine) -> None:
    client = build_client(world, engine, console={"secret_key": SECRET}, public_url="https://pay.example.com")
    cookie = client.get("/console/sign-in").headers["Set-Cookie"]
    assert cookie.startswith("tillbook_console=")
    assert {"Secure", "HttpOnly", "Path=/console", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}


def test_without_a_secret_there_is_no_console(world: World, engine: Engine) -> None:
    assert build_client(world, engine).get("/console/sign-in").status_code == 404


def test_a_cookie_counts_while_the_secret_that_signed_it_does(world: World, engine: Engine) -> None:
    told = make_operator(world.core)
    first = Browser(build_client(world, engine, console={"secret_key": SECRET}))
    first.sign_in(told, world.core)
    cookie = first.client.get_cookie("tillbook_console", path="/console")
    assert cookie is not None
    for secrets, path in (
        ({"secret_key": "a new secret, which is long enough for sessions"}, "/console/sign-in"),
        (
            {"secret_key": "a new secret, which is long enough for sessions", "former_secret_keys": [SECRET]},
            "/console/",
        ),
    ):
        second = Browser(build_client(world, engine, console=secrets))
        second.client.set_cookie("tillbook_console", cookie.value, path="/console")
        assert second.get("/console/").path == path


def test_an_attempt_that_succeeds_takes_the_count_back(world: World, visitor: Browser) -> None:
    told = make_operator(world.core)
    for _ in range(2):
        for _ in range(5):
            assert visitor.sign_in(told, world.core, code="111111").status == 401
        world.clock.advance(30)
        assert visitor.sign_in(told, world.core).path == "/console/"
        visitor.send("/console/sign-out")


def test_every_page_says_whom_it_is_for(visitor: Browser) -> None:
    app = visitor.client.application
    pages = {name: view for name, view in app.view_functions.items() if name.startswith("console.")}
    assert len(pages) > 10
    without = {name for name, view in pages.items() if getattr(view, "console_role", None) not in ROLES}
    assert without == {"console.sign_in_page", "console.choose_language", "console.static"}


def test_the_api_knows_nothing_of_the_session(mei: Browser) -> None:
    for path in ("/v1/orders", "/v1/search?number=alice", "/webhooks/sandbox", "/consoles"):
        answer = mei.client.get(path)
        assert answer.status_code in (401, 404, 405)
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")


def test_one_code_at_one_moment_from_many_places_opens_one_session(world: World) -> None:
    told = make_operator(world.core)
    code = code_of(told, world.core)

    def attempt(_: int) -> bool:
        try:
            sign_in(world.core, "mei", told.password, code, KEYS)
        except (SignInRefused, TooManyAttempts):
            return False
        return True

    with ThreadPoolExecutor(8) as many:
        assert sum(many.map(attempt, range(8))) == 1
    world.clock.advance(15 * 60)
    assert sign_in(world.core, "mei", told.password, code_of(told, world.core), KEYS).operator == "mei"


def test_codes_guessed_at_one_moment_are_counted_one_by_one(world: World) -> None:
    told = make_operator(world.core)

    def attempt(_: int) -> str:
        while True:
            try:
                sign_in(world.core, "mei", told.password, "000000", KEYS)
            except TooManyAttempts as error:
                if error.operator is None:  # the process is busy
                    continue
                return "waits"
            except SignInRefused:
                return "refused"
            return "in"

    with ThreadPoolExecutor(8) as many:
        ends = list(many.map(attempt, range(24)))
    assert ends.count("refused") == FREE_ATTEMPTS + 1
    assert ends.count("in") == 0
