"""One module a service. A method checks, makes one call to a room and translates; errors go up to `edge`."""
