"""dcache-admin: looks at a cache fleet and changes it while the site runs."""
