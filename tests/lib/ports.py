"""Ports that stay a test's own from their choice to its end."""
import socket


def held():
    """
    A bound socket that never listens; its number is for a program that listens later, maybe more
    than once. The kernel gives the port to nobody else while the socket lives, and lets a program
    listen on it that sets SO_REUSEADDR, as servers do. A bare number that was free a moment ago may
    be another test's by the time it is needed.
    """
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    wire.bind(("127.0.0.1", 0))
    return wire


def number(wire):
    return wire.getsockname()[1]
