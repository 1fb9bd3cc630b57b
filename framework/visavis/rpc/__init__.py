"""The gRPC server: `server.Server` and `server.run`. The only home of grpc beside `visavis.client`.

server          ports, TLS, health, reflection, shutdown
├── edge        around each call: keys, limits, deadlines, errors, logs
├── servicers/  one module a service: check, one call to a room, translate
│   ├── convert*, reports   protobuf <-> values of `visavis.model`
│   ├── work    threads beside the event loop
│   └── jobs    long work with progress, and request ids that join it
└── errors      the one table from errors to status codes, used by `visavis.client` too
"""
