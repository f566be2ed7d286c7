"""memcached 1.6.18 or later, by its meta protocol."""
