"""The emulator compares in constant time, and prints no key."""

from __future__ import annotations

import hmac
import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest
import requests

from django_rokka.api import sign_url
from django_rokka.emulator import Emulator
from tests.pictures import picture

from .secrets import API_KEY, TOKEN, leaks

KEY = {"Api-Key": API_KEY}


@pytest.fixture
def compared(monkeypatch: Any) -> list[tuple[bytes, bytes]]:
    """What is compared in constant time."""
    pairs: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def note(first: bytes, second: bytes) -> bool:
        pairs.append((first, second))
        return compare(first, second)

    monkeypatch.setattr(hmac, "compare_digest", note)
    return pairs


def _upload(emulator_url: str, headers: dict[str, str]) -> str:
    answer = requests.post(
        f"{emulator_url}/sourceimages/acme",
        files={"filedata": ("a.jpg", picture())},
        data={"options[0]": '{"protected": true}'},
        headers=headers,
        timeout=10,
    )
    return str(answer.json()["items"][0]["hash"])


def test_signatures_are_compared_in_constant_time(
    rokka_emulator: Emulator, compared: list[tuple[bytes, bytes]]
) -> None:
    hash = _upload(rokka_emulator.api_url, {"Api-Key": "test-key"})
    base = rokka_emulator.render_url.format(organization="acme")
    signed = sign_url(f"{base}/dynamic/noop/{hash}.jpg", rokka_emulator.signing_key, base=base)
    good = signed.rpartition("=")[2]
    wrong = ["0" * 16, good[:15], f"{good}0", good.upper(), "", "é"]

    for given in [good, *wrong]:
        del compared[:]
        answer = requests.get(signed.replace(good, given), timeout=10)

        assert answer.status_code == (200 if given == good else 403)
        # All that it could be, whichever of them it is.
        assert [pair[1] for pair in compared] == [given.encode()] * 4


@pytest.mark.parametrize("header", ["Api-Key", "Authorization"])
def test_keys_and_tokens_are_compared_in_constant_time(
    rokka_emulator: Emulator, compared: list[tuple[bytes, bytes]], header: str
) -> None:
    rights: Any = {"acme": "read"}
    rokka_emulator.add_key(API_KEY, rights)
    rokka_emulator.add_token(TOKEN, rights)
    secret = API_KEY if header == "Api-Key" else TOKEN

    for given in (secret, secret[:-1], "x"):
        del compared[:]
        value = given if header == "Api-Key" else f"Bearer {given}"
        answer = requests.get(
            f"{rokka_emulator.api_url}/stacks/acme", headers={header: value}, timeout=10
        )

        assert (answer.status_code == 200) is (given == secret)
        assert (secret.encode(), given.encode()) in compared
        assert {pair[1] for pair in compared} == {given.encode()}
        assert leaks(answer.text) == []


def test_its_output_and_its_log_of_calls_have_neither_keys_nor_signatures() -> None:
    command = [sys.executable, "-m", "django_rokka.emulator", "--port", "0", "--api-key", API_KEY]
    process = subprocess.Popen(  # noqa: S603 - our own module
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONDEVMODE": "1"},
    )
    assert process.stdout is not None
    printed = [process.stdout.readline()]
    url = printed[0].split()[1]
    try:
        hash = _upload(url, KEY)
        render = f"{url}/render/acme/dynamic/noop/{hash}.jpg"
        for query in ("sig=fedcba9876543210", "v={}&sig=fedcba9876543210&x=1"):
            assert requests.get(f"{render}?{query}", timeout=10).status_code == 403
        refused = requests.get(f"{url}/stacks/acme", headers={"Api-Key": f"{API_KEY}x"}, timeout=10)
        token = {"Authorization": f"Bearer {TOKEN}"}
        requests.get(f"{url}/stacks/acme?key={1}", headers=token, timeout=10)
        # An error inside is printed with its traceback.
        fault = {"kind": "status", "status": 200, "headers": 7}
        requests.post(f"{url}/_emulator/faults", json=fault, timeout=10)
        broken = requests.get(f"{url}/stacks/acme", headers=KEY, timeout=10)
        logs = [
            requests.get(f"{url}/_emulator/{name}", timeout=10).text
            for name in ("calls", "renders")
        ]
    finally:
        process.send_signal(signal.SIGTERM)
        printed.append(process.communicate(timeout=20)[0])

    assert broken.status_code == 500
    assert "Traceback" in printed[-1]
    texts = [*printed, *logs, refused.text, broken.text]
    assert leaks(" ".join(texts)) == []
    assert "sig=" in re.sub(r"\\u[0-9a-f]{4}", "…", logs[1])
    assert "fedcba" not in " ".join(texts)
