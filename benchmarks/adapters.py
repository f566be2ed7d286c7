"""Django backends for clients that come without one, as thin as they can be."""

from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.memcached import BaseMemcachedCache


class LibMCCache(BaseMemcachedCache):
    """libmc: C++, ketama, pickles by itself."""

    def __init__(self, server: Any, params: dict[str, Any]):
        import libmc  # Here, as below: a client that is not installed is left out.

        super().__init__(server, params, library=libmc, value_not_found_exception=ValueError)

        class Client(libmc.Client):  # type: ignore[misc, unused-ignore]
            def get(self, key: str, default: Any = None) -> Any:
                value = super().get(key)
                return default if value is None else value

            def get_multi(self, keys: Any) -> dict[str, Any]:
                return super().get_multi(list(keys))

            def delete_multi(self, keys: Any) -> bool:
                return super().delete_multi(list(keys))

            def set_multi(self, values: dict[str, Any], time: int = 0) -> list[str]:
                # With return_failure=True, libmc 1.4.17 names every key that was stored: it compares str with bytes.
                return [] if super().set_multi(values, time) else list(values)

        self._class = Client

    def close(self, **kwargs: Any) -> None:
        """Connections survive requests, as PyLibMCCache's do."""


class MetaMemcacheCache(BaseCache):
    """meta-memcache with its Rust socket. It reads many keys at once; writes of many go one by one."""

    def __init__(self, server: Any, params: dict[str, Any]):
        from meta_memcache import CacheClient, ServerAddress, connection_pool_factory_builder  # Here: see above.

        super().__init__(params)
        addresses = [ServerAddress(host, int(port)) for host, port in (node.split(":") for node in server)]
        self._client = CacheClient.cache_client_from_servers(addresses, connection_pool_factory_builder())

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        value = self._client.get(self.make_and_validate_key(key, version))
        return default if value is None else value

    def get_many(self, keys: Any, version: int | None = None) -> dict[str, Any]:
        made = {self.make_and_validate_key(key, version): key for key in keys}
        found = self._client.multi_get(list(made))
        return {made[key.key]: value for key, value in found.items() if value is not None}

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made_key = self.make_and_validate_key(key, version)
        return bool(
            self._client.set(made_key, value, ttl=self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout)
        )

    def delete(self, key: str, version: int | None = None) -> bool:
        return bool(self._client.delete(self.make_and_validate_key(key, version)))

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        number = self._client.delta_and_get(self.make_and_validate_key(key, version), delta)
        if number is None:
            raise ValueError(f"Key {key!r} not found")
        return int(number)
