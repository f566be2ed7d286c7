"""`python -m dcache_manager` is `dcache-admin`."""

from dcache_manager.cli.main import main

if __name__ == "__main__":
    main()
