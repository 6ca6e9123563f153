"""Templates of campaigns: looking them up, keeping them, and judging them by the rules.

A *published* template (`isActive`) is one that IBs are offered and campaigns are made from; it passes every rule, but
for those that were allowed by name when it was published or changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, lookup, money
from ibctl.ads.templates import rules, schema
from ibctl.ads.templates.files import Document
from ibctl.errors import RequestError, UsageError
from ibctl.models.platform import AdTemplate, Role
from ibctl.users import service as users

SCHEMA_SOURCE = "the keys of templateData: `ibctl ads templates add --help`"


@dataclass(frozen=True)
class Found:
    """What lint found in one template; `source` says where the rule is written."""

    template: str
    severity: rules.Severity
    rule: str
    place: str
    message: str
    source: str

    @property
    def row(self) -> dict[str, Any]:
        """The finding as a row of a listing."""
        return {
            "template": self.template, "severity": self.severity, "rule": self.rule, "place": self.place,
            "finding": self.message, "source": self.source,
        }  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- looking up


def find(session: Session, name: str) -> AdTemplate:
    """Return the template with this id, or this name in whatever case.

    Raises NotFoundError naming the value and what may have been meant; RequestError where several have the name.
    """
    return lookup.the_one(
        name, partial(_meant, session), kind="template",
        hint=partial(lookup.did_you_mean, session, AdTemplate.name, otherwise="`ibctl ads templates list` shows all"),
        which=lambda one: one.id,
    )  # fmt: skip


def _meant(session: Session, name: str) -> Sequence[AdTemplate]:
    """Return what is called so; the one that is written so to the letter, where there is one."""
    found = _called(session, name)
    exact = [template for template in found if name in (template.id, template.name)]
    return exact if len(exact) == 1 else found


def _called(session: Session, name: str) -> Sequence[AdTemplate]:
    same = sa.func.lower(AdTemplate.name) == sa.func.lower(name)
    return session.exec(select(AdTemplate).where(sa.or_(same, col(AdTemplate.id) == name))).all()


def names(session: Session, prefix: str, limit: int = 50) -> list[str]:
    """Return names that begin with `prefix`."""
    begins = sa.func.starts_with(AdTemplate.name, prefix)
    return list(session.exec(select(AdTemplate.name).where(begins).order_by(AdTemplate.name).limit(limit)))


def named(session: Session, names: Sequence[str]) -> Sequence[AdTemplate]:
    """Return the templates with these names, or all by name where none is given. Raises as `find`."""
    if names:
        return [find(session, name) for name in names]
    return session.exec(select(AdTemplate).order_by(AdTemplate.name, AdTemplate.id)).all()


@dataclass(frozen=True)
class Filter:
    """Which templates; None: whichever."""

    category: str | None = None
    published: bool | None = None


def listing(session: Session, which: Filter, *, limit: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return templates as rows, newest first and at most `limit` (0: all), and how many there are without the limit."""
    where: list[sa.ColumnElement[bool]] = [sa.true()]
    if which.category is not None:
        where.append(col(AdTemplate.category) == which.category)
    if which.published is not None:
        where.append(col(AdTemplate.is_active) == which.published)
    total = session.execute(sa.select(sa.func.count()).select_from(AdTemplate).where(*where)).scalar_one()
    newest = select(AdTemplate).where(*where).order_by(col(AdTemplate.created_at).desc(), col(AdTemplate.id).desc())
    return [row(template) for template in session.exec(newest.limit(limit or None))], total


def row(template: AdTemplate) -> dict[str, Any]:
    """Return a template as a row, with what stands in its data and is asked for most."""
    data = template.template_data if isinstance(template.template_data, dict) else {}
    return {
        "id": template.id, "name": template.name, "description": template.description, "category": template.category,
        "objective": data.get("objective"), "dailyBudget": _amount(data.get("dailyBudget")),
        "lifetimeBudget": _amount(data.get("lifetimeBudget")), "thumbnailUrl": template.thumbnail_url,
        "isActive": template.is_active, "isPublic": template.is_public, "createdBy": template.created_by,
        "usageCount": template.usage_count, "createdAt": template.created_at, "updatedAt": template.updated_at,
        "templateData": template.template_data,
    }  # fmt: skip


def _amount(value: Any) -> Decimal | None:
    """Return a budget; None for what the web application may have put there instead of a number."""
    return None if isinstance(value, bool) or not isinstance(value, int | float) else money.from_float(float(value))


# -------------------------------------------------------------------------------------------------------------- judging


def lint(template: AdTemplate, currency: str | None = None) -> list[Found]:
    """Return what the rules find in a template, errors first; `currency` is that of the account it is meant for."""
    return judge(template.name, template.category, template.template_data, currency)


def judge(name: str, category: str, data: Any, currency: str | None = None) -> list[Found]:
    """Return what the rules find in a template's data; data that do not fit the schema are judged by nothing else."""
    try:
        ad = rules.Ad(name, category, schema.check(data), currency)
    except schema.SchemaError as exc:
        return [Found(name, "error", "schema", p.place, p.message, SCHEMA_SOURCE) for p in exc.problems]
    return [
        Found(name, finding.severity, rules.code(rule), finding.place, finding.message, rules.source(rule))
        for rule, finding in rules.findings(ad)
    ]


def allowed(codes: Iterable[str]) -> frozenset[str]:
    """Read the rules that `--allow` names. Raises UsageError for one that there is not."""
    known = {rules.code(rule) for rule in rules.RULES}
    for code in codes:
        if code not in known:
            raise UsageError(f"--allow: there is no rule '{code}'; there are {', '.join(sorted(known))}")
    return frozenset(codes)


def require_clean(template: AdTemplate, allow: frozenset[str], currency: str | None = None) -> None:
    """Raise RequestError naming the errors of a template that are not allowed."""
    errors = [f for f in lint(template, currency) if f.severity == "error" and f.rule not in allow]
    if errors:
        first = errors[0]
        where = f" at {first.place}" if first.place else ""
        passing = "" if first.rule == "schema" else f", --allow {first.rule} lets it pass"
        raise RequestError(
            f"the template '{template.name}' breaks {len(errors)} of the rules, first {first.rule}{where}: "
            f"{first.message}; `ibctl ads templates lint '{template.name}'` shows all{passing}"
        )


# -------------------------------------------------------------------------------------------------------------- writing


def add(
    session: Session, documents: Sequence[Document], *, created_by: str | None, publish: bool, allow: frozenset[str]
) -> list[AdTemplate]:
    """Create templates, unpublished unless `publish`; `created_by` is an administrator's email or id.

    Raises RequestError for data that do not fit, for a name that is taken, and for one that may not be published.
    """
    admin = users.find(session, created_by, role=Role.ADMIN).id if created_by else None
    return [_add(session, document, admin, publish=publish, allow=allow) for document in documents]


def _add(
    session: Session, document: Document, admin: str | None, *, publish: bool, allow: frozenset[str]
) -> AdTemplate:
    assert document.name is not None
    assert document.category is not None
    _require_free(session, document.name)
    template = AdTemplate(
        name=document.name,
        description=document.description,
        category=document.category,
        template_data=_checked(document.name, document.data),
        thumbnail_url=document.thumbnail_url,
        is_active=publish,
        is_public=True if document.is_public is None else document.is_public,
        created_by=admin,
    )
    if publish:
        require_clean(template, allow)
    session.add(template)
    session.flush()
    return template


def _checked(name: str, data: Any) -> Any:
    try:
        schema.check(data)
    except schema.SchemaError as exc:
        raise RequestError(f"the data of '{name}' do not fit: {exc}; nothing was written") from None
    return data


def _require_free(session: Session, name: str, but: str | None = None) -> None:
    if any(template.id != but for template in _called(session, name)):
        raise RequestError(f"there is a template '{name}' already: `ibctl ads templates edit` changes it")


def hold(session: Session, template: AdTemplate) -> None:
    """Keep everybody else from writing this template until the transaction ends, and see it as it is now."""
    held = select(AdTemplate).where(col(AdTemplate.id) == template.id).with_for_update(key_share=True)
    session.exec(held.execution_options(populate_existing=True)).one()


def edit(session: Session, template: AdTemplate, document: Document, *, allow: frozenset[str]) -> bool:
    """Make a template what a document says; returns whether that is anything new.

    A published template has to stay one that may be published. Raises RequestError as `add`.
    """
    assert document.name is not None
    _require_free(session, document.name, but=template.id)
    after = {
        "name": document.name, "category": document.category, "description": document.description,
        "thumbnail_url": document.thumbnail_url, "is_public": document.is_public,
        "template_data": _checked(document.name, document.data),
    }  # fmt: skip
    if all(getattr(template, key) == value for key, value in after.items()):
        return False
    for key, value in after.items():
        setattr(template, key, value)
    template.updated_at = clock.now()
    if template.is_active:
        require_clean(template, allow)
    session.add(template)
    return True


def document(template: AdTemplate) -> Document:
    """Return a template as a document, to be changed."""
    return Document(
        template.template_data, template.name, template.category, template.description, template.thumbnail_url,
        template.is_public,
    )  # fmt: skip


def publish(session: Session, template: AdTemplate, allow: frozenset[str]) -> bool:
    """Offer a template to IBs; returns whether it was not offered before. Raises RequestError for one with errors."""
    hold(session, template)
    require_clean(template, allow)
    return _set_active(template, True)


def unpublish(session: Session, template: AdTemplate) -> bool:
    """Offer a template no longer; returns whether it was offered. Campaigns made from it go on."""
    hold(session, template)
    return _set_active(template, False)


def _set_active(template: AdTemplate, active: bool) -> bool:
    if template.is_active == active:
        return False
    template.is_active, template.updated_at = active, clock.now()
    return True
