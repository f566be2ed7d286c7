"""The tables in Django's admin, to be looked at. Changing them would change no fleet."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from .models import Acknowledgement, Event, Invalidation, Job, TopologyChange


class _ReadOnly:
    def has_add_permission(self, *arguments: Any) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


class EventInline(_ReadOnly, admin.TabularInline):
    model = Event
    extra = 0
    fields = ["at", "event", "details"]


class AcknowledgementInline(_ReadOnly, admin.TabularInline):
    model = Acknowledgement
    extra = 0
    fields = ["region", "begun", "applied"]


@admin.register(Job)
class JobAdmin(_ReadOnly, admin.ModelAdmin):
    list_display = ["name", "kind", "fleet", "state", "moved", "created", "heard"]
    list_filter = ["state", "kind", "fleet", "created"]
    search_fields = ["name"]
    inlines = [EventInline]

    @admin.display(description="keys moved")
    def moved(self, job: Job) -> Any:
        return job.progress.get("moved")


@admin.register(TopologyChange)
class TopologyChangeAdmin(_ReadOnly, admin.ModelAdmin):
    list_display = ["fleet", "epoch", "phase", "at", "job"]
    list_filter = ["fleet", "phase", "at"]
    list_select_related = ["job"]


@admin.register(Invalidation)
class InvalidationAdmin(_ReadOnly, admin.ModelAdmin):
    list_display = ["id", "created", "alias", "kind", "what", "region", "applied_by", "settled"]
    list_filter = ["settled", "kind", "alias", "region", "created"]
    inlines = [AcknowledgementInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invalidation]:
        applied = Q(acknowledgements__applied__isnull=False)
        found: QuerySet[Invalidation] = super().get_queryset(request)
        return found.annotate(applied_by=Count("acknowledgements", filter=applied))

    @admin.display(description="what")
    def what(self, entry: Invalidation) -> str:
        first = str(entry.made[0]) if entry.made else ""
        return first if len(entry.made) < 2 else f"{first} and {len(entry.made) - 1} more"

    @admin.display(description="regions done")
    def applied_by(self, entry: Any) -> int:
        return int(entry.applied_by)
