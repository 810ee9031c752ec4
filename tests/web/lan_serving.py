"""A real server that is open to the network, at this machine's own loopback address, and devices that ask it."""

import http.client
import json
import re
import ssl

from tests.web.serving import READ_SECONDS, Client, Server

LAN = ("--port", "0", "--lan", "--lan-address", "127.0.0.1", "--lan-port", "0")


class LanServer(Server):
    """`stablenew serve --lan`, with the code that it prints."""

    def __init__(self, root, machine, *options):
        super().__init__(root, machine, *LAN, *options)

    def start(self):
        super().start()
        self.words = []
        for line in self.process.stdout:
            self.words.append(line)
            if found := re.search(r"open (https?://\S+) there and enter {2}(\S+)", line):
                self.lan_origin, self.code = found.groups()
            if "Ctrl-C" in line:
                break
        self.lan_port = int(self.lan_origin.rpartition(":")[2])
        return self

    def invite(self, *options):
        """A code as `stablenew devices pair` gives it."""
        return json.loads(self.run("devices", "pair", "--json", *options))["code"]


class Device(Client):
    """Something on the network that speaks HTTPS, with the cookie it was given."""

    def connect(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the authorities of this computer: 23 ms of CPU
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.server.lan_port, timeout=READ_SECONDS, context=context)

    def post(self, path, body, expected=200):
        status, _, answer = self.post_raw(path, json.dumps(body))
        assert status == expected, (status, answer)
        return json.loads(answer)

    def post_raw(self, path, body, **headers):
        given = {"Origin": self.server.lan_origin, "Content_Type": "application/json", **headers}
        return self.ask("POST", path, body, **given)

    def try_to_pair(self, code, name):
        return self.post_raw("/pair", json.dumps({"code": code, "name": name}))

    def pair(self, name, *options, code=None):
        status, headers, body = self.try_to_pair(code or self.server.invite(*options), name)
        assert status == 200, body
        self.set_cookie = headers["set-cookie"]
        self.cookie = self.set_cookie.partition(";")[0]
        return self
