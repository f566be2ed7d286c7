"""Tying tags to rows: what is saved, deleted or related through the ORM invalidates the tags of what it was and is.

    invalidate_on_save(Product, tags=["product:{pk}", "category:{category_id}"])

Everything waits for the commit, and a rollback, of a savepoint too, forgets it (`invalidate`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from string import Formatter
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import ForeignKey, Manager, Model, Q, QuerySet
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from .errors import ConfigurationError
from .invalidation import invalidate

TagsOf = Callable[[Any], Iterable[str]]
_UID = "django_dcache.orm"
_BEFORE = "_dcache_tags_before"
BATCH_ROWS = 500
"""Rows that are asked for at once."""
ATTEMPTS = 3


class Rule(NamedTuple):
    """Which tags the rows of a model have."""

    model: type[Model]
    tags: TagsOf
    alias: str
    by_key: bool
    """They follow from the primary key, so that no row has to be read to know them."""


_rules: list[Rule] = []


def invalidate_on_save(model: type[Model], *, tags: Iterable[str] | TagsOf, alias: str = "default") -> None:
    """From now on a change of a row of `model` invalidates its tags, those before the change and those after it.

    `tags`: texts in which `{pk}` or another attribute of the row in braces is filled in, or a function from a row to
    its tags. A change is a save, a delete (also by cascade), and a change of a many-to-many relation of the row. For
    `update`, `bulk_update` and `bulk_create` give the model an `InvalidatingQuerySet`. Call it in
    `AppConfig.ready()`. Raises ConfigurationError.
    """
    if isinstance(tags, str):
        raise ConfigurationError(f"tags is {tags!r}, want a list of them, or a function")
    if callable(tags):
        rule = Rule(model, tags, alias, by_key=False)
    else:
        templates = list(tags)
        fields = {name for text in templates for name in _fields(text)}
        rule = Rule(
            model, _filled_in(templates), alias, fields <= {"pk", model._meta.pk.name if model._meta.pk else ""}
        )
    _watch(rule)
    for through in _through(model):
        if through._meta.auto_created:
            m2m_changed.connect(_relation_changed, sender=through, dispatch_uid=_UID)
        else:
            _watch(Rule(through, _of_related(rule, through), alias, by_key=False))


class InvalidatingQuerySet(QuerySet[Any]):
    """A queryset whose `update`, `bulk_update` and `bulk_create` invalidate, too.

    `objects = InvalidatingQuerySet.as_manager()`; with `base_manager_name = "objects"` in Meta related managers use it
    as well.
    """

    def update(self, **kwargs: Any) -> int:
        rules = _rules_of(self.model)
        if not rules:
            return int(super().update(**kwargs))
        self._for_write = True
        using = self.db
        for _ in range(ATTEMPTS):
            with transaction.atomic(using=using):
                keys = list(self.order_by().values_list("pk", flat=True))
                before = list(_tags_of_keys(rules, keys, using))
                updated = int(super().update(**kwargs))
                if updated <= len(keys):
                    _invalidate([*before, *_tags_of_keys(rules, keys, using)], using)
                    return updated
                # Another transaction has committed rows that we have not seen: begin again.
                transaction.set_rollback(True, using=using)
        with transaction.atomic(using=using):  # By a snapshot that never sees them: what it sees is updated.
            before = list(_tags_of_keys(rules, keys, using))
            updated = int(QuerySet.update(self.model._base_manager.using(using).filter(pk__in=keys), **kwargs))
            _invalidate([*before, *_tags_of_keys(rules, keys, using)], using)
            return updated

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        self._for_write = True
        with transaction.atomic(using=self.db):
            created: list[Any] = super().bulk_create(objs, *args, **kwargs)
            rules = _rules_of(self.model)
            _invalidate([(rule.alias, tag) for rule in rules for row in created for tag in rule.tags(row)], self.db)
        return created

    bulk_create.alters_data = True  # type: ignore[attr-defined]


Tagged = Iterable[tuple[str, str]]
"""Alias and tag."""


def _invalidate(tagged: Tagged, using: str) -> None:
    by_alias: dict[str, dict[str, None]] = {}
    for alias, tag in tagged:
        by_alias.setdefault(alias, {})[tag] = None
    for alias, tags in by_alias.items():
        invalidate(tags=list(tags), alias=alias, using=using)


# Tags of rows


def _fields(template: str) -> Iterator[str]:
    """The attributes that a template asks for."""
    for _, name, _, _ in Formatter().parse(template):
        if name is not None:
            yield name


class _Attributes(Mapping[str, Any]):
    def __init__(self, row: Model):
        self._row = row

    def __getitem__(self, name: str) -> Any:
        return getattr(self._row, name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _filled_in(templates: list[str]) -> TagsOf:
    return lambda row: [Formatter().vformat(text, (), _Attributes(row)) for text in templates]


def _rules_of(model: type[Model]) -> list[Rule]:
    """The rules for rows that a row of `model` is, or is a part of."""
    return [rule for rule in _rules if issubclass(model, rule.model) or issubclass(rule.model, model)]


def _tags_of_keys(rules: list[Rule], keys: Iterable[Any], using: str) -> Iterator[tuple[str, str]]:
    """The tags that the rows with these primary keys have now."""
    keys = list(keys)
    for rule in rules:
        for row in [rule.model(pk=key) for key in keys] if rule.by_key else _rows(rule.model, keys, using):
            yield from ((rule.alias, tag) for tag in rule.tags(row))


def _rows(model: type[Model], keys: list[Any], using: str) -> Iterator[Model]:
    manager: Manager[Model] = model._base_manager
    for start in range(0, len(keys), BATCH_ROWS):
        yield from manager.using(using).filter(pk__in=keys[start : start + BATCH_ROWS])


def _of_related(rule: Rule, through: type[Model]) -> TagsOf:
    """The tags of the rows that a row of a `through` model relates."""
    columns = [field.attname for field in _to(through, rule.model)]

    def tags(row: Model) -> list[str]:
        keys = [getattr(row, column) for column in columns]
        return [tag for _, tag in _tags_of_keys([rule], keys, row._state.db or "default")]

    return tags


# Watching


def _watch(rule: Rule) -> None:
    _rules.append(rule)
    for sender in _lineage(rule.model):
        for signal in (pre_save, pre_delete):
            signal.connect(_before, sender=sender, dispatch_uid=_UID)
        for signal in (post_save, post_delete):
            signal.connect(_after, sender=sender, dispatch_uid=_UID)


def _lineage(model: type[Model]) -> set[type[Model]]:
    """The models whose signals tell of rows of `model`: itself, what inherits from it, and what it inherits from."""
    found = {parent for parent in model.__mro__ if isinstance(parent, type(Model)) and hasattr(parent, "_meta")}
    waiting = [model]
    while waiting:
        found.add(one := waiting.pop())
        waiting += [child for child in one.__subclasses__() if child not in found]
    return {one for one in found if not one._meta.abstract}


def _through(model: type[Model]) -> set[type[Model]]:
    """The models of the many-to-many relations of `model`, declared on either side."""
    own = {field.remote_field.through for field in model._meta.many_to_many}
    return own | {related.through for related in model._meta.related_objects if related.many_to_many}


def _to(through: type[Model], model: type[Model]) -> list[Any]:
    """The foreign keys of a `through` model that lead to rows of `model`."""
    keys = [field for field in through._meta.fields if isinstance(field, ForeignKey)]
    return [key for key in keys if key.related_model in _lineage(model)]


def _before(sender: type[Model], instance: Model, using: str, **more: Any) -> None:
    """Remember what the row was, where that matters."""
    rules = [rule for rule in _rules_of(sender) if not rule.by_key]
    if rules and instance.pk is not None:
        instance.__dict__[_BEFORE] = list(_tags_of_keys(rules, [instance.pk], using))


def _after(sender: type[Model], instance: Model, using: str, signal: Any, **more: Any) -> None:
    before = instance.__dict__.pop(_BEFORE, [])
    rules = _rules_of(sender)
    now = [(rule.alias, tag) for rule in rules if isinstance(instance, rule.model) for tag in rule.tags(instance)]
    elsewhere = [rule for rule in rules if not isinstance(instance, rule.model)]
    _invalidate([*before, *now, *_tags_of_keys(elsewhere, [instance.pk], using)], using)


def _relation_changed(
    sender: type[Model], instance: Model, action: str, model: type[Model], pk_set: Any, using: str, **more: Any
) -> None:
    """Both sides of a many-to-many relation have changed."""
    keys = list(pk_set or ())
    if action == "pre_clear":
        columns = [field.attname for field in sender._meta.fields if isinstance(field, ForeignKey)]
        ours = [Q(**{column: instance.pk}) for column in columns]
        pairs = sender._base_manager.using(using).filter(ours[0] | ours[1]).values_list(*columns)
        instance.__dict__[_BEFORE] = [key for pair in pairs for key in pair]
    elif action == "post_clear":
        keys = instance.__dict__.pop(_BEFORE, [])
    if action.startswith("post_"):
        _invalidate(
            [
                *_tags_of_keys(_rules_of(type(instance)), [instance.pk], using),
                *_tags_of_keys(_rules_of(model), keys, using),
            ],
            using,
        )
