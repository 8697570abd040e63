"""The one unit of the house that may act on other machines: it joins, removes, heals and wakes nodes, no more.

It runs as a user of its own, who alone holds the key of ssh and the cluster's vault, and takes requests by a socket
that the agent alone may use. A request names what a person said yes to, by the id of the approval; everything else
about it is read from the agent's own record of that decision. It imports nothing but the standard library.
"""
