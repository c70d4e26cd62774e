"""What `tillbook distribute` asks of a cluster. No cluster can be installed here: a plain PostgreSQL gets functions of
the cluster's names that write down what they were asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text

from app.models import schema
from app.models.base import Base
from app.models.distribution import REFERENCE, TableClass, class_of, distribute_in, is_cluster, not_distributed
from app.models.slot_guard import SLOTTED
from tests.support.databases import postgres_database

_CLUSTER = """
CREATE TABLE pg_dist_partition (logicalrelid oid);
CREATE TABLE asked (id serial, how text, what text, by_column text, beside text, shards text, triggers text);
CREATE FUNCTION create_reference_table(t regclass) RETURNS void LANGUAGE sql AS $$
  INSERT INTO pg_dist_partition VALUES (t);
  INSERT INTO asked (how, what) VALUES ('reference', t::text) $$;
CREATE FUNCTION create_distributed_table(t regclass, c text, colocate_with text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO pg_dist_partition VALUES (t);
  INSERT INTO asked (how, what, by_column, beside, shards, triggers) VALUES ('table', t::text, c, colocate_with,
    current_setting('citus.shard_count'), current_setting('citus.enable_unsafe_triggers')) $$;
CREATE FUNCTION create_distributed_function(f regprocedure) RETURNS void LANGUAGE sql AS $$
  INSERT INTO asked (how, what) VALUES ('function', f::text) $$;
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Engine]:
    with postgres_database() as url:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql(_CLUSTER)
        schema.migrate(engine)
        yield engine
        engine.dispose()


def test_every_table_is_in_one_class_and_all_user_data_lies_by_slot() -> None:
    classes = {name: class_of(table) for name, table in Base.metadata.tables.items()}
    assert {name for name, kind in classes.items() if kind is TableClass.SLOT} == SLOTTED
    assert {name for name, kind in classes.items() if kind is TableClass.OWN_HASH} == {"claims"}
    assert {name for name, kind in classes.items() if kind is TableClass.REFERENCE} == REFERENCE


def test_no_table_on_the_nodes_refers_to_one_that_is_not_beside_it() -> None:
    for table in Base.metadata.tables.values():
        for key in table.foreign_key_constraints:
            assert class_of(table) is class_of(key.referred_table), f"{table.name} refers to {key.referred_table.name}"


def test_a_migration_in_a_cluster_distributes_parents_first_and_once(cluster: Engine) -> None:
    schema.migrate(cluster)  # a second time
    with cluster.connect() as connection:
        asked = connection.execute(text("SELECT * FROM asked ORDER BY id")).all()
        assert not_distributed(connection) == []
    assert [row.what for row in asked if row.how == "reference"] == sorted(REFERENCE)
    assert [row.what for row in asked if row.how == "function"] == ["tillbook_refuse()"]
    tables = [row for row in asked if row.how == "table"]
    assert {row.what for row in tables} == SLOTTED | {"claims"}
    assert len(tables) == len(SLOTTED) + 1
    assert {row.shards for row in tables} == {"64"}
    assert {row.triggers for row in tables} == {"on"}
    by_slot = [row for row in tables if row.by_column == "slot"]
    assert by_slot[0].beside == "none"
    assert {row.beside for row in by_slot[1:]} == {by_slot[0].what}
    places = {row.what: number for number, row in enumerate(asked)}
    assert places["tillbook_refuse()"] < min(places[row.what] for row in tables)
    for table in Base.metadata.tables.values():
        for key in table.foreign_key_constraints:
            if table.name in places:
                assert places[key.referred_table.name] < places[table.name]


def test_a_new_table_is_distributed_by_the_next_run_and_a_check_names_it(cluster: Engine) -> None:
    with cluster.begin() as connection:
        connection.exec_driver_sql("DELETE FROM pg_dist_partition WHERE logicalrelid = 'refunds'::regclass")
        assert not_distributed(connection) == ["refunds"]
        assert distribute_in(connection) == ["refunds"]
        assert distribute_in(connection) == []
        connection.rollback()


@pytest.mark.parametrize("shards", [0, 1025])
def test_a_number_of_shards_that_no_cluster_serves_is_refused(cluster: Engine, shards: int) -> None:
    with cluster.connect() as connection, pytest.raises(ValueError, match="shards is 1 to 1024"):
        distribute_in(connection, shards)


def test_elsewhere_there_is_nothing_to_distribute() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        assert not is_cluster(connection)
        assert distribute_in(connection) == []
    engine.dispose()
