"""The messages of the protocol, generated when the package is built."""
