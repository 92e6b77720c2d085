"""A stand-in for the Hugging Face hub: the part of its HTTP that a download of a file needs, on this machine."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMITS = {"main": "a" * 40, "v1": "b" * 40}


@dataclass
class StandIn:
    """A hub with one repository, `someone/heads`.

    Attributes:
        files: content by revision and name.
        sizes: what the hub says of a file's size where that is not so.
        asked: method and path of each request.
        url: where it listens.
    """

    files: dict[str, dict[str, bytes]]
    sizes: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def find(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content for a path."""
        repository, _, rest = path.strip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        if repository != "someone/heads":
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        named = {**COMMITS, **{commit: commit for commit in COMMITS.values()}}
        if revision not in named:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        commit = named[revision]
        branch = next(name for name, its in COMMITS.items() if its == commit)
        if file not in self.files[branch]:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        content = self.files[branch][file]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        return 200, headers, content


@contextmanager
def serving(hub: StandIn) -> Iterator[StandIn]:
    """Serves the hub while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            hub.asked.append(f"{self.command} {self.path}")
            status, headers, content = hub.find(self.path)
            self.send_response(status)
            size = hub.sizes.get(self.path.rpartition("/")[2], len(content))
            for name, value in {**headers, "Content-Length": str(size)}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_GET = do_HEAD

        def log_message(self, *message):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
