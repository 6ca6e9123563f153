"""IBs with ad accounts, as the web application makes them, and spend files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ibctl import ids
from tests.conftest import Result
from tests.fakes.graph import Server
from tests.rows import Rows

if TYPE_CHECKING:
    from tests.ads.facebook import Connected

Sql = Callable[..., list[tuple[Any, ...]]]
HEADER = "account,date,dailySpend,impressions,clicks,leads,conversions"


@dataclass(frozen=True)
class Ads(Rows):
    """Puts rows into the shared tables, outside ibctl, and reads spend days back."""

    folder: Path

    def account(
        self, user: str, facebook_id: str | None, name: str = "Main", currency: str = "USD", zone: str = "UTC"
    ) -> str:
        account = ids.cuid()
        self.sql(
            'INSERT INTO "FacebookAdAccount" (id, "userId", "adAccountId", "adAccountName", currency, timezone,'
            ' "updatedAt") VALUES (%s, %s, %s, %s, %s, %s, now())',
            account, user, facebook_id, name, currency, zone,
        )  # fmt: skip
        return account

    def file(self, *rows: str, header: str = HEADER, name: str = "spend.csv") -> Path:
        path = self.folder / name
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    def days(self, columns: str = '"dailySpend", impressions, clicks, leads, conversions') -> list[tuple[Any, ...]]:
        """All spend days by account and date."""
        return self.sql(
            f'SELECT a."adAccountId", h."date"::text, {columns} FROM "AdSpendHistory" h'
            ' JOIN "FacebookAdAccount" a ON a.id = h."adAccountId" ORDER BY 1, 2'
        )

    def whole(self) -> list[tuple[Any, ...]]:
        return self.sql('SELECT * FROM "AdSpendHistory" ORDER BY "adAccountId", "date"')

    def change_sets(self) -> int:
        ((count,),) = self.sql("SELECT count(*) FROM ibctl.change_set")
        return int(count)


def outcome(run: Result) -> dict[str, int]:
    """What the table of an import says: {"added": 2, "duplicate": 1}; without what is 0."""
    cells = [line.split() for line in run.stdout.splitlines()[3:] if line.strip()]
    return {cell[-1]: int(cell[0].replace(",", "")) for cell in cells if cell[0] != "0" and cell[1] != "read"}


@pytest.fixture
def ads(sql: Sql, tmp_path: Path) -> Ads:
    """An IB with the account act_1 in USD."""
    platform = Ads(sql, tmp_path)
    platform.account(platform.user("anna@x.y"), "act_1")
    return platform


@pytest.fixture
def connected(ads: Ads, facebook: Server, pauses: list[float]) -> Connected:
    """No account yet; what is put into it is connected to the Graph server."""
    from tests.ads.facebook import Connected

    ads.sql('DELETE FROM "FacebookAdAccount"')
    return Connected(ads, facebook)
