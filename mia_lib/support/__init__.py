"""What every room uses and none is about: cache, registry, settings, errors, progress, processes, devices."""
