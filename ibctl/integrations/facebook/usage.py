"""How much of Facebook's quotas is used, as the headers of each answer tell.

X-App-Usage                 {"call_count":28,"total_time":25,"total_cputime":25}            percent, of the app
X-FB-Ads-Insights-Throttle  {"app_id_util_pct":100,"acc_id_util_pct":10}                    percent, app and account
X-Ad-Account-Usage          {"acc_id_util_pct":9.67,"reset_time_duration":100}              seconds
X-Business-Use-Case-Usage   {"900":[{"type":"ads_insights","call_count":95,…,
                            "estimated_time_to_regain_access":4}]}                          minutes
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SHARES = ("call_count", "total_time", "total_cputime")


@dataclass(frozen=True)
class Usage:
    """Percent of the quotas used, of the whole app and of the account at hand, and seconds until either is free."""

    app: float = 0.0
    account: float = 0.0
    wait: float = 0.0


def read(headers: Mapping[str, str]) -> Usage:
    """Read the headers (names in any case). What is missing or malformed counts as unused."""
    by_name = {name.lower(): value for name, value in headers.items()}
    app, insights, account, cases = (
        _json(by_name.get(name))
        for name in (
            "x-app-usage", "x-fb-ads-insights-throttle", "x-ad-account-usage", "x-business-use-case-usage",
        )
    )  # fmt: skip
    entries = list(_entries(cases))
    return Usage(
        app=max(0.0, *(_number(app, name) for name in _SHARES), _number(insights, "app_id_util_pct")),
        account=max(
            0.0,
            _number(insights, "acc_id_util_pct"),
            _number(account, "acc_id_util_pct"),
            *(_number(entry, name) for entry in entries for name in _SHARES),
        ),
        wait=max(
            0.0,
            _number(account, "reset_time_duration") if _number(account, "acc_id_util_pct") >= 100 else 0.0,
            *(_number(entry, "estimated_time_to_regain_access") * 60 for entry in entries),
        ),
    )


def _entries(cases: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All entries of all accounts: each is a list, and any of them can be the one that throttles."""
    for entries in cases.values():
        if isinstance(entries, list):
            yield from (entry for entry in entries if isinstance(entry, dict))


def _json(text: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and value == value else 0.0
