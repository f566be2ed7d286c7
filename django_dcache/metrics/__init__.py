"""What the caches of a process do, measured: for Prometheus (`metrics.prometheus`) and OpenTelemetry (`metrics.otel`).

    recording       wraps the methods of DistributedCache, and sums up what they did
    process         what a process knows of its fleets and nodes, at this moment
    prometheus      the extra `prometheus`
    otel            the extra `otel`

Without `install()` of one of them nothing here is imported, and no line of it runs. No label holds a key.
"""
