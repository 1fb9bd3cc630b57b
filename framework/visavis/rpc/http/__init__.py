"""HTTP/JSON for browsers and curl: every unary call by the Connect protocol, beside gRPC and by the same rules.

A call here goes through the very handlers, keys, limits, deadlines, error table and log line of a call over gRPC; only
how it is written differs. The protocol is https://connectrpc.com/docs/protocol. The only home of aiohttp.
"""
