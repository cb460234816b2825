"""What the page's server refuses: requests of other sites, and those of Gradio's routes that the page does not use."""

import contextlib
import ipaddress
import re

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse

HEARTBEAT = "/gradio_api/heartbeat/"  # a connection that a browser holds as long as it shows the page
USED = re.compile(  # by the page in a browser and by gradio_client; Gradio has some forty more
    r"/|/config/?|/theme\.css|/manifest\.json|/favicon\.ico|/pwa_icon(/.*)?|/robots\.txt|/(assets|static|svelte)/.+|"
    r"/gradio_api/(info/?|app_id/?|startup-events|theme\.css|upload|upload_progress|queue/(join|data)|cancel|reset/?|"
    r"heartbeat/[^/]+|file=.+)"
)


def is_loopback(host):
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def middleware(host, visitors):
    """The guards of a page at `host`, for Starlette's `middleware`; `visitors` are the `visitors.Visitors`.

    A page for this machine alone answers under no other name: a site whose name is made to lead here could read it.
    """
    names = ["localhost", "127.0.0.1", "[::1]", host] if is_loopback(host) else ["*"]
    return [Middleware(TrustedHostMiddleware, allowed_hosts=names), Middleware(Gate, visitors=visitors)]


class Gate:
    """Refuses routes that are not used and what other sites post, and lets `visitors` know who is connected."""

    def __init__(self, app, visitors):
        self.app, self.visitors = app, visitors

    async def __call__(self, scope, receive, send):
        answer, connected = self.app, contextlib.nullcontext()
        if scope["type"] == "http":
            path, headers = scope["path"], Headers(scope=scope)
            origin = headers.get("origin")  # programs send none
            if not USED.fullmatch(path):
                answer = PlainTextResponse("This page has no such route.", 404)
            elif scope["method"] == "POST" and origin and origin.partition("://")[2] != headers.get("host"):
                answer = PlainTextResponse("Other sites cannot post to this page.", 403)
            elif path.startswith(HEARTBEAT):
                connected = self.visitors.connected(path.removeprefix(HEARTBEAT))
        with connected:
            await answer(scope, receive, send)
