"""`python -m stablenew`."""

from stablenew.cli.main import main

if __name__ == "__main__":
    main()
