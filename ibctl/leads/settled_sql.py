"""Which settled months leads count in, as SQL over sets."""

from __future__ import annotations

import sqlalchemy as sa

from ibctl.leads import ownership_sql


def settled(leads: str) -> sa.TextClause:
    """Return the SELECT of the settled months in which leads count; `leads` has userId and both dates.

    Settled is what is closed, being paid or paid. A lead that was transferred counts for the IB whose it was at the
    time. Parameter besides those of `leads`: zone, in which months are cut.
    """
    return sa.text(
        f"""
        SELECT to_char(local.there, 'YYYY-MM') AS month, coalesce(c."paymentStatus", 'CLOSED') AS status,
               array_agg(DISTINCT u.email), count(DISTINCT l.id)
        FROM ({leads}) l
        CROSS JOIN LATERAL (VALUES (l."leadCapturedAt"), (l."qualifiedAt")) fact (moment)
        CROSS JOIN LATERAL (SELECT fact.moment AT TIME ZONE 'UTC' AT TIME ZONE :zone AS there) local
        {ownership_sql.former("fact.moment")}
        JOIN "User" u ON u.id = {ownership_sql.OWNER}
        LEFT JOIN "IbCommission" c ON c."userId" = u.id AND c."paymentStatus" IN ('PROCESSING', 'PAID')
          AND c.year = extract(year FROM local.there) AND c.month = extract(month FROM local.there)
        LEFT JOIN ibctl.closed_month m
          ON m.year = extract(year FROM local.there) AND m.month = extract(month FROM local.there)
        WHERE c.id IS NOT NULL OR m.id IS NOT NULL AND u.role = 'IB'
        GROUP BY 1, 2 ORDER BY 1, 2
        """
    )


# Whether any month is: mostly none is, and the leads need not be looked at.
ANY = sa.text(
    """
    SELECT EXISTS (SELECT FROM ibctl.closed_month)
      OR EXISTS (SELECT FROM "IbCommission" WHERE "paymentStatus" IN ('PROCESSING', 'PAID'))
    """
)
# Parameter: ids.
BY_LEADS = settled('SELECT id, "userId", "leadCapturedAt", "qualifiedAt" FROM "Lead" WHERE id = ANY(:ids)')
