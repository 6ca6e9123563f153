"""Every row of Facebook's error table, and what is done about it. Each comes over the wire, with HTTP 400."""

from __future__ import annotations

import pytest

from ibctl.errors import ServiceError
from ibctl.integrations.facebook import failures
from ibctl.integrations.facebook.client import Graph, Line
from tests.fakes.graph import Fault, Server

REDUCE = "Please reduce the amount of data you're asking for, then retry your request"

TRIED_AGAIN = [
    Fault(1, None, "An unknown error occurred", status=500),
    Fault(2, None, "Service temporarily unavailable"),
    Fault(2, 1504043, "(#2) try later"),
    Fault(2, 1504044, "(#2) try later"),
    Fault(-2, 2490547, "The report failed"),
    Fault(104, None, "Incorrect signature"),
    Fault(960, None, "Request aborted"),
    Fault(99999, None, "something new", transient=True),
]
# With the seconds of the first wait, at least and at most.
WAITED_FOR = [
    (Fault(4, None, "Application request limit reached"), 5, 6.25),
    (Fault(4, 1504022, "(#4) too many calls"), 300, 300),
    (Fault(4, 1504039, "(#4) global load"), 300, 300),
    (Fault(17, 2446079, "User request limit reached"), 300, 300),
    (Fault(32, None, "Page request limit reached"), 5, 6.25),
    (Fault(341, None, "Application limit reached"), 5, 6.25),
    (Fault(613, 1487742, "Too many calls from this ad-account"), 5, 6.25),
    (Fault(613, 5044001, "Too many mutations"), 5, 5),
    (Fault(80000, None, "(#80000) insights"), 5, 6.25),
    (Fault(80003, None, "(#80003) custom audience"), 5, 6.25),
    (Fault(80004, 2446079, "(#80004) ads management"), 5, 6.25),
    *[(Fault(code, None, "(#BUC) too many calls"), 5, 6.25)
      for code in (80001, 80002, 80005, 80006, 80008, 80009, 80014)],
]  # fmt: skip
SIGN_IN_AGAIN = [
    Fault(102, None, "Session has expired"),
    Fault(190, None, "Invalid OAuth access token"),
    *[Fault(190, subcode, "Error validating access token") for subcode in (458, 460, 463, 464, 467)],
    Fault(1404163, None, "Advertising access restricted"),
    Fault(368, 1404163, "Advertising access restricted"),
]
PERMISSIONS = [
    Fault(10, None, "(#10) Application does not have permission for this action"),
    Fault(200, None, "(#200) Requires business_management permission to manage the object"),
    Fault(200, None, "(#200) Provide valid app ID"),
    Fault(
        294, None, "(#294) Managing advertisements requires an access token with the extended permission ads_management"
    ),
    Fault(299, None, "(#299) no"),
    Fault(100, 3191001, "(#100) no permission for insights"),
]
TOO_MUCH = [
    Fault(1, None, REDUCE, status=500),
    Fault(100, None, REDUCE),
    Fault(2, 1504038, "timeout"),
    Fault(100, 1504018, "timeout"),
    Fault(100, 1487534, "data per call"),
    Fault(-3, 1504045, "the report is too large"),
]
FOR_GOOD = [
    Fault(2, 1504041, "breakdowns"),
    Fault(2, 1504042, "metrics"),
    Fault(3, None, "(#3) Application does not have the capability"),
    Fault(17, 1885172, "spend limit changed too often"),
    Fault(100, None, "(#100) Invalid parameter"),
    Fault(100, 33, "Unsupported get request"),
    *[Fault(100, subcode, "(#100) Invalid parameter")
      for subcode in (1487694, 2446289, 1885557, 2490155, 2490408, 2446509, 1815715)],
    *[Fault(code, None, "(#code) refused")
      for code in (1487390, 1885272, 1885650, 1487901, 2238055, 2446307, 1885621, 2446383, 2909034, 2909035, 2859024,
                   3858152, 105, 194, 500, 506, 2500, 2606, 2607, 2615, 3018)],
    Fault(190, 492, "the page's user has lost the role"),
    Fault(613, 1487225, "ad creation limit"),
]  # fmt: skip
BLOCKED = [
    Fault(368, None, "The action attempted has been deemed abusive"),
    Fault(613, None, "Calls to this api have exceeded the rate limit"),
    Fault(1404078, None, "temporarily blocked"),
    Fault(2859015, None, "temporarily blocked"),
    Fault(100, 1404078, "temporarily blocked"),
]
# With how often they are tried again.
TRIED_A_LITTLE = [(Fault(1, 99, "An unknown error occurred"), 2), (Fault(104, None, "Incorrect signature"), 1)]


def named(fault: Fault | tuple[Fault, float, float]) -> str:
    one = fault if isinstance(fault, Fault) else fault[0]
    return f"{one.error['code']}-{one.error.get('error_subcode', '')}"


@pytest.mark.parametrize("fault", TRIED_AGAIN, ids=named)
def test_what_passes_is_tried_again(fault: Fault, server: Server, graph: Graph) -> None:
    server.fail("^me$", fault)
    assert graph.get("me")["id"] == "1"
    assert len(server.calls) == 2


@pytest.mark.parametrize(("fault", "times"), TRIED_A_LITTLE, ids=[named(one) for one, _ in TRIED_A_LITTLE])
def test_what_seldom_passes_is_not_tried_as_often(fault: Fault, times: int, server: Server, graph: Graph) -> None:
    server.fail("^me$", fault, times=9)
    with pytest.raises(failures.UnavailableError):
        graph.get("me")
    assert len(server.calls) == 1 + times


@pytest.mark.parametrize(("fault", "least", "most"), WAITED_FOR, ids=[named(one) for one in WAITED_FOR])
def test_a_limit_is_waited_for(
    fault: Fault, least: float, most: float, server: Server, graph: Graph, pauses: list[float]
) -> None:
    server.fail("^me$", fault)
    assert graph.get("me")["id"] == "1"
    assert least <= pauses[0] <= most


def test_a_budget_that_was_changed_too_often_waits_for_an_hour_and_so_not_here(server: Server, graph: Graph) -> None:
    server.fail("^me$", Fault(613, 1487632, "budget changed too often"))
    with pytest.raises(failures.RateLimitError) as caught:
        graph.get("me")
    assert caught.value.wait == 3600


@pytest.mark.parametrize("fault", SIGN_IN_AGAIN, ids=named)
def test_a_dead_token_is_not_tried_again(fault: Fault, server: Server, graph: Graph) -> None:
    assert_only_call(server, graph, fault, failures.TokenError)


@pytest.mark.parametrize(
    ("subcode", "remedy"), [(464, "confirm"), (463, "connect the account"), (460, "with a new token")]
)
def test_a_dead_token_says_what_has_to_be_done(subcode: int, remedy: str, server: Server, graph: Graph) -> None:
    server.fail("^me$", Fault(190, subcode, "Error validating access token"))
    with pytest.raises(failures.TokenError, match=remedy):
        graph.get("me")


def test_a_user_who_has_to_log_in_first_has_no_dead_token(server: Server, graph: Graph) -> None:
    fault = Fault(190, 459, "You cannot access the app till you log in to www.facebook.com")
    assert_only_call(server, graph, fault, failures.UserHeldError)
    server.fail("^me$", fault)
    with pytest.raises(failures.UserHeldError, match="a new token does not help"):
        graph.get("me")


@pytest.mark.parametrize("fault", PERMISSIONS, ids=named)
def test_a_missing_permission_is_no_dead_token(fault: Fault, server: Server, graph: Graph) -> None:
    assert_only_call(server, graph, fault, failures.PermissionMissingError)


def test_a_missing_permission_is_named(server: Server, graph: Graph) -> None:
    server.fail("^me$", PERMISSIONS[1])
    with pytest.raises(failures.PermissionMissingError) as caught:
        graph.get("me")
    assert caught.value.permission == "business_management"


@pytest.mark.parametrize("fault", TOO_MUCH, ids=named)
def test_too_much_data_asks_for_less(fault: Fault, server: Server, graph: Graph) -> None:
    assert_only_call(server, graph, fault, failures.TooMuchDataError)


@pytest.mark.parametrize("fault", FOR_GOOD, ids=named)
def test_what_can_never_work_is_not_tried_again(fault: Fault, server: Server, graph: Graph) -> None:
    assert_only_call(server, graph, fault, failures.RefusedError)


@pytest.mark.parametrize("fault", BLOCKED, ids=named)
def test_a_block_stops_for_hours(fault: Fault, server: Server, graph: Graph) -> None:
    assert_only_call(server, graph, fault, failures.BlockedError)


def test_a_stale_cursor_is_one_of_its_own(server: Server, graph: Graph) -> None:
    assert_only_call(server, graph, Fault(2642, None, "Invalid cursors values"), failures.StaleCursorError)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Fault(2635, None, "deprecated version"), failures.VersionExpiredError),
     (Fault(101, None, "Error validating application"), failures.WrongAppError),
     (Fault(1, None, "Error validating client secret."), failures.WrongAppError)],
)  # fmt: skip
def test_what_a_setting_has_to_mend_is_4(
    fault: Fault, kind: type[failures.GraphError], server: Server, graph: Graph
) -> None:
    assert kind.exit_code == 4
    assert_only_call(server, graph, fault, kind)


def test_what_is_wrong_with_the_apps_own_token_is_no_dead_token(server: Server, line: Line) -> None:
    for fault in (Fault(190, None, "Malformed access token"), Fault(190, 467, "x"), Fault(102, None, "Session key")):
        server.fail("^me$", fault)
        with pytest.raises(failures.WrongAppError, match="check FACEBOOK_APP_ID and FACEBOOK_APP_SECRET"):
            line.app().get("me")


def test_a_wrong_proof_names_the_secret_and_gives_no_token_up(server: Server, graph: Graph) -> None:
    server.world.app_secret = "another-secret-0123456789"
    server.world.require_proof = True
    with pytest.raises(failures.RefusedError, match="check FACEBOOK_APP_ID and FACEBOOK_APP_SECRET, or whether"):
        graph.get("me")


def assert_only_call(server: Server, graph: Graph, fault: Fault, kind: type[failures.GraphError]) -> None:
    server.fail("^me$", fault)
    with pytest.raises(failures.GraphError) as caught:
        graph.get("me")
    assert type(caught.value) is kind
    assert isinstance(caught.value, ServiceError)
    assert len(server.calls) == 1


def test_what_facebook_writes_for_users_is_shown_on_one_line_with_the_trace(server: Server, graph: Graph) -> None:
    server.fail(
        "^me$",
        Fault(
            100, 1885272, "Invalid parameter", error_user_title="Budget too low",
            error_user_msg="Your budget\nis below the minimum.", error_data='{"blame_field_specs":[["daily_budget"]]}',
        ),
    )  # fmt: skip
    with pytest.raises(failures.RefusedError) as caught:
        graph.get("me")
    assert str(caught.value) == (
        "Facebook says: Budget too low: Your budget is below the minimum "
        "(code 100/1885272, about daily_budget, trace AbCdEf123)"
    )
    assert caught.value.fields == ("daily_budget",)
