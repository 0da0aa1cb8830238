"""The paper's two features, MFCC and |STFT|, and log-mel energies, as torch modules on batches of waveforms.

All take float waveforms in [-1, 1] of shape [batch, samples] and return [batch, frames, bins]. Each fragment is
transformed as a channel of its own ([batch, 1, samples] inside): torchaudio clamps decibels against the maximum over
everything but the leading dimensions, and on [batch, samples] a fragment's features would depend on its neighbours.
"""

import torch
import torchaudio

from mia_lib.features.base import FEATURES

N_FFT, N_MELS, N_MFCC = 2048, 128, 20
MEL = dict(n_fft=N_FFT, n_mels=N_MELS, f_max=8000.0, norm="slaney", mel_scale="slaney", pad_mode="constant")


@FEATURES.register("mfcc")
class MFCC(torch.nn.Module):
    """20 mel-frequency cepstral coefficients from 128 mel bands up to 8 kHz, FFT 2048 (arXiv 1911.01888)."""

    storage = torch.float32

    def __init__(self, hop: int, sample_rate: int = 16_000):
        super().__init__()
        self.transform = torchaudio.transforms.MFCC(
            sample_rate, N_MFCC, melkwargs=dict(hop_length=hop, **MEL), log_mels=False
        )

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        return self.transform(waves[:, None])[:, 0].transpose(1, 2)


@FEATURES.register("logmel")
class LogMel(torch.nn.Module):
    """128 log-mel energies in decibels, at most 80 dB below the fragment's loudest, FFT 2048."""

    storage = torch.float32

    def __init__(self, hop: int, sample_rate: int = 16_000):
        super().__init__()
        self.mel = torchaudio.transforms.MelSpectrogram(sample_rate, hop_length=hop, **MEL)
        self.decibels = torchaudio.transforms.AmplitudeToDB("power", top_db=80.0)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        return self.decibels(self.mel(waves[:, None]))[:, 0].transpose(1, 2)


@FEATURES.register("stft")
class STFT(torch.nn.Module):
    """Magnitude of the short-time Fourier transform, 1025 bins, FFT 2048 (arXiv 1911.01888)."""

    storage = torch.float16  # 1025 bins a frame; the rounding, 5e-4 relative, is far below the models' noise

    def __init__(self, hop: int, sample_rate: int = 16_000):
        super().__init__()
        self.transform = torchaudio.transforms.Spectrogram(N_FFT, hop_length=hop, power=1.0, pad_mode="constant")

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        return self.transform(waves[:, None])[:, 0].transpose(1, 2)
