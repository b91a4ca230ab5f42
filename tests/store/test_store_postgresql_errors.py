"""What PostgreSQL refuses, as the user reads it: what, where, received, what to do."""

from collections.abc import Callable

import pytest
from postgres_server import PASSWORD, PostgresServer, free_port
from sqlalchemy import text
from store_samples import create

from sweep.errors import StoreError
from sweep.store import Store
from sweep.store.location import parse_url


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def database(postgres_url: str) -> str:
    return parse_url(postgres_url).database or ""


def refusal(url: str, **how: float) -> StoreError:
    with pytest.raises(StoreError) as caught:
        Store.open(url, **how)
    said = f"{caught.value}{caught.value!r}"
    assert PASSWORD not in said
    assert "wr0ng" not in said
    assert caught.value.where is not None
    assert caught.value.where.startswith("postgresql+psycopg://")
    assert caught.value.received
    assert caught.value.next_step
    return caught.value


@pytest.mark.parametrize(
    ("change", "what", "words"),
    [
        pytest.param(
            lambda url: url.set(port=free_port()),
            "cannot connect to the database server",
            "refused",
            id="nobody listens",
        ),
        pytest.param(
            lambda url: url.set(host="no-such-host.invalid"),
            "cannot connect to the database server",
            "no-such-host.invalid",
            id="no such host",
        ),
        pytest.param(
            lambda url: url.set(password="wr0ng"),
            "the database server refused the login",
            "password authentication failed",
            id="password",
        ),
        pytest.param(
            lambda url: url.set(username="nobody"),
            "the database server refused the login",
            "password authentication failed",
            id="user",
        ),
        pytest.param(
            lambda url: url._replace(password=None),
            "the database server refused the login",
            "no password supplied",
            id="no password",
        ),
        pytest.param(
            lambda url: url.set(database="nothing"),
            "there is no such database on the server",
            '"nothing" does not exist',
            id="database",
        ),
        pytest.param(
            lambda url: url.update_query_dict({"options": "-csearch_path=nowhere"}),
            "there is no schema to keep the tables in",
            "nowhere",
            id="schema",
        ),
        pytest.param(
            lambda url: url.update_query_dict({"sslmode": "require"}),
            "cannot connect to the database server",
            "SSL",
            id="encryption",
        ),
    ],
)
def test_a_server_that_cannot_be_used(
    url: str, change: Callable[..., object], what: str, words: str
) -> None:
    changed = change(parse_url(url))
    error = refusal(changed.render_as_string(hide_password=False))  # type: ignore[attr-defined]
    assert error.what == what
    assert words in (error.received or "")
    assert "\n" not in (error.received or "")


def test_a_role_without_a_schema_of_its_own(server: PostgresServer) -> None:
    name = server.new_database()
    server.execute("CREATE ROLE guest LOGIN PASSWORD 'wr0ng'")
    error = refusal(server.url(name, "guest", "wr0ng"))
    assert error.what == "the database role lacks a permission"
    assert "permission denied for schema public" in (error.received or "")
    assert "CREATE SCHEMA AUTHORIZATION" in (error.next_step or "")
    server.drop(name)
    server.execute("DROP ROLE guest")


def test_a_database_that_may_not_be_connected_to(server: PostgresServer, database: str) -> None:
    server.execute(
        "CREATE ROLE stranger LOGIN PASSWORD 'wr0ng'",
        f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC",
    )
    error = refusal(server.url(database, "stranger", "wr0ng"))
    assert error.what == "the database role lacks a permission"
    server.execute("DROP ROLE stranger")


def test_a_server_without_room_is_waited_for(server: PostgresServer, database: str) -> None:
    server.execute("CREATE ROLE crowd LOGIN PASSWORD 'wr0ng' CONNECTION LIMIT 0")
    error = refusal(server.url(database, "crowd", "wr0ng"), patience_seconds=0.2)
    assert error.what == "the database server has no connection left"
    server.execute("DROP ROLE crowd")


def test_a_database_that_can_only_be_read(server: PostgresServer, database: str) -> None:
    url = f"{server.url(database)}?options=-cdefault_transaction_read_only%3Don"
    with Store.open(url) as store, pytest.raises(StoreError) as caught:
        create(store)
    assert caught.value.what == "the database can only be read"
    blank = server.new_database()
    url = f"{server.url(blank)}?options=-cdefault_transaction_read_only%3Don"
    assert refusal(url).what == "the database can only be read"
    server.drop(blank)


@pytest.mark.parametrize(
    ("state", "what"),
    [
        ("53100", "the disk of the database server is full"),
        ("53200", "the database server is short of resources"),
        ("58030", "the database server could not read or write its files"),
        ("XX001", "the database is damaged"),
        ("42501", "the database role lacks a permission"),
        ("22012", "the database refused a statement"),
    ],
)
def test_what_a_server_says_while_it_writes(
    server: PostgresServer, store: Store, database: str, state: str, what: str
) -> None:
    create(store)
    # The server's own words for these need a full disk or a broken one; its codes do not.
    server.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION 'no space' USING ERRCODE = '{state}'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON sweep_logs EXECUTE FUNCTION refuse()",
        database=database,
    )
    with pytest.raises(StoreError) as caught:
        store.log("quickstart", "info", "hello")
    assert caught.value.what == what
    assert "no space" in (caught.value.received or "")
    assert store.log_rows("quickstart") == []


def test_a_statement_that_takes_too_long(store: Store, url: str) -> None:
    create(store)
    with (
        Store.open(f"{url}?options=-cstatement_timeout%3D100") as hurried,
        pytest.raises(StoreError, match="ended a statement that took too long"),
    ):
        hurried._write("quickstart", lambda c, _: c.execute(text("SELECT pg_sleep(5)")))


def test_optunas_own_errors_are_translated(
    store: Store, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = create(store)
    with pytest.raises(StoreError, match="refused a statement"), store.translated():
        study.set_user_attr("k" * 600, 1)


def test_a_study_that_cannot_be_deleted_is_an_error(
    store: Store, server: PostgresServer, database: str
) -> None:
    create(store).ask()
    server.execute(
        "CREATE TABLE mine AS SELECT trial_id FROM trials",
        "ALTER TABLE mine ADD FOREIGN KEY (trial_id) REFERENCES trials",
        database=database,
    )
    with pytest.raises(StoreError, match="could not be deleted"):
        store.delete_study("quickstart")
    assert len(store.trial_rows("quickstart")) == 1
