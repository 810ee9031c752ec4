"""How the sockets behave that the server answers at."""

import asyncio
import contextlib
import socket

from stablenew.web.server import open_socket
from tests.coroutines import run_coroutine


async def accepted_option(listener, level, option):
    """A socket option of a connection that asyncio accepts at `listener`."""
    found = asyncio.get_running_loop().create_future()

    async def answer(_reader, writer):
        found.set_result(writer.get_extra_info("socket").getsockopt(level, option))
        writer.close()

    async with await asyncio.start_server(answer, sock=listener):
        with contextlib.closing(socket.create_connection(listener.getsockname())):
            return await found


def test_an_answer_in_several_parts_does_not_wait_for_the_other_side_to_acknowledge_the_first():
    assert run_coroutine(accepted_option(open_socket(0, None), socket.IPPROTO_TCP, socket.TCP_NODELAY))
