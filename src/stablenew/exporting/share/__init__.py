"""A pack to send: a zip file whose page opens without a server, and that anybody can check."""
