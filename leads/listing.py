"""The leads list: its orders, its keyset pages (any page costs the same, however far down) and its rows."""

from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db.models import BooleanField, F, Func, Prefetch, Q, Value, prefetch_related_objects
from django.db.models.expressions import OrderBy

from leads.models import ContactPoint, Lead
from leads.querysets import LeadQuerySet

SALT = "lead-cursor"


@dataclass(frozen=True)
class Order:
    """One order of the list, always with the id as the last key, so that it is total.

    ``natural`` is the direction of the first click, in words of what the column shows.
    """

    key: str
    column: str
    label: str
    natural: str
    nullable: bool = False

    def by(self, *, backwards: bool) -> list[OrderBy]:
        """The ORDER BY; exactly the index's order, or its mirror image."""
        if self.nullable:  # newest first, never last
            column = F(self.column)
            first = column.asc(nulls_first=True) if backwards else column.desc(nulls_last=True)
        else:
            first = OrderBy(F(self.column), descending=backwards)
        return [first, OrderBy(F("id"), descending=backwards)]

    def beyond(self, rows: LeadQuerySet, value: Any, pk: int, *, backwards: bool) -> list[LeadQuerySet]:
        """The rows after (value, pk) in this order (before it if ``backwards``), as one or two ordered parts.

        The nullable column needs two: with values and without stand apart in the index, and one condition over
        both would read it from the start.
        """
        if not self.nullable:
            parts = [rows.filter(_row_compare(self.column, "<" if backwards else ">", value, pk))]
        else:
            after_pk = Q(pk__lt=pk) if backwards else Q(pk__gt=pk)
            unset, is_set = Q(**{f"{self.column}__isnull": True}), Q(**{f"{self.column}__isnull": False})
            if value is None:
                parts = [rows.filter(unset, after_pk), rows.filter(is_set)]
                parts = parts if backwards else parts[:1]
            else:
                side, strict = ("gte", "gt") if backwards else ("lte", "lt")
                near = Q(**{f"{self.column}__{side}": value})
                beyond = Q(**{f"{self.column}__{strict}": value}) | after_pk
                parts = [rows.filter(near, beyond), rows.filter(unset)]
                parts = parts[:1] if backwards else parts
        return [part.order_by(*self.by(backwards=backwards)) for part in parts]


ORDERS = {
    order.key: order
    for order in (
        Order("icp", "priority", "ICP score", "descending"),
        Order("name", "full_name", "Name", "ascending"),
        Order("company", "company_name", "Company", "ascending"),
        Order("enriched", "enriched_at", "Enriched", "descending", nullable=True),
    )
}
DEFAULT_SORT = "icp"
SORTS = [sign + key for key in ORDERS for sign in ("", "-")]


@dataclass(frozen=True)
class Sort:
    """An order in one of its two directions, as it stands in the URL: "icp", "-icp"."""

    order: Order
    reversed: bool

    @classmethod
    def parse(cls, text: str) -> "Sort":
        """The sort named by ``text``; anything unknown is the default."""
        order = ORDERS.get(text.removeprefix("-"))
        return cls(order, text.startswith("-")) if order else cls(ORDERS[DEFAULT_SORT], False)

    def __str__(self) -> str:
        return ("-" if self.reversed else "") + self.order.key

    @property
    def direction(self) -> str:
        """For aria-sort."""
        mirror = {"ascending": "descending", "descending": "ascending"}
        return mirror[self.order.natural] if self.reversed else self.order.natural

    def take(self, rows: LeadQuerySet, count: int) -> list[Lead]:
        """The first ``count`` rows."""
        return list(rows.order_by(*self.order.by(backwards=self.reversed))[:count])

    def take_from(
        self, rows: LeadQuerySet, value: Any, pk: int, count: int, *, before: bool = False
    ) -> list[Lead]:
        """The ``count`` rows next to (value, pk), after it or ``before`` it, in list order."""
        backwards = self.reversed != before
        found: list[Lead] = []
        for part in self.order.beyond(rows, value, pk, backwards=backwards):
            found += part[: count - len(found)]
            if len(found) >= count:
                break
        return found[::-1] if before else found

    def value_of(self, lead: Lead) -> Any:
        """The lead's place in this order, beside its id."""
        return getattr(lead, self.order.column)


@dataclass(frozen=True)
class Cursor:
    """Where a page begins: next to one row, and how many rows come before it as far as is known."""

    value: Any
    pk: int
    before: bool
    number: int

    def encode(self, sort: Sort) -> str:
        """Signed, so what comes back is what was given out."""
        value = self.value.isoformat() if hasattr(self.value, "isoformat") else self.value
        return signing.dumps(
            [str(sort), value, self.pk, int(self.before), self.number], salt=SALT, compress=True
        )

    @classmethod
    def decode(cls, text: str, sort: Sort) -> "Cursor | None":
        """None for anything not given out by ``encode`` for this very sort: the first page then."""
        try:
            for_sort, value, pk, before, number = signing.loads(text, salt=SALT)
        except (signing.BadSignature, ValueError, TypeError):
            return None
        return cls(value, pk, bool(before), number) if for_sort == str(sort) else None


@dataclass(frozen=True)
class LeadPage:
    """One page of the list: its rows, the number of its first row, and the cursors of its neighbours ("" at an end)."""

    leads: list[Lead]
    first_number: int
    previous: str
    next: str

    @property
    def last_number(self) -> int:
        """The number of the page's last row."""
        return self.first_number + len(self.leads) - 1


def page_of(rows: LeadQuerySet, sort: Sort, cursor_text: str, size: int) -> LeadPage:
    """The page ``cursor_text`` points at, or the first one."""
    cursor = Cursor.decode(cursor_text, sort) if cursor_text else None
    if cursor is None:
        return _page(sort.take(rows, size + 1), sort, size, 1, False)
    leads = sort.take_from(rows, cursor.value, cursor.pk, size + 1, before=cursor.before)
    if cursor.before:
        if len(leads) <= size:  # the beginning: show it as the full first page it is
            return _page(sort.take(rows, size + 1), sort, size, 1, False)
        return _page(leads[1:], sort, size, max(cursor.number - size, 1), True, more=True)
    return _page(leads, sort, size, cursor.number, True)


def _page(
    leads: list[Lead], sort: Sort, size: int, number: int, has_previous: bool, more: bool = False
) -> LeadPage:
    more = more or len(leads) > size
    leads = leads[:size]

    def cursor(lead: Lead, before: bool) -> str:
        at = number if before else number + len(leads)
        return Cursor(sort.value_of(lead), lead.pk, before, at).encode(sort)

    return LeadPage(
        leads,
        number,
        cursor(leads[0], True) if has_previous and leads else "",
        cursor(leads[-1], False) if more and leads else "",
    )


def neighbours(rows: LeadQuerySet, sort: Sort, lead: Lead) -> list[dict[str, Any] | None]:
    """The lead before and the lead after ``lead`` in the list, each {"pk", "full_name"} or None (one query)."""
    parts = []
    for step, backwards in enumerate((not sort.reversed, sort.reversed)):
        for turn, part in enumerate(
            sort.order.beyond(rows, sort.value_of(lead), lead.pk, backwards=backwards)
        ):
            parts.append(part.values("pk", "full_name", step=Value(step), turn=Value(turn))[:1])
    found = sorted(parts[0].union(*parts[1:], all=True), key=lambda row: row["turn"])
    return [next((row for row in found if row["step"] == step), None) for step in (0, 1)]


def attach_row_details(leads: list[Lead]) -> None:
    """Load what a row shows beside the lead's own columns: its audiences and bounced values (two queries)."""
    bounced = ContactPoint.objects.filter(state=ContactPoint.State.BOUNCED)
    prefetch_related_objects(
        leads, "audiences", Prefetch("contact_points", queryset=bounced, to_attr="bounced_points")
    )


def _row_compare(column: str, sign: str, value: Any, pk: int) -> Func:
    """``(column, id) > (value, pk)``: compared as rows, the index is entered at the right place."""
    pair = "(%(expressions)s)"
    return Func(
        Func(F(column), F("id"), template=pair),
        Func(Value(value), Value(pk), template=pair),
        template="%(expressions)s",
        arg_joiner=f" {sign} ",
        output_field=BooleanField(),
    )
