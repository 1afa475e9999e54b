"""One real GPU for all tests of this folder; without one they are skipped, and say why."""

import pytest

from gpu_check import weights
from gpu_check.lab import Lab
from gpu_check.options import Options
from gpu_check.preflight import NoUsableGpu, usable_gpu


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("gpu")
    options = Options(out=folder / "report.json", work=folder)
    try:
        driver = usable_gpu(options.gpu_index)
    except NoUsableGpu as error:
        pytest.skip(error.message)
    return Lab.of(options, driver, *weights.prepare(options))
