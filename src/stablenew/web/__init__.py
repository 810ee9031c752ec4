"""The web page: a local server and the page it serves."""
