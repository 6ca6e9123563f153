"""Outside systems as servers of our own: they speak the real protocol over a real socket."""
