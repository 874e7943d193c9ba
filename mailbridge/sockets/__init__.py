"""What both drivers do with a socket: everything but wait."""
