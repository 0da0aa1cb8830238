"""Simulated rooms in VOiCES's manner: a loudspeaker that turns, microphones near and far, a second source of noise."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RATE = 16_000
DEGREES = tuple(range(0, 181, 30))  # between the loudspeaker's axis and the direction of the nearest microphone


@dataclass(frozen=True)
class Room:
    """A rectangular room: `size` in metres, the share of energy its walls absorb, and who stands where (metres)."""

    size: tuple[float, float, float]
    absorption: float
    loudspeaker: tuple[float, float, float]
    distractor: tuple[float, float, float]
    microphones: tuple[tuple[float, float, float], ...]


ROOMS = {
    "rm1": Room(
        (3.7, 2.7, 2.6),
        0.40,
        (0.7, 1.2, 1.3),
        (3.1, 2.2, 1.2),
        ((1.7, 1.3, 1.1), (2.6, 0.6, 0.9), (3.3, 1.4, 1.3), (1.2, 2.4, 2.3)),
    ),
    "rm2": Room(
        (5.0, 4.1, 2.7),
        0.30,
        (0.9, 2.0, 1.4),
        (4.2, 0.8, 1.2),
        ((2.0, 2.1, 1.1), (3.2, 3.3, 0.9), (4.4, 2.2, 1.3), (0.4, 3.7, 2.4)),
    ),
    "rm3": Room(
        (8.2, 5.6, 3.1),
        0.25,
        (1.2, 2.8, 1.4),
        (6.5, 4.6, 1.2),
        ((2.6, 2.7, 1.1), (4.4, 1.2, 0.9), (7.2, 3.0, 1.3), (0.6, 5.0, 2.7)),
    ),
    "rm4": Room(
        (6.4, 5.9, 2.9),
        0.16,
        (1.0, 3.0, 1.4),
        (5.4, 1.0, 1.2),
        ((2.3, 3.1, 1.1), (3.9, 4.9, 0.9), (5.8, 3.2, 1.3), (0.5, 0.6, 2.5)),
    ),
}


@lru_cache(maxsize=len(ROOMS))
def impulse_responses(name: str, order: int = 8) -> list[list[np.ndarray]]:
    """Impulse responses at 16 kHz, `[microphone][angle of DEGREES]`, the distractor's as the last of each row.

    order: how many reflections are followed. The loudspeaker has a cardioid pattern, the distractor none.
    """
    import pyroomacoustics as pra
    from pyroomacoustics.directivities import Cardioid, DirectionVector

    room = ROOMS[name]
    box = pra.ShoeBox(room.size, fs=RATE, materials=pra.Material(room.absorption), max_order=order)
    ahead = np.subtract(room.microphones[0], room.loudspeaker)
    for degrees in DEGREES:
        azimuth = np.degrees(np.arctan2(ahead[1], ahead[0])) + degrees
        box.add_source(room.loudspeaker, directivity=Cardioid(DirectionVector(azimuth, 90, degrees=True)))
    box.add_source(room.distractor)
    box.add_microphone_array(np.transpose(room.microphones))
    box.compute_rir()
    return [[np.asarray(response, np.float32) for response in row] for row in box.rir]
