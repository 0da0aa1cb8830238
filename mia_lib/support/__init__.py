"""What every room uses and none is about.

`cache.Cache` keeps stages, under keys that `source.code_digest` finds in the code; `registry.Registry` names plugins;
`settings.resolve` knows every knob; `errors` has the two errors a user may see; `progress`, `console`, `parallel`, `device`.
"""
