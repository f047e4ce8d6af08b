"""Speech as samples, by espeak-ng: the library and its data come in a wheel, so that nothing has to be installed."""

import ctypes
import threading
from array import array

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

# Of espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_POS_CHARACTER = 1
_CHARS_UTF8 = 1
_OK = 0
# Called with samples, or with none at the end of a text; 0 means to go on.
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Voice:
    """One for the process: the library keeps its state in globals."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate_hz = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data, 0)
        if self.rate_hz <= 0 or self._library.espeak_SetVoiceByName(b"en") != _OK:
            raise RuntimeError("espeak-ng cannot be started with its English voice")
        self._samples = array("h")
        # Kept, since the library calls it as long as it lives.
        self._callback = _Callback(self._heard)
        self._library.espeak_SetSynthCallback(self._callback)

    def _heard(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if samples and count:
            self._samples.frombytes(ctypes.string_at(samples, count * 2))
        return 0

    def speak(self, text: str) -> "array[int]":
        self._samples = array("h")
        said = text.encode()
        result = self._library.espeak_Synth(
            said, ctypes.c_size_t(len(said) + 1), 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        if result != _OK:
            raise RuntimeError(f"espeak-ng did not speak: {result}")
        return self._samples


_lock = threading.Lock()
_voice: _Voice | None = None


def spoken(text: str, rate_hz: int) -> NDArray[np.int16]:
    """16-bit samples at `rate_hz` of an English voice; the nearest sample is good enough for a telephone."""
    global _voice  # noqa: PLW0603 - the library is one for the process
    with _lock:
        _voice = _voice or _Voice()
        samples = _voice.speak(text)
    count = len(samples) * rate_hz // _voice.rate_hz
    nearest = np.arange(count) * _voice.rate_hz // rate_hz
    return np.frombuffer(samples, dtype=np.int16)[nearest] if count else np.zeros(0, np.int16)
