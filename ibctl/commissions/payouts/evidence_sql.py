"""What evidence comes to, in SQL: as `evidence_rules.net` counts it.

No more can come back than has left. Where S is the sum of the movements up to one, and L the lowest of these sums so
far or zero, S - L is out after it: a sum that never goes below zero.
"""

from __future__ import annotations

_IN_ORDER = 'PARTITION BY "batchId", "itemId", currency ORDER BY "bookedOn", direction DESC, id'

# Each movement that belongs to a payment; `sent` is what is out after it, in its currency, `unseen` whether more came
# back than was seen leaving.
MOVEMENTS = f"""
SELECT m.*, m.total - least(0, min(m.total) OVER (in_order ROWS UNBOUNDED PRECEDING)) AS sent,
  m.total < least(0, min(m.total) OVER (in_order ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS unseen
FROM (
  SELECT p.*, sum(p.signed) OVER ({_IN_ORDER} ROWS UNBOUNDED PRECEDING) AS total
  FROM (
    SELECT *, CASE direction WHEN 'debit' THEN amount ELSE -amount END AS signed
    FROM ibctl.payout_payment WHERE "itemId" IS NOT NULL
  ) p
) m WINDOW in_order AS ({_IN_ORDER})
"""
# For each payment: what is out in its own currency; whether more came back than was seen leaving, and whether that is
# told by a sign alone; whether anything is out in another currency. Parameter: batch, or NULL for all.
NET = f"""
SELECT i.id, coalesce(max(n.sent) FILTER (WHERE n.currency = i.currency), 0) AS sent,
  coalesce(bool_or(n.unseen) FILTER (WHERE n.currency = i.currency), false) AS unseen,
  coalesce(bool_or(n.doubtful) FILTER (WHERE n.currency = i.currency), false) AS doubtful,
  coalesce(bool_or(n.sent <> 0) FILTER (WHERE n.currency <> i.currency), false) AS strange
FROM ibctl.payout_item i
LEFT JOIN (
  SELECT "itemId", currency, sum(signed) - least(0, min(total)) AS sent, bool_or(unseen) AS unseen,
    bool_or(unseen AND finding = 'turned') AS doubtful
  FROM ({MOVEMENTS}) m WHERE CAST(:batch AS text) IS NULL OR "batchId" = :batch GROUP BY 1, 2
) n ON n."itemId" = i.id
WHERE CAST(:batch AS text) IS NULL OR i."batchId" = :batch
GROUP BY i.id
"""
# For a LATERAL join: each PAID payment of the batch `b` of which something came back; `returned` is how much, in the
# batch's base currency, as a statement has it. Where nothing came back at all, nothing is counted.
RETURNED = f"""
SELECT i.id, i."commissionId", i."baseAmount" - round(i."baseAmount" * n.sent / i.amount, 2) AS returned,
  i.amount - n.sent AS amount, i.currency
FROM ({NET.replace(":batch", "b.id")}) n JOIN ibctl.payout_item i USING (id)
WHERE i.status = 'PAID' AND n.sent < i.amount
  AND EXISTS (SELECT FROM ibctl.payout_payment p WHERE p."batchId" = b.id AND p.direction = 'credit')
"""
