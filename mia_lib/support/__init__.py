"""What every room uses and none is about.

`cache.Cache` keeps stages, under keys that `source.code_digest` finds in the code, and `shared` for several machines;
`registry.Registry` names plugins; `settings.resolve` knows every knob; `errors` has the two errors a user may see; `limits`
what the job may use; `death` why a process is gone; `leftovers` what killed runs leave; `progress`, `console`, `parallel`,
`device`, `spreadsheets`.
"""
