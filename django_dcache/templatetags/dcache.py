"""{% dcache %}: a fragment of a template, loaded under a lease, with tags, and stale while it is made anew.

{% load dcache %}
{% dcache 600 "sidebar" request.user.pk tags=product_tags stale=60 %} … {% enddcache %}
"""

from typing import Any

from django import template
from django.core.cache.utils import make_template_fragment_key
from django.template.base import FilterExpression, NodeList, Parser, Token, token_kwargs

from ..invalidation import find_cache

register = template.Library()
OPTIONS = ("tags", "stale", "using")


class Fragment(template.Node):
    def __init__(
        self,
        nodelist: NodeList,
        timeout: FilterExpression,
        name: FilterExpression,
        vary: list[FilterExpression],
        options: dict[str, FilterExpression],
    ):
        self.nodelist, self.timeout, self.name, self.vary, self.options = nodelist, timeout, name, vary, options

    def render(self, context: Any) -> str:
        options = {name: given.resolve(context) for name, given in self.options.items()}
        timeout, tags = self.timeout.resolve(context), options.get("tags") or ()
        if timeout is not None:
            try:
                timeout = float(timeout)
            except (TypeError, ValueError):
                raise template.TemplateSyntaxError(f"dcache: the timeout is {timeout!r}, want seconds") from None
        key = make_template_fragment_key(self.name.resolve(context), [each.resolve(context) for each in self.vary])
        fragment: str = find_cache(options.get("using", "default")).get_or_set(
            key,
            lambda: self.nodelist.render(context),
            timeout,
            tags=tags.split() if isinstance(tags, str) else tags,
            stale=float(options.get("stale") or 0),
        )
        return fragment


@register.tag("dcache")
def fragment(parser: Parser, token: Token) -> Fragment:
    """{% dcache TIMEOUT NAME [what it varies on …] [tags=…] [stale=SECONDS] [using=ALIAS] %} … {% enddcache %}

    `tags`: a list, or text with blanks between them."""
    nodelist = parser.parse(("enddcache",))
    parser.delete_first_token()
    bits = token.split_contents()[1:]
    given = [bit for bit in bits if bit.partition("=")[0] not in OPTIONS or "=" not in bit]
    options = token_kwargs([bit for bit in bits if bit not in given], parser)
    if len(given) < 2:
        raise template.TemplateSyntaxError("dcache: want {% dcache TIMEOUT NAME … %}")
    timeout, name, *vary = map(parser.compile_filter, given)
    return Fragment(nodelist, timeout, name, vary, options)
