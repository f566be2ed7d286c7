"""Metadata is in pyproject.toml, which has no settled way yet to name an extension."""

from setuptools import Extension, setup

STABLE_ABI = ("Py_LIMITED_API", "0x030B0000")  # Python 3.11 and all that come after

setup(ext_modules=[Extension("dcache_speed", ["dcache_speed.c"], define_macros=[STABLE_ABI], py_limited_api=True)])
