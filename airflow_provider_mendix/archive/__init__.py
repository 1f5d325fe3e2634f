"""What is archived is what was built: whole, checked and described, or not there.

One pass, piece by piece: :mod:`sources` reads a package's file over as many connections and links as it takes,
:mod:`verified` holds its last piece back until all of it has been checked (:mod:`checksums`, :mod:`zips`,
:mod:`deep`), and :mod:`stores` commits what comes out of that. :mod:`manifest` says beside the object what it is,
:mod:`destination` where it goes, and :mod:`archiving` puts it all in order.
"""
