"""What the manager remembers in the site's own database: jobs and what happened to them, topologies, invalidations.

Plain columns and JSON only, so that SQLite, PostgreSQL and MySQL will all do. What has to be right is decided by the
fleet state; these tables make it visible, and carry invalidations from region to region.
"""

from django.db import models


class Fleet(models.Model):
    """No table: the dashboard's place in the admin, its permissions, and what its audit rows are about (by alias)."""

    class Meta:
        managed = False
        default_permissions = ["view"]
        permissions = [
            ("view_key", "Can look at keys of a fleet"),
            ("start_job", "Can start a resize of a fleet"),
            ("pause_job", "Can pause a job of a fleet"),
            ("resume_job", "Can resume a job of a fleet"),
            ("cancel_job", "Can cancel a job of a fleet"),
            ("retry_job", "Can retry a job of a fleet"),
        ]


class Job(models.Model):
    """One run of something that takes its time, from its beginning to its end."""

    name = models.CharField(max_length=40, unique=True)
    """As the run itself and its reports call it."""
    kind = models.CharField(max_length=40)
    fleet = models.CharField(max_length=60)
    state = models.CharField(max_length=12)
    """As `progress.Progress.state`."""
    progress = models.JSONField(default=dict)
    """The last counts, as `Progress.to_json` makes them."""
    terms = models.JSONField(default=dict)
    """What it was asked to do, as far as a Celery worker needs it to continue."""
    created = models.DateTimeField(auto_now_add=True, db_index=True)
    heard = models.DateTimeField()
    """When it was last heard of."""
    token = models.PositiveBigIntegerField(default=0)
    """How often it was claimed: a worker that holds another number has lost it."""
    holder = models.CharField(max_length=200, blank=True)
    """The worker that is at it, as `owner.new` names it; empty while none is."""

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} of {self.fleet}: {self.state}"


class Step(models.Model):
    """A part of a job that one worker does at a time: claimed, shown alive, done."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="steps")
    name = models.CharField(max_length=200)
    """Says what it is, within the job."""
    state = models.CharField(max_length=12, default="waiting")
    """waiting, running, done or failed"""
    terms = models.JSONField(default=dict)
    """What is to be done."""
    checkpoint = models.JSONField(default=dict)
    """How far it has come: where the next worker continues, and in the end the result."""
    heard = models.DateTimeField()
    """When it was last heard of."""
    token = models.PositiveBigIntegerField(default=0)
    holder = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["job", "name"], name="dcache_step_once")]
        indexes = [models.Index(fields=["job", "state"], name="dcache_step_state")]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


class Event(models.Model):
    """A line of a job's journal."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="events")
    at = models.DateTimeField()
    event = models.CharField(max_length=40)
    details = models.JSONField(default=dict)
    """The counts at that moment, and what else there is to say."""

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.event} at {self.at}"


class TopologyChange(models.Model):
    """An epoch that was published."""

    fleet = models.CharField(max_length=60)
    epoch = models.PositiveBigIntegerField()
    phase = models.CharField(max_length=12)
    document = models.JSONField()
    """As `Topology.to_json` makes it."""
    at = models.DateTimeField()
    job = models.ForeignKey(Job, models.CASCADE, related_name="topologies")

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["fleet", "epoch", "job"], name="dcache_epoch_once")]

    def __str__(self) -> str:
        return f"{self.fleet} epoch {self.epoch}: {self.phase}"


class Invalidation(models.Model):
    """An entry of the log that every region applies. Its primary key is its number."""

    region = models.CharField(max_length=60)
    """Where it was made."""
    alias = models.CharField(max_length=60)
    kind = models.CharField(max_length=12)
    """keys, tags or prefix"""
    made = models.JSONField()
    """Made keys, or tags, or the one made prefix."""
    created = models.DateTimeField(auto_now_add=True, db_index=True)
    settled = models.BooleanField(default=False, db_index=True)
    """Every region is known to have applied it."""

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.pk}: {self.kind} on {self.alias}, from {self.region}"


class Acknowledgement(models.Model):
    """What a region, or an edge, makes of an entry."""

    invalidation = models.ForeignKey(Invalidation, models.CASCADE, related_name="acknowledgements")
    region = models.CharField(max_length=60)
    begun = models.DateTimeField()
    """When a worker was last at it."""
    applied = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["invalidation", "region"], name="dcache_ack_once")]

    def __str__(self) -> str:
        return f"{self.invalidation_id} by {self.region}: {self.applied or 'not yet'}"


class NodeSample(models.Model):
    """What a node said of itself at one moment."""

    fleet = models.CharField(max_length=60)
    node = models.CharField(max_length=200)
    at = models.DateTimeField(db_index=True)
    state = models.CharField(max_length=12)
    """As `dcache-admin status` says it."""
    facts = models.JSONField(default=dict)
    """The other fields of `status --json`."""

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["fleet", "node", "at"], name="dcache_sample_of"),
            models.Index(fields=["fleet", "at"], name="dcache_sample_at"),
        ]

    def __str__(self) -> str:
        return f"{self.node} at {self.at}: {self.state}"
