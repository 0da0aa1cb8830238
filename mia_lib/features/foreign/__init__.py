"""Models of anybody's making, from waveforms to numbers: files and functions, none of which is ever unpickled."""
