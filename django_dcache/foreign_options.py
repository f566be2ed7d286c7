"""What to do with the OPTIONS of other backends, by their names in lower case."""

_POOL = "remove it: the pool does that"
_PROBE = "remove it: each process probes a node that is down by itself"
_KINDS = "remove it: values are read and written by 'serializer'"
_BESIDE = "it belongs beside OPTIONS, not into it"

ADVICE = {
    # PyMemcacheCache
    "no_delay": _POOL,
    "use_pooling": _POOL,
    "socket_module": _POOL,
    "socket_keepalive": _POOL,
    "lock_generator": _POOL,
    "pool_idle_timeout": _POOL,
    "max_pool_size": "it is 'idle_connections' and 'max_connections' here",
    "ignore_exc": "remove it: a failure is a miss, unless 'on_error' is \"raise\"",
    "serde": _KINDS,
    "deserializer": _KINDS,
    "hasher": "remove it: 'ring' says how keys are placed",
    "allow_unicode_keys": "remove it: always so",
    "encoding": "remove it: keys and text are UTF-8",
    "default_noreply": "remove it: every write is acknowledged",
    "tls_context": "it is 'tls' here",
    "retry_attempts": _PROBE,
    "retry_timeout": _PROBE,
    "dead_timeout": _PROBE,
    # PyLibMCCache
    "behaviors": "remove it: none of them is needed",
    "binary": "remove it: nodes are spoken to by meta commands",
    "tcp_nodelay": _POOL,
    "tcp_keepalive": _POOL,
    "no_block": _POOL,
    "buffer_requests": _POOL,
    "verify_keys": "remove it: always so",
    "cas": "remove it: always so",
    "support_cas": "remove it: always so",
    "hash": "remove it: 'ring' says how keys are placed",
    "distribution": "remove it: 'ring' says how keys are placed",
    "ketama": "remove it: always so",
    "ketama_weighted": "write 'ring': \"libmemcached\" if other clients of that ring share the nodes, else nothing",
    "ketama_hash": "remove it: 'ring' says how keys are placed",
    "number_of_replicas": "it is 'replicas' here, which counts the first copy too",
    "num_replicas": "it is 'replicas' here, which counts the first copy too",
    "send_timeout": "it is 'timeout' here: seconds for the whole operation",
    "receive_timeout": "it is 'timeout' here: seconds for the whole operation",
    "poll_timeout": "it is 'timeout' here: seconds for the whole operation",
    "num_failures": _PROBE,
    "failure_limit": _PROBE,
    "remove_failed": _PROBE,
    "auto_eject": "it is 'eject_after' here",
    # django-redis and Django's RedisCache
    "client_class": "remove it: there is one client",
    "redis_client_class": "remove it: there is one client",
    "parser_class": "remove it: there is one client",
    "connection_factory": _POOL,
    "connection_pool_class": _POOL,
    "connection_pool_class_kwargs": _POOL,
    "connection_pool_kwargs": "it is 'idle_connections' and 'max_connections' here",
    "pool_class": _POOL,
    "close_connection": _POOL,
    "socket_timeout": "it is 'timeout' here: seconds for the whole operation",
    "socket_connect_timeout": "it is 'connect_timeout' here",
    "ignore_exceptions": "remove it: a failure is a miss, unless 'on_error' is \"raise\"",
    "log_ignored_exceptions": "remove it: the logger 'django_dcache' says when a node fails",
    "pickle_version": "it is 'pickle_protocol' here",
    "compressor": 'it is \'compress\' here: "zlib", "zstd" or "lz4"',
    "reverse_key_function": "remove it: keys are not listed",
    "sentinels": "remove it: LOCATION names the nodes",
    "db": "remove it: projects are kept apart by KEY_PREFIX and 'fleet'",
    # Django's own, in the wrong place. In lower case 'timeout' is an option.
    "TIMEOUT": f"{_BESIDE}; the deadline of an operation is 'timeout'",
    "key_prefix": _BESIDE,
    "key_function": _BESIDE,
    "version": _BESIDE,
    "location": _BESIDE,
}


def advice(name: str) -> str | None:
    """What to do with an option that may be another backend's."""
    return ADVICE.get(name) or ADVICE.get(name.lower())
