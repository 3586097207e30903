"""Calls an application several times in one process: what one response leaves behind is seen in the next.

Lab 10's checks run it beside the learner's application.
"""

from stream_ends import Client, scope_of


async def responses_in_a_row(app, queries):
    """GET /echo with each query: the headers of each response."""
    found = []
    for query in queries:
        sent = []

        async def send(message, sent=sent):
            sent.append(message)

        await app({**scope_of("/echo"), "query_string": query}, Client().receive, send)
        found.append([pair for message in sent for pair in message.get("headers", [])])
    return found
