"""What is archived is what was built: whole, checked and described, or not there.

A :mod:`.source` is what can be archived: a package (:mod:`.package_source`) or the archive of a snapshot
(:mod:`.backup_source`). One pass, chunk by chunk: :mod:`.download` reads its file over as many connections and
links as it takes; :mod:`.verification` withholds the last chunk until all of the file was checked
(:mod:`.stream_digest`, :mod:`.zip_structure`, :mod:`.zip_walk`, which reads in a thread, :mod:`.beside`); a store
of :mod:`.stores` commits it; :mod:`.manifest` describes the object in a file beside it. :mod:`.writer` puts these
in order. :mod:`.archived_object` and :mod:`.catalog` read an archive.
"""
