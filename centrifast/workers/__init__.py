"""Several processes behind one port: a supervisor that owns the engine, and workers that have the clients."""
