"""The administrators' command line for an IB (introducing broker) affiliate platform."""

__version__ = "0.1.0"
