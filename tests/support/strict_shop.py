"""Settings of the example shop under the strictest policy that lets a site load its own files."""

from django.utils.deprecation import MiddlewareMixin

from shop.settings import *  # noqa: F403
from shop.settings import MIDDLEWARE as SHOPS

MIDDLEWARE = ["support.strict_shop.Strict", *SHOPS]


class Strict(MiddlewareMixin):
    def process_response(self, request, response):
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        return response
