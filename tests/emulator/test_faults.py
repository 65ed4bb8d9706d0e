"""Faults beyond those of `test_server`: which calls they strike, and what they put in the place of an answer."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from django_rokka.emulator import Emulator, Fault

from .conftest import Api


def test_a_fault_lets_some_calls_pass_first(emulator: Emulator, api: Api) -> None:
    emulator.add_fault(Fault(status=503, skip=1, times=2, method="GET"))

    calls = [api(method, "/stacks/acme") for method in ("GET", "POST", "GET", "GET", "GET")]

    assert [call.status_code for call in calls] == [200, 405, 503, 503, 200]


def test_an_answer_can_have_another_body_and_other_headers(emulator: Emulator, api: Api) -> None:
    api("PUT", "/stacks/acme/hero", json={})
    emulator.add_fault(Fault("replace", body="[]", times=2))

    assert api("GET", "/stacks/acme").text == "[]"
    deleted = api("DELETE", "/stacks/acme/hero")
    assert (deleted.status_code, deleted.text) == (200, "[]")
    assert api("GET", "/stacks/acme/hero").status_code == 404

    emulator.add_fault(Fault("replace", headers={"Content-Type": "x-{}", "Location": "x"}))
    answer = api("GET", "/stacks/acme")
    assert answer.headers["Content-Type"] == "x-application/json"
    assert "Location" not in answer.headers
    assert answer.json() == {"items": []}


@pytest.mark.parametrize("after_work", [False, True])
def test_silence_ends_without_an_answer(emulator: Emulator, api: Api, after_work: bool) -> None:
    emulator.add_fault(Fault("silence", seconds=0.05, after_work=after_work))

    with pytest.raises(requests.ConnectionError):
        api("PUT", "/stacks/acme/hero", json={})

    assert (api("GET", "/stacks/acme/hero").status_code == 200) == after_work


def test_a_call_that_hangs_does_no_work_after_a_reset(emulator: Emulator, api: Api) -> None:
    emulator.add_fault(Fault("hang", seconds=0.2))
    with ThreadPoolExecutor() as pool:
        hung = pool.submit(api, "PUT", "/stacks/acme/hero", json={})
        while emulator.application.faults._waiting:
            time.sleep(0.01)
        emulator.reset()

        with pytest.raises(requests.ConnectionError):
            hung.result(timeout=10)
    assert api("GET", "/stacks/acme/hero").status_code == 404
