"""Connections to Postgres, as every process opens them."""

import psycopg
import pytest

from connectors.postgres import open_pool

pytestmark = pytest.mark.real


def test_a_server_that_only_reads_is_waited_for_until_it_writes_again(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        database = connection.info.dbname
        connection.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        with open_pool(dsn, max_size=1, wait_s=0.5) as pool:
            with pytest.raises(psycopg.OperationalError), pool.connection() as demoted:
                demoted.execute("CREATE TABLE written ()")
            connection.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
        with open_pool(dsn, max_size=1) as pool, pool.connection() as primary:
            primary.execute("CREATE TABLE written ()")
