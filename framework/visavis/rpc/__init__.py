"""Both ends of the wire. With `visavis.client` the only home of grpc.

server          ports, health, reflection, start and stop
├── listen      addresses, TLS and keys from the settings (address, auth)
├── health      what load balancers ask
├── edge        around each call: keys, limits, deadlines, errors, logs
└── servicers/  one module a service: check, one call to a room, translate
    ├── work    threads beside the event loop
    ├── jobs    long work with progress, and request ids that join it
    └── streams, upload
client
└── caller      one channel: deadlines, keys, repeats (files: uploads and snapshots)
convert*        protobuf <-> values of `visavis.model`
errors          the one table from errors to status codes, and back
"""
