"""What the tests in Python are made of: peers with raw sockets, and the daemon as a black box."""
