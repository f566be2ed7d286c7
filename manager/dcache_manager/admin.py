"""Django's admin: the dashboard, and the tables, to be looked at. Changing those would change no fleet."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest

from .dashboard.site import FleetAdmin
from .formatting import count, share
from .invalidation.redaction import shown
from .models import Acknowledgement, Event, Fleet, Invalidation, Job, NodeSample, Step, TopologyChange

admin.site.register(Fleet, FleetAdmin)

SHOWN = 100
"""How many steps, and lines of its journal, the page of a job shows: the last ones."""


class _ReadOnly:
    show_full_result_count = False
    """Counting a table of millions takes longer than showing a page of it."""

    def has_add_permission(self, *arguments: Any) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


class _Lines(_ReadOnly, admin.TabularInline):
    extra = 0


class _LastLines(_Lines):
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request)
        job = request.resolver_match.kwargs.get("object_id") if request.resolver_match else None
        last = found.filter(job=job).order_by("-id").values_list("pk", flat=True)[:SHOWN]
        return found.filter(pk__in=list(last))


class EventInline(_LastLines):
    model = Event
    fields = ["at", "event", "details"]
    verbose_name_plural = f"last {SHOWN} events"


class StepInline(_LastLines):
    model = Step
    fields = ["name", "state", "checkpoint", "heard", "token", "holder"]
    verbose_name_plural = f"last {SHOWN} steps"


class AcknowledgementInline(_Lines):
    model = Acknowledgement
    fields = ["region", "begun", "applied"]


@admin.register(Job)
class JobAdmin(_ReadOnly, admin.ModelAdmin):
    list_display = ["name", "kind", "fleet", "state", "steps_done", "moved", "created", "heard"]
    list_filter = ["state", "kind", "fleet"]
    date_hierarchy = "created"
    search_fields = ["name", "holder"]
    inlines = [StepInline, EventInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        done = Count("steps", filter=Q(steps__state="done"))
        found: QuerySet[Job] = super().get_queryset(request)
        return found.annotate(done_steps=done, all_steps=Count("steps"))

    @admin.display(description="steps done")
    def steps_done(self, job: Any) -> str:
        return f"{job.done_steps} of {job.all_steps}" if job.all_steps else ""

    @admin.display(description="keys moved")
    def moved(self, job: Job) -> Any:
        return job.progress.get("moved")


@admin.register(TopologyChange)
class TopologyChangeAdmin(_ReadOnly, admin.ModelAdmin):
    list_display = ["fleet", "epoch", "phase", "nodes", "at", "job"]
    list_filter = ["fleet", "phase"]
    date_hierarchy = "at"
    search_fields = ["fleet", "job__name"]
    list_select_related = ["job"]

    @admin.display(description="nodes")
    def nodes(self, change: TopologyChange) -> str:
        layouts = (change.document.get(name) or {} for name in ("layout", "target"))
        return " → ".join(str(len(layout["nodes"])) for layout in layouts if layout.get("nodes"))


@admin.register(Invalidation)
class InvalidationAdmin(_ReadOnly, admin.ModelAdmin):
    list_display = ["id", "created", "alias", "kind", "what", "region", "applied_by", "settled"]
    list_filter = ["settled", "kind", "alias", "region"]
    date_hierarchy = "created"
    search_fields = ["text"]
    inlines = [AcknowledgementInline]
    exclude = ["made"]
    readonly_fields = ["keys"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invalidation]:
        applied = Q(acknowledgements__applied__isnull=False)
        found: QuerySet[Invalidation] = super().get_queryset(request)
        return found.annotate(applied_by=Count("acknowledgements", filter=applied), text=Cast("made", TextField()))

    @admin.display(description="what")
    def what(self, entry: Invalidation) -> str:
        first = shown(entry.alias, str(entry.made[0])) if entry.made else ""
        return first if len(entry.made) < 2 else f"{first} and {len(entry.made) - 1} more"

    @admin.display(description="keys")
    def keys(self, entry: Invalidation) -> str:
        return "\n".join(shown(entry.alias, str(key)) for key in entry.made)

    @admin.display(description="regions done")
    def applied_by(self, entry: Any) -> int:
        return int(entry.applied_by)


@admin.register(NodeSample)
class NodeSampleAdmin(_ReadOnly, admin.ModelAdmin):
    list_display = ["at", "fleet", "node", "state", "items", "used", "hits", "evicted", "version"]
    list_filter = ["state", "fleet"]
    date_hierarchy = "at"
    search_fields = ["node"]

    @admin.display(description="items")
    def items(self, sample: NodeSample) -> str:
        return _said(sample.facts.get("items"), count)

    @admin.display(description="memory used")
    def used(self, sample: NodeSample) -> str:
        used, limit = sample.facts.get("bytes"), sample.facts.get("limit_bytes")
        return _said(used / limit if used is not None and limit else None, share)

    @admin.display(description="hits")
    def hits(self, sample: NodeSample) -> str:
        return _said(sample.facts.get("hit_ratio"), share)

    @admin.display(description="evicted")
    def evicted(self, sample: NodeSample) -> str:
        return _said(sample.facts.get("evictions"), count)

    @admin.display(description="version")
    def version(self, sample: NodeSample) -> str:
        return _said(sample.facts.get("version"), str)


def _said(fact: Any, text: Callable[[Any], str]) -> str:
    return "" if fact is None else text(fact)
