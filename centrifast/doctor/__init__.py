"""What is wrong with a token, a machine, a configuration or a proxy, and what to do about it.

How it works: thin readers gather *facts*, from ``/proc``, sockets and files; small pure functions turn facts into
*findings*. So every rule is tested with made-up facts. The server itself imports nothing from here.
"""
