"""The energy of the GPUs that a process uses, by the counters of NVIDIA's management library.

NVML counts the millijoules of a whole card since its driver was loaded (Volta and later): what
other processes do on the same card meanwhile is in it, and so is a card that waits. AMD's cards
and parts of a card (MIG) have no such counter.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from panic_hpc.disk.strict_json import parse_json

GRID_VARIABLE = "PANIC_HPC_GRID_G_PER_KWH"
"""Tells workers the profile's `grid_g_per_kwh`: g of CO2 equivalent for a kWh."""

J_PER_WH = 3600.0


class EnergyMeter:
    """Reads the counters of some GPUs, named as CUDA_VISIBLE_DEVICES names them.

    `problem` says why there is no reading, "" where there is one or no GPU.

    Example:
        >>> meter = EnergyMeter(["0"])
        >>> before = meter.joules()
    """

    def __init__(self, gpus: Sequence[str]) -> None:
        self.problem = ""
        self._gpus = tuple(gpus)
        self._nvml: Any = None
        self._handles: list[Any] = []

    def joules(self) -> float | None:
        """Return what the GPUs have used since some moment, together; None where nothing tells."""
        if not self._gpus or self.problem:
            return None
        try:
            if self._nvml is None:
                self._open()
            read = self._nvml.nvmlDeviceGetTotalEnergyConsumption
            return float(sum(read(handle) for handle in self._handles)) / 1000
        except ImportError:
            self.problem = "nvidia-ml-py is not installed"
        # pynvml raises errors of a class a code, which all derive from its own.
        except Exception as error:
            self.problem = f"NVML says: {error}"
        return None

    def _open(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        self._handles = [_handle(pynvml, name) for name in self._gpus]
        self._nvml = pynvml

    def since(self, before: float | None) -> dict[str, Any]:
        """Return what is recorded: `joules` since a reading, or why there are none; {} for no GPU.

        `before` is what `joules` returned when the work began.
        """
        now = self.joules()
        if now is None or before is None:
            return {"missing": self.problem} if self.problem else {}
        return {"joules": round(now - before, 3)}


def _handle(nvml: Any, name: str) -> Any:
    # Numbers are CUDA's: the same as NVML's, by place on the bus, wherever cards are alike.
    if name.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(name))
    return nvml.nvmlDeviceGetHandleByUUID(name)


def grid_intensity(environ: Mapping[str, str]) -> dict[str, float]:
    """Return {"grid_g_per_kwh": …} as the profile says it to workers, {} where it does not."""
    try:
        value = parse_json(environ.get(GRID_VARIABLE, ""))
    except ValueError:
        return {}
    return {"grid_g_per_kwh": float(value)} if isinstance(value, int | float) else {}
