"""What Lambda does with a package, on this machine: unpack it, start it, hand it events.

``bundle`` is the package as its template describes it, ``sandbox`` one process that runs a function
of it under AWS's own runtime client, ``api`` what that client talks to; ``cold_start`` measures.
"""
