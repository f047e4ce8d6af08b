"""`saveline vault`: renews the key that the customers' own keys are wrapped under."""

import sys
from typing import Annotated

import psycopg
from cyclopts import App, Parameter

from connectors import vault_keys
from connectors.register.migrate import REACH, in_a_line
from connectors.sealing import Unsealable
from connectors.vault_keys import KeyMissing

app = App(name="vault", help="The keys under which customers are kept.")


@app.command
def rekey(
    *,
    dsn: Annotated[str, Parameter(env_var="SAVELINE_PG_DSN", help="the vault's Postgres")],
    key: Annotated[str, Parameter(env_var="SAVELINE_VAULT_KEY", help="every key, the new one last")],
) -> int:
    """Wrap every customer's key under the last of SAVELINE_VAULT_KEY, beside the running system.

    It is the third of four steps: before it, every process has to know both keys, the new one last; after it, older
    ones can be taken away (docs/operations.md). Broken off, it goes on where it was.
    """
    try:
        ring = vault_keys.ring_of(key)
    except ValueError as error:
        print(f"SAVELINE_VAULT_KEY: {error}", file=sys.stderr)
        return 2
    try:
        with psycopg.connect(dsn, connect_timeout=5, autocommit=True) as connection:
            done = vault_keys.rekey(connection, ring)
    except KeyMissing as error:
        print(error, file=sys.stderr)
        return 2
    except Unsealable as error:
        print(f"vault: {error}. To do: put back the key that it was wrapped under", file=sys.stderr)
        return 1
    except psycopg.errors.ForeignKeyViolation:
        print(
            "vault: a process wraps under an older key meanwhile. To do: restart connectors and edge, then this again",
            file=sys.stderr,
        )
        return 1
    except psycopg.Error as error:
        print(f"postgres: {in_a_line(error)}. To do: {REACH}", file=sys.stderr)
        return 1
    print(f"{done} keys are wrapped anew; nothing is under another key than {vault_keys.key_id(ring[-1])}")
    return 0
