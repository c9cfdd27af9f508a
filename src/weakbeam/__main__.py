"""``python -m weakbeam``."""

from weakbeam.cli.main import main

if __name__ == "__main__":
    main()
