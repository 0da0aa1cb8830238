"""The auditor: attacks on somebody else's model or saved signals, and what they prove."""
