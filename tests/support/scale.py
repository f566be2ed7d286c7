"""How large and how long the tests are: DCACHE_TEST_SCALE=full, or as small as shows the fault."""

import os

FULL = os.environ.get("DCACHE_TEST_SCALE") == "full"
