"""The recorder under its earlier name, by which hooks start it that were installed into other programs before."""

from stablenew.controller.hook_listener import main

if __name__ == "__main__":
    raise SystemExit(main())
