"""What an operator does from a page: asked of the same services as commands, and written into the admin's log."""

from collections.abc import Callable
from typing import Any

from celery import current_app
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from django_dcache.errors import Conflict, DCacheError

from .. import steering
from ..errors import NotPossible
from ..inspection.fleet_report import look_closely
from ..inspection.target import Target
from ..jobs.history import find_job
from ..models import Fleet
from ..rebalance import service
from .addresses import page_address
from .overview import LOOK_SECONDS
from .plan_form import PlanForm

Said = list[str]
"""What there is to tell the operator: services add to it."""


def start(request: HttpRequest, target: Target, said: Said) -> str:
    """Carry out the plan that was shown, if the fleet is still where it was."""
    _workers_needed()
    seen = look_closely(target, LOOK_SECONDS)
    form = PlanForm([node.name for node in seen.topology.layouts[-1].nodes], request.POST)
    if not form.is_valid():
        raise NotPossible("; ".join(error for errors in form.errors.values() for error in errors))
    if request.POST.get("epoch") != str(seen.topology.epoch):
        raise Conflict("the fleet has moved on since this was planned; plan again", epoch=seen.topology.epoch)
    made = service.plan(target, form.change, seen, said.append)
    if made.empty and seen.topology.target is None:
        raise NotPossible("nothing to do: the fleet is as it should be")
    job = service.start(target, made, form.cleaned_data["max_rate"], said.append)
    return f"job {job.name}: {'; '.join(made.changes) or 'finishes the resize under way'}"


def pause(request: HttpRequest, target: Target, said: Said) -> str:
    return _steer(target, "pause", said)


def resume(request: HttpRequest, target: Target, said: Said) -> str:
    return _steer(target, "run", said)


def cancel(request: HttpRequest, target: Target, said: Said) -> str:
    if name := request.POST.get("job"):
        steering.cancel(target, find_job(target.name, name), said.append)
        return f"job {name}"
    return _steer(target, "cancel", said)


def retry(request: HttpRequest, target: Target, said: Said) -> str:
    _workers_needed()
    job = find_job(target.name, request.POST.get("job", ""))
    steering.retry(job, said.append)
    return f"job {job.name}"


ACTS: dict[str, Callable[[HttpRequest, Target, Said], str]] = {
    act.__name__: act for act in (start, pause, resume, cancel, retry)
}
"""Each needs the permission of its name, and returns what it did."""


def done(verb: str) -> Callable[[HttpRequest, Target], HttpResponse]:
    """The view that does it, says what came of it, and returns to the page from which it was asked."""

    def view(request: HttpRequest, target: Target) -> HttpResponse:
        said: Said = []
        try:
            outcome, level = ACTS[verb](request, target, said), messages.SUCCESS
        except DCacheError as error:
            outcome, level = f"not done: {error}", messages.ERROR
        _record(request, target, f"{verb}: {outcome}")
        for text in said:
            messages.info(request, text)
        messages.add_message(request, level, f"{verb}: {outcome}")
        page = "change" if request.POST.get("page") == "overview" else "jobs"
        return HttpResponseRedirect(page_address(page, target.alias))

    return view


def _steer(target: Target, wish: str, said: Said) -> str:
    seen = look_closely(target, LOOK_SECONDS)
    if service.status(target, seen).state == "interrupted":
        _workers_needed()
    service.ask(target, wish, seen, said.append)
    return "asked"


def _workers_needed() -> None:
    if current_app.conf.task_always_eager:
        raise NotPossible("tasks run where they are sent (task_always_eager), and a page can't wait for a job")


def _record(request: HttpRequest, target: Target, text: str) -> None:
    user: Any = request.user
    LogEntry.objects.create(
        user_id=user.pk,
        content_type=ContentType.objects.get_for_model(Fleet),
        object_id=target.alias,
        object_repr=f"fleet {target.alias}",
        action_flag=CHANGE,
        change_message=text,
    )
