"""Exits with 0 if the dashboard on this machine answers, with TLS or without.

That it asks for a password is an answer. The database is not asked for: if it is away, nothing is
mended by starting the dashboard again.

    python3 healthcheck.py [PORT]
"""

import http.client
import ssl
import sys

SECONDS = 4


def status(connection: http.client.HTTPConnection) -> int:
    """The status that a request for the first page is answered with."""
    try:
        connection.request("HEAD", "/dashboard/")
        return connection.getresponse().status
    finally:
        connection.close()


def main() -> int | str:
    """0, or what is wrong."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    try:
        answer = status(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS))
    except http.client.RemoteDisconnected:
        # A server with TLS ends such a connection. Its certificate is for its visitors to check.
        context = ssl._create_unverified_context()
        answer = status(
            http.client.HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=context)
        )
    return 0 if answer < 500 else f"the dashboard answers with {answer}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"the dashboard does not answer: {error!r}")
