"""The counts themselves: what they see, whichever library does it, and what they leave out."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Iterator

import psycopg
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from sqlalchemy import Engine, create_engine, text

from app.domain.money import Money
from tests.support.counting import SIMULATOR_THREAD, Cost, Counter


@pytest.fixture
def counter() -> Iterator[Counter]:
    with Counter().watching() as counter:
        yield counter


@pytest.fixture
def watched(counter: Counter, database_url: str) -> Iterator[Engine]:
    """An engine whose connections were made while the counter watched."""
    engine = create_engine(database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def test_statements_and_transactions_are_counted_and_begin_and_commit_are_not_statements(
    counter: Counter, watched: Engine
) -> None:
    def work() -> None:
        with watched.connect() as connection:
            connection.execute(text("SELECT 1"))
            connection.execute(text("SELECT\n 'BEGIN'"))
            connection.rollback()
            connection.execute(text("SELECT :x"), {"x": 'a "quoted" text\twith\n a line'})
            connection.commit()

    work()
    cost = counter.cost_of(work)
    begun = 2 if watched.dialect.name == "postgresql" else 0  # plain sqlite3 begins no transaction for a SELECT
    assert (cost.statements, cost.transactions) == (3, begun or 3)


def driver_of(engine: Engine) -> psycopg.Connection[object]:
    driver = engine.raw_connection().driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_a_pipeline_is_waited_for_once_and_single_statements_one_by_one(counter: Counter, watched: Engine) -> None:
    driver = driver_of(watched)

    def one_by_one() -> None:
        driver.execute("SELECT 1")
        driver.execute("SELECT 2")
        driver.commit()

    def one_flight() -> None:
        """Over libpq alone, as a fast way past the driver's cursor would."""
        driver.pgconn.enter_pipeline_mode()
        for sql in (b"BEGIN", b"SELECT 1", b"SELECT 2", b"COMMIT"):
            driver.pgconn.send_query_params(sql, None)
        driver.pgconn.pipeline_sync()
        for _ in range(9):
            driver.pgconn.get_result()
        driver.pgconn.exit_pipeline_mode()

    assert counter.cost_of(one_by_one) == Cost(statements=2, waits=4, transactions=1)
    assert counter.cost_of(one_flight) == Cost(statements=2, waits=1, transactions=1)


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_a_prepared_statement_counts_each_time_and_its_preparation_never(counter: Counter, watched: Engine) -> None:
    driver = driver_of(watched)
    driver.autocommit = True

    def work() -> None:
        driver.pgconn.prepare(b"one", b"SELECT 1")
        driver.pgconn.exec_prepared(b"one", None)
        driver.pgconn.exec_prepared(b"one", None)

    assert counter.cost_of(work) == Cost(statements=2, waits=2, transactions=2)


def test_signatures_are_counted_whether_made_or_checked_and_with_any_key(counter: Counter) -> None:
    key, curve = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()

    def work() -> None:
        key.public_key().verify(key.sign(b"text", scheme, digest), b"text", scheme, digest)
        curve.public_key().verify(curve.sign(b"text", ec.ECDSA(digest)), b"text", ec.ECDSA(digest))
        hmac.new(b"key", b"text", "sha256").hexdigest()
        hmac.digest(b"key", b"text", "sha256")

    assert counter.cost_of(work) == Cost(signatures=6)


def test_a_walk_counts_the_other_threads_of_the_service_and_not_those_of_a_simulator(counter: Counter) -> None:
    def walk() -> None:
        Money(600, "CNY")

    def in_thread(name: str) -> Cost:
        def work() -> None:
            thread = threading.Thread(target=walk, name=name)
            thread.start()
            thread.join()

        return counter.cost_of(work)

    here = counter.cost_of(walk)
    assert (here.files, here.moves) == (1, 0)
    assert here.functions > 0
    assert in_thread("lane") == here
    assert in_thread(f"Thread-7 ({SIMULATOR_THREAD})") == Cost()
