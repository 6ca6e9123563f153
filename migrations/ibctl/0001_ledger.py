"""ibctl's own schema, its tables: the record of writes, imports, plans, months, snapshots."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

revision: str = "ibctl_0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = ("ibctl",)
depends_on: str | Sequence[str] | None = None

CARRIED = sa.text("CAST(figures->>'carriedOut' AS numeric) <> 0")


def _created() -> sa.Column[object]:
    return sa.Column("createdAt", TIMESTAMP(precision=3), nullable=False)


# Arrays one after the other, where array_agg makes a table of them.
CONCAT = """
CREATE AGGREGATE ibctl.array_concat(anycompatiblearray) (
  sfunc = array_cat, stype = anycompatiblearray, parallel = safe
)
"""

# That most months carry few balances on, or none: without it, a query for them reads all snapshots instead of the few.
CARRIED_STATISTICS = """
CREATE STATISTICS ibctl.commission_snapshot_carried ON (CAST(figures->>'carriedOut' AS numeric))
FROM ibctl.commission_snapshot
"""


def upgrade() -> None:
    op.execute(CONCAT)
    op.create_table(
        "change_set",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        _created(),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("counts", JSONB, nullable=False),
        sa.Column("columns", JSONB, nullable=False),
        sa.Column("steps", sa.BigInteger, nullable=False),
        sa.Column("undoes", sa.BigInteger),
        sa.Index("change_set_undoes_idx", "undoes"),
        schema="ibctl",
    )
    op.create_table(
        "change",
        sa.Column("changeSetId", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("tableName", sa.Text, nullable=False),
        sa.Column("rowId", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Index("change_set_idx", "changeSetId"),
        sa.Index("change_row_idx", "rowId"),
        schema="ibctl",
    )
    op.create_table(
        "lead_import",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        _created(),
        sa.Column("finishedAt", TIMESTAMP(precision=3)),
        sa.Column("changeSetId", sa.BigInteger, nullable=False),
        sa.Column("fileName", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("header", JSONB, nullable=False),
        sa.Column("mapping", JSONB, nullable=False),
        sa.Column("terms", JSONB, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("created", sa.Integer, nullable=False),
        sa.Column("updated", sa.Integer, nullable=False),
        sa.Column("unchanged", sa.Integer, nullable=False),
        sa.Column("refused", sa.Integer, nullable=False),
        sa.Column("checkpoint", sa.Integer, nullable=False),
        sa.Index("lead_import_sha256_idx", "sha256"),
        schema="ibctl",
    )
    op.create_table(
        "lead_import_reject",
        sa.Column("importId", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("cells", sa.JSON, nullable=False),
        schema="ibctl",
    )
    op.create_table(
        "lead_mapping",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        _created(),
        sa.Column("updatedAt", TIMESTAMP(precision=3), nullable=False),
        sa.Index("lead_mapping_name_key", "name", unique=True),
        schema="ibctl",
    )
    op.create_table(
        "lead_programme",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("broker", sa.Text, nullable=False),
        sa.Column("effectiveFrom", sa.Date, nullable=False),
        sa.Column("minDeposit", sa.Numeric, nullable=False),
        sa.Column("minLots", sa.Numeric, nullable=False),
        sa.Column("daysAllowed", sa.Integer),
        sa.Column("cpa", sa.Numeric, nullable=False),
        _created(),
        sa.UniqueConstraint("broker", "effectiveFrom", name="lead_programme_broker_from_key"),
        schema="ibctl",
    )
    op.create_table(
        "lead_transfer",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("leadId", sa.Text, nullable=False),
        sa.Column("fromUserId", sa.Text),
        sa.Column("toUserId", sa.Text, nullable=False),
        sa.Column("effectiveAt", TIMESTAMP(precision=3), nullable=False),
        _created(),
        sa.Index("lead_transfer_lead_idx", "leadId"),
        schema="ibctl",
    )
    op.create_table(
        "exchange_rate",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("baseCurrency", sa.Text, nullable=False),
        sa.Column("rate", sa.Numeric, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        _created(),
        sa.UniqueConstraint("date", "currency", "baseCurrency", name="exchange_rate_date_currency_key"),
        schema="ibctl",
    )
    op.create_table(
        "commission_plan",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("effectiveFrom", sa.Date, nullable=False),
        sa.Column("terms", JSONB, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        _created(),
        sa.UniqueConstraint("name", "version", name="commission_plan_name_version_key"),
        schema="ibctl",
    )
    op.create_table(
        "plan_assignment",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("effectiveFrom", sa.Date, nullable=False),
        _created(),
        sa.UniqueConstraint("scope", "target", "effectiveFrom", name="plan_assignment_target_from_key"),
        schema="ibctl",
    )
    op.create_table(
        "ib_group_member",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("userId", sa.Text, nullable=False),
        sa.Column("groupName", sa.Text),
        sa.Column("effectiveFrom", sa.Date, nullable=False),
        _created(),
        sa.UniqueConstraint("userId", "effectiveFrom", name="ib_group_member_user_from_key"),
        schema="ibctl",
    )
    op.create_table(
        "adjustment",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("userId", sa.Text, nullable=False),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("month", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("amount", sa.Numeric, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("leadId", sa.Text),
        sa.Column("sourceYear", sa.Integer),
        sa.Column("sourceMonth", sa.Integer),
        sa.Column("terms", JSONB),
        sa.Column("snapshotId", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        _created(),
        sa.Index("adjustment_month_idx", "year", "month", "userId"),
        sa.Index("adjustment_lead_idx", "leadId"),
        schema="ibctl",
    )
    op.create_table(
        "commission_hold",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("userId", sa.Text, nullable=False),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("month", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("until", sa.Date),
        sa.Column("actor", sa.Text, nullable=False),
        _created(),
        sa.Column("releasedAt", TIMESTAMP(precision=3)),
        sa.Column("releasedBy", sa.Text),
        sa.Column("releaseReason", sa.Text),
        sa.Index("commission_hold_month_idx", "year", "month", "userId"),
        schema="ibctl",
    )
    op.create_table(
        "closed_month",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("month", sa.Integer, nullable=False),
        sa.Column("closedAt", TIMESTAMP(precision=3), nullable=False),
        sa.Column("closedBy", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("administrators", ARRAY(sa.Text), nullable=False),
        sa.Column("totals", JSONB, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("changeSetId", sa.BigInteger, nullable=False),
        schema="ibctl",
    )
    op.create_table(
        "commission_snapshot",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("commissionId", sa.Text, nullable=False),
        sa.Column("userId", sa.Text, nullable=False),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("month", sa.Integer, nullable=False),
        _created(),
        sa.Column("changeSetId", sa.BigInteger, nullable=False),
        sa.Column("plan", JSONB, nullable=False),
        sa.Column("inputs", JSONB, nullable=False),
        sa.Column("leadIds", ARRAY(sa.Text), nullable=False),
        sa.Column("leadCaptured", ARRAY(TIMESTAMP(precision=3)), nullable=False),
        sa.Column("leadQualified", ARRAY(TIMESTAMP(precision=3)), nullable=False),
        sa.Column("leadCpas", ARRAY(sa.Numeric), nullable=False),
        sa.Column("dayIds", ARRAY(sa.Text), nullable=False),
        sa.Column("dayDates", ARRAY(sa.Date), nullable=False),
        sa.Column("dayAmounts", ARRAY(sa.Numeric), nullable=False),
        sa.Column("dayRates", ARRAY(sa.Numeric), nullable=False),
        sa.Column("dayRateIds", ARRAY(sa.Text), nullable=False),
        sa.Column("figures", JSONB, nullable=False),
        sa.Column("payableFrom", sa.Date, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Index("commission_snapshot_commission_idx", "commissionId"),
        sa.Index("commission_snapshot_month_idx", "year", "month", postgresql_include=["id", "digest"]),
        sa.Index("commission_snapshot_carried_idx", "year", "month", postgresql_where=CARRIED),
        schema="ibctl",
        postgresql_with={"toast_tuple_target": 8160},
    )
    op.execute(CARRIED_STATISTICS)
    op.create_table(
        "commission_state",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("snapshotId", sa.Text, nullable=False),
        schema="ibctl",
    )

    op.create_table(
        "payee",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        _created(),
        sa.Column("changedAt", TIMESTAMP(precision=3), nullable=False),
        schema="ibctl",
    )
    op.create_table(
        "payout_batch",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("month", sa.Integer, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("baseCurrency", sa.Text, nullable=False),
        _created(),
        sa.Column("createdBy", sa.Text, nullable=False),
        sa.Column("approvedAt", TIMESTAMP(precision=3)),
        sa.Column("approvedBy", sa.Text),
        sa.Column("approvedRedirects", ARRAY(sa.Text), nullable=False),
        sa.Column("exportedAt", TIMESTAMP(precision=3)),
        schema="ibctl",
    )
    op.create_table(
        "payout_item",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("batchId", sa.Text, nullable=False),
        sa.Column("commissionId", sa.Text, nullable=False),
        sa.Column("claim", sa.Text),
        sa.Column("userId", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("baseAmount", sa.Numeric, nullable=False),
        sa.Column("amount", sa.Numeric, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("rate", sa.Numeric, nullable=False),
        sa.Column("rateId", sa.Text),
        sa.Column("rateDate", sa.Date),
        sa.Column("rateSource", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Index("payout_item_batch_idx", "batchId"),
        sa.Index("payout_item_reference_key", "reference", unique=True),
        sa.Index("payout_item_claim_key", "claim", unique=True),
        schema="ibctl",
    )
    op.create_table(
        "payout_order",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("batchId", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("layout", sa.Text),
        sa.Column("executionDate", sa.Date, nullable=False),
        _created(),
        sa.Column("withdrawnAt", TIMESTAMP(precision=3)),
        sa.Index("payout_order_number_key", "batchId", "number", unique=True),
        schema="ibctl",
    )
    op.create_table(
        "payout_order_line",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("orderId", sa.Text, nullable=False),
        sa.Column("itemId", sa.Text, nullable=False),
        sa.Column("amount", sa.Numeric, nullable=False),
        sa.Column("baseAmount", sa.Numeric, nullable=False),
        sa.Column("moved", sa.Integer, nullable=False),
        sa.Column("ended", sa.Integer, nullable=False),
        sa.Column("since", sa.Date),
        sa.Column("name", sa.Text),
        sa.Column("account", sa.Text),
        sa.Index("payout_order_line_order_idx", "orderId"),
        schema="ibctl",
    )
    op.create_table(
        "payout_payment",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("batchId", sa.Text, nullable=False),
        sa.Column("itemId", sa.Text),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("bookedOn", sa.Date, nullable=False),
        sa.Column("amount", sa.Numeric, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("bankReference", sa.Text),
        sa.Column("finding", sa.Text),
        sa.Column("fileName", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("changeSetId", sa.BigInteger, nullable=False),
        _created(),
        sa.Index("payout_payment_batch_idx", "batchId"),
        schema="ibctl",
    )
    op.create_table(
        "ad_account_state",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("firstDay", sa.Date),
        sa.Column("finalThrough", sa.Date),
        sa.Column("lastDay", sa.Date),
        sa.Column("problem", sa.Text),
        sa.Column("problemAt", TIMESTAMP(precision=3)),
        sa.Column("parkedUntil", TIMESTAMP(precision=3)),
        sa.Column("zone", sa.Text),
        sa.Column("dataAccessExpiresAt", TIMESTAMP(precision=3)),
        schema="ibctl",
    )
    op.create_table(
        "ad_action_types",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("leads", JSONB),
        sa.Column("conversions", JSONB),
        schema="ibctl",
    )
    op.create_table(
        "spend_restatement",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("adAccountId", sa.Text, nullable=False),
        sa.Column("date", sa.Date, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("old", sa.Numeric, nullable=False),
        sa.Column("new", sa.Numeric, nullable=False),
        sa.Column("seenAt", TIMESTAMP(precision=3), nullable=False),
        sa.Index("spend_restatement_account_idx", "adAccountId", "date"),
        schema="ibctl",
    )
    op.create_table(
        "campaign_build",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("adAccountId", sa.Text, nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("calls", JSONB, nullable=False),
        sa.Column("creativeId", sa.Text),
        sa.Column("finishedAt", TIMESTAMP(precision=3)),
        sa.Column("activatedAt", TIMESTAMP(precision=3)),
        _created(),
        sa.UniqueConstraint("adAccountId", "tag", name="campaign_build_tag_key"),
        schema="ibctl",
    )
    op.create_table(
        "lead_form",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("pageId", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("readUntil", TIMESTAMP(precision=3), nullable=False),
        schema="ibctl",
    )
    op.create_table(
        "form_lead",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("formId", sa.Text, nullable=False),
        sa.Column("leadId", sa.Text),
        sa.Column("campaignId", sa.Text),
        _created(),
        sa.Index("form_lead_lead_idx", "leadId"),
        schema="ibctl",
    )


def downgrade() -> None:
    op.execute("DROP AGGREGATE ibctl.array_concat(anycompatiblearray)")
    for table in (
        "spend_restatement", "ad_action_types", "ad_account_state",
        "form_lead", "lead_form", "campaign_build",
        "payout_payment", "payout_order_line", "payout_order", "payout_item", "payout_batch", "payee",
        "commission_state", "commission_snapshot", "closed_month", "commission_hold", "adjustment", "ib_group_member",
        "plan_assignment", "commission_plan", "exchange_rate", "lead_transfer", "lead_programme",
        "lead_mapping", "lead_import_reject", "lead_import",
        "change", "change_set",
    ):  # fmt: skip
        op.drop_table(table, schema="ibctl")
