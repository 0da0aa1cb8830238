"""Does a speaker-identification model leak whose voice it was trained on? From recordings to rates with intervals."""
