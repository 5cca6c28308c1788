"""What is set wrongly is told by its name, before anything is started."""

import pytest

from deploy.devstack.errors import DevstackError
from deploy.local.system import ApiProcess, LocalSystem, WorkerProcess


@pytest.mark.parametrize("name", [ApiProcess.port_variable, WorkerProcess.port_variable, "DEVSTACK_KAFKA_PORT"])
@pytest.mark.parametrize("text", ["abc", "-1", "0", "70000", "80²", "8000.5"])
def test_a_port_that_is_none(name: str, text: str) -> None:
    with pytest.raises(DevstackError, match=f"^{name} must be a (whole number|port)"):
        LocalSystem.from_env({name: text})
