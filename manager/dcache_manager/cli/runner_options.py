"""Who does the runs of warmers, as it was typed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunnerOptions:
    celery: bool = False
    """The region's workers, else this process."""
    app: str | None = None
    """The Celery application, as `celery -A` takes it."""
    wait: bool = True
    """Until it is done."""
    wait_timeout: float | None = None
    """Seconds, after which it waits no longer."""
