"""What the month's commissions of all IBs come to, as one statement over sets: the draft.

Each source is read once, up to a MATERIALIZED step of its own: on a large database the planner otherwise finds plans
that take five times as long. The whole draft is one statement, so it sees one state of the database. `rules.py`
calculates the same for one IB.

What counted is gathered in arrays, column by column: a jsonb object for each lead and spend day takes three times as
long. All arrays of an IB, or of its account, come from one sorted step, so that their elements belong together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ibctl.commissions.calculation import rules

# A stored double as the decimal that it stands for (15 significant digits; `money.from_float` is the same in Python).
# NaN, infinities and negative amounts become NULL, and are counted as `bad`: the run stops and names them.
_AMOUNT = "CASE WHEN {0} >= 0 AND {0} < 'Infinity' THEN {0}::numeric END"

# An ad account's currency where it is another than the base's; most are not, and need no upper().
_FOREIGN = "CASE WHEN a.currency <> :base THEN nullif(upper(a.currency), :base) END"

# The colons are escaped, or SQLAlchemy would take them for parameters.
_ISO = r"""to_char({0}, 'YYYY-MM-DD"T"HH24\:MI\:SS.MS"Z"')"""

# ---------------------------------------------------------------------------------------------------- by which plan

# Each gives `known` (key, stored: the terms and their text) and `term` (n, key; NULL: what is assigned is not there).
# Parameters: first_day, and default (the stored form of the plan that holds where nothing is assigned).
_CHOSEN = """
plan AS MATERIALIZED (
  SELECT DISTINCT ON (name) name AS key, terms || jsonb_build_object('text', source) AS stored
  FROM ibctl.commission_plan WHERE "effectiveFrom" <= :first_day ORDER BY name, version DESC
), in_force AS MATERIALIZED (
  SELECT key, stored FROM plan UNION ALL SELECT 'default', CAST(:default AS jsonb)
), assigned AS MATERIALIZED (
  SELECT DISTINCT ON (scope, target) scope, target, plan FROM ibctl.plan_assignment
  WHERE "effectiveFrom" <= :first_day ORDER BY scope, target, "effectiveFrom" DESC
), member AS MATERIALIZED (
  SELECT DISTINCT ON ("userId") "userId", "groupName" FROM ibctl.ib_group_member
  WHERE "effectiveFrom" <= :first_day ORDER BY "userId", "effectiveFrom" DESC
), chosen AS MATERIALIZED (
  SELECT n, coalesce(o.plan, g.plan, (SELECT plan FROM assigned WHERE scope = 'all'), 'default') AS key
  FROM ib
  LEFT JOIN assigned o ON o.scope = 'ib' AND o.target = ib.id
  LEFT JOIN member m ON m."userId" = ib.id
  LEFT JOIN assigned g ON g.scope = 'group' AND g.target = m."groupName"
)"""
IN_FORCE = f"""{_CHOSEN}, known AS MATERIALIZED (
  SELECT key, stored FROM in_force
), term AS MATERIALIZED (
  SELECT n, known.key FROM chosen LEFT JOIN known USING (key)
)"""
# The terms that each stored commission of the month was made at; for an IB without one, those in force.
AS_STORED = f"""{_CHOSEN}, known AS MATERIALIZED (
  SELECT DISTINCT ON (key) key, stored FROM made WHERE key IS NOT NULL UNION ALL SELECT key, stored FROM in_force
), term AS MATERIALIZED (
  SELECT n, coalesce(made.key, in_force.key) AS key
  FROM ib LEFT JOIN made ON made."userId" = ib.id JOIN chosen USING (n)
  LEFT JOIN in_force ON in_force.key = chosen.key
)"""
# One plan for all: `plan` is its stored form.
GIVEN = """
known AS MATERIALIZED (SELECT 'given' AS key, CAST(:plan AS jsonb) AS stored),
term AS MATERIALIZED (SELECT n, 'given' AS key FROM ib)"""


# ------------------------------------------------------------------------------------------------------------ as what

# Each gives `person` (id, role). Leads and spend count for IBs alone. What is booked counts for whoever it is booked
# for, and what is held stays, also when the user is something else by now: so nothing that is booked goes with a role.
_NOW = """
person AS NOT MATERIALIZED (SELECT id, role::text AS role FROM "User")"""
# In what is closed, being paid or paid, everybody has the role of then: that of the snapshot, and whoever has no row in
# a closed month that of its closing. So no change of a role gives or takes away what was earned.
_THEN = """
made AS MATERIALIZED (
  SELECT c."userId", s.plan AS stored, md5(s.plan::text) AS key, coalesce(s.inputs->>'role', 'IB') AS role,
    c."paymentStatus" IN ('PROCESSING', 'PAID') OR EXISTS (
      SELECT FROM ibctl.closed_month WHERE year = :year AND month = :month) AS settled
  FROM "IbCommission" c LEFT JOIN (
    ibctl.commission_state t JOIN ibctl.commission_snapshot s
      ON s.id = t."snapshotId" AND s.year = :year AND s.month = :month
  ) ON t.id = c.id
  WHERE c.year = :year AND c.month = :month
), person AS MATERIALIZED (
  SELECT u.id, CASE WHEN m.settled THEN m.role WHEN u.id = ANY(k.administrators) THEN 'ADMIN'
    WHEN k.id IS NULL OR u."createdAt" > k."closedAt" THEN u.role::text ELSE 'IB' END AS role
  FROM "User" u LEFT JOIN made m ON m."userId" = u.id
  LEFT JOIN ibctl.closed_month k ON k.year = :year AND k.month = :month
)"""
_PERSONS = {IN_FORCE: _NOW, AS_STORED: _THEN, GIVEN: _THEN}


def draft(terms: str) -> str:
    """Return the draft under the plans that `terms` (IN_FORCE, AS_STORED, GIVEN) chooses.

    Parameters besides those of `terms`: year, month, from, to (naive UTC), first_day, next_day (dates), zone, base,
    unit (the smallest amount in it), ib (an id, or NULL for all).
    """
    parts = {"terms": terms, "persons": _PERSONS[terms]}
    return re.sub(r"\{(terms|persons)\}", lambda found: parts[found[1]], _DRAFT)


def roles(terms: str) -> str:
    """Return as what each user is calculated in the draft under `terms`: its id and role."""
    return f"WITH {_PERSONS[terms]} SELECT id, role FROM person"


# What counted, as a snapshot keeps it: of each lead and each spend day an element.
ARRAYS = (
    "leadIds", "leadCaptured", "leadQualified", "leadCpas", "dayIds", "dayDates", "dayAmounts", "dayRates",
    "dayRateIds",
)  # fmt: skip
# The rest of a snapshot's inputs: by its name there, what it is in a draft `d`.
_INPUTS = {
    "zone": "CAST(:zone AS text)",
    "from": _ISO.format("CAST(:from AS timestamp)"),
    "to": _ISO.format("CAST(:to AS timestamp)"),
    "baseCurrency": "CAST(:base AS text)",
    # Leads and spend count for an IB alone.
    "role": "d.role",
    "accounts": "d.accounts",
    "adjustments": "d.booked",
}
_FIGURES = (*rules.FIGURES, *rules.BALANCE)
_COUNTS = ("totalLeads", "qualifiedLeads")


def _json(values: Mapping[str, str]) -> str:
    pairs = ", ".join(f"'{name}', {value}" for name, value in values.items())
    return f"jsonb_build_object({pairs})"


# A snapshot's `inputs` and `figures`, from a draft `d` in which they are columns: to write JSON of what is only
# compared takes a tenth of the time.
INPUTS = _json(_INPUTS)
FIGURES = _json({name: f'd."{name}"' + ("" if name in _COUNTS else "::text") for name in _FIGURES})


def whole(terms: str) -> str:
    """Return the draft with the columns of a snapshot, for `snapshots.snapshot`."""
    return f"SELECT d.*, {INPUTS} AS inputs, {FIGURES} AS figures FROM ({draft(terms)}) d"


def digest(row: str) -> str:
    """Return the SQL of the digest of all that the snapshot `row` keeps; `draft` has the same of what it would keep."""
    inputs = [f"{row}.inputs->>'{name}'" for name in _INPUTS]
    figures = [f"{row}.figures->>'{name}'" for name in _FIGURES]
    return _digest(row, [_MARK.format(f"{row}.plan"), *inputs, *figures])


# A plan is the same for many.
_MARK = "encode(sha256(convert_to({0}::text, 'UTF8')), 'hex')"


def _digest(row: str, words: Sequence[str]) -> str:
    # In binary: to write the elements out in words takes longer than the digest itself.
    arrays = " || ".join(f'array_send({row}."{name}")' for name in ARRAYS)
    return f"encode(sha256(convert_to(concat_ws('|', {', '.join(words)}), 'UTF8') || {arrays}), 'hex')"


_DRAFT = f"""
WITH {{persons}}, ib AS MATERIALIZED (
  -- A number for each: the steps are joined by it in half the time that ids take.
  SELECT id, role, role = 'IB' AS earns, row_number() OVER () AS n
  FROM person WHERE CAST(:ib AS text) IS NULL OR id = :ib
), {{terms}}, tier AS MATERIALIZED (
  SELECT key, CAST(tier->>'from' AS numeric) AS since, CAST(tier->>'rate' AS numeric) AS rate,
    lead(CAST(tier->>'from' AS numeric)) OVER (PARTITION BY key ORDER BY number) AS until
  FROM known CROSS JOIN LATERAL jsonb_array_elements(stored->'tiers') WITH ORDINALITY AS t (tier, number)
), bonus_tier AS MATERIALIZED (
  SELECT key, CAST(tier->>'from' AS numeric) AS since, CAST(tier->>'fixed' AS numeric) AS fixed,
    CAST(tier->>'percent' AS numeric) / 100 AS share
  FROM known CROSS JOIN LATERAL jsonb_array_elements(stored->'bonus') AS t (tier)
), clawed AS NOT MATERIALIZED (
  SELECT DISTINCT "leadId" FROM ibctl.adjustment WHERE kind = 'clawback'
), lead AS NOT MATERIALIZED (
  SELECT l.id, l."userId", {_AMOUNT.format('l."cpaEarned"')} AS cpa,
    CASE WHEN l."leadCapturedAt" >= :from AND l."leadCapturedAt" < :to THEN l."leadCapturedAt" END AS captured,
    CASE WHEN l."qualifiedAt" >= :from AND l."qualifiedAt" < :to AND c."leadId" IS NULL THEN l."qualifiedAt"
      END AS qualified
  FROM "Lead" l LEFT JOIN clawed c ON c."leadId" = l.id
  WHERE (l."leadCapturedAt" >= :from AND l."leadCapturedAt" < :to)
     OR (l."qualifiedAt" >= :from AND l."qualifiedAt" < :to)
), transfer AS NOT MATERIALIZED (
  -- Who owned a lead from `since` until `effectiveAt`; after the last one its "userId" does. What took effect before
  -- the month is of no account.
  SELECT "leadId", "fromUserId", "effectiveAt",
    lag("effectiveAt", 1, '-infinity') OVER (PARTITION BY "leadId" ORDER BY "effectiveAt", "createdAt", id) AS since
  FROM ibctl.lead_transfer WHERE "effectiveAt" > :from
), owned AS NOT MATERIALIZED (
  SELECT l.id, l.cpa, l.captured, l.qualified,
    CASE WHEN c."leadId" IS NULL THEN l."userId" ELSE c."fromUserId" END AS capturer,
    CASE WHEN q."leadId" IS NULL THEN l."userId" ELSE q."fromUserId" END AS qualifier
  FROM lead l
  LEFT JOIN transfer c ON c."leadId" = l.id AND l.captured >= c.since AND l.captured < c."effectiveAt"
  LEFT JOIN transfer q ON q."leadId" = l.id AND l.qualified >= q.since AND l.qualified < q."effectiveAt"
), share AS NOT MATERIALIZED (
  -- A lead counts for whoever owned it when it was captured, and for whoever did when it qualified: mostly the same.
  SELECT CASE fact WHEN 'captured' THEN capturer ELSE qualifier END AS owner, id,
    CASE fact WHEN 'captured' THEN captured END AS captured,
    CASE WHEN fact = 'qualified' OR qualifier IS NOT DISTINCT FROM capturer THEN qualified END AS qualified,
    CASE WHEN fact = 'qualified' OR qualifier IS NOT DISTINCT FROM capturer AND qualified IS NOT NULL THEN cpa
      END AS cpa
  FROM owned JOIN (VALUES ('captured'), ('qualified')) AS f (fact) ON CASE fact
    WHEN 'captured' THEN captured IS NOT NULL
    ELSE qualified IS NOT NULL AND (captured IS NULL OR qualifier IS DISTINCT FROM capturer) END
), counted AS MATERIALIZED (
  -- Several processes read the leads, and below the days, which they could not beside a step: so the IBs come last.
  SELECT * FROM share
  WHERE owner IS NOT NULL AND (CAST(:ib AS text) IS NULL OR owner = :ib) ORDER BY owner COLLATE "C", id COLLATE "C"
), leads AS MATERIALIZED (
  SELECT ib.n, l.* FROM (
    SELECT owner COLLATE "C" AS owner, count(captured) AS captured, count(qualified) AS qualified,
      coalesce(sum(cpa), 0) AS cpa, count(*) FILTER (WHERE qualified IS NOT NULL AND cpa IS NULL) AS bad,
      array_agg(id) AS "leadIds", array_agg(captured) AS "leadCaptured", array_agg(qualified) AS "leadQualified",
      array_agg(cpa) AS "leadCpas"
    FROM counted GROUP BY 1
  ) l JOIN ib ON ib.id = l.owner AND ib.earns
), account_days AS MATERIALIZED (
  -- What an ad account spent while it was one IB's. Rates only where they are none of 1: of an account all or none.
  SELECT "userId" COLLATE "C" AS owner, account, count(*)::int AS days, coalesce(sum(amount * rate), 0) AS total,
    count(*) FILTER (WHERE amount IS NULL) AS bad, count(*) FILTER (WHERE rate IS NULL) AS unrated,
    array_agg(id) AS ids, array_agg(date) AS dates, array_agg(amount) AS amounts,
    array_agg(rate) FILTER (WHERE converted) AS rates, array_agg(rate_id) FILTER (WHERE converted) AS rate_ids
  FROM (
    SELECT s."userId", s.id, s.date, a.id COLLATE "C" AS account, {_AMOUNT.format('s."dailySpend"')} AS amount,
      r.id AS rate_id, {_FOREIGN} IS NOT NULL AS converted,
      CASE WHEN {_FOREIGN} IS NULL THEN 1 ELSE r.rate END AS rate
    FROM "AdSpendHistory" s
    JOIN "FacebookAdAccount" a ON a.id = s."adAccountId"
    LEFT JOIN ibctl.exchange_rate r
      ON r.date = s.date AND r.currency = {_FOREIGN} AND r."baseCurrency" = :base
    WHERE s.date >= :first_day AND s.date < :next_day AND s."dailySpend" <> 0
      AND (CAST(:ib AS text) IS NULL OR s."userId" = :ib)
    -- There is one row for an account and day.
    ORDER BY s."userId" COLLATE "C", a.id COLLATE "C", s.date
  ) sorted GROUP BY 1, 2
), spend AS MATERIALIZED (
  SELECT ib.n, day.* FROM (
    SELECT owner, sum(total) AS total, sum(bad) AS bad, sum(unrated) AS unrated,
      jsonb_agg(jsonb_build_object('id', account, 'account', coalesce(a."adAccountId", a.id),
        'currency', upper(a.currency), 'days', days) ORDER BY account) AS accounts,
      ibctl.array_concat(ids ORDER BY account) AS "dayIds", ibctl.array_concat(dates ORDER BY account) AS "dayDates",
      ibctl.array_concat(amounts ORDER BY account) AS "dayAmounts",
      ibctl.array_concat(CASE WHEN mixed THEN coalesce(rates, array_fill(1::numeric, ARRAY[days])) END
        ORDER BY account) AS "dayRates",
      ibctl.array_concat(CASE WHEN mixed THEN coalesce(rate_ids, array_fill(NULL::text, ARRAY[days])) END
        ORDER BY account) AS "dayRateIds"
    FROM (SELECT d.*, bool_or(rates IS NOT NULL) OVER (PARTITION BY owner) AS mixed FROM account_days d) d
    JOIN "FacebookAdAccount" a ON a.id = account GROUP BY 1
  ) day JOIN ib ON ib.id = day.owner AND ib.earns
), booked AS MATERIALIZED (
  SELECT n, coalesce(sum(amount) FILTER (WHERE kind <> 'carry'), 0) AS adjusted,
    coalesce(sum(amount) FILTER (WHERE kind = 'carry'), 0) AS carried,
    count(*) FILTER (WHERE currency <> :base) AS foreign_,
    jsonb_agg(jsonb_build_object('id', a.id, 'kind', kind, 'amount', amount::text, 'leadId', "leadId")
      ORDER BY "createdAt", a.id) AS lines
  FROM ibctl.adjustment a JOIN ib ON ib.id = a."userId" WHERE a.year = :year AND a.month = :month GROUP BY 1
), held AS MATERIALIZED (
  -- A HELD row stays although its IB has nothing in the month any more; it then holds zeros.
  SELECT n FROM "IbCommission" c JOIN ib ON ib.id = c."userId"
  WHERE c.year = :year AND c.month = :month AND c."paymentStatus" = 'HELD'
), summed AS MATERIALIZED (
  SELECT n, key, stored->>'by' AS by, stored->>'method' AS method,
    greatest(CAST(stored->>'minimum' AS numeric), CAST(:unit AS numeric)) AS least,
    stored->>'negative' = 'reset' AS forgiving, coalesce(s.total, 0) AS spend, coalesce(l.captured, 0) AS captured,
    coalesce(l.qualified, 0) AS qualified, coalesce(l.cpa, 0) AS cpa, coalesce(b.adjusted, 0) AS adjusted,
    coalesce(b.carried, 0) AS carried, coalesce(l.bad, 0) AS bad_leads, coalesce(s.bad, 0) AS bad_days,
    coalesce(s.unrated, 0) AS unrated, coalesce(b.foreign_, 0) AS foreign_,
    CASE WHEN stored->>'by' = 'cpa' THEN coalesce(l.cpa, 0) ELSE coalesce(l.qualified, 0) END AS measure
  FROM leads l FULL JOIN spend s USING (n) FULL JOIN booked b USING (n) FULL JOIN held USING (n)
  LEFT JOIN term USING (n) LEFT JOIN known USING (key)
), by_tier AS MATERIALIZED (
  -- The rate of the highest tier that is reached, and each tier's share of the CPA.
  SELECT n, (array_agg(rate ORDER BY since DESC))[1] AS rate, sum((least(cpa, until) - since) * rate)
    FILTER (WHERE method = 'marginal' AND by = 'cpa') AS laid
  FROM summed JOIN tier USING (key) WHERE since <= measure GROUP BY 1
), numbered AS MATERIALIZED (
  SELECT n, key, c.cpa, row_number() OVER (PARTITION BY n ORDER BY c.qualified, c.id COLLATE "C") AS number
  FROM counted c JOIN ib ON ib.id = c.owner AND ib.earns JOIN summed s USING (n)
  WHERE c.qualified IS NOT NULL AND s.method = 'marginal' AND s.by = 'qualified-leads'
), by_lead AS MATERIALIZED (
  SELECT n, sum(cpa * rate) AS counted FROM numbered JOIN tier USING (key)
  WHERE number >= since AND (until IS NULL OR number < until) GROUP BY 1
), by_spend AS MATERIALIZED (
  SELECT n, (array_agg(coalesce(fixed, spend * share) ORDER BY since DESC))[1] AS bonus
  FROM summed JOIN bonus_tier USING (key) WHERE since <= spend GROUP BY 1
), earned AS MATERIALIZED (
  SELECT s.*, coalesce(b.bonus, 0) AS bonus, t.rate AS reached, CASE WHEN method = 'whole' THEN cpa * t.rate
      WHEN by = 'cpa' THEN coalesce(t.laid, 0) ELSE coalesce(l.counted, 0) END AS commission
  FROM summed s LEFT JOIN by_tier t USING (n) LEFT JOIN by_lead l USING (n) LEFT JOIN by_spend b USING (n)
), balanced AS MATERIALIZED (
  -- What was earned is rounded once, from its exact sum, before sums in cents are added: a debt of half a cent would
  -- otherwise round against the IB.
  SELECT e.*, round(round(commission + bonus, 2) + adjusted + carried, 2) AS balance FROM earned e
), paid AS MATERIALIZED (
  -- Of 300.45 yen 300 can be paid.
  SELECT b.*, CASE WHEN whole >= least THEN whole ELSE 0.00 END AS paid
  FROM balanced b CROSS JOIN LATERAL (
    SELECT round(div(balance, CAST(:unit AS numeric)) * CAST(:unit AS numeric), 2) AS whole
  ) w
), figured AS MATERIALIZED (
  SELECT n, key, bad_leads, bad_days, unrated, foreign_,
    round(spend, 2) AS "totalAdSpend", captured AS "totalLeads", qualified AS "qualifiedLeads",
    round(cpa, 2) AS "totalCpaEarned", CASE WHEN method = 'marginal' AND cpa > 0
      -- Rounded half up without a quotient, which may have no end.
      THEN div(commission * 2000000 + cpa, cpa * 2) * 0.000001 ELSE reached END AS "commissionRate",
    round(commission, 2) AS "commissionAmount", round(bonus, 2) AS "bonusAmount",
    paid AS "totalPayout",
    round(adjusted, 2) AS adjustments, round(carried, 2) AS "carriedIn",
    balance - round(commission, 2) - round(bonus, 2) - adjusted - carried AS rounding, balance,
    CASE WHEN balance < 0 AND forgiving THEN 0.00 ELSE balance - paid END AS "carriedOut",
    CASE WHEN balance < 0 AND forgiving THEN -balance ELSE 0.00 END AS "writtenOff"
  FROM paid
), marked AS MATERIALIZED (
  SELECT key, stored, {_MARK.format("stored")} AS mark FROM known
), snapshot AS (
  SELECT ib.id AS "userId", ib.role, k.stored AS plan, k.mark, f.key IS NULL AS unplanned, f.*,
    CAST(:next_day AS date) + CAST(k.stored->>'holdDays' AS int) AS "payableFrom",
    coalesce(s.accounts, '[]') AS accounts, coalesce(b.lines, '[]') AS booked,
    coalesce(l."leadIds", '{{}}') AS "leadIds", coalesce(l."leadCaptured", '{{}}') AS "leadCaptured",
    coalesce(l."leadQualified", '{{}}') AS "leadQualified", coalesce(l."leadCpas", '{{}}') AS "leadCpas",
    coalesce(s."dayIds", '{{}}') AS "dayIds", coalesce(s."dayDates", '{{}}') AS "dayDates",
    coalesce(s."dayAmounts", '{{}}') AS "dayAmounts",
    coalesce(s."dayRates", '{{}}') AS "dayRates", coalesce(s."dayRateIds", '{{}}') AS "dayRateIds"
  FROM figured f JOIN ib USING (n) LEFT JOIN marked k USING (key) LEFT JOIN leads l USING (n)
  LEFT JOIN spend s USING (n) LEFT JOIN booked b USING (n)
)
SELECT d.*, {_digest("d", ["d.mark", *_INPUTS.values(), *(f'd."{name}"' for name in _FIGURES)])} AS digest
FROM snapshot d
"""
