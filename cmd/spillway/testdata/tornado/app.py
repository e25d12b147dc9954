"""A WebSocket that echoes, and a stream of events that come one by one: python3 app.py PORT."""
import asyncio
import os
import sys

import tornado.web
import tornado.websocket

more = asyncio.Queue()


class Hello(tornado.web.RequestHandler):
    def get(self):
        self.set_header("X-Pid", str(os.getpid()))
        self.write("hello from tornado\n")


class Echo(tornado.websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self):
        print("closed with", self.close_code, flush=True)


class Events(tornado.web.RequestHandler):
    async def get(self):
        self.set_header("Content-Type", "text/event-stream")
        for number in range(int(self.get_argument("number"))):
            self.write("data: %d\n\n" % number)
            await self.flush()
            await more.get()

    def post(self):
        more.put_nowait(None)


async def main():
    tornado.web.Application([("/hello", Hello), ("/echo", Echo), ("/events", Events)],
                            websocket_max_message_size=8 << 20).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
