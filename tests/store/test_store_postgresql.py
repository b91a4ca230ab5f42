import pytest
from sqlalchemy import inspect, text
from store_contract import StoreContract

from sweep.store import Store


class TestPostgresqlStore(StoreContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url

    def count_rows(self, store: Store) -> dict[str, int]:
        with store._database.reading() as connection:
            return {
                name: connection.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one()
                for name in inspect(connection).get_table_names()
            }
