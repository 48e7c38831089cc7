"""The scanner that noise in the projections is modelled for. No NumPy: --help reads this file."""

from dataclasses import asdict, dataclass

REFERENCE_VIEWS, REFERENCE_MM = 360, 0.70  # the detector reading that photons are counted for


@dataclass(frozen=True)
class Scanner:
    """The modelled scanner; the defaults are those of --run train."""

    electronic_noise: float = 10.0  # SD in counts of a reading at 360 views and 0.70 mm
    mu_water: float = 0.0192  # 1/mm; water near 70 keV, the effective energy of 120 kVp
    views: int = 360  # over 180 degrees
    bowtie: float = 0.25  # 0: none; 1: makes water of 160 mm radius flat
    filter_cutoff: float = 0.74  # 1/mm, zero of the Hann window; fits the noise of real scans

    def as_json(self) -> dict:
        units = {
            "electronic_noise": "counts of a reading at 360 views and 0.70 mm",
            "mu_water": "1/mm",
            "filter_cutoff": "1/mm",
        }
        return {**asdict(self), "units": units}

    def readings(self, photons: float, pixel_mm: float) -> tuple[float, float]:
        """(photons, electronic SD in counts) of an unattenuated reading of this scanner.

        photons: of a reading at 360 views and 0.70 mm. Photons and electronic variance are shared
        among the readings, so image noise depends neither on the views nor on the pixel size.
        """
        share = REFERENCE_VIEWS / self.views * pixel_mm / REFERENCE_MM
        return photons * share, self.electronic_noise * share**0.5

    def hu_per_line(self, pixel_mm: float) -> float:
        """HU of one unit (1/pixel) of an image reconstructed from line integrals."""
        return 1000.0 / (self.mu_water * pixel_mm)
