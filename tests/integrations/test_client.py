"""Calls: what is tried again, what is waited for, and what a token never gets into."""

from __future__ import annotations

import json

import pytest
import requests

from ibctl import config
from ibctl.errors import ConfigError
from ibctl.integrations.facebook import failures
from ibctl.integrations.facebook.client import Graph, Inner, Line
from tests.fakes.graph import Broken, Fault, Server, faults
from tests.integrations.conftest import TOKEN


def test_the_token_travels_in_a_header_and_is_proven_to_be_the_apps(server: Server, graph: Graph) -> None:
    server.world.require_proof = True
    assert graph.get("me") == {"id": "1", "name": "One"}
    (call,) = server.calls
    assert call.headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in call.target
    assert call.path == "v26.0/me"


def test_a_netrc_does_not_replace_the_token(
    server: Server, line: Line, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    line.graph(TOKEN).get("me")
    assert server.calls[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(
    server: Server, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert line.graph(TOKEN).get("me")["id"] == "1"


# ----------------------------------------------------------------------------------------------------- passing failures

NO_ANSWERS = [
    faults.HTML,
    Broken("raw", status=429, text="Too many", content_type="text/plain"),
    Broken("raw", status=503, text="Service Unavailable", content_type="text/plain"),
    Broken("raw", text='<p>it was a "success"</p>', content_type="text/html"),
    Broken("raw", status=500, text='{"id": "900"}'),
    Broken("raw", status=500, text=""),
    Broken("raw", text=""),
    Broken("raw", text='{"error": "a string"}'),
    Broken("raw", text='"text"'),
    Broken("truncated"),
    Broken("dropped"),
    Broken("refused"),
]


@pytest.mark.parametrize("odd", NO_ANSWERS, ids=lambda odd: f"{odd.kind}-{odd.status}-{odd.text[:12]}")
def test_what_is_no_answer_is_asked_for_again(odd: Broken, server: Server, graph: Graph, pauses: list[float]) -> None:
    server.fail("^me$", odd, times=2)
    assert graph.get("me")["id"] == "1"
    assert len(server.calls) == 3
    assert len(pauses) == 2


def test_five_retries_with_growing_and_uneven_pauses_then_it_is_given_up(
    server: Server, graph: Graph, pauses: list[float]
) -> None:
    server.fail("^me$", Fault(2, None, "(#2) Service temporarily unavailable", transient=True, status=500), times=99)
    with pytest.raises(failures.UnavailableError, match=r"temporarily unavailable \(code 2"):
        graph.get("me")
    assert len(server.calls) == 6
    for pause, middle in zip(pauses, (0.5, 1, 2, 4, 8), strict=True):
        assert middle * 0.5 <= pause <= middle * 1.5
    assert pauses != [0.5, 1, 2, 4, 8]


def test_an_answer_that_comes_too_late_is_a_passing_failure(server: Server, graph: Graph) -> None:
    server.fail("^me$", Broken("slow", seconds=0.8))
    assert graph.get("me")["id"] == "1"
    assert len(server.calls) == 2


@pytest.mark.parametrize("odd", [*NO_ANSWERS, Broken("slow", seconds=0.8), Fault(1), Fault(2, transient=True)])
def test_a_write_without_a_proper_answer_is_not_sent_again(odd: Broken | Fault, server: Server, graph: Graph) -> None:
    server.fail("insights$", odd, method="POST")
    with pytest.raises(failures.OutcomeUnknownError, match="not known"):
        graph.post("act_900/insights", {})
    assert len(server.calls) == 1


def test_a_write_that_may_be_repeated_is(server: Server, graph: Graph) -> None:
    server.fail("insights$", Broken("dropped"), method="POST")
    assert "report_run_id" in graph.post("act_900/insights", {}, again=True)


def test_a_write_that_never_left_is_sent_again(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    monkeypatch.setenv("IBCTL_GRAPH_URL", "http://127.0.0.1:1")
    config.use_env_file(None)
    with Line() as line, pytest.raises(failures.UnavailableError, match=r"cannot connect to 127.0.0.1:1"):
        line.graph(TOKEN).post("act_900/campaigns", {"name": "x"})
    assert len(pauses) == 5


def test_success_false_is_a_refusal(server: Server, graph: Graph) -> None:
    server.fail("^me$", Broken("raw", text='{"success": false}'))
    with pytest.raises(failures.RefusedError, match="did not do it"):
        graph.get("me")


@pytest.mark.parametrize(
    "data", ["", "oops", None, [1], {"blame_field_specs": "x"}, '{"blame_field_specs":[["a","b"]]}']
)
def test_odd_details_of_an_error_do_not_hide_it(data: object, server: Server, graph: Graph) -> None:
    server.fail("^me$", Fault(100, 1, "(#100) Invalid", error_data=data))
    with pytest.raises(failures.RefusedError, match=r"\(code 100/1") as caught:
        graph.get("me")
    assert caught.value.fields == (
        ("a.b",) if data and "a" in str(data) and "b" in str(data)[2:] and "[[" in str(data) else ()
    )


# ---------------------------------------------------------------------------------------------------------- rate limits

BUC = json.dumps({"900": [{"type": "pages", "call_count": 3}, {"type": "ads_insights", "call_count": 100,
                  "total_cputime": 1, "total_time": 1, "estimated_time_to_regain_access": 2}]})  # fmt: skip


def test_a_limit_is_waited_for_as_long_as_facebook_says(server: Server, graph: Graph, pauses: list[float]) -> None:
    server.fail("^me$", Fault(80000, 2446079, "(#80000) Too many", headers={"x-business-use-case-usage": BUC}))
    assert graph.get("me")["id"] == "1"
    assert pauses == [120]


def test_a_limit_beyond_the_patience_is_passed_on_with_its_estimate(server: Server, pauses: list[float]) -> None:
    server.fail("^me$", Fault(80000, 2446079, "(#80000) Too many", headers={"X-Business-Use-Case-Usage": BUC}))
    with Line(max_wait=60) as line, pytest.raises(failures.RateLimitError) as caught:
        line.graph(TOKEN).get("me")
    assert (caught.value.wait, pauses, len(server.calls)) == (120, [], 1)


def test_a_limit_without_an_estimate_is_waited_for_in_growing_steps(
    server: Server, graph: Graph, pauses: list[float]
) -> None:
    server.fail("^me$", Fault(32), times=4)
    graph.get("me")
    for pause, least in zip(pauses, (5, 10, 20, 40), strict=True):
        assert least <= pause <= least * 1.25


def test_the_patience_is_for_a_call_not_for_each_wait(server: Server, pauses: list[float]) -> None:
    server.fail("^me$", Fault(17, 2446079), times=99)
    with Line(max_wait=700) as line, pytest.raises(failures.RateLimitError):
        line.graph(TOKEN).get("me")
    assert pauses == [300, 300]


def test_a_write_that_met_a_limit_was_not_carried_out_and_is_sent_again(server: Server, graph: Graph) -> None:
    server.fail("insights$", Fault(613, 1487742), method="POST")
    assert "report_run_id" in graph.post("act_900/insights", {})


def test_the_apps_limit_holds_for_all_tokens(server: Server, pauses: list[float]) -> None:
    server.world.token("EAAother000000000", "1")
    server.fail("^me$", Fault(4, 1504022))
    with Line(max_wait=60) as line:
        for token in (TOKEN, "EAAother000000000"):
            with pytest.raises(failures.RateLimitError) as caught:
                line.graph(token).get("me")
            assert caught.value.wait == pytest.approx(300, abs=5)
    assert len(server.calls) == 1


def test_an_accounts_limit_is_no_other_tokens_affair(server: Server, pauses: list[float]) -> None:
    server.world.token("EAAother000000000", "1")
    server.fail("^me$", Fault(17, 2446079))
    with Line(max_wait=60) as line:
        with pytest.raises(failures.RateLimitError):
            line.graph(TOKEN).get("me")
        assert line.graph("EAAother000000000").get("me")["id"] == "1"


@pytest.mark.parametrize(
    ("name", "value", "least", "most"),
    [
        ("X-App-Usage", '{"call_count":20,"total_time":85,"total_cputime":1}', 2, 3),
        ("X-App-Usage", '{"call_count":99,"total_time":85,"total_cputime":1}', 59, 61),
        ("X-FB-Ads-Insights-Throttle", '{"app_id_util_pct":1,"acc_id_util_pct":96}', 59, 61),
        ("X-Ad-Account-Usage", '{"acc_id_util_pct":100,"reset_time_duration":200}', 199, 201),
        ("X-Business-Use-Case-Usage", BUC, 119, 121),
    ],
)
def test_calls_are_spread_out_before_a_quota_is_full(
    name: str, value: str, least: float, most: float, server: Server, graph: Graph, pauses: list[float]
) -> None:
    server.headers = {name: value}
    graph.get("me")
    assert pauses == []
    graph.get("me")
    assert least <= pauses[0] <= most


@pytest.mark.parametrize("value", ["", "no json", "[]", '{"900": 1}', '{"900":[1]}', '{"call_count":"x"}'])
def test_usage_headers_that_make_no_sense_are_passed_over(value: str, server: Server, graph: Graph) -> None:
    server.headers = {"X-App-Usage": value, "X-Business-Use-Case-Usage": value}
    assert graph.get("me")["id"] == graph.get("me")["id"] == "1"


# ---------------------------------------------------------------------------------------------------------------- lists


def test_an_empty_page_in_the_middle_does_not_end_a_list(server: Server, graph: Graph) -> None:
    server.world.empty_pages = True
    for number in range(7):
        server.world.page(f"77{number}", f"Page {number}", "1")
    rows = graph.rows("me/accounts", {"fields": "id"}, limit=3)
    assert [row["id"] for row in rows] == [f"77{number}" for number in range(7)]
    assert len(server.calls) == 5


def test_a_list_whose_cursor_went_stale_is_read_from_its_start(server: Server, graph: Graph) -> None:
    for number in range(5):
        server.world.page(f"77{number}", f"Page {number}", "1")
    server.fail("me/accounts", Fault(2642, None, "(#2642) Invalid cursors values"), after=1)
    assert len(graph.rows("me/accounts", limit=3)) == 5
    assert ["after" in call.params for call in server.calls] == [False, True, False, True]


def test_a_list_that_always_goes_stale_is_given_up(server: Server, graph: Graph) -> None:
    server.fail("me/accounts", Fault(2642), times=99)
    with pytest.raises(failures.StaleCursorError):
        graph.rows("me/accounts")
    assert len(server.calls) == 4


def test_a_failure_on_a_later_page_resumes_that_page(server: Server, graph: Graph) -> None:
    for number in range(5):
        server.world.page(f"77{number}", f"Page {number}", "1")
    server.fail("me/accounts", Fault(80001), after=1)
    assert len(graph.rows("me/accounts", limit=3)) == 5
    assert len(server.calls) == 3


def test_a_list_that_never_ends_is_refused(server: Server, graph: Graph) -> None:
    page = '{"data": [{"id": "1"}], "paging": {"cursors": {"after": "A"}, "next": "https://x/?after=A"}}'
    server.fail("me/accounts", Broken("raw", text=page), times=99)
    with pytest.raises(failures.UnavailableError, match="does not end"):
        graph.rows("me/accounts")


def test_a_list_without_cursors_is_followed_by_its_offset(server: Server, graph: Graph) -> None:
    page = '{"data": [{"id": "1"}], "paging": {"next": "https://x/?access_token=SECRET&offset=25"}}'
    server.fail("me/accounts", Broken("raw", text=page))
    assert graph.rows("me/accounts") == [{"id": "1"}]
    assert (server.calls[1].params["offset"], "SECRET" in server.calls[1].target) == ("25", False)


@pytest.mark.parametrize("text", ["{}", '{"data": null}', "[]"])
def test_a_list_without_rows_is_no_empty_list(text: str, server: Server, graph: Graph) -> None:
    server.fail("me/accounts", Broken("raw", text=text))
    with pytest.raises(failures.UnavailableError, match="without its rows"):
        graph.rows("me/accounts")


def test_smaller_pages_are_asked_for_when_one_is_too_much(server: Server, graph: Graph) -> None:
    too_much = Fault(1, None, "Please reduce the amount of data you're asking for, then retry your request", status=500)
    server.fail("me/accounts", too_much, times=2)
    graph.rows("me/accounts", limit=200)
    assert [call.params["limit"] for call in server.calls] == ["200", "100", "50"]


# ---------------------------------------------------------------------------------------------------------------- batch


def test_a_batch_carries_fifty_calls_and_keeps_their_order(server: Server, graph: Graph) -> None:
    for number in range(60):
        server.world.campaign("900", f"Campaign {number}", id_=str(5000 + number))
    answers = graph.batch([Inner("GET", str(5000 + number), {"fields": "name"}) for number in range(60)])
    assert [answer["name"] for answer in answers] == [f"Campaign {number}" for number in range(60)]
    assert len(server.calls) == 2


def test_a_call_of_a_batch_that_fails_leaves_the_others(server: Server, graph: Graph) -> None:
    good, bad = graph.batch([Inner("GET", "me", {}), Inner("GET", "1234567", {})])
    assert good["id"] == "1"
    assert (type(bad), bad.code, bad.subcode) == (failures.RefusedError, 100, 33)


def test_nothing_further_is_sent_once_facebook_takes_us_for_abusive(server: Server, graph: Graph) -> None:
    server.fail("^5001$", Fault(368, None, "The action attempted has been deemed abusive"))
    calls = [Inner("POST", str(5000 + number), {"status": "PAUSED"}) for number in range(120)]
    for number in range(120):
        server.world.campaign("900", f"Campaign {number}", id_=str(5000 + number))
    answers = graph.batch(calls, again=True)
    assert [type(one) for one in answers[50:]] == [failures.BlockedError] * 70
    assert (answers[2], len(server.calls)) == ({"success": True}, 1)


def test_what_a_batch_left_unanswered_is_asked_again(server: Server, graph: Graph) -> None:
    server.fail("^me$", Broken("dropped"), times=2)
    first, second = graph.batch([Inner("GET", "me", {}), Inner("GET", "me", {})], again=True)
    assert (first["id"], second["id"], len(server.calls)) == ("1", "1", 2)


@pytest.mark.parametrize("fault", [Fault(2, None, "temporarily unavailable"), Fault(17, 2446079), Fault(613, 5044001)])
def test_what_passes_in_a_batch_is_sent_again_alone(fault: Fault, server: Server, graph: Graph) -> None:
    server.world.campaign("900", "One", id_="5001")
    server.fail("^5001$", fault)
    me, one = graph.batch([Inner("GET", "me", {}), Inner("GET", "5001", {"fields": "name"})], again=True)
    assert (me["id"], one["name"]) == ("1", "One")
    assert [len(call.params["batch"]) for call in server.calls] == [2, 1]


@pytest.mark.parametrize("what", [Broken("refused"), Broken("dropped"), Broken("truncated"), Fault(2, None, "later")])
def test_a_batch_that_goes_wrong_as_a_whole_is_sent_again(what: Broken | Fault, server: Server, graph: Graph) -> None:
    server.fail("^$", what, times=2)
    (me,) = graph.batch([Inner("GET", "me", {})], again=True)
    assert (me["id"], len(server.calls)) == ("1", 3)


def test_a_batch_of_writes_that_is_cut_off_may_have_been_carried_out(server: Server, graph: Graph) -> None:
    server.fail("^$", Broken("dropped"))
    with pytest.raises(failures.OutcomeUnknownError):
        graph.batch([Inner("POST", "act_900/insights", {"level": "account"})])
    assert len(server.calls) == 1


def test_a_batch_that_never_left_says_that_nobody_is_there(
    monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.setenv("IBCTL_GRAPH_URL", "http://127.0.0.1:1")
    config.use_env_file(None)
    with Line() as line, pytest.raises(failures.UnavailableError, match=r"cannot connect to 127.0.0.1:1"):
        line.graph(TOKEN).batch([Inner("GET", "me", {})], again=True)
    assert len(pauses) == 5


def test_a_limit_in_a_batch_that_lasts_too_long_is_what_came_of_the_call(server: Server, pauses: list[float]) -> None:
    server.fail("^me$", Fault(613, 1487632, "budget changed too often"), times=9)
    with Line(max_wait=300) as line:
        (met,) = line.graph(TOKEN).batch([Inner("GET", "me", {})], again=True)
    assert (type(met), met.wait, pauses) == (failures.RateLimitError, 3600, [])


def test_a_write_that_a_batch_left_unanswered_is_not_sent_again(server: Server, graph: Graph) -> None:
    server.fail("insights", Broken("dropped"))
    (lost,) = graph.batch([Inner("POST", "act_900/insights", {"level": "account"})])
    assert (type(lost), len(server.calls)) == (failures.OutcomeUnknownError, 1)


# -------------------------------------------------------------------------------------------------------------- secrets


def test_a_token_that_facebook_quotes_does_not_come_out(server: Server, line: Line) -> None:
    with pytest.raises(failures.TokenError) as caught:
        line.graph("EAAwrongwrongwrong").get("me")
    assert "Malformed access token …" in str(caught.value)
    assert "EAAwrong" not in repr(caught.value)


@pytest.mark.parametrize("kind", ["refused", "dropped", "truncated", "slow"])
def test_no_token_in_what_a_broken_connection_raises(kind: str, server: Server, graph: Graph) -> None:
    server.fail("^me$", Broken(kind, seconds=0.8), times=99)  # type: ignore[arg-type]
    with pytest.raises(failures.UnavailableError) as caught:
        graph.get("me")
    chain: BaseException | None = caught.value
    while chain is not None:
        assert TOKEN not in f"{chain!r} {chain}"
        assert server.world.app_secret not in f"{chain!r} {chain}"
        chain = chain.__cause__ or chain.__context__


def test_what_only_the_app_can_ask_needs_its_settings(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEBOOK_APP_SECRET")
    config.use_env_file(None)
    with Line() as line, pytest.raises(ConfigError, match="FACEBOOK_APP_SECRET"):
        line.app()


def test_the_sdks_globals_are_left_alone(graph: Graph) -> None:
    import sys

    from facebook_business.api import FacebookAdsApi

    graph.get("me")
    assert FacebookAdsApi.get_default_api() is None
    assert sys.excepthook.__module__ != "facebook_business.crashreporter"


def test_an_expired_version_names_the_setting(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBCTL_GRAPH_VERSION", "v24.0")
    config.use_env_file(None)
    with Line() as line, pytest.raises(failures.VersionExpiredError, match="IBCTL_GRAPH_VERSION"):
        line.graph(TOKEN).get("me")


def test_a_stopped_run_waits_for_nothing(server: Server) -> None:
    with Line() as line:
        server.fail("^me$", Fault(2), times=9)
        line.stop.set()
        with pytest.raises(failures.UnavailableError):
            line.graph(TOKEN).get("me")
    assert len(server.calls) == 1


def test_the_fake_speaks_to_the_sdks_own_objects(server: Server) -> None:
    """What the fake answers is what the SDK's generated classes take, not only our client."""
    from facebook_business.adobjects.adaccount import AdAccount
    from facebook_business.api import FacebookAdsApi
    from facebook_business.session import FacebookSession

    session = FacebookSession(access_token=TOKEN)
    session.GRAPH = server.url
    with requests.Session():
        found = AdAccount("act_900", api=FacebookAdsApi(session)).api_get(fields=["name", "currency"])
    session.requests.close()
    assert (found["id"], found["currency"]) == ("act_900", "USD")
